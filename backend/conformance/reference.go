package conformance

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"

	"coil/backend"
	"coil/graph"
)

// A reference evaluates a recording with plain loops in float64, straight from the formulas, and bounds the error that
// float32 may make. It shares nothing with any backend.
type reference struct {
	rec      *graph.Recorder
	formulas formulas
	step     backend.Args
	group    int
	storages [][]num // Input, Output and State: of the group being run
	outputs  [][]num // Output and State: of the whole batch, by storage
	given    given
	settle   func(num) num // what later operations see of a result; nil: the result with its error
	bfloat   []bool        // storages whose values are rounded to bfloat
}

func newReference(rec *graph.Recorder, x given, bfloat func(*graph.Recorder) []bool) *reference {
	r := &reference{rec: rec, formulas: allFormulas(), step: x.step, given: x, storages: make([][]num, len(rec.Storages())), outputs: make([][]num, len(rec.Storages())),
		bfloat: make([]bool, len(rec.Storages()))}
	if bfloat != nil {
		r.bfloat = bfloat(rec)
	}
	for i, s := range rec.Storages() {
		switch s.Space {
		case graph.Parameter:
			r.storages[i] = exactly(x.buffers[i])
		case graph.Constant:
			r.storages[i] = exactly(s.Data)
		}
	}
	return r
}

func exactly(values []float32) []num {
	xs := make([]num, len(values))
	for i, v := range values {
		xs[i] = exact(v)
	}
	return xs
}

// newSampledReference runs references whose results are moved at random, and takes the errors from how far they end up
// from each other.
func newSampledReference(rec *graph.Recorder, x given, bfloat func(*graph.Recorder) []bool, rng *rand.Rand) *reference {
	settled := func(settle func(num) num) *reference {
		r := newReference(rec, x, bfloat)
		r.settle = settle
		r.run()
		return r
	}
	r := settled(func(x num) num { return num{x.v, 0} })
	for range samples {
		moved := settled(func(x num) num { return num{x.v + (2*rng.Float64()-1)*x.e, 0} })
		for i := range r.storages {
			widen(r.storages[i], moved.storages[i])
			widen(r.outputs[i], moved.outputs[i])
		}
	}
	return r
}

func widen(xs, moved []num) {
	for i := range xs {
		xs[i].e = max(xs[i].e, deviation*math.Abs(moved[i].v-xs[i].v))
	}
}

// run evaluates every group, sums up what each adds to accumulators, and evaluates the update.
func (r *reference) run() {
	sums := make([][]total, len(r.storages))
	for r.group = range r.rec.Groups() {
		r.forget(false)
		for _, op := range r.rec.Body() {
			r.evaluate(op)
		}
		for i, s := range r.rec.Storages() {
			switch s.Space {
			case graph.Output, graph.State:
				r.outputs[i] = append(r.outputs[i], r.storages[i]...)
			case graph.Accumulator:
				if sums[i] == nil {
					sums[i] = make([]total, s.Len)
				}
				for j, x := range r.storages[i] {
					sums[i][j].add(x)
				}
			}
		}
	}
	for i, sum := range sums {
		for j := range sum {
			r.storages[i][j] = r.settled(sum[j].num())
		}
	}
	r.forget(true)
	for _, op := range r.rec.Update() {
		r.evaluate(op)
	}
}

// forget sets memory without a value to NaN, accumulators to 0 and state to what it was given, when a group starts.
func (r *reference) forget(step bool) {
	for i, s := range r.rec.Storages() {
		if s.Space == graph.State && !step {
			r.storages[i] = exactly(r.given.buffers[i][r.group*s.Len:][:s.Len])
		}
		if s.Space == graph.Accumulator && !step {
			r.storages[i] = make([]num, s.Len)
		}
		if s.Space == graph.Temporary && s.Update == step || s.Space == graph.Output && !step {
			r.storages[i] = make([]num, s.Len)
			for j := range r.storages[i] {
				r.storages[i][j].v = math.NaN()
			}
		}
	}
}

func (r *reference) evaluate(op graph.Op) {
	f := r.formulas[reflect.TypeOf(op)]
	if f == nil {
		panic(fmt.Sprintf("conformance: no reference for %s", op.Name()))
	}
	f(r, op)
}

// formula evaluates an operation in a reference.
type formula func(r *reference, op graph.Op)

// formulas of operations, by the type of their structs.
type formulas map[reflect.Type]formula

// of is the formula of one kind of operation.
func of[O graph.Op](evaluate func(*reference, O)) formulas {
	return formulas{reflect.TypeFor[O](): func(r *reference, op graph.Op) { evaluate(r, op.(O)) }}
}

// and has both.
func (f formulas) and(o formulas) formulas {
	maps.Copy(f, o)
	return f
}

// allFormulas returns the formulas of all subjects.
func allFormulas() formulas {
	all := formulas{}
	for _, s := range subjects() {
		maps.Copy(all, s.about)
	}
	return all
}

// matrix is a copy of an operand. The zero matrix is a missing one.
type matrix struct {
	rows, cols int
	x          []num
}

func newMatrix(rows, cols int) matrix { return matrix{rows, cols, make([]num, rows*cols)} }

func (m matrix) exists() bool        { return m.x != nil }
func (m matrix) row(i int) []num     { return m.x[i*m.cols : (i+1)*m.cols] }
func (m matrix) at(i, j int) num     { return m.x[i*m.cols+j] }
func (m matrix) set(i, j int, x num) { m.x[i*m.cols+j] = x }

// cut is m with each row cut into rows of equal width, and joined is m with as many rows in a row again.
func (m matrix) cut(parts int) matrix    { return matrix{m.rows * parts, m.cols / parts, m.x} }
func (m matrix) joined(parts int) matrix { return matrix{m.rows / parts, m.cols * parts, m.x} }

func (m matrix) transposed() matrix {
	t := newMatrix(m.cols, m.rows)
	for i := range m.rows {
		for j := range m.cols {
			t.set(j, i, m.at(i, j))
		}
	}
	return t
}

// read copies a tensor's elements; a tensor that does not exist gives a matrix that does not.
func (r *reference) read(t graph.Tensor) matrix {
	if !t.Exists() {
		return matrix{}
	}
	m := newMatrix(t.Rows, t.Cols)
	for i := range t.Rows {
		copy(m.row(i), r.storages[t.Storage-1][t.Offset+i*t.Stride:])
	}
	return m
}

// write copies m to a tensor, if both exist.
func (r *reference) write(t graph.Tensor, m matrix) {
	if !t.Exists() || !m.exists() {
		return
	}
	for i := range t.Rows {
		row := r.storages[t.Storage-1][t.Offset+i*t.Stride:]
		for j, x := range m.row(i) {
			if r.bfloat[t.Storage-1] {
				x = x.toBFloat()
			}
			row[j] = r.settled(x)
		}
	}
}

func (r *reference) settled(x num) num {
	if r.settle == nil {
		return x
	}
	return r.settle(x)
}

// update reads a tensor, lets f change it, and writes it back.
func (r *reference) update(t graph.Tensor, f func(m matrix)) {
	if t.Exists() {
		m := r.read(t)
		f(m)
		r.write(t, m)
	}
}

func (r *reference) scalar(s graph.Scalar) num {
	if s == 0 {
		return exact(1)
	}
	return exact(r.step.Scalars[s-1])
}

func (r *reference) index(x graph.Index) []int32 {
	s := r.rec.Storages()[x.Storage-1]
	return r.step.Inputs[s.Number][r.group*s.Len+x.Offset:][:x.Len]
}

// start is the position at which a sequence begins.
func (r *reference) start(at graph.Index, sequence int) int {
	if !at.Exists() {
		return 0
	}
	return int(r.index(at)[sequence])
}

// addRows adds row i of x to row to(i) of y, for all i.
func addRows(y, x matrix, to func(i int) int) {
	sums := make([]total, len(y.x))
	for k := range sums {
		sums[k].add(y.x[k])
	}
	for i := range x.rows {
		for j, v := range x.row(i) {
			sums[to(i)*y.cols+j].add(v)
		}
	}
	for k := range sums {
		y.x[k] = sums[k].num()
	}
}

// elementwise is f of each element.
func elementwise(x matrix, f func(x num) num) matrix {
	y := newMatrix(x.rows, x.cols)
	for i := range x.x {
		y.x[i] = f(x.x[i])
	}
	return y
}

func largest(xs []num) num {
	m := xs[0]
	for _, x := range xs[1:] {
		m = m.atLeast(x)
	}
	return m
}

func dot(a, b []num) num {
	var t total
	for i := range a {
		t.addProduct(a[i], b[i])
	}
	return t.num()
}
