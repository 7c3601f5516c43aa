package theory

import (
	"math"
	"slices"
)

// Float is the numbers that a model is run with.
type Float interface{ float32 | float64 }

// Arithmetic is what a model is run with.
type Arithmetic struct {
	Float32 bool // single precision for weights, states and sums; otherwise double
	Argmax  bool // hard attention: all weight on the largest score, and of equal scores on the newest; otherwise softmax
}

// Arithmetics lists them all, the most exact first.
func Arithmetics() []Arithmetic {
	return []Arithmetic{{}, {Argmax: true}, {Float32: true}, {Float32: true, Argmax: true}}
}

// String is "float64 softmax".
func (a Arithmetic) String() string {
	name := "float64"
	if a.Float32 {
		name = "float32"
	}
	if a.Argmax {
		return name + " argmax"
	}
	return name + " softmax"
}

// Run runs m on the state x, which has a row of m.Width numbers for each position, and returns the state after the last
// layer. If after is not nil, it is called after each layer with the depth, from 1, and the state there, and what it writes
// into the state stays.
func (m *Model) Run(x [][]float64, a Arithmetic, after func(depth int, x [][]float64)) [][]float64 {
	if a.Float32 {
		return runIn[float32](m, x, a.Argmax, after)
	}
	return runIn[float64](m, x, a.Argmax, after)
}

func runIn[F Float](m *Model, x [][]float64, argmax bool, after func(int, [][]float64)) [][]float64 {
	s := convert[F](x)
	w := &workspace[F]{}
	for depth := range m.Depth() {
		w.layer(&m.Layers[m.Schedule[depth%len(m.Schedule)]], F(m.Scale), argmax, s)
		if after != nil {
			wide := convert[float64](s)
			after(depth+1, wide)
			s = convert[F](wide)
		}
	}
	return convert[float64](s)
}

// convert copies a state into other numbers.
func convert[T, F Float](x [][]F) [][]T {
	y := make([][]T, len(x))
	for i, row := range x {
		y[i] = make([]T, len(row))
		for j, v := range row {
			y[i][j] = T(v)
		}
	}
	return y
}

// dot is Σ Weight·x[Index].
func dot[F Float](r Row, x []F) F {
	var s F
	for _, t := range r {
		s += F(t.Weight) * x[t.Index]
	}
	return s
}

// add writes v by r.
func add[F Float](r Row, v F, x []F) {
	for _, t := range r {
		x[t.Index] += F(t.Weight) * v
	}
}

// workspace is memory for running layers.
type workspace[F Float] struct {
	query, key, value [][]F
	scores, mixed     []F
	sum               [][]F
	table             tableSpace[F]
}

// layer maps the state x.
func (w *workspace[F]) layer(l *Layer, scale F, argmax bool, x [][]F) {
	w.sum = resize(w.sum, len(x), len(x[0]))
	for i := range x {
		copy(w.sum[i], x[i])
	}
	for i := range l.Heads {
		w.head(&l.Heads[i], scale, argmax, x)
	}
	for i, y := range w.sum {
		copy(x[i], y)
		for t := range l.Tables {
			addTable(&l.Tables[t], y, x[i], &w.table)
		}
		for _, n := range l.Neurons {
			if v := dot(n.In, y) + F(n.Bias); v > 0 {
				add(n.Out, v, x[i])
			}
		}
		add(l.Bias, 1, x[i])
	}
}

// head adds what h attends to in x.
func (w *workspace[F]) head(h *Head, scale F, argmax bool, x [][]F) {
	w.query, w.key, w.value = project(h.Query, x, w.query), project(h.Key, x, w.key), project(h.Value, x, w.value)
	w.mixed = slices.Grow(w.mixed[:0], len(h.Value))[:len(h.Value)]
	for i := range x {
		w.scores = w.scores[:0]
		for j := range i + 1 {
			w.scores = append(w.scores, scale*product(w.query[i], w.key[j]))
		}
		if argmax {
			hardmax(w.scores)
		} else {
			softmax(w.scores)
		}
		clear(w.mixed)
		for j, p := range w.scores {
			if p == 0 {
				continue
			}
			for c, v := range w.value[j] {
				w.mixed[c] += p * v
			}
		}
		for c, v := range w.mixed {
			add(h.Out[c], v, w.sum[i])
		}
	}
}

func product[F Float](q, k []F) F {
	var s F
	for c := range q {
		s += q[c] * k[c]
	}
	return s
}

// project applies a matrix to every position.
func project[F Float](rows []Row, x, into [][]F) [][]F {
	into = resize(into, len(x), len(rows))
	for i := range x {
		for c, r := range rows {
			into[i][c] = dot(r, x[i])
		}
	}
	return into
}

func resize[F Float](x [][]F, rows, cols int) [][]F {
	x = slices.Grow(x[:0], rows)[:rows]
	for i := range x {
		x[i] = slices.Grow(x[i][:0], cols)[:cols]
	}
	return x
}

// softmax turns scores into weights.
func softmax[F Float](s []F) {
	largest := slices.Max(s)
	var total F
	for j, v := range s {
		s[j] = F(math.Exp(float64(v - largest)))
		total += s[j]
	}
	for j := range s {
		s[j] /= total
	}
}

// hardmax turns scores into the weight 1 for the largest, of equal ones for the last.
func hardmax[F Float](s []F) {
	best := 0
	for j, v := range s {
		if v >= s[best] {
			best = j
		}
	}
	clear(s)
	s[best] = 1
}
