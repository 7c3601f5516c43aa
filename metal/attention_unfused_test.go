package metal_test

import (
	"fmt"
	"testing"

	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/thorough"
)

// attention compares attention with heads of a width that has no fused kernel, forward and backward, and returns how many
// launches each took.
func (p *pair) attention(length, sequences, heads, width, pad int, logSum bool) (forward, backward int) {
	p.Helper()
	n, d := length*sequences, heads*width
	label := fmt.Sprintf("length=%d sequences=%d heads=%d width=%d pad=%d", length, sequences, heads, width, pad)
	tolerance := 2e-5
	if !p.exact {
		tolerance = 0.05
	}
	c := p.begin()
	qkv, out := c.load(n, 3*d, pad, p.normal), c.load(n, d, pad, p.normal)
	sums := graph.Tensor{}
	if logSum {
		sums = c.load(n, heads, 0, p.normal)
	}
	forward = len(c.run(label, tolerance, &graph.Attention{QKV: qkv, Out: out, LogSum: sums, Heads: heads, Length: length}))

	c = p.begin()
	qkv, out, sums = c.load(n, 3*d, pad, p.normal), c.load(n, d, pad, p.normal), c.load(n, heads, 0, p.normal)
	dout, dqkv := c.load(n, d, pad, p.normal), c.load(n, 3*d, pad, p.normal)
	c.Record(&graph.Attention{QKV: qkv, Out: out, LogSum: sums, Heads: heads, Length: length})
	backward = len(c.run(label, tolerance, &graph.AttentionBackward{QKV: qkv, Out: out, LogSum: sums, DOut: dout, DQKV: dqkv, Heads: heads, Length: length}))
	return forward, backward
}

func TestUnfusedAttention(t *testing.T) {
	shapes := []struct{ length, sequences, heads, width, pad int }{
		{1, 2, 1, 1, 0}, {5, 3, 2, 3, 1}, {31, 1, 3, 6, 2}, {32, 2, 2, 8, 0}, {33, 2, 1, 5, 0}, {64, 1, 2, 20, 4}, {65, 1, 2, 12, 0},
		{40, 3, 2, 80, 0}, {80, 1, 1, 128, 4}, {130, 2, 1, 7, 3}, {200, 1, 1, 24, 0},
	}
	for _, o := range thorough.Cases(t, 4, "orders", []struct {
		emulator.Options
		every, cores int
	}{
		{emulator.Options{}, 1, 1},
		{emulator.Options{}, 1, 20},
		{emulator.Options{Checked: true}, 2, 1},
		{emulator.Options{Checked: true, Order: emulator.Reverse}, 3, 8},
		{emulator.Options{Checked: true, Order: emulator.Random, Seed: 5}, 3, 1},
	}) {
		for _, bf16 := range []bool{false, true} {
			t.Run(fmt.Sprintf("checked=%v order=%v cores=%d bf16=%v", o.Checked, o.Order, o.cores, bf16), func(t *testing.T) {
				p := newPair(t, o.Options, metal.Options{Cores: o.cores, BFloat16: bf16})
				every := o.every * thorough.Every(t, 8, "shapes")
				for i, s := range shapes {
					if i%every != 0 {
						continue
					}
					if forward, backward := p.attention(s.length, s.sequences, s.heads, s.width, s.pad, i%2 == 0); forward != 3 || backward != 6 {
						t.Errorf("%+v: %d and %d launches, want 3 and 6", s, forward, backward)
					}
				}
			})
		}
	}
}

// Where the scores of all heads are more than may be stored, some are taken at a time.
func TestUnfusedAttentionInPieces(t *testing.T) {
	p := newPair(t, emulator.Options{}, metal.Options{})
	const plane = 32 * 32 // of the scores of a head
	for _, s := range []struct{ fit, forward, backward int }{
		{100, 3, 6},
		{15, 3, 18}, // the gradient needs two of each: those of 2, 2 and 1 sequences
		{6, 9, 30},  // 2, 2 and 1; one by one
		{4, 15, 60}, // one by one; two heads and one
		{1, 45, 90}, // head by head
	} {
		p.metal.SetScoreFloats(s.fit * plane)
		forward, backward := p.attention(20, 5, 3, 6, 0, true)
		if forward != s.forward || backward != s.backward {
			t.Errorf("with room for %d: %d and %d launches, want %d and %d", s.fit, forward, backward, s.forward, s.backward)
		}
	}
}
