package loop_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"coil/loop"
)

func TestGrow(t *testing.T) {
	for _, c := range []struct {
		from, to string
		growth   loop.Growth
		want     []int
	}{
		{"3x1", "3x1", loop.Growth{}, []int{0, 1, 2}},
		{"1x4", "1x9", loop.Growth{}, []int{0}},
		{"1x(1,4,1)", "3x2", loop.Growth{}, []int{0, 1, 2}},
		{"3x1", "4x1", loop.Growth{Method: "middle"}, []int{0, 1, 1, 2}},
		{"3x1", "6x1", loop.Growth{Method: "middle"}, []int{0, 1, 1, 1, 1, 2}},
		{"4x1", "5x1", loop.Growth{Method: "middle"}, []int{0, 1, 1, 2, 3}}, // of two in the middle the first
		{"4x1", "8x1", loop.Growth{Method: "middle", Block: 2}, []int{0, 1, 0, 1, 0, 1, 2, 3}},
		{"6x1", "8x1", loop.Growth{Method: "middle", Block: 2}, []int{0, 1, 2, 3, 2, 3, 4, 5}},
		{"3x2", "5x3", loop.Growth{Method: "middle"}, []int{0, 1, 1, 1, 2}},
		{"1x(1,4,1)", "2x(1,4,1)", loop.Growth{Method: "middle"}, []int{0, 1, 1, 1, 1, 2}},
		{"3x1", "5x1", loop.Growth{Method: "last"}, []int{0, 1, 2, 2, 2}},
		{"4x1", "8x1", loop.Growth{Method: "last", Block: 2}, []int{0, 1, 2, 3, 2, 3, 2, 3}},
		{"3x1", "9x1", loop.Growth{Method: "whole"}, []int{0, 1, 2, 0, 1, 2, 0, 1, 2}},
		{"2x3", "2x3", loop.Growth{Method: "whole"}, []int{0, 1}},
		{"2x3", "6x1", loop.Growth{Method: "unroll"}, []int{0, 1, 0, 1, 0, 1}},
		{"1x4", "2x2", loop.Growth{Method: "unroll"}, []int{0, 0}},
		{"1x4", "1x(2,2)", loop.Growth{Method: "unroll"}, []int{0, 0}},
		{"2x(1,3,1)", "10x1", loop.Growth{Method: "unroll"}, []int{0, 1, 2, 3, 2, 3, 2, 3, 4, 5}},
	} {
		a, to := architecture(t, c.from), architecture(t, c.to)
		if got, err := a.Grow(to, c.growth); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s to %s, %s: %v, %v, want %v", a, to, c.growth, got, err, c.want)
		}
	}
}

// Each error says what is possible.
func TestGrowErrors(t *testing.T) {
	for _, c := range []struct {
		from, to string
		growth   loop.Growth
		want     string
	}{
		{"1x4", "4x1", loop.Growth{}, "1⊗4 has 1 layer, 4⊗1 has 4"},
		{"4x1", "2x1", loop.Growth{}, "4⊗1 has 4 layers, 2⊗1 has 2"},
		{"4x1", "7x1", loop.Growth{Method: "middle", Block: 2}, "middle in blocks of 2 makes 4, 6, 8, 10, 12, … layers of the 4 of 4⊗1, not the 7 of 7⊗1"},
		{"3x1", "4x1", loop.Growth{Method: "middle", Block: 2}, "blocks of 2 do not divide the 3 layers of 3⊗1"},
		{"3x1", "2x1", loop.Growth{Method: "middle"}, "middle makes 3, 4, 5, 6, 7, … layers of the 3"},
		{"3x1", "7x1", loop.Growth{Method: "last", Block: 3}, "makes 3, 6, 9, 12, 15, … layers"},
		{"2x1", "5x1", loop.Growth{Method: "whole"}, "whole makes 2, 4, 6, 8, 10, … layers"},
		{"2x3", "5x1", loop.Growth{Method: "unroll"}, "2⊗3 unrolled is 6⊗1, or loops of as many layers in all; 5⊗1 runs 5"},
		{"2x3", "3x2", loop.Growth{Method: "unroll"}, "layer 0 of 3⊗2 would have to be layers 0 and 1 of 2⊗3; unrolled, that is 6⊗1"},
		{"1x4", "4x1", loop.Growth{Method: "sideways"}, `no method "sideways", want one of middle, last, whole, unroll`},
		{"1x4", "4x1", loop.Growth{Method: "middle", Block: -1}, "blocks of -1 layers, want at least 1"},
		{"1x4", "4x1", loop.Growth{Method: "whole", Block: 1}, "only middle and last use blocks of 1 layers"},
		{"1x4", "1x4", loop.Growth{Block: 1}, "only middle and last use blocks of 1 layers"},
	} {
		_, err := architecture(t, c.from).Grow(architecture(t, c.to), c.growth)
		if !errors.Is(err, loop.ErrGrowth) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s, %s: %v, want %q", c.from, c.to, c.growth, err, c.want)
		}
	}
}

// MidAS, by its definition, duplicates the middle one of the existing blocks, one stage at a time.
func TestMiddleIsMidAS(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		block, blocks, stages := rapid.IntRange(1, 4).Draw(t, "block"), rapid.IntRange(1, 6).Draw(t, "blocks"), rapid.IntRange(0, 6).Draw(t, "stages")
		var stack [][]int
		for b := range blocks {
			var layers []int
			for i := range block {
				layers = append(layers, b*block+i)
			}
			stack = append(stack, layers)
		}
		for range stages {
			middle := (len(stack)+1)/2 - 1
			stack = slices.Insert(stack, middle, stack[middle])
		}
		a := loop.Equal(block*blocks, 1)
		to := loop.Equal(block*len(stack), 1)
		got, err := a.Grow(to, loop.Growth{Method: "middle", Block: block})
		if err != nil || !slices.Equal(got, slices.Concat(stack...)) {
			t.Fatalf("%v, %v, want %v", got, err, stack)
		}
	})
}

// With every method, the new model has every layer of the old model, and no others.
func TestGrowthLosesNoLayer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, to := draw(t), draw(t)
		g := loop.Growth{Method: rapid.SampledFrom(append(loop.Methods(), "")).Draw(t, "method")}
		if g.Method == "middle" || g.Method == "last" {
			g.Block = rapid.IntRange(0, 4).Draw(t, "block")
		}
		if g.Method == "unroll" {
			to = loop.Equal(a.Depth(), 1)
		}
		from, err := a.Grow(to, g)
		if err != nil {
			return
		}
		slices.Sort(from)
		if from = slices.Compact(from); len(from) != a.Layers() || from[0] != 0 || from[len(from)-1] != a.Layers()-1 {
			t.Fatalf("%s to %s, %s: of %d layers %v", a, to, g, a.Layers(), from)
		}
	})
}
