package metal_test

import (
	"math"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal"
)

// bfloatOf is the bfloat nearest to v, of two that are as near the one whose last bit is 0; beyond the largest by half a
// step or more it is infinite. It is worked out from the distances, not by arithmetic on bits.
func bfloatOf(v float32) float32 {
	if v != v || v == 0 || math.IsInf(float64(v), 0) {
		return v
	}
	below := math.Float32bits(v) &^ 0xffff // towards zero
	at := func(bits uint32) float64 {
		if bits&0x7fffffff == 0x7f800000 { // where the next one would be
			return math.Copysign(math.Ldexp(1, 128), float64(v))
		}
		return float64(math.Float32frombits(bits))
	}
	down, up := math.Abs(float64(v)-at(below)), math.Abs(at(below+1<<16)-float64(v))
	if up < down || up == down && below>>16&1 == 1 {
		below += 1 << 16
	}
	return math.Float32frombits(below)
}

// TestBFloatRounding: what kernels store in bfloat is rounded to nearest, ties to even, with NaN and infinities kept and
// what is too large made infinite; whether four elements are stored at once or one, and by a product as by an addition.
// Numbers below the smallest normal one are left out: a GPU may flush them.
func TestBFloatRounding(t *testing.T) {
	bits := math.Float32frombits
	var values []float32
	for _, top := range []uint32{0x3f80, 0x3f81, 0x3ffe, 0x3fff, 0x4000, 0x0080, 0x0081, 0x7f7e, 0x7f7f, 0x42c8, 0x4b7f} {
		for _, rest := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} { // below, at and above the tie
			values = append(values, bits(top<<16|rest), -bits(top<<16|rest))
		}
	}
	finite := len(values)
	values = append(values, 0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)),
		float32(math.NaN()), bits(0x7f800001), bits(0xff80ffff), bits(0x7fffffff)) // NaNs whose upper half is infinite or that overflow
	if got := bfloatOf(bits(0x3f808000)); got != 1 {
		t.Fatalf("a tie goes to %g", got)
	}
	if got := bfloatOf(bits(0x7f7f8000)); !math.IsInf(float64(got), 1) {
		t.Fatalf("what is too large becomes %g", got)
	}

	b := emulated(t, metal.Options{BFloat16: true})
	defer b.Close()
	for _, odd := range []int{0, 1} { // columns more than whole vectors
		all := append(values[:len(values):len(values)], make([]float32, (4-len(values)%4)%4+odd)...)
		r := graph.NewRecorder(1, 1)
		x := r.Constant(1, len(all), all)
		added, out := r.Temporary(1, len(all)), r.Output(1, len(all))
		r.Record(&graph.Add{A: x, Y: added, Alpha: 1})
		r.Record(&graph.Add{A: added, Y: out, Alpha: 1})

		// A product with 1, which no other number is part of.
		column := r.Constant(finite, 1, values[:finite])
		product, outOfProduct := r.Temporary(finite, 1+odd), r.Output(finite, 1+odd)
		ones := []float32{1, 1}
		r.Record(&graph.Matmul{A: column, B: r.Constant(1, 1+odd, ones[:1+odd]), C: product})
		r.Record(&graph.Add{A: product, Y: outOfProduct, Alpha: 1})
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		runOnce(t, p, backend.Args{})
		show := func(what string, y graph.Tensor, want func(i int) float32) {
			got := make([]float32, y.Size())
			if err := p.Output(y, got); err != nil {
				t.Fatal(err)
			}
			for i, g := range got {
				w := bfloatOf(want(i))
				if math.Float32bits(g) != math.Float32bits(w) && !(g != g && w != w) {
					t.Errorf("%s, %d columns more: %x becomes %x, want %x", what, odd, math.Float32bits(want(i)), math.Float32bits(g), math.Float32bits(w))
				}
			}
		}
		show("an addition", out, func(i int) float32 { return all[i] })
		show("a product", outOfProduct, func(i int) float32 { return values[i/(1+odd)] })
		p.Close()
	}
}

// TestStaysFloat: statistics, losses and what is summed stay float whatever the precision.
func TestStaysFloat(t *testing.T) {
	r := graph.NewRecorder(1, 1)
	x, gain := r.Temporary(8, 16), r.Constant(1, 16, make([]float32, 16))
	stats, norms, logSum, loss, correct := r.Temporary(8, 2), r.Temporary(1, 3), r.Temporary(8, 1), r.Temporary(8, 1), r.Temporary(8, 1)
	weights, qkv, y := r.Temporary(8, 1), r.Temporary(8, 48), r.Temporary(8, 16)
	cosine := r.Temporary(1, 2)
	for _, op := range []graph.Op{
		&graph.Fill{Y: x}, &graph.Fill{Y: qkv}, &graph.Fill{Y: weights},
		&graph.LayerNorm{X: x, Gain: gain, Y: y, Stats: stats, Eps: 1, RMS: true},
		&graph.Attention{QKV: qkv, Out: y, LogSum: logSum, Heads: 1, Length: 8},
		&graph.Cosine{A: x, B: y, Y: cosine.Columns(0, 1), Norms: norms, Alpha: 1},
		&graph.CrossEntropy{Logits: x, Targets: r.Input(8), RowWeights: weights, Loss: loss, Correct: correct, DLogits: x, Weight: 1},
	} {
		r.Record(op)
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	is := metal.BFloats(r)
	for name, x := range map[string]graph.Tensor{"stats": stats, "norms": norms, "log-sums": logSum, "loss": loss, "correct": correct, "row weights": weights, "cosine": cosine} {
		if is[x.Storage-1] {
			t.Errorf("%s are bfloat", name)
		}
	}
	for name, x := range map[string]graph.Tensor{"x": x, "qkv": qkv, "y": y} {
		if !is[x.Storage-1] {
			t.Errorf("%s is float", name)
		}
	}
}
