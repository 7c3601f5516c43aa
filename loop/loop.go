// Package loop says which layer runs at which depth: k⊗L, middle looping, random loop counts. It is arithmetic only.
//
// k⊗L is a block of k layers applied L times; k⊗(a,b,c) is three blocks of k layers applied a, b and c times
// (Saunshi et al., arXiv 2502.17416).
package loop

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Architecture is blocks of K distinct layers each, block i applied Loops[i] times.
type Architecture struct {
	K     int
	Loops []int
}

// Limits of Parse; they only catch typing errors.
const maxLayers, maxDepth = 1 << 10, 1 << 14

// Parse reads "1x6", "4⊗6", "4x(1,4,1)".
func Parse(s string) (Architecture, error) {
	bad := func(why string) (Architecture, error) {
		return Architecture{}, fmt.Errorf("layers %q: %s; want layers x loops, as in 1x6 (one layer six times) or 4x(1,4,1) "+
			"(three blocks of 4 layers, run 1, 4 and 1 times)", s, why)
	}
	k, rest, ok := strings.Cut(strings.NewReplacer("⊗", "x", "X", "x", "*", "x", " ", "").Replace(s), "x")
	if !ok {
		return bad("no x")
	}
	n, err := strconv.Atoi(k)
	if err != nil || n < 1 {
		return bad(fmt.Sprintf("the layers are %q, want at least 1", k))
	}
	a := Architecture{K: n}
	inner, open := strings.CutPrefix(rest, "(")
	if inner, ok = strings.CutSuffix(inner, ")"); ok != open {
		return bad("brackets do not match")
	}
	parts := strings.Split(inner, ",")
	if !open && len(parts) > 1 {
		return bad("several loop counts need brackets")
	}
	for _, p := range parts {
		l, err := strconv.Atoi(p)
		if err != nil || l < 1 {
			return bad(fmt.Sprintf("the loops are %q, want at least 1", p))
		}
		if l > maxDepth {
			return bad(fmt.Sprintf("more than %d loops", maxDepth))
		}
		a.Loops = append(a.Loops, l)
	}
	if n > maxLayers || len(a.Loops) > maxLayers || a.Layers() > maxLayers || a.Depth() > maxDepth {
		return bad(fmt.Sprintf("more than %d layers or a depth of more than %d", maxLayers, maxDepth))
	}
	return a, nil
}

// String writes a as Parse reads it, with ⊗.
func (a Architecture) String() string {
	if len(a.Loops) == 1 {
		return fmt.Sprintf("%d⊗%d", a.K, a.Loops[0])
	}
	parts := make([]string, len(a.Loops))
	for i, l := range a.Loops {
		parts[i] = strconv.Itoa(l)
	}
	return fmt.Sprintf("%d⊗(%s)", a.K, strings.Join(parts, ","))
}

// Layers is the number of distinct layers, and so of parameters relative to a one-layer model.
func (a Architecture) Layers() int { return a.K * len(a.Loops) }

// Depth is the effective depth: how many layers a token passes, and so the FLOPs relative to a one-layer model.
func (a Architecture) Depth() int {
	d := 0
	for _, l := range a.Loops {
		d += a.K * l
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
