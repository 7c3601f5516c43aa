package theory

import (
	"fmt"
	"math"
	"math/rand/v2"

	"coil/task"
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

// networkLayers are the layers of a network.
func networkLayers(all []task.NetworkLayer) []Layer {
	layers := make([]Layer, len(all))
	for r, n := range all {
		l := &layers[r]
		for _, h := range n.Heads {
			l.Heads = append(l.Heads, Head{Query: full(h.Query), Key: full(h.Key), Value: full(h.Value), Out: full(h.Out)})
		}
		in, out := full(n.Up), full(n.Down)
		for j := range in {
			l.Neurons = append(l.Neurons, Neuron{in[j], n.UpBias[j], out[j]})
		}
		l.Bias = full([][]float64{n.DownBias})[0]
	}
	return layers
}

// randomTexts are sequences of random tokens.
func randomTexts(rng *rand.Rand, count, length, vocabulary int) [][]int {
	all := make([][]int, count)
	for i := range all {
		for range length {
			all[i] = append(all[i], rng.IntN(vocabulary))
		}
	}
	return all
}

// full are rows that have every coordinate.
func full(matrix [][]float64) []Row {
	all := make([]Row, len(matrix))
	for i, v := range matrix {
		for j, w := range v {
			all[i] = append(all[i], Term{j, w})
		}
	}
	return all
}

func root(n int) float64 { return math.Sqrt(float64(n)) }

// RootScale is 1/√w, by which attention's scores are usually multiplied.
func (s Shape) RootScale() float64 { return 1 / root(s.HeadWidth) }
