// Package loop says which layer runs at which depth: k⊗L, middle looping, random loop counts. It is arithmetic only.
//
// k⊗L is a block of k layers applied L times; k⊗(a,b,c) is three blocks of k layers applied a, b and c times
// (Saunshi et al., arXiv 2502.17416). 2/4⊗3/1 is a block of 2 layers applied once, one of 4 applied 3 times, and one of 1.
package loop

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Architecture is blocks of distinct layers. Block i has Sizes[i] layers and is applied Loops[i] times.
type Architecture struct {
	Sizes, Loops []int
}

// Equal returns blocks of k layers each, applied as often as loops says.
func Equal(k int, loops ...int) Architecture {
	return Architecture{Sizes: slices.Repeat([]int{k}, len(loops)), Loops: loops}
}

// Limits of Parse; they only catch typing errors.
const maxLayers, maxDepth = 1 << 10, 1 << 14

// Parse reads "1x6", "4⊗6", "4x(1,4,1)", "2/4x3/2".
func Parse(s string) (Architecture, error) {
	var a Architecture
	bad := func(why string) (Architecture, error) {
		return Architecture{}, fmt.Errorf("layers %q: %s; want layers x loops, as in 1x6 (one layer six times), 4x(1,4,1) "+
			"(three blocks of 4 layers, run 1, 4 and 1 times) or 2/4x3/2 (blocks of 2, 4 and 2 layers, the second run 3 times)", s, why)
	}
	number := func(what, text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("the %s are %q, want at least 1", what, text)
		}
		if what == "loops" && n > maxDepth {
			return 0, fmt.Errorf("more than %d loops", maxDepth)
		}
		return n, nil
	}
	blocks := strings.Split(strings.NewReplacer("⊗", "x", "X", "x", "*", "x", " ", "").Replace(s), "/")
	for _, block := range blocks {
		k, rest, ok := strings.Cut(block, "x")
		if !ok && len(blocks) == 1 {
			return bad("no x")
		}
		n, err := number("layers", k)
		if err != nil {
			return bad(err.Error())
		}
		parts := []string{"1"}
		if ok {
			inner, open := strings.CutPrefix(rest, "(")
			if inner, ok = strings.CutSuffix(inner, ")"); ok != open {
				return bad("brackets do not match")
			}
			parts = strings.Split(inner, ",")
			if !open && len(parts) > 1 {
				return bad("several loop counts need brackets")
			}
		}
		if len(blocks) > 1 && len(parts) > 1 {
			return bad("blocks between slashes have one loop count each")
		}
		for _, p := range parts {
			l, err := number("loops", p)
			if err != nil {
				return bad(err.Error())
			}
			a.Sizes, a.Loops = append(a.Sizes, n), append(a.Loops, l)
		}
		if n > maxLayers || len(a.Loops) > maxLayers || a.Layers() > maxLayers || a.Depth() > maxDepth {
			return bad(fmt.Sprintf("more than %d layers or a depth of more than %d", maxLayers, maxDepth))
		}
	}
	return a, nil
}

// String writes a as Parse reads it, with ⊗.
func (a Architecture) String() string {
	var equal, apart []string
	same := true
	for i, l := range a.Loops {
		same = same && a.Sizes[i] == a.Sizes[0]
		equal = append(equal, strconv.Itoa(l))
		block := strconv.Itoa(a.Sizes[i])
		if l > 1 {
			block += "⊗" + strconv.Itoa(l)
		}
		apart = append(apart, block)
	}
	switch {
	case len(a.Loops) == 1:
		return fmt.Sprintf("%d⊗%d", a.Sizes[0], a.Loops[0])
	case same:
		return fmt.Sprintf("%d⊗(%s)", a.Sizes[0], strings.Join(equal, ","))
	}
	return strings.Join(apart, "/")
}

// Layers is the number of distinct layers, and so of parameters relative to a one-layer model.
func (a Architecture) Layers() int { return a.First(len(a.Sizes)) }

// First is the first layer of block b: the number of layers in the blocks before it.
func (a Architecture) First(b int) int {
	n := 0
	for _, size := range a.Sizes[:b] {
		n += size
	}
	return n
}

// Block is the block that layer i belongs to.
func (a Architecture) Block(i int) int {
	b := 0
	for i >= a.Sizes[b] {
		i -= a.Sizes[b]
		b++
	}
	return b
}

// Depth is the effective depth: how many layers a token passes, and so the FLOPs relative to a one-layer model.
func (a Architecture) Depth() int {
	d := 0
	for i, l := range a.Loops {
		d += a.Sizes[i] * l
	}
	return d
}

// Looped returns the block whose loop count may change: the one with the most loops, or the middle one of several.
func (a Architecture) Looped() int {
	most := 0
	var at []int
	for i, l := range a.Loops {
		if l > most {
			most, at = l, nil
		}
		if l == most {
			at = append(at, i)
		}
	}
	return at[len(at)/2]
}

// Count is the loop count of the looped block.
func (a Architecture) Count() int { return a.Loops[a.Looped()] }

// WithCount returns a with another loop count of the looped block. Its own looped block may be another: of 1x(2,3,2)
// with count 1 it is one with 2 loops.
func (a Architecture) WithCount(loops int) Architecture {
	at := a.Looped()
	a.Loops = append([]int{}, a.Loops...)
	a.Loops[at] = loops
	return a
}

// Random draws loop counts as Geiping et al. do (arXiv 2502.05171, section 3.3): with σ = ½ and μ = ln Mean − σ²/2,
//
//	Λ ~ LogNormal(μ, σ),   r ~ Poisson(Λ) + 1
//
// so that r has a mean of Mean + 1 and a long tail. Counts above Max become Max.
type Random struct {
	Mean float64
	Max  int
}

// Check returns an error unless r can be drawn from.
func (r Random) Check() error {
	if !(r.Mean > 0) || math.IsInf(r.Mean, 0) {
		return fmt.Errorf("random loop counts: mean %g, want more than 0", r.Mean)
	}
	if r.Max < 1 || float64(r.Max) < r.Mean {
		return fmt.Errorf("random loop counts: at most %d with a mean of %g, want the largest to be at least the mean", r.Max, r.Mean)
	}
	return nil
}

// Draw is the loop count of a step: a function of the seed and the step alone, so that a resumed run draws the same.
func (r Random) Draw(seed, step uint64) int {
	const sigma = 0.5
	rng := rand.New(rand.NewPCG(seed, step^0x6c6f6f7073)) // "loops": apart from the other streams of the seed
	lambda := math.Exp(math.Log(r.Mean) - sigma*sigma/2 + sigma*rng.NormFloat64())
	return min(r.Max, poisson(rng, lambda)+1)
}

// poisson counts unit-rate arrivals up to lambda.
func poisson(rng *rand.Rand, lambda float64) int {
	n := 0
	for t := rng.ExpFloat64(); t < lambda; t += rng.ExpFloat64() {
		n++
	}
	return n
}
