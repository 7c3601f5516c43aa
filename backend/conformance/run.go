// Package conformance holds a backend to the formulas of package graph.
//
// Every case records operations on random operands, runs them, and evaluates the same recording with a reference: plain
// loops in float64 that also bound the error of float32 (see tolerance.go). It compares everything that a program can show:
// operands after the step, the memory around strided ones, accumulators, outputs and parameters. The package's own tests
// check the reference against finite differences.
package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"coil/backend"
	"coil/graph"
)

// Options of the suite.
type Options struct {
	// BFloat reports which storages of a recording the backend keeps in bfloat, with 8 bits of precision; nil means none.
	BFloat func(*graph.Recorder) []bool
	// Every keeps only every Every-th case of a subject; 0 and 1 keep all.
	Every int
	// Subjects are the parts to run; nil: all.
	Subjects []string
	// First ends [Check] at the first failure.
	First bool
}

func (o Options) wants(subject string) bool {
	return o.Subjects == nil || slices.Contains(o.Subjects, subject)
}

// subject is a part of the suite.
type subject struct {
	name  string
	run   func(s *suite)
	about formulas // of the operations that it holds a backend to; nil: it is about what programs do with them
}

// subjects are the parts, in the order in which they run.
func subjects() []subject {
	return []subject{
		{"matmul", matmulCases, of((*reference).matmul)},
		{"matmul epilogue", epilogueCases, nil},
		{"activation", activationCases, of((*reference).activate).and(of((*reference).activateBackward))},
		{"swiglu", swigluCases, of((*reference).swiglu).and(of((*reference).swigluBackward))},
		{"soft cap", softCapCases, of((*reference).softCap).and(of((*reference).softCapBackward))},
		{"decay", decayCases, of((*reference).decay).and(of((*reference).decayBackward))},
		{"weigh", weighCases, of((*reference).weigh).and(of((*reference).dots))},
		{"softmax", softmaxCases, of((*reference).softmax).and(of((*reference).softmaxBackward))},
		{"norm", normCases, of((*reference).norm).and(of((*reference).normBackward))},
		{"attention", attentionCases, of((*reference).attention).and(of((*reference).attentionBackward))},
		{"hard attention", hardAttentionCases, of((*reference).hardAttention).and(of((*reference).hardAttentionBackward))},
		{"cached attention", cachedAttentionCases, of((*reference).cachedAttention)},
		{"rotary", rotaryCases, of((*reference).rotary)},
		{"pairs", pairCases, nil},
		{"embedding", embeddingCases, of((*reference).embedding).and(of((*reference).embeddingBackward))},
		{"cross-entropy", crossEntropyCases, of((*reference).crossEntropy)},
		{"head", headCases, nil},
		{"exit", exitCases, of((*reference).exit).and(of((*reference).exitLoss))},
		{"elementwise", elementwiseCases, of((*reference).fill).and(of((*reference).add))},
		{"sums", sumCases, of((*reference).columnSums).and(of((*reference).sum))},
		{"cosine", cosineCases, of((*reference).cosine).and(of((*reference).cosineBackward))},
		{"clip factor", clipCases, of((*reference).clipFactor)},
		{"adamw", adamwCases, of((*reference).adamw)},
		{"adafactor", adafactorCases, of((*reference).adafactor)},
		{"average", averageCases, of((*reference).average)},
		{"muon", muonCases, of((*reference).nesterov).and(of((*reference).normalize)).and(of((*reference).quadratic)).and(of((*reference).neuronScale)).and(of((*reference).muon))},
		{"rows", rowCases, nil},
		{"scalars", scalarCases, nil},
		{"buffers", bufferCases, nil},
		{"groups", groupCases, nil},
		{"state", stateCases, nil},
		{"bad steps", badStepCases, nil},
		{"training", trainingCases, nil},
	}
}

// Subjects returns the names of the parts, in the order in which they run.
func Subjects() []string {
	var names []string
	for _, s := range subjects() {
		names = append(names, s.name)
	}
	return names
}

// About returns the names of the parts that hold a backend to the formula of op.
func About(op graph.Op) []string {
	var names []string
	for _, s := range subjects() {
		if s.about[reflect.TypeOf(op)] != nil {
			names = append(names, s.name)
		}
	}
	return names
}

// Run runs the suite on b, which must be idle, and leaves it open.
func Run(t *testing.T, b backend.Backend, o Options) {
	for _, subject := range subjects() {
		if !o.wants(subject.name) {
			continue
		}
		t.Run(subject.name, func(t *testing.T) { subject.hold(newSuite(t, b, o)) })
	}
}

// hold runs the part, and checks that it has tried what it is about.
func (p subject) hold(s *suite) {
	p.run(s)
	for op := range p.about {
		if !s.tried[op] && s.o.Every <= 1 {
			s.Errorf("%s was never tried", op)
		}
	}
}

func newSuite(t failer, b backend.Backend, o Options) *suite {
	return &suite{failer: t, b: b, o: o, tried: map[reflect.Type]bool{}, rng: rand.New(rand.NewPCG(1, 2))}
}

// failer is what the suite needs of a *testing.T.
type failer interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// Finding is what [Check] found of one subject.
type Finding struct {
	Subject  string
	Trials   int     // programs that were run and compared
	Worst    float64 // largest error, as a share of the tolerance
	Failures []string
}

// Check runs the suite outside a test and reports each subject when it is done. It stops, between subjects, when report
// returns false.
func Check(b backend.Backend, o Options, report func(Finding) bool) {
	for _, subject := range subjects() {
		if !o.wants(subject.name) {
			continue
		}
		c := &checker{first: o.First}
		s := newSuite(c, b, o)
		c.run(func() { subject.hold(s) })
		if !report(Finding{subject.name, s.trials, s.worst, c.failures}) || o.First && c.failures != nil {
			return
		}
	}
}

// checker is a failer that remembers.
type checker struct {
	failures []string
	first    bool // stop at the first
}

type stop struct{}

// run calls f, until it ends or something is fatal.
func (c *checker) run(f func()) {
	defer func() {
		if r := recover(); r != nil && r != (stop{}) {
			panic(r)
		}
	}()
	f()
}

func (c *checker) Helper() {}
func (c *checker) Error(args ...any) {
	c.failures = append(c.failures, fmt.Sprint(args...))
	if c.first {
		panic(stop{})
	}
}
func (c *checker) Errorf(f string, args ...any) { c.Error(fmt.Sprintf(f, args...)) }
func (c *checker) Fatal(args ...any)            { c.Error(args...); panic(stop{}) }
func (c *checker) Fatalf(f string, args ...any) { c.Errorf(f, args...); panic(stop{}) }

// suite is one subject of a backend under test.
type suite struct {
	failer
	b      backend.Backend
	o      Options
	rng    *rand.Rand
	cases  int                   // begun
	tried  map[reflect.Type]bool // operations in programs that were compared
	trials int                   // of those, programs that were run
	worst  float64               // error so far, as a share of the tolerance

	shared *answers // by suites that run together; nil: this one runs alone
	asked  int      // answers so far
}

// A trial is a recording of a few operations on random operands.
type trial struct {
	*suite
	*graph.Recorder
	label   string
	step    bool
	omitted bool // Every leaves it out: it has no operands
	pad     int  // columns to the left and, at least, to the right of operands recorded from now on

	padded int                                       // operands with such columns
	form   func(operand, cols int) (left, right int) // of their columns, instead of pad

	buffers []graph.Buffer
	inputs  [][]int32
	scalars []float32
	names   map[int]string // of storages
	loaded  []graph.Tensor // temporaries with all that is around the operands
}

const trialGroups = 2

// inBody starts a trial of the body, with different operands in each of the groups.
func (s *suite) inBody(format string, args ...any) *trial {
	return &trial{suite: s, Recorder: graph.NewRecorder(1, trialGroups), label: fmt.Sprintf(format, args...), omitted: s.skip(), names: map[int]string{}}
}

// inUpdate starts a trial of the update.
func (s *suite) inUpdate(format string, args ...any) *trial {
	c := &trial{suite: s, Recorder: graph.NewRecorder(1, 1), label: "update, " + fmt.Sprintf(format, args...), step: true, omitted: s.skip(), names: map[int]string{}}
	c.BeginUpdate()
	return c
}

// inBoth runs f in a trial of either part.
func (s *suite) inBoth(label string, f func(c *trial)) {
	f(s.inBody("%s", label))
	f(s.inUpdate("%s", label))
}

// kept makes a trial that Every does not leave out. A case that doesn't end with check or steps needs it.
func (c *trial) kept() *trial {
	c.omitted = false
	return c
}

// A source gives the values of an operand.
type source func() float32

func (s *suite) normal() float32 { return float32(s.rng.NormFloat64()) }

func (s *suite) scaled(by float32) source { return func() float32 { return by * s.normal() } }

func (s *suite) positive() float32 { return float32(s.rng.ExpFloat64()) }

func nan() float32 { return float32(math.NaN()) }

func always(v float32) source { return func() float32 { return v } }

// list returns the values in turn, cyclically.
func list(values ...float32) source {
	i := -1
	return func() float32 {
		i = (i + 1) % len(values)
		return values[i]
	}
}

// in is an operand that is only read. Around it is NaN, which would spoil every result that it leaks into.
func (c *trial) in(name string, rows, cols int, value ...source) graph.Tensor {
	return c.load(name, rows, cols, choose(value, c.normal), nan)
}

// out is an operand that is only written: its old value must not matter, and the memory around it must stay unchanged.
func (c *trial) out(name string, rows, cols int) graph.Tensor {
	return c.load(name, rows, cols, nan, c.normal)
}

// inOut is an operand that is read and written.
func (c *trial) inOut(name string, rows, cols int, value ...source) graph.Tensor {
	return c.load(name, rows, cols, choose(value, c.normal), c.normal)
}

func choose(value []source, otherwise source) source {
	if len(value) > 0 {
		return value[0]
	}
	return otherwise
}

// edges are the columns to the left and to the right of the next operand. Some have more to the right than others, so
// that no two strides of an operation are alike.
func (c *trial) edges(cols int) (left, right int) {
	if c.form != nil {
		c.padded++
		return c.form(c.padded-1, cols)
	}
	if c.pad == 0 {
		return 0, 0
	}
	c.padded++
	return c.pad, c.pad + 4*(c.padded%5)
}

// around makes the values of a matrix of padded rows.
func (c *trial) around(rows, left, cols, right int, value, edge source) []float32 {
	if c.omitted {
		return make([]float32, rows*(left+cols+right))
	}
	data := make([]float32, 0, rows*(left+cols+right))
	for range rows {
		for j := range left + cols + right {
			v := edge
			if j >= left && j < left+cols {
				v = value
			}
			x := v()
			if c.o.BFloat != nil { // so that nothing is lost on the way in
				x = math.Float32frombits(math.Float32bits(x) &^ 0xffff)
			}
			data = append(data, x)
		}
	}
	return data
}

// load records how a temporary gets its values: from a parameter, and in the body by an index that is different
// for each group.
func (c *trial) load(name string, rows, cols int, value, edge source) graph.Tensor {
	left, right := c.edges(cols)
	stride := left + cols + right
	from := c.matrix(c.parameter(name, c.around(rows*c.Groups(), left, cols, right, value, edge)), rows*c.Groups(), stride)
	whole := c.Temporary(rows, stride)
	c.names[whole.Storage] = name
	c.loaded = append(c.loaded, whole)
	if c.step {
		c.Record(&graph.Add{A: from, Y: whole, Alpha: 1})
	} else {
		ids := make([]int32, rows*c.Groups())
		for i := range ids {
			ids[i] = int32(i)
		}
		c.Record(&graph.Embedding{Table: from, Index: c.index(ids), Y: whole})
	}
	return whole.Columns(left, left+cols)
}

func (c *trial) matrix(t graph.Tensor, rows, cols int) graph.Tensor {
	t.Rows, t.Cols, t.Stride = rows, cols, cols
	return t
}

// parameter is a buffer of these values, as one row.
func (c *trial) parameter(name string, values []float32) graph.Tensor {
	b := c.buffer(values)
	t := c.Parameter(b)
	c.names[t.Storage] = name
	return t
}

// buffer holds values until the trial ends.
func (c *trial) buffer(values []float32) graph.Buffer {
	if c.omitted {
		return unused(len(values))
	}
	b := newBuffer(c, c.b, values)
	c.buffers = append(c.buffers, b)
	return b
}

// unused is a buffer of a trial that is left out. It has a length, and no values.
type unused int

func (n unused) Len() int                 { return int(n) }
func (unused) Write(int, []float32) error { panic("conformance: a trial that is left out writes") }
func (unused) Read(int, []float32) error  { panic("conformance: a trial that is left out reads") }
func (unused) Free()                      {}

func newBuffer(t failer, b backend.Backend, values []float32) graph.Buffer {
	t.Helper()
	buffer, err := b.NewBuffer(len(values))
	if err == nil {
		err = buffer.Write(0, values)
	}
	if err != nil {
		t.Fatal(err)
	}
	return buffer
}

// weight is a parameter that is read; state one that the update changes.
func (c *trial) weight(name string, rows, cols int, value ...source) graph.Tensor {
	left, right := c.edges(cols)
	data := c.around(rows, left, cols, right, choose(value, c.normal), nan)
	return c.matrix(c.parameter(name, data), rows, left+cols+right).Columns(left, left+cols)
}

func (c *trial) state(name string, rows, cols int, value ...source) graph.Tensor {
	left, right := c.edges(cols)
	data := c.around(rows, left, cols, right, choose(value, c.normal), c.normal)
	return c.matrix(c.parameter(name, data), rows, left+cols+right).Columns(left, left+cols)
}

// sum is an accumulator.
func (c *trial) sum(name string, rows, cols int) graph.Tensor {
	left, right := c.edges(cols)
	whole := c.Accumulator(rows, left+cols+right)
	c.names[whole.Storage] = name
	c.Result(whole)
	return whole.Columns(left, left+cols)
}

// output is an output, of rows rows in each group.
func (c *trial) output(name string, rows, cols int) graph.Tensor {
	t := c.Output(rows, cols)
	c.names[t.Storage] = name
	return t
}

// cache is state that holds values for all groups, as much for each as for the others, in rows of cols columns.
func (c *trial) cache(name string, cols int, values []float32) graph.Tensor {
	return c.sharedCache(name, cols, c.buffer(values))
}

// sharedCache is a cache whose buffer is another trial's.
func (c *trial) sharedCache(name string, cols int, b graph.Buffer) graph.Tensor {
	t := c.State(b, b.Len()/cols/c.Groups()/c.Sequences(), cols)
	c.names[t.Storage] = name
	return t
}

// index is an input with the values of the whole batch.
func (c *trial) index(values []int32) graph.Index {
	c.inputs = append(c.inputs, values)
	return c.Input(len(values) / c.Groups() / c.Sequences())
}

func (c *trial) number(v float32) graph.Scalar {
	c.scalars = append(c.scalars, v)
	return c.Scalar()
}

// check records ops and compares the results of a step with the reference.
func (c *trial) check(ops ...graph.Op) {
	c.Helper()
	c.checkRuns(1, func(int) {}, ops...)
}

// checkRuns is check for several runs; before each, it calls change with its number, from 0.
func (c *trial) checkRuns(n int, change func(run int), ops ...graph.Op) {
	c.Helper()
	defer func() {
		for _, b := range c.buffers {
			b.Free()
		}
	}()
	if c.omitted {
		return
	}
	for _, op := range ops {
		c.Record(op)
	}
	for _, whole := range c.loaded {
		if c.step {
			c.Result(whole)
			continue
		}
		shown := c.output(c.names[whole.Storage], whole.Rows, whole.Cols)
		c.Record(&graph.Add{A: whole, Y: shown, Alpha: 1})
	}
	p, err := c.b.Compile(c.Recorder)
	if err != nil {
		c.Fatalf("%s: %v", c.label, err)
	}
	defer p.Close()
	for run := range n {
		change(run)
		c.runStep(p)
	}
}

// skip counts a case and reports whether it is to be left out.
func (s *suite) skip() bool {
	s.cases++
	return s.o.Every > 1 && s.cases%s.o.Every != 1
}

// runStep runs the program once, compares everything that it shows with the reference, and returns the results.
func (c *trial) runStep(p backend.Program) []float32 {
	c.Helper()
	return c.runAgainst(p, func(x given) *reference {
		r := newReference(c.Recorder, x, c.o.BFloat)
		r.run()
		return r
	})
}

// runDeepStep is runStep for a program of many operations behind each other.
func (c *trial) runDeepStep(p backend.Program) {
	c.Helper()
	c.runAgainst(p, func(x given) *reference {
		return newSampledReference(c.Recorder, x, c.o.BFloat, rand.New(rand.NewPCG(3, uint64(c.cases))))
	})
}

func (c *trial) runAgainst(p backend.Program, of func(given) *reference) []float32 {
	c.Helper()
	x := c.given()
	if err := p.Run(x.step); err != nil {
		c.Fatalf("%s: %v", c.label, err)
	}
	return c.compareStep(p, c.answer(x, of))
}

func (c *trial) compareStep(p backend.Program, ref *reference) []float32 {
	c.Helper()
	c.trials++
	for _, op := range slices.Concat(c.Body(), c.Update()) {
		c.tried[reflect.TypeOf(op)] = true
	}
	all := make([]float32, c.ResultLen())
	if err := p.Results(all); err != nil {
		c.Fatalf("%s: %v", c.label, err)
	}
	results := all
	for _, t := range c.Results() {
		want := ref.read(t)
		c.compare(c.names[t.Storage], results[:t.Size()], want.x, t.Cols)
		results = results[t.Size():]
	}
	for i, s := range c.Storages() {
		switch s.Space {
		case graph.Output:
			got := make([]float32, s.Len*c.Groups())
			if err := p.Output(graph.Tensor{Storage: i + 1, Rows: 1, Cols: s.Len, Stride: s.Len}, got); err != nil {
				c.Fatalf("%s: %v", c.label, err)
			}
			cols := c.columns(i + 1)
			c.compare(c.names[i+1], got, ref.outputs[i], cols)
		case graph.Parameter, graph.State:
			got, want := make([]float32, s.Buffer.Len()), ref.storages[i]
			if s.Space == graph.State {
				want = ref.outputs[i]
			}
			if err := s.Buffer.Read(0, got); err != nil {
				c.Fatalf("%s: %v", c.label, err)
			}
			c.compare(c.names[i+1], got, want, c.columns(i+1))
		}
	}
	return all
}

// columns guesses the row length of a storage from the operation that touches all of it, for messages.
func (c *trial) columns(storage int) int {
	cols := c.Storages()[storage-1].Len
	for _, ops := range [][]graph.Op{c.Body(), c.Update()} {
		for _, op := range ops {
			f := graph.Describe(op)
			for _, t := range append(f.Reads, f.Writes...) {
				if t.Storage == storage && t.Rows > 1 {
					cols = t.Stride
				}
			}
		}
	}
	return cols
}

// compare reports the first and the worst element out of tolerance.
func (c *trial) compare(name string, got []float32, want []num, cols int) {
	c.Helper()
	wrong, first, worst, excess := 0, 0, 0, 0.0
	for i, g := range got {
		x := excessOf(g, want[i])
		if c.worst = max(c.worst, x); x <= 1 {
			continue
		}
		if wrong++; wrong == 1 {
			first = i
		}
		if x > excess {
			worst, excess = i, x
		}
	}
	if wrong == 0 {
		return
	}
	show := func(i int) string {
		return fmt.Sprintf("[%d,%d] is %g, want %g ± %.2g", i/cols, i%cols, got[i], want[i].v, want[i].tolerance())
	}
	c.Errorf("%s: %s: %d of %d wrong; first %s; worst %s", c.label, name, wrong, len(got), show(first), show(worst))
}

// excessOf is the error of got as a share of the tolerance.
func excessOf(got float32, want num) float64 {
	g, tolerance := float64(got), want.tolerance()
	d := math.Abs(g - want.v)
	switch {
	case math.IsNaN(want.v) && math.IsNaN(g), g == want.v:
		return 0
	case math.IsNaN(d), math.IsInf(d, 0), math.IsNaN(tolerance), math.IsInf(tolerance, 0):
		return math.Inf(1)
	}
	return d / max(tolerance, math.SmallestNonzeroFloat32)
}
