package metal_test

import (
	"fmt"
	"testing"

	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/thorough"
)

// norms compares a norm, forward and backward, and returns how many launches each took.
func (p *pair) norms(rows, cols, pad int, rms, gradients, again bool) (forward, backward int) {
	p.Helper()
	label := fmt.Sprintf("[%d,%d] pad=%d rms=%v gradients=%v again=%v", rows, cols, pad, rms, gradients, again)
	tolerance := 1e-4
	if !p.exact {
		tolerance = 0.1
	}
	c := p.begin()
	x, gain, y, stats := c.load(rows, cols, pad, p.normal), c.load(1, cols, pad, p.normal), c.load(rows, cols, pad, p.normal), c.load(rows, 2, 0, p.normal)
	op := &graph.LayerNorm{X: x, Gain: gain, Y: y, Stats: stats, Eps: 1e-5, RMS: rms}
	forward = len(c.run(label, tolerance, op))

	c = p.begin()
	x, gain, y, stats = c.load(rows, cols, pad, p.normal), c.load(1, cols, pad, p.normal), c.load(rows, cols, pad, p.normal), c.load(rows, 2, 0, p.normal)
	c.Record(&graph.LayerNorm{X: x, Gain: gain, Y: y, Stats: stats, Eps: 1e-5, RMS: rms})
	back := &graph.LayerNormBackward{X: x, Gain: gain, Stats: stats, DY: c.load(rows, cols, pad, p.normal), DX: c.load(rows, cols, pad, p.normal),
		RMS: rms, Accumulate: again}
	if gradients {
		if back.DGain = c.load(1, cols, pad, p.normal); !rms {
			back.DBias = c.load(1, cols, pad, p.normal)
		}
	}
	if again {
		if back.Y = y; !rms {
			back.Bias = c.load(1, cols, pad, p.normal)
		}
	}
	return forward, len(c.run(label, tolerance, back))
}

func TestNorms(t *testing.T) {
	// Rows of a SIMD-group and of threadgroups that hold 1, 2 and 8 vectors a thread, at the ends of each.
	shapes := []struct{ rows, cols, pad int }{
		{1, 1, 0}, {9, 3, 2}, {17, 128, 4}, {9, 129, 2}, {10, 132, 0}, {3, 512, 0}, {2, 514, 0}, {9, 516, 4}, {2, 4096, 0}, {2, 4098, 2}, {1, 16384, 0},
	}
	for _, e := range thorough.Cases(t, 2, "orders", orders) {
		for _, bf16 := range []bool{false, true} {
			t.Run(fmt.Sprintf("checked=%v order=%v bf16=%v", e.Checked, e.Order, bf16), func(t *testing.T) {
				p := newPair(t, e, metal.Options{BFloat16: bf16})
				every := thorough.Every(t, 9, "shapes")
				for i, s := range shapes {
					if i%every != 0 {
						continue
					}
					rms, gradients, again := i%2 == 1, i%3 != 1, i%4 < 2
					want := 1
					if gradients {
						want = 2
					}
					if forward, backward := p.norms(s.rows, s.cols, s.pad, rms, gradients, again); forward != 1 || backward != want {
						t.Errorf("%+v: %d launches forward and %d backward, want 1 and %d", s, forward, backward, want)
					}
				}
			})
		}
	}
}

func TestNormOfTooWideRows(t *testing.T) {
	p := newPair(t, emulator.Options{}, metal.Options{})
	c := p.begin()
	x, gain := c.load(1, 16385, 0, p.normal), c.load(1, 16385, 0, p.normal)
	c.Record(&graph.LayerNorm{X: x, Gain: gain, Y: x, Eps: 1e-5})
	if program, err := c.metal.Compile(c.Recorder); err == nil {
		program.Close()
		t.Error("a norm of 16,385 columns: no error")
	}
}
