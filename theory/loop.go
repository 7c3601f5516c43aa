package theory

import (
	"fmt"
	"math"
	"slices"
)

// Looped is a model of R layers on a schedule of L, compiled into one layer that runs L times (Theorem 5.2 of Saunshi et
// al., the first of the poster).
//
// With d, H and f the width, the heads of a layer and its hidden units, the layer has width d + R + 2, R·H heads, one more
// number in each query and key, and at most R·(f + 1) + L + 2 hidden units. A token # stands in front of the others. With
// r(ℓ) the layer whose turn is loop ℓ, the state of a position is
//
//	x        d numbers, those of the original; 0 at #
//	g        R numbers, the turn: 0 at r(ℓ), 1 elsewhere
//	ℓ        the number of the loop, from 0
//	b        1 at #, 0 elsewhere
//
// Attention has every head of every layer. One more number in the query is −1 where the head's layer has its turn and 1 where
// not, 2·g_r − Σg/(R−1), and Mask·b in the key: a head that has no turn attends to #, whose values are 0, and one that has
// its turn doesn't see #. The feed-forward layer has every neuron of every layer, with −Bar·(g_r + b) added to its input;
// the bias of layer r is a neuron relu(1 − g_r − b). A bias counts ℓ, and L + 2 neurons move the turn by
// Σ_i hat_i(ℓ)·(e_r(i) − e_r(i+1)), with hat_i(ℓ) = relu(ℓ−i+1) − 2·relu(ℓ−i) + relu(ℓ−i−1).
//
// The layer computes what the original computes, to the last bit and in each arithmetic, as long as no score and no input of
// a neuron comes near Mask and Bar.
type Looped struct {
	*Model
	From      *Model  // the original
	Mask, Bar float64 // above every score and every input of a neuron; powers of 2
}

// Loop compiles m for inputs like those given: Mask and Bar are at least twice as large as what occurs when m runs on them,
// with softmax or argmax. m needs two layers or more.
func Loop(m *Model, inputs ...[][]float64) (*Looped, error) { return loopFor(m, 2, inputs...) }

// loopFor is Loop with Mask and Bar that many times as large as what occurs.
func loopFor(m *Model, margin float64, inputs ...[][]float64) (*Looped, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if len(m.Layers) < 2 {
		return nil, fmt.Errorf("one layer is looped as it is: want at least 2 layers")
	}
	var score, in float64
	for _, x := range inputs {
		for _, argmax := range []bool{false, true} {
			s, i := extent(m, x, argmax)
			score, in = max(score, s), max(in, i)
		}
	}
	// exp(−746) is 0 in float64.
	l := &Looped{From: m, Mask: powerOf2(margin*score + 1024/m.Scale), Bar: powerOf2(margin*in + 1)}
	schedule := make([]int, 0, m.Depth())
	for range m.Loops {
		schedule = append(schedule, m.Schedule...)
	}
	l.Model = &Model{Width: m.Width + len(m.Layers) + 2, Scale: m.Scale, Layers: []Layer{l.layer(schedule)}, Schedule: []int{0}, Loops: len(schedule)}
	return l, nil
}

// powerOf2 is the smallest power of 2 that is at least x.
func powerOf2(x float64) float64 { return math.Exp2(math.Ceil(math.Log2(x))) }

// turn, loop and start are the coordinates after those of the original.
func (l *Looped) turn(r int) int { return l.From.Width + r }
func (l *Looped) loop() int      { return l.From.Width + len(l.From.Layers) }
func (l *Looped) start() int     { return l.From.Width + len(l.From.Layers) + 1 }

func (l *Looped) layer(schedule []int) Layer {
	var all Layer
	others := float64(len(l.From.Layers) - 1)
	for r, layer := range l.From.Layers {
		var turn Row
		for j := range l.From.Layers {
			w := -1 / others
			if j == r {
				w += 2
			}
			turn = append(turn, Term{l.turn(j), w})
		}
		closed := Row{{l.turn(r), -l.Bar}, {l.start(), -l.Bar}}
		for _, h := range layer.Heads {
			h.Query = append(slices.Clip(h.Query), turn)
			h.Key = append(slices.Clip(h.Key), Row{{l.start(), l.Mask}})
			all.Heads = append(all.Heads, h)
		}
		for _, t := range layer.Tables {
			t.In = append(slices.Clip(t.In), closed...)
			all.Tables = append(all.Tables, t)
		}
		for _, n := range layer.Neurons {
			n.In = append(slices.Clip(n.In), closed...)
			all.Neurons = append(all.Neurons, n)
		}
		if len(layer.Bias) > 0 {
			all.Neurons = append(all.Neurons, Neuron{Row{{l.turn(r), -1}, {l.start(), -1}}, 1, layer.Bias})
		}
	}
	all.Neurons = append(all.Neurons, l.moves(schedule)...)
	all.Bias = unit(l.loop())
	return all
}

// moves are the neurons that move the turn. After the last turn comes the first.
func (l *Looped) moves(schedule []int) []Neuron {
	loops := len(schedule)
	change := make([]map[int]float64, loops+2) // of the turn, by relu(ℓ − i + 1)
	for i := range change {
		change[i] = map[int]float64{}
	}
	for i, r := range schedule {
		next := schedule[(i+1)%loops]
		for k, w := range []float64{1, -2, 1} {
			change[i+k][r] += w
			change[i+k][next] -= w
		}
	}
	var all []Neuron
	for i, c := range change {
		n := Neuron{In: unit(l.loop()), Bias: float64(1 - i)}
		for r := range l.From.Layers {
			if c[r] != 0 {
				n.Out = append(n.Out, Term{l.turn(r), c[r]})
			}
		}
		all = append(all, n)
	}
	return all
}

// Input is the state that starts as x, with # in front.
func (l *Looped) Input(x [][]float64) [][]float64 {
	y := make([][]float64, len(x)+1)
	for i := range y {
		y[i] = make([]float64, l.Width)
		for r := range l.From.Layers {
			if r != l.From.Schedule[0] {
				y[i][l.turn(r)] = 1
			}
		}
		if i == 0 {
			y[i][l.start()] = 1
		} else {
			copy(y[i], x[i-1])
		}
	}
	return y
}

// Output is the original's part of a state.
func (l *Looped) Output(y [][]float64) [][]float64 {
	x := make([][]float64, len(y)-1)
	for i := range x {
		x[i] = y[i+1][:l.From.Width]
	}
	return x
}

// extent returns the largest absolute score, before it is scaled, and the largest input of a neuron that occur in a run of m
// on x, of the layers that have their turn and of all others.
func extent(m *Model, x [][]float64, argmax bool) (score, in float64) {
	w := &workspace[float64]{}
	x = convert[float64](x)
	for depth := range m.Depth() {
		for r := range m.Layers {
			for _, h := range m.Layers[r].Heads {
				q, k := project(h.Query, x, nil), project(h.Key, x, nil)
				for i := range q {
					for _, key := range k[:i+1] {
						score = max(score, math.Abs(product(q[i], key)))
					}
				}
			}
		}
		w.layer(&m.Layers[m.Schedule[depth%len(m.Schedule)]], m.Scale, argmax, x)
		for _, y := range w.sum { // what the feed-forward layer saw
			for r := range m.Layers {
				for _, n := range m.Layers[r].Neurons {
					in = max(in, math.Abs(dot(n.In, y)+n.Bias))
				}
				for _, t := range m.Layers[r].Tables {
					_, a := matches(y[t.First:t.First+t.Bits], t.Order, nil)
					_, b := matches(y[t.Second:t.Second+t.Bits], t.Order, nil)
					in = max(in, math.Abs(a+b+dot(t.In, y)+float64(1-2*t.Bits)))
				}
			}
		}
	}
	return score, in
}
