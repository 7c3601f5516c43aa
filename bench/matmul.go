package bench

import (
	"fmt"
	"math"
	"time"

	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
)

// Shape is a matmul of M tokens with K inputs and N outputs.
type Shape struct {
	M int `json:"m"`
	K int `json:"k"`
	N int `json:"n"`
}

// Shapes are the matmuls of small transformers, for comparing kernels: projections of width 128 to 1024 and their
// feed-forward layers.
var Shapes = []Shape{
	{4096, 128, 128}, {4096, 128, 384}, {4096, 128, 512}, {4096, 512, 128},
	{4096, 256, 256}, {4096, 256, 768}, {4096, 256, 1024}, {4096, 1024, 256},
	{2048, 512, 512}, {2048, 512, 2048}, {2048, 2048, 512}, {8192, 1024, 1024},
}

// ShapesOf returns the shapes of a recorded step, with M the whole batch.
func ShapesOf(s *Subject) []Shape {
	p, ok := s.m.Program().(backend.Profiler)
	if !ok {
		return nil
	}
	seen := map[Shape]bool{}
	var shapes []Shape
	for _, t := range p.Times() {
		if m, ok := t.Op.(*graph.Matmul); ok && !m.TransA && !m.TransB {
			_, n, k := m.Shape()
			sh := Shape{s.m.Tokens(), k, n}
			if !seen[sh] {
				seen[sh] = true
				shapes = append(shapes, sh)
			}
		}
	}
	return shapes
}

// Layouts of a matmul: of the forward pass, of the input's gradient and of the weight's.
var layouts = []string{"NN", "NT", "TN"}

// Matmul is how fast one shape runs, in each layout, as a share of the peak of the same round.
type Matmul struct {
	Shape
	NN Spread `json:"nn"`
	NT Spread `json:"nt"`
	TN Spread `json:"tn"`
}

func (m *Matmul) layout(i int) *Spread { return []*Spread{&m.NN, &m.NT, &m.TN}[i] }

// Mean is the geometric mean of the medians of the three layouts.
func Mean(ms []Matmul) (nn, nt, tn float64) {
	var sum [3]float64
	for _, m := range ms {
		for i := range layouts {
			sum[i] += math.Log(m.layout(i).Median)
		}
	}
	n := float64(len(ms))
	return math.Exp(sum[0] / n), math.Exp(sum[1] / n), math.Exp(sum[2] / n)
}

// groupRows is the tokens of a group, as the backend cuts a batch.
const groupRows = 512

// product is a program whose body multiplies some rows by a weight, as a training step does.
type product struct {
	program backend.Program
	weight  graph.Buffer
	flops   float64
}

// newProduct records a matmul; its operands are filled first, which is not counted.
func newProduct(b *cpu.CPU, s Shape, layout string) (*product, error) {
	rows := min(groupRows, s.M)
	r := graph.NewRecorder(1, s.M/rows)
	weight, err := b.NewBuffer(s.K * s.N)
	if err != nil {
		return nil, err
	}
	w := r.Parameter(weight)
	x := r.Temporary(rows, s.K)
	r.Record(&graph.Fill{Y: x, Value: 0.5})
	switch layout {
	case "NN":
		w.Rows, w.Cols, w.Stride = s.K, s.N, s.N
		r.Record(&graph.Matmul{A: x, B: w, C: r.Temporary(rows, s.N)})
	case "NT":
		w.Rows, w.Cols, w.Stride = s.N, s.K, s.K
		r.Record(&graph.Matmul{A: x, B: w, C: r.Temporary(rows, s.N), TransB: true})
	default:
		y := r.Temporary(rows, s.N)
		r.Record(&graph.Fill{Y: y, Value: 0.5})
		r.Record(&graph.Matmul{A: x, B: y, C: r.Accumulator(s.K, s.N), TransA: true, Accumulate: true})
	}
	p, err := b.Compile(r)
	if err != nil {
		weight.Free()
		return nil, err
	}
	return &product{p, weight, 2 * float64(s.M) * float64(s.K) * float64(s.N)}, nil
}

func (p *product) close() {
	p.program.Close()
	p.weight.Free()
}

// speed measures the FLOP/s of the matmul alone, on all workers, for about d.
func (p *product) speed(workers int, d time.Duration) (float64, error) {
	profiler, ok := p.program.(backend.Profiler)
	if !ok {
		return 0, fmt.Errorf("the backend does not measure operations")
	}
	profiler.Profile(true)
	steps := 0
	for begin := time.Now(); time.Since(begin) < d; steps++ {
		if err := p.program.Run(backend.Args{}); err != nil {
			return 0, err
		}
		if err := p.program.Results(nil); err != nil {
			return 0, err
		}
	}
	for _, t := range profiler.Times() {
		if _, ok := t.Op.(*graph.Matmul); ok {
			return p.flops * float64(steps) / (t.Seconds / float64(workers)), nil
		}
	}
	return 0, fmt.Errorf("no matmul was measured")
}

// MeasureMatmuls measures the shapes in turn.
func MeasureMatmuls(b *cpu.CPU, shapes []Shape, rounds int, d time.Duration) ([]Matmul, error) {
	out := make([]Matmul, len(shapes))
	shares := make([][3][]float64, len(shapes))
	for round := -1; round < rounds; round++ { // the first is to warm up
		for i, s := range shapes {
			peak := b.FMA(peakTime / 4)
			for j, layout := range layouts {
				p, err := newProduct(b, s, layout)
				if err != nil {
					return nil, fmt.Errorf("matmul %d×%d×%d: %w", s.M, s.K, s.N, err)
				}
				speed, err := p.speed(b.Info().Workers, d)
				p.close()
				if err != nil {
					return nil, fmt.Errorf("matmul %d×%d×%d: %w", s.M, s.K, s.N, err)
				}
				if round >= 0 {
					shares[i][j] = append(shares[i][j], speed/peak)
				}
			}
		}
	}
	for i, s := range shapes {
		out[i].Shape = s
		for j := range layouts {
			*out[i].layout(j) = spread(shares[i][j])
		}
	}
	return out, nil
}
