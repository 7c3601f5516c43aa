package loop

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Growth says how a model gets more layers than the model whose weights it starts with. If that has n blocks B₁ … Bₙ of Block
// layers, the stacking methods insert copies of one block after it, as many as the new model needs:
//
//	middle   B₁ … B_c B_c … B_c … Bₙ, c = ⌈n/2⌉: MidAS (Saunshi et al., arXiv 2409.19044), which duplicates the middle block
//	         one at a time: that is always a copy of B_c.
//	last     B₁ … Bₙ Bₙ … Bₙ: gradual stacking (the same)
//	whole    all layers, again and again: progressive stacking (Gong et al., ICML 2019)
//
// They act on the distinct layers in their order, whatever the loops. The fourth keeps the function:
//
//	unroll   the layer that runs at depth d is a copy of the one that ran at depth d, so that k⊗L becomes k·L⊗1
//
// The zero Growth keeps the layers: layer i is a copy of layer i, whatever the blocks and loops.
type Growth struct {
	Method string // one of Methods, or ""
	Block  int    // layers of a block, for middle and last; 0 is 1
}

// Methods lists the methods of growth.
func Methods() []string { return []string{"middle", "last", "whole", "unroll"} }

// ErrGrowth is the error of a growth that does not lead from one architecture to the other.
var ErrGrowth = errors.New("impossible growth")

// Check returns an error unless there is such a growth.
func (g Growth) Check() error {
	switch {
	case g.Method != "" && !slices.Contains(Methods(), g.Method):
		return fmt.Errorf("%w: no method %q, want one of %s", ErrGrowth, g.Method, strings.Join(Methods(), ", "))
	case g.Block < 0:
		return fmt.Errorf("%w: blocks of %d layers, want at least 1", ErrGrowth, g.Block)
	case g.Block > 0 && g.Method != "middle" && g.Method != "last":
		return fmt.Errorf("%w: only middle and last use blocks of %d layers", ErrGrowth, g.Block)
	}
	return nil
}

// String is "middle in blocks of 2".
func (g Growth) String() string {
	if g.Block > 1 {
		return fmt.Sprintf("%s in blocks of %d", g.Method, g.Block)
	}
	return g.Method
}

// Grow returns, for each layer of the architecture to, the layer of a that it starts as. Every layer of a is among them.
// Its errors wrap ErrGrowth and say which numbers of layers are possible.
func (a Architecture) Grow(to Architecture, g Growth) ([]int, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	have, want := a.Layers(), to.Layers()
	block := max(1, g.Block)
	switch g.Method {
	case "":
		if have != want {
			return nil, fmt.Errorf("%w: %s has %s, %s has %d", ErrGrowth, a, layers(have), to, want)
		}
		block = have
	case "unroll":
		return a.unroll(to)
	case "whole":
		block = have
	}
	if have%block != 0 {
		return nil, fmt.Errorf("%w: blocks of %d do not divide the %s of %s", ErrGrowth, block, layers(have), a)
	}
	if want < have || (want-have)%block != 0 {
		var possible []string
		for n := have; len(possible) < 5; n += block {
			possible = append(possible, strconv.Itoa(n))
		}
		return nil, fmt.Errorf("%w: %s makes %s, … layers of the %d of %s, not the %d of %s", ErrGrowth, g, strings.Join(possible, ", "), have, a, want, to)
	}
	blocks := have / block
	copied := blocks - 1 // counted from 0
	if g.Method == "middle" {
		copied = (blocks+1)/2 - 1
	}
	copies := (want - have) / block
	from := make([]int, want)
	for i := range from {
		b := i / block
		if b > copied {
			b = max(copied, b-copies)
		}
		from[i] = b*block + i%block
	}
	return from, nil
}

// unroll finds the layers by the depths at which they run.
func (a Architecture) unroll(to Architecture) ([]int, error) {
	old, now := a.order(), to.order()
	if len(old) != len(now) {
		return nil, fmt.Errorf("%w: %s unrolled is %d⊗1, or loops of as many layers in all; %s runs %d", ErrGrowth, a, len(old), to, len(now))
	}
	from := make([]int, to.Layers())
	for i := range from {
		from[i] = -1
	}
	for d, i := range now {
		if from[i] >= 0 && from[i] != old[d] {
			return nil, fmt.Errorf("%w: layer %d of %s would have to be layers %d and %d of %s; unrolled, that is %d⊗1",
				ErrGrowth, i, to, from[i], old[d], a, len(old))
		}
		from[i] = old[d]
	}
	return from, nil
}

// order is the layer that runs at each depth.
func (a Architecture) order() []int {
	var order []int
	for b, loops := range a.Loops {
		for range loops {
			for i := range a.Sizes[b] {
				order = append(order, a.First(b)+i)
			}
		}
	}
	return order
}

func layers(n int) string {
	if n == 1 {
		return "1 layer"
	}
	return fmt.Sprintf("%d layers", n)
}
