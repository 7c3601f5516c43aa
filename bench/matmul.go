package bench

import (
	"fmt"
	"math"
	"time"

	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/run"
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

func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d", s.M, s.K, s.N) }

func (s Shape) flops() float64 { return 2 * float64(s.M) * float64(s.K) * float64(s.N) }

// Layouts of a matmul: of the forward pass, of the input's gradient and of the weight's.
var layouts = []string{"NN", "NT", "TN"}

// Matmul is how fast one shape runs in each layout, as a share of the peak of the same round.
type Matmul struct {
	Shape
	NN Layout `json:"nn"`
	NT Layout `json:"nt"`
	TN Layout `json:"tn"`
	Count
}

// Layout is how fast a matmul runs in one layout.
type Layout struct {
	Rounds Rounds  `json:"rounds"`
	Share  *Figure `json:"share_of_peak"`
}

func (m *Matmul) layout(i int) *Layout { return []*Layout{&m.NN, &m.NT, &m.TN}[i] }

func (m *Matmul) finish(usual float64) {
	m.Count = m.NN.Rounds.count(usual)
	for i := range layouts {
		l := m.layout(i)
		l.Share = figure(l.Rounds.quiet(usual).shares(m.flops()))
	}
}

// Matmuls are several shapes, and the geometric means of the medians in each layout.
type Matmuls struct {
	Name   string     `json:"name"`
	Shapes []Matmul   `json:"shapes"`
	NN     run.Number `json:"nn"`
	NT     run.Number `json:"nt"`
	TN     run.Number `json:"tn"`
}

func (x *Matmuls) finish(usual float64) {
	var sum [3]float64
	for i := range x.Shapes {
		x.Shapes[i].finish(usual)
		for j := range layouts {
			sum[j] += math.Log(x.Shapes[i].layout(j).Share.Value())
		}
	}
	n := float64(len(x.Shapes))
	x.NN, x.NT, x.TN = run.Number(math.Exp(sum[0]/n)), run.Number(math.Exp(sum[1]/n)), run.Number(math.Exp(sum[2]/n))
}

// groupRows is the tokens of a group, as the backend cuts a batch.
const groupRows = 512

// product is a program whose body multiplies some rows by a weight, as a training step does.
type product struct {
	program backend.Program
	weight  graph.Buffer
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
	return &product{p, weight}, nil
}

func (p *product) close() {
	p.program.Close()
	p.weight.Free()
}

// time returns the seconds of the matmul alone, on all workers, over as many as take about d.
func (p *product) time(workers int, d time.Duration) (float64, error) {
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
			return t.Seconds / float64(workers) / float64(steps), nil
		}
	}
	return 0, fmt.Errorf("no matmul was measured")
}

// Matmuls measures the shapes in turn, each layout for about d a round.
func (m *Meter) Matmuls(name string, shapes []Shape, rounds int, d time.Duration) (Matmuls, error) {
	rows := make([]Rounds, len(shapes))
	took := make([][3][]float64, len(shapes))
	err := m.collect(rounds, 3*d, rows, func(i int, warmUp bool) (float64, error) {
		s, all := shapes[i], 0.0
		for j, layout := range layouts {
			p, err := newProduct(m.cpu, s, layout)
			if err != nil {
				return 0, fmt.Errorf("matmul %s: %w", s, err)
			}
			seconds, err := p.time(m.cpu.Info().Workers, d)
			p.close()
			if err != nil {
				return 0, fmt.Errorf("matmul %s: %w", s, err)
			}
			if all += seconds; !warmUp {
				took[i][j] = append(took[i][j], seconds)
			}
		}
		return all, nil
	})
	if err != nil {
		return Matmuls{}, err
	}
	x := Matmuls{Name: name, Shapes: make([]Matmul, len(shapes))}
	for i, s := range shapes {
		x.Shapes[i].Shape = s
		for j := range layouts {
			x.Shapes[i].layout(j).Rounds = rows[i].with(took[i][j])
		}
	}
	return x, nil
}
