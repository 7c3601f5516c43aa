package theory

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Shape is the sizes of a transformer.
type Shape struct {
	Layers    int // R
	Width     int // d
	Heads     int // H
	HeadWidth int // w
	Hidden    int // f
}

// Check returns an error unless all sizes are at least 1 and not so large that the weights would fill the memory.
func (s Shape) Check() error {
	for _, v := range []struct {
		what  string
		value int
	}{{"layers", s.Layers}, {"width", s.Width}, {"heads", s.Heads}, {"head width", s.HeadWidth}, {"hidden size", s.Hidden}} {
		if v.value < 1 {
			return fmt.Errorf("%s %d, want at least 1", v.what, v.value)
		}
	}
	const most = 1 << 24
	each := 4*float64(s.Heads)*float64(s.HeadWidth) + 2*float64(s.Hidden)
	if n := float64(s.Layers) * float64(s.Width) * each; n > most {
		return fmt.Errorf("%.3g weights, want at most %d", n, most)
	}
	return nil
}

// random returns layers with normal weights, rounded to float32 so that both arithmetics have the same, such that what each
// layer adds to a state of normal numbers is about as large as the state.
func (s Shape) random(rng *rand.Rand) []Layer {
	layers := make([]Layer, s.Layers)
	for r := range layers {
		l := &layers[r]
		for range s.Heads {
			in, out := 1/root(s.Width), 0.5/root(s.Heads*s.HeadWidth)
			l.Heads = append(l.Heads, Head{Query: normals(rng, s.HeadWidth, s.Width, in), Key: normals(rng, s.HeadWidth, s.Width, in),
				Value: normals(rng, s.HeadWidth, s.Width, in), Out: normals(rng, s.HeadWidth, s.Width, out)})
		}
		in, out := normals(rng, s.Hidden, s.Width, 1/root(s.Width)), normals(rng, s.Hidden, s.Width, 0.5/root(s.Hidden))
		for j := range in {
			l.Neurons = append(l.Neurons, Neuron{in[j], float64(float32(0.3 * rng.NormFloat64())), out[j]})
		}
		l.Bias = normals(rng, 1, s.Width, 0.2)[0]
	}
	return layers
}

// normals are full rows.
func normals(rng *rand.Rand, rows, width int, std float64) []Row {
	all := make([]Row, rows)
	for i, v := range vectors(rng, rows, width, std) {
		for j, w := range v {
			all[i] = append(all[i], Term{j, w})
		}
	}
	return all
}

// vectors are rows of normal numbers, rounded to float32.
func vectors(rng *rand.Rand, rows, width int, std float64) [][]float64 {
	x := make([][]float64, rows)
	for i := range x {
		for range width {
			x[i] = append(x[i], float64(float32(std*rng.NormFloat64())))
		}
	}
	return x
}

func root(n int) float64 { return math.Sqrt(float64(n)) }

// RootScale is 1/√w, by which attention's scores are usually multiplied.
func (s Shape) RootScale() float64 { return 1 / root(s.HeadWidth) }
