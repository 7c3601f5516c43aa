package conformance

import (
	"slices"

	"coil/autodiff"
	"coil/graph"
)

// headCases are the losses of linear heads over many classes, as a tape records them: a backend may run their operations as
// one, and nothing shows the logits.
func headCases(s *suite) {
	for i, shape := range [][4]int{{1, 1024, 3, 1}, {5, 1030, 12, 2}, {3, 1537, 33, 3}, {40, 1025, 2, 25}} {
		n, classes, width, chunk := shape[0], shape[1], shape[2], shape[3]
		for k := range 4 {
			variant := 2*k + i%2 // a shape has half of them
			transposed, trained, capped := variant&1 != 0, (variant+i)%4 != 0, variant&2 != 0
			c := s.inBody("[%d,%d]·[%d,%d] in chunks of %d rows, transposed=%v trained=%v capped=%v", n, width, width, classes, chunk, transposed, trained, capped)
			targets := make([]int32, n*trialGroups)
			for j := range targets {
				if targets[j] = int32(s.rng.IntN(classes)); j%4 == 3 {
					targets[j] = graph.Ignore
				}
			}
			targets[n] = int32(classes - 1)
			rows, cols := width, classes
			if transposed {
				rows, cols = cols, rows
			}
			c.pad = pads[i%len(pads)]
			given := c.in("X", n, width)
			h := autodiff.CrossEntropy{W: c.weight("W", rows, cols), Transpose: transposed, Targets: c.index(targets), Weight: 0.5, Scale: c.number(1.0 / 3)}
			c.pad = 0
			if variant&4 != 0 {
				h.RowWeights = c.in("row weights", n, 1)
			}
			h.Loss, h.Correct = c.output("loss", n, 1), c.output("correct", n, 1)
			if capped {
				h.Cap = 3
			}
			var dw, dx graph.Tensor // of what is trained: one of them in some variants, both in others
			if trained && (variant+i)%3 != 0 {
				dw = c.sum("gradient of W", rows, cols)
			}
			if trained && (variant+i)%3 != 1 {
				dx = c.Temporary(n, width) // written by the last of the operations: its memory may not be that of X
			}
			h.X = c.Temporary(n, width)
			ops := []graph.Op{&graph.Add{A: given, Y: h.X, Alpha: 1}}
			for lo := 0; lo < n; lo += chunk {
				ops = append(ops, headChunk(c, h, lo, min(n, lo+chunk), dw, dx)...)
			}
			if dx.Exists() {
				ops = append(ops, &graph.Add{A: dx, Y: c.output("gradient of X", n, width), Alpha: 1})
			}
			c.check(ops...)
		}
	}
	ties := func(label string, targets []int32, values func(i, j int) float32) {
		const classes, width = 1500, 1
		c := s.inBody("%s", label)
		i := 0
		next := func() float32 { i++; return values((i-1)/classes, (i-1)%classes) }
		h := autodiff.CrossEntropy{X: c.in("X", len(targets), width, always(1)), W: c.weight("W", width, classes, next), Weight: 1,
			Targets: c.index(slices.Repeat(targets, trialGroups)), Loss: c.output("loss", len(targets), 1), Correct: c.output("correct", len(targets), 1)}
		c.check(headChunk(c, h, 0, len(targets), c.sum("gradient of W", width, classes), c.out("gradient of X", len(targets), width))...)
	}
	ties("equal logits", []int32{0, 1, 700, 1499}, func(_, j int) float32 { return 2 })
	ties("largest twice", []int32{3, 1200, 1300, 2}, func(_, j int) float32 { return map[int]float32{3: 9, 1200: 9, 1300: 1}[j] })
	ties("NaN", []int32{3, 1200, graph.Ignore}, func(_, j int) float32 {
		if j == 900 {
			return nan()
		}
		return float32(j)
	})
	if s.o.BFloat == nil { // in which the differences between such numbers are lost
		ties("far below zero", []int32{0, 1499}, func(_, j int) float32 { return -300 - float32(j%7) })
	}
	ties("far from each other", []int32{0, 1400, 20}, func(_, j int) float32 { return float32(j/400) * -1e4 })
}

// headChunk is the operations that a tape records for rows [lo,hi) of h. Gradients that are missing are not made.
func headChunk(c *trial, h autodiff.CrossEntropy, lo, hi int, dw, dx graph.Tensor) []graph.Op {
	classes := h.W.Cols
	if h.Transpose {
		classes = h.W.Rows
	}
	x, logits := h.X.RowRange(lo, hi), c.Temporary(hi-lo, classes)
	ops := []graph.Op{&graph.Matmul{A: x, B: h.W, C: logits, TransB: h.Transpose}}
	if h.Cap > 0 {
		ops = append(ops, &graph.SoftCap{X: logits, Y: logits, Cap: h.Cap})
	}
	loss := &graph.CrossEntropy{Logits: logits, Targets: h.Targets.Range(lo, hi), Loss: h.Loss.RowRange(lo, hi), Correct: h.Correct.RowRange(lo, hi),
		Weight: h.Weight, Scale: h.Scale}
	if h.RowWeights.Exists() {
		loss.RowWeights = h.RowWeights.RowRange(lo, hi)
	}
	ops = append(ops, loss)
	if !dw.Exists() && !dx.Exists() {
		return ops
	}
	d := logits
	if h.Cap > 0 {
		d = c.Temporary(hi-lo, classes)
		ops = append(ops, &graph.SoftCapBackward{Y: logits, DY: d, DX: d, Cap: h.Cap})
	}
	loss.DLogits = d
	if dw.Exists() {
		a, b := x, d
		if h.Transpose {
			a, b = d, x
		}
		ops = append(ops, &graph.Matmul{A: a, B: b, C: dw, TransA: true, Accumulate: true})
	}
	if dx.Exists() {
		ops = append(ops, &graph.Matmul{A: d, B: h.W, C: dx.RowRange(lo, hi), TransB: !h.Transpose})
	}
	return ops
}
