package metal_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"coil/backend"
	"coil/backend/conformance"
	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// orders are what the emulator may do in any order.
var orders = []emulator.Options{
	{},
	{Checked: true},
	{Checked: true, Order: emulator.Reverse},
	{Checked: true, Order: emulator.Random, Seed: 5},
}

func TestFusedAttention(t *testing.T) {
	// Lengths around the blocks of 32 and 64 rows and the tiles of 16 and 32; rows of whole vectors, with and without gaps,
	// and others.
	shapes := []struct{ length, sequences, heads, width, pad int }{
		{1, 2, 1, 16, 0}, {15, 3, 2, 16, 2}, {64, 1, 1, 16, 4}, {129, 1, 2, 16, 0},
		{9, 2, 3, 32, 4}, {32, 2, 1, 32, 2}, {70, 2, 2, 32, 0}, {128, 1, 1, 32, 6},
		{16, 3, 1, 64, 4}, {33, 2, 2, 64, 2}, {65, 1, 1, 64, 0}, {100, 1, 2, 64, 8},
	}
	for i, e := range slices.Concat(orders, orders) {
		registers := i < len(orders)
		for _, bf16 := range []bool{false, true} {
			t.Run(fmt.Sprintf("checked=%v order=%v bf16=%v registers=%v", e.Checked, e.Order, bf16, registers), func(t *testing.T) {
				o := metal.Options{BFloat16: bf16}
				if !registers {
					o.Variants = fusedAttention(emulatortest.Open(t, e))
				}
				p := newPair(t, e, o)
				if v := p.metal.Variants(); v.Degraded() == registers {
					t.Fatalf("variants %v", v)
				}
				every := thorough.Every(t, 36, "shapes")
				for j, s := range shapes {
					if (i+j)%every != 0 {
						continue
					}
					forward, backward := p.attention(s.length, s.sequences, s.heads, s.width, s.pad, j%2 == 0)
					if forward != 1 || backward != 2 {
						t.Errorf("%+v: %d launches forward and %d backward, want 1 and 2", s, forward, backward)
					}
				}
			})
		}
	}
}

// fusedAttention are variants in which attention takes scores through threadgroup memory.
func fusedAttention(d metal.Device) metal.Variants {
	v, ok := metal.Preferred(d.Description()).Plainer(d.Description(), "attention", "a test")
	if !ok {
		panic("attention has one variant")
	}
	return v
}

// TestMatrixLayout has a GPU whose threads hold other elements of matrices than the kernels that work on them expect: they
// give way to those that work through threadgroup memory.
func TestMatrixLayout(t *testing.T) {
	e := emulator.Options{RowMajor: true, Quick: !thorough.On()}
	d := emulatortest.Open(t, e)
	options := conformance.Options{Subjects: []string{"attention"}, Every: 5 * thorough.Every(t, 3, "cases"), First: true}
	failures := func(o metal.Options) (n int, v metal.Variants) {
		b := on(t, emulatortest.Open(t, e), o)
		defer b.Close()
		conformance.Check(b, options, func(f conformance.Finding) bool {
			n += len(f.Failures)
			return true
		})
		return n, b.Variants()
	}
	n, v := failures(metal.Options{})
	if n > 0 || !v.Degraded() {
		t.Errorf("%d failures with %v", n, v)
	}
	want := fusedAttention(d)
	for i := range want {
		if v[i].Name != want[i].Name || v[i].Reason != "" && !strings.Contains(v[i].Reason, "elements of a matrix") {
			t.Errorf("variant %+v, want %s", v[i], want[i].Name)
		}
	}
	if n, _ := failures(metal.Options{Variants: metal.Preferred(d.Description())}); n == 0 {
		t.Error("scores in registers are right whatever the layout: the test of it proves nothing")
	}
}

// TestTurnedAttention: attention's backward pass with the rotary operation after it leaves the bits that both leave when
// something stands between them.
func TestTurnedAttention(t *testing.T) {
	shapes := []struct{ length, sequences, heads, width, pad int }{
		{9, 2, 3, 16, 0}, {70, 1, 2, 16, 4}, {65, 1, 1, 32, 2}, {33, 2, 2, 64, 0},
	}
	for _, e := range []emulator.Options{{}, {Checked: true, Order: emulator.Random, Seed: 5}} {
		for _, bf16 := range []bool{false, true} {
			for _, s := range thorough.Cases(t, 3, "shapes", shapes) {
				var together []float32
				for _, apart := range []bool{false, true} {
					p := newPair(t, e, metal.Options{BFloat16: bf16})
					c := p.begin()
					rows, d := s.length*s.sequences, s.heads*s.width
					qkv, out := c.load(rows, 3*d, s.pad, p.normal), c.load(rows, d, s.pad, p.normal)
					logSum, dout := c.load(rows, s.heads, 0, p.normal), c.load(rows, d, s.pad, p.normal)
					dqkv := c.load(rows, 3*d, s.pad, p.normal)
					c.Record(&graph.Attention{QKV: qkv, Out: out, LogSum: logSum, Heads: s.heads, Length: s.length})
					c.Record(&graph.AttentionBackward{QKV: qkv, Out: out, LogSum: logSum, DOut: dout, DQKV: dqkv, Heads: s.heads, Length: s.length})
					if apart {
						c.Record(&graph.Fill{Y: c.Temporary(1, 4)})
					}
					c.Record(&graph.Rotary{X: dqkv.Columns(0, 2*d), Width: s.width, Length: s.length, Base: 100, Inverse: true})
					got := c.outputs([]graph.Tensor{dqkv})
					if !apart {
						together = got
					} else if !slices.Equal(got, together) {
						t.Errorf("checked=%v bf16=%v %+v: other bits than one after the other", e.Checked, bf16, s)
					}
				}
			}
		}
	}
}

// TestSameBits runs what adds up many numbers in all orders.
func TestSameBits(t *testing.T) {
	var first []float32
	for _, e := range thorough.Cases(t, 2, "orders", orders) {
		p := newPair(t, e, metal.Options{})
		c := p.begin()
		const n, d, heads = 150, 64, 2
		qkv, out, sums := c.load(n, 3*d, 0, p.normal), c.load(n, d, 0, p.normal), c.load(n, heads, 0, p.normal)
		x, gain, stats := c.load(n, d, 0, p.normal), c.load(1, d, 0, p.normal), c.load(n, 2, 0, p.normal)
		dx, dgain, dbias := c.load(n, d, 0, p.normal), c.load(1, d, 0, p.normal), c.load(1, d, 0, p.normal)
		dqkv := c.load(n, 3*d, 0, p.normal)
		c.Record(&graph.LayerNorm{X: x, Gain: gain, Y: out, Stats: stats, Eps: 1e-5})
		c.Record(&graph.Attention{QKV: qkv, Out: out, LogSum: sums, Heads: heads, Length: n / 2})
		c.Record(&graph.AttentionBackward{QKV: qkv, Out: out, LogSum: sums, DOut: x, DQKV: dqkv, Heads: heads, Length: n / 2})
		c.Record(&graph.LayerNormBackward{X: x, Gain: gain, Stats: stats, DY: out, DX: dx, DGain: dgain, DBias: dbias})
		values := c.outputs(c.loaded)
		if first == nil {
			first = values
		} else if !slices.Equal(first, values) {
			t.Errorf("checked=%v order=%v: other bits than in the first order", e.Checked, e.Order)
		}
	}
}

// outputs runs the recording on Metal and returns what the tensors hold then.
func (c *comparison) outputs(of []graph.Tensor) []float32 {
	c.Helper()
	var shown []graph.Tensor
	for _, x := range of {
		y := c.Output(x.Rows, x.Cols)
		c.Record(&graph.Add{A: x, Y: y, Alpha: 1})
		shown = append(shown, y)
	}
	p, err := c.metal.Compile(c.Recorder)
	if err != nil {
		c.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(backend.Args{}); err != nil {
		c.Fatal(err)
	}
	if err := p.Results(nil); err != nil {
		c.Fatal(err)
	}
	var values []float32
	for _, y := range shown {
		v := make([]float32, y.Size())
		if err := p.Output(y, v); err != nil {
			c.Fatal(err)
		}
		values = append(values, v...)
	}
	return values
}
