package cpu_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"coil/autodiff"
	"coil/backend"
	"coil/backend/conformance"
	"coil/backend/cpu"
	"coil/backend/cpu/gemm"
	"coil/graph"
	"coil/thorough"
)

func newCPU(t testing.TB, o cpu.Options) *cpu.CPU {
	t.Helper()
	c, err := cpu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// workerCounts are the numbers of workers with which every kernel is held to the suite.
var workerCounts = []int{1, 3}

// suite is what of the suite runs where tests run in full: all of it, without the race detector.
var suite conformance.Options

func TestConformance(t *testing.T) {
	var backends []conformance.Named
	for _, k := range gemm.Kernels() {
		for _, workers := range workerCounts {
			name := fmt.Sprintf("%s with %d workers", k.Name, workers)
			backends = append(backends, conformance.Named{Name: name, Backend: newCPU(t, cpu.Options{Kernels: k.Name, Workers: workers})})
		}
		gaps := newCPU(t, cpu.Options{Kernels: k.Name, Workers: 2})
		cpu.PutGaps(gaps)
		backends = append(backends, conformance.Named{Name: k.Name + " with gaps behind rows", Backend: gaps})
	}
	o := suite
	o.Every = max(1, o.Every) * thorough.Every(t, 40, "cases")
	conformance.RunTogether(t, backends, o)
}

// recording is a program with every operation, over buffers of its own.
type recording struct {
	*graph.Recorder
	backend backend.Backend
	t       testing.TB
	rng     *rand.Rand
	buffers []graph.Buffer
	inputs  [][]int32
}

func (r *recording) parameter(rows, cols int, scale float64) graph.Tensor {
	r.t.Helper()
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(r.rng.NormFloat64() * scale)
	}
	b, err := r.backend.NewBuffer(len(values))
	if err == nil {
		err = b.Write(0, values)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.buffers = append(r.buffers, b)
	x := r.Parameter(b)
	x.Rows, x.Cols, x.Stride = rows, cols, cols
	return x
}

// state is zeros, rows for each sequence.
func (r *recording) state(rows, cols int) graph.Tensor {
	r.t.Helper()
	b, err := r.backend.NewBuffer(rows * cols * r.Sequences() * r.Groups())
	if err != nil {
		r.t.Fatal(err)
	}
	r.buffers = append(r.buffers, b)
	return r.State(b, rows, cols)
}

func (r *recording) input(n, limit int) graph.Index {
	values := make([]int32, n*r.Sequences()*r.Groups())
	for i := range values {
		values[i] = int32(r.rng.IntN(limit))
	}
	r.inputs = append(r.inputs, values)
	return r.Input(n)
}

const (
	length, vocabulary, width, heads, hidden = 16, 40, 48, 3, 80
)

// everything records a model with every operation of the body and every optimizer.
func everything(t testing.TB, b backend.Backend, sequences, groups int) *recording {
	r := &recording{Recorder: graph.NewRecorder(sequences, groups), backend: b, t: t, rng: rand.New(rand.NewPCG(5, 6))}
	tape := autodiff.NewTape(r.Recorder, true)
	var weights, grads []graph.Tensor
	weight := func(rows, cols int) graph.Tensor {
		w, g := r.parameter(rows, cols, 0.2), r.Accumulator(rows, cols)
		tape.Watch(w, g)
		weights, grads = append(weights, w), append(grads, g)
		return w
	}
	none := graph.Tensor{}
	x := tape.Embedding(weight(vocabulary, width), r.input(length, vocabulary), weight(length, width))
	qkv := tape.Linear(tape.Norm(x, weight(1, width), weight(1, width), 1e-5, false), autodiff.Linear{Weight: weight(width, 3*width), Bias: weight(1, 3*width)})
	tape.Rotary(qkv.Columns(0, 2*width), width/heads, length, 1000)
	x = tape.Linear(tape.Attention(qkv, autodiff.Attention{Heads: heads, Length: length}), autodiff.Linear{Weight: weight(width, width), Residual: x})
	x = tape.Linear(tape.SwiGLU(tape.Linear(x, autodiff.Linear{Weight: weight(width, 2*hidden)})), autodiff.Linear{Weight: weight(hidden, width), Residual: x})
	x = tape.Linear(tape.Linear(tape.Norm(x, weight(1, width), none, 1e-5, true), autodiff.Linear{Weight: weight(width, hidden), Activation: graph.GELU}), autodiff.Linear{Weight: weight(width, hidden), Transpose: true, Activation: graph.ReLU, Residual: x})
	loss, correct := r.Output(length, 1), r.Output(length, 1)
	head, targets := weight(width, vocabulary), r.input(length, vocabulary)
	tape.CrossEntropy(autodiff.CrossEntropy{X: x, W: head, Targets: targets, Loss: loss, Correct: correct, Scale: r.Scalar(), Weight: 1, Chunk: 8 * vocabulary})
	tape.Backward()

	n := length * sequences
	p, dp, da, db, norms := r.Temporary(n, width), r.Temporary(n, width), r.Temporary(n, width), r.Temporary(n, width), r.Temporary(1, 3)
	sums := r.Accumulator(1, 5)
	column := func(t graph.Tensor, from, rows int) graph.Tensor { // of its first values
		t.Offset, t.Rows, t.Cols, t.Stride = t.Offset+from, rows, 1, 1
		return t
	}
	kept, at := r.state(length+2, 2*width), r.input(1, 3)
	for _, op := range []graph.Op{
		&graph.CachedAttention{QKV: qkv, Keys: kept.Columns(0, width), Values: kept.Columns(width, 2*width), Out: dp, At: at, Heads: heads, Length: length},
		&graph.Rotary{X: dp, At: at, Width: width / heads, Length: length, Context: length + 2, Base: 1000},
		&graph.Sum{X: dp, Y: sums.Columns(4, 5), Alpha: 1, Accumulate: true},
		&graph.Activate{Activation: graph.GELU, X: x, Y: p},
		&graph.ActivateBackward{Activation: graph.GELU, X: x, DY: p, DX: dp},
		&graph.Activate{Activation: graph.GELU, X: dp, Y: dp},
		&graph.Fill{Y: da},
		&graph.Fill{Y: db, Value: 1},
		&graph.Cosine{A: p, B: x, Y: sums.Columns(0, 1), Norms: norms, Alpha: 1, Accumulate: true},
		&graph.CosineBackward{A: p, B: x, Norms: norms, DA: da, DB: db, Alpha: 1},
		&graph.Sum{X: da, Y: sums.Columns(1, 2), Alpha: 1, Squares: true, Accumulate: true},
		&graph.Sum{X: loss, Y: sums.Columns(2, 3), Alpha: 1, Accumulate: true},
		&graph.Sum{X: correct, Y: sums.Columns(3, 4), Alpha: 1, Accumulate: true},
		&graph.Exit{Z: column(x, 0, 2*n), Targets: targets, P: column(p, 0, 2*n)},
		&graph.ExitLoss{Z: column(x, 0, 2*n), P: column(p, 0, 2*n), Losses: column(x, 2*n, 2*n), Targets: targets,
			Loss: column(da, 0, n), Entropy: column(da, n, n), DZ: column(db, 0, 2*n), Weight: 1},
	} {
		r.Record(op)
	}
	r.BeginUpdate()
	squares, norm, factor := r.Temporary(1, 1), r.Temporary(1, 1), r.Temporary(1, 1)
	for i, g := range grads {
		r.Record(&graph.Sum{X: g, Y: squares, Alpha: 1, Squares: true, Accumulate: i > 0})
	}
	r.Record(&graph.ClipFactor{Squares: squares, Norm: norm, Factor: factor, Max: 1})
	rate, decay := r.Scalar(), r.Scalar()
	for i, w := range weights {
		state := func(rows, cols int) graph.Tensor { return r.parameter(rows, cols, 0) }
		switch {
		case i%2 == 0:
			r.Record(&graph.AdamW{X: w, Grad: grads[i], M: state(w.Rows, w.Cols), V: state(w.Rows, w.Cols), Factor: factor, Rate: rate, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8})
		case w.Rows == 1:
			r.Record(&graph.Adafactor{X: w, Grad: grads[i], ColV: state(1, w.Cols), Factor: factor, Rate: rate, Beta: decay, Eps: 1e-30, Clip: 1})
		default:
			r.Record(&graph.Adafactor{X: w, Grad: grads[i], RowV: state(1, w.Rows), ColV: state(1, w.Cols), Factor: factor, Rate: rate, Beta: decay, Eps: 1e-30, Clip: 1})
		}
		r.Record(&graph.EMA{X: w, Mean: state(w.Rows, w.Cols), Factor: factor, Decay: decay})
		r.Record(&graph.Matmul{A: w, B: grads[i], C: r.Temporary(w.Rows, w.Rows), TransB: true})
		u, stats, gram := r.Temporary(w.Rows, w.Cols), r.Temporary(3, w.Cols), r.Temporary(w.Cols, w.Cols)
		m := state(w.Rows, w.Cols)
		for _, op := range []graph.Op{
			&graph.Nesterov{Grad: grads[i], M: m, By: factor, U: u, Beta: 0.9},
			&graph.Matmul{A: u, B: u, C: gram, TransA: true},
			&graph.Quadratic{A: gram, Square: gram, Y: r.Temporary(w.Cols, w.Cols), C0: 1, C1: -1, C2: 0.5},
			&graph.NeuronScale{X: u, V: state(1, w.Cols), Stats: stats, Beta: 0.9, Eps: 1e-8},
			&graph.Sum{X: stats.RowRange(2, 3), Y: squares, Alpha: 1},
			&graph.Normalize{X: u, Squares: squares, Y: u, Slack: 1, Eps: 1e-7},
			&graph.Muon{X: w, M: m, O: u, Grad: grads[i], Factor: factor, Columns: stats.RowRange(1, 2), Squares: squares, Rate: rate, Beta: 0.9, Scale: 1},
		} {
			r.Record(op)
		}
	}
	r.Result(sums)
	r.Result(norm)
	r.Result(grads[0])
	return r
}

func (r *recording) compile() backend.Program {
	r.t.Helper()
	p, err := r.backend.Compile(r.Recorder)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *recording) step() backend.Args {
	return backend.Args{Scalars: []float32{1 / float32(len(r.inputs[1])), 1e-2, 0.9}, Inputs: r.inputs}
}

// TestSameBits runs programs of many groups and of one with different numbers of workers: the same data gives the same bits. Most of the
// workers have no core here, and many of them help others.
func TestSameBits(t *testing.T) {
	for _, k := range thorough.Cases(t, 2, "kernels", gemm.Kernels()) {
		for _, groups := range []int{1, 21} {
			testSameBits(t, k, groups)
		}
	}
}

func testSameBits(t *testing.T, k *gemm.Kernel, groups int) {
	var want []float32
	for _, workers := range thorough.Cases(t, 2, "numbers of workers", []int{1, 2, 3, 8, 64, 16}) {
		r := everything(t, newCPU(t, cpu.Options{Kernels: k.Name, Workers: workers}), 2, groups)
		p := r.compile()
		got := make([]float32, r.ResultLen())
		for range 3 {
			if err := p.Run(r.step()); err != nil {
				t.Fatal(err)
			}
			if err := p.Results(got); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range r.buffers {
			values := make([]float32, b.Len())
			if err := b.Read(0, values); err != nil {
				t.Fatal(err)
			}
			got = append(got, values...)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d workers and 1 differ over %d groups", k.Name, workers, groups)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	for _, workers := range []int{1, 3} {
		r := everything(t, newCPU(t, cpu.Options{Workers: workers}), 2, 9)
		p, step, results := r.compile(), r.step(), make([]float32, r.ResultLen())
		allocated := testing.AllocsPerRun(5, func() {
			if err := p.Run(step); err != nil {
				t.Fatal(err)
			}
			if err := p.Results(results); err != nil {
				t.Fatal(err)
			}
		})
		if allocated != 0 {
			t.Errorf("%d workers: %g allocations a step", workers, allocated)
		}
	}
}

// Programs of different sizes that run in turns, in the same memory, do what each does alone.
func TestProgramsInTurns(t *testing.T) {
	steps := func(between func(c *cpu.CPU) func(step int)) (all []float32) {
		c := newCPU(t, cpu.Options{Workers: 3})
		r := everything(t, c, 2, 9)
		p, results := r.compile(), make([]float32, r.ResultLen())
		others := between(c)
		for i := range 4 {
			if err := p.Run(r.step()); err != nil {
				t.Fatal(err)
			}
			if err := p.Results(results); err != nil {
				t.Fatal(err)
			}
			all = append(all, results...)
			others(i)
		}
		return all
	}
	alone := steps(func(*cpu.CPU) func(int) { return func(int) {} })
	inTurns := steps(func(c *cpu.CPU) func(int) {
		small, large := everything(t, c, 1, 2), everything(t, c, 4, 12)
		programs := []backend.Program{small.compile(), large.compile()}
		return func(i int) {
			if i == 2 { // the rest works in less memory
				programs[1].Close()
				return
			}
			k, r := 0, small
			if i == 1 {
				k, r = 1, large
			}
			if err := programs[k].Run(r.step()); err != nil {
				t.Fatal(err)
			}
			if err := programs[k].Results(make([]float32, r.ResultLen())); err != nil {
				t.Fatal(err)
			}
		}
	})
	if !slices.Equal(alone, inTurns) {
		t.Error("other programs change what a program does")
	}
}

func BenchmarkStep(b *testing.B) {
	r := everything(b, newCPU(b, cpu.Options{}), 8, 16)
	p, step, results := r.compile(), r.step(), make([]float32, r.ResultLen())
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Run(step); err != nil {
			b.Fatal(err)
		}
		if err := p.Results(results); err != nil {
			b.Fatal(err)
		}
	}
}

// TestPlan compares the plan with what Compile reports and with what it allocates.
func TestPlan(t *testing.T) {
	for _, workers := range []int{1, 3, 12} {
		c := newCPU(t, cpu.Options{Workers: workers})
		r := everything(t, c, 4, 10)
		plan, err := c.Plan(r.Recorder)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p := r.compile()
		runtime.ReadMemStats(&after)
		if p.Memory() != plan {
			t.Errorf("%d workers: planned %+v, compiled %+v", workers, plan, p.Memory())
		}
		var buffers int64
		for _, b := range r.buffers {
			buffers += 4 * int64(b.Len())
		}
		state := int64(4 * 40 * (length + 2) * 2 * width)
		if plan.Buffers+plan.State != buffers || plan.State != state {
			t.Errorf("%d workers: planned %d bytes of buffers and %d of state, there are %d, of which %d are state", workers, plan.Buffers, plan.State, buffers, state)
		}
		// The kernels themselves are closures and small tables: 2.1 kB an operation of this program, and some kB a worker.
		ops := int64(len(r.Body()) + len(r.Update()))
		allocated := int64(after.TotalAlloc - before.TotalAlloc)
		if allocated < plan.Own() || allocated > plan.Own()*21/20+ops*2500 {
			t.Errorf("%d workers: planned %d bytes, allocated %d", workers, plan.Own(), allocated)
		}
	}
}

func TestNotEnoughMemory(t *testing.T) {
	roomy := newCPU(t, cpu.Options{Workers: 2})
	plan, err := roomy.Plan(everything(t, roomy, 4, 10).Recorder)
	if err != nil {
		t.Fatal(err)
	}
	exact := newCPU(t, cpu.Options{Workers: 2, Memory: plan.Total()})
	everything(t, exact, 4, 10).compile()

	tight := newCPU(t, cpu.Options{Workers: 2, Memory: plan.Total() - 1})
	_, err = tight.Compile(everything(t, tight, 4, 10).Recorder)
	var memory *backend.MemoryError
	if !errors.As(err, &memory) || !errors.Is(err, backend.ErrMemory) {
		t.Fatalf("compile with a byte too few: %v", err)
	}
	if memory.Need != plan || memory.Have != plan.Total()-1 {
		t.Errorf("need %+v and have %d, want %+v and %d", memory.Need, memory.Have, plan, plan.Total()-1)
	}
	if !strings.HasPrefix(err.Error(), "not enough memory: the program needs ") {
		t.Errorf("text %q", err)
	}
	if _, err := tight.NewBuffer(1 << 30); !errors.Is(err, backend.ErrMemory) {
		t.Errorf("a buffer of 4 GiB: %v", err)
	}
	// A second program works where the first does, but has inputs and outputs, and here buffers, of its own.
	both := plan.Total() + plan.Buffers + plan.State + plan.Constants + plan.Batch
	if c := newCPU(t, cpu.Options{}); c.Together(plan, plan).Total() != both-plan.Buffers {
		t.Errorf("two programs take %d bytes together, want %d", c.Together(plan, plan).Total(), both-plan.Buffers)
	}
	two := newCPU(t, cpu.Options{Workers: 2, Memory: both - 1})
	first := everything(t, two, 4, 10)
	p := first.compile()
	if _, err := two.Compile(everything(t, two, 4, 10).Recorder); !errors.Is(err, backend.ErrMemory) {
		t.Errorf("two programs in too little memory for both: %v", err)
	}
	p.Close()
	p.Close()
	first.compile()
	two = newCPU(t, cpu.Options{Workers: 2, Memory: both})
	everything(t, two, 4, 10).compile()
	everything(t, two, 4, 10).compile()

	// What is freed can be taken again.
	small := newCPU(t, cpu.Options{Memory: 4000})
	for range 3 {
		b, err := small.NewBuffer(1000)
		if err != nil {
			t.Fatal(err)
		}
		b.Free()
	}
}

func TestChoosingKernels(t *testing.T) {
	for _, k := range gemm.Kernels() {
		t.Setenv(cpu.KernelVariable, k.Name)
		if got := newCPU(t, cpu.Options{}).Info().Kernels; got != k.Name {
			t.Errorf("%s=%s gives %s", cpu.KernelVariable, k.Name, got)
		}
	}
	t.Setenv(cpu.KernelVariable, "abacus")
	_, err := cpu.New(cpu.Options{})
	if err == nil || !strings.Contains(err.Error(), `COIL_CPU=abacus: no "abacus" kernels on this processor; it has `) || !strings.Contains(err.Error(), "portable") {
		t.Errorf("COIL_CPU=abacus: %v", err)
	}
	if got := newCPU(t, cpu.Options{Kernels: "portable"}).Info().Kernels; got != "portable" {
		t.Errorf("the option portable gives %s", got)
	}
	if _, err := cpu.New(cpu.Options{Kernels: "portable", Workers: -1}); err == nil {
		t.Error("-1 workers: no error")
	}
}

func TestCloseEndsWorkers(t *testing.T) {
	expect := func(want int) {
		t.Helper()
		stacks := make([]byte, 1<<20)
		got := -1
		for range 1000 { // goroutines end a while after Close
			if got = strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "created by coil/backend/cpu.newPool"); got == want {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Errorf("%d workers' goroutines, want %d", got, want)
	}
	expect(0)
	c, err := cpu.New(cpu.Options{Workers: 9})
	if err != nil {
		t.Fatal(err)
	}
	r := everything(t, c, 1, 9)
	if err := r.compile().Run(r.step()); err != nil {
		t.Fatal(err)
	}
	expect(8) // the caller is one of the nine
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	expect(0)
}

func TestMisuse(t *testing.T) {
	c := newCPU(t, cpu.Options{Workers: 2})
	r := everything(t, c, 1, 2)
	p := r.compile()
	results := make([]float32, r.ResultLen())
	if err := p.Run(r.step()); err != nil {
		t.Fatal(err)
	}
	if p.Run(r.step()) == nil {
		t.Error("run before the results were taken: no error")
	}
	if p.Results(results[1:]) == nil {
		t.Error("too little room for the results: no error")
	}
	if err := p.Results(results); err != nil {
		t.Error(err)
	}
	if p.Results(results) == nil {
		t.Error("results taken twice: no error")
	}
	broken := graph.NewRecorder(1, 1)
	broken.Record(&graph.Fill{Y: graph.Tensor{Storage: 3, Rows: 1, Cols: 1, Stride: 1}})
	if _, err := c.Compile(broken); err == nil || err != broken.Err() {
		t.Errorf("compiling a broken recording: %v, want %v", err, broken.Err())
	}
	if _, err := c.Plan(broken); err != broken.Err() {
		t.Errorf("planning a broken recording: %v, want %v", err, broken.Err())
	}
	foreign := graph.NewRecorder(1, 1)
	foreign.Parameter(elsewhere{})
	if _, err := c.Compile(foreign); err == nil {
		t.Error("a buffer of another backend: no error")
	}
}

// elsewhere is a buffer of no backend.
type elsewhere struct{ graph.Buffer }

func (elsewhere) Len() int { return 1 }
