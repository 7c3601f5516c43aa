package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/graph"
	"coil/thorough"
)

// headTrial is the loss of a head over a batch, with everything that it makes.
type headTrial struct {
	rows, width, classes, groups int
	transposed                   bool
	cap                          float32   // of the logits; 0: none
	evaluates                    bool      // without gradients
	x, w                         []float32 // of all groups; of the head
	targets                      []int32
	loss, correct, dx, dw        []float32
}

func newHeadTrial(rows, width, classes, groups int, transposed bool) *headTrial {
	rng := rand.New(rand.NewPCG(7, uint64(classes)))
	h := &headTrial{rows: rows, width: width, classes: classes, groups: groups, transposed: transposed}
	for range rows * width * groups {
		h.x = append(h.x, float32(rng.NormFloat64()))
	}
	for range width * classes {
		h.w = append(h.w, float32(rng.NormFloat64()))
	}
	for i := range rows * groups {
		h.targets = append(h.targets, int32(rng.IntN(classes)))
		if i%5 == 2 {
			h.targets[i] = graph.Ignore
		}
	}
	return h
}

// record records the head with its gradients on b, in chunks of rows.
func (h *headTrial) record(b *CPU, chunk int) (*graph.Recorder, error) {
	r := graph.NewRecorder(1, h.groups)
	parameter := func(values []float32, rows, cols int) (graph.Tensor, error) {
		buffer, err := b.NewBuffer(len(values))
		if err != nil {
			return graph.Tensor{}, err
		}
		t := r.Parameter(buffer)
		t.Rows, t.Cols, t.Stride = rows, cols, cols
		return t, buffer.Write(0, values)
	}
	rows, cols := h.width, h.classes
	if h.transposed {
		rows, cols = cols, rows
	}
	w, err := parameter(h.w, rows, cols)
	if err != nil {
		return nil, err
	}
	given, err := parameter(h.x, h.rows*h.groups, h.width)
	if err != nil {
		return nil, err
	}
	tape := autodiff.NewTape(r, !h.evaluates)
	dw, dx := r.Accumulator(rows, cols), r.Accumulator(given.Rows, h.width)
	tape.Watch(w, dw)
	tape.Watch(given, dx)
	loss, correct := r.Output(h.rows, 1), r.Output(h.rows, 1)
	weights := r.Temporary(h.rows, 1)
	r.Record(&graph.Fill{Y: weights, Value: 0.5})
	tape.CrossEntropy(autodiff.CrossEntropy{X: tape.Embedding(given, r.Input(h.rows), graph.Tensor{}), W: w, Transpose: h.transposed,
		Targets: r.Input(h.rows), Loss: loss, Correct: correct, Weight: 0.5, RowWeights: weights, Chunk: chunk * h.classes, Cap: h.cap})
	if !h.evaluates {
		tape.Backward()
	}
	r.Result(dw)
	r.Result(dx)
	return r, nil
}

// args are those of a run.
func (h *headTrial) args() backend.Args {
	ids := make([]int32, len(h.targets))
	for i := range ids {
		ids[i] = int32(i)
	}
	return backend.Args{Inputs: [][]int32{ids, h.targets}}
}

// run runs the head once.
func (h *headTrial) run(b *CPU, chunk int) error {
	r, err := h.record(b, chunk)
	if err != nil {
		return err
	}
	compiled, err := b.Compile(r)
	if err != nil {
		return err
	}
	defer compiled.Close()
	p := compiled.(*program)
	if len(p.heads) != 1 || p.heads[0].trains() == h.evaluates {
		return fmt.Errorf("%d heads run as one kernel, want 1", len(p.heads))
	}
	if err := p.Run(h.args()); err != nil {
		return err
	}
	results := make([]float32, r.ResultLen())
	if err := p.Results(results); err != nil {
		return err
	}
	h.dw, h.dx = results[:len(h.w)], results[len(h.w):]
	h.loss, h.correct = make([]float32, len(h.targets)), make([]float32, len(h.targets))
	outputs := [][]float32{h.loss, h.correct}
	for i, s := range r.Storages() {
		if s.Space == graph.Output {
			if err := p.Output(graph.Tensor{Storage: i + 1}, outputs[s.Number]); err != nil {
				return err
			}
		}
	}
	return nil
}

// check compares the results with the formulas in float64. The bounds are those of float32 sums of that length, of products
// with what they are made of.
func (h *headTrial) check(t *testing.T) {
	t.Helper()
	const u = 1.0 / (1 << 24)
	weight := func(k, j int) int { // where a weight is
		if h.transposed {
			return j*h.width + k
		}
		return k*h.classes + j
	}
	dw, dwError := make([]float64, len(h.w)), make([]float64, len(h.w))
	near := func(what string, i int, got float32, want, tolerance float64) {
		if !(math.Abs(float64(got)-want) <= tolerance) {
			t.Fatalf("%d rows of width %d, %d classes, transposed=%v: %s %d is %g, want %g ± %.2g", h.rows, h.width, h.classes, h.transposed, what, i, got, want, tolerance)
		}
	}
	z, slope, p := make([]float64, h.classes), make([]float64, h.classes), make([]float64, h.classes)
	for i, target := range h.targets {
		x := h.x[i*h.width:][:h.width]
		if target == graph.Ignore {
			near("loss", i, h.loss[i], 0, 0)
			for k := range x {
				near("gradient of the state", i*h.width+k, h.dx[i*h.width+k], 0, 0)
			}
			continue
		}
		zError, best, sum := 0.0, 0, 0.0
		for j := range z {
			z[j] = 0
			var size float64
			for k := range x {
				term := float64(x[k]) * float64(h.w[weight(k, j)])
				z[j] += term
				size += math.Abs(term)
			}
			slope[j] = 1
			if h.cap > 0 {
				capped := math.Tanh(z[j] / float64(h.cap))
				z[j], slope[j] = float64(h.cap)*capped, 1-capped*capped
			}
			zError = max(zError, float64(h.width+2)*u*size+4*u*float64(h.cap))
			if z[j] > z[best] {
				best = j
			}
		}
		for j := range z {
			p[j] = math.Exp(z[j] - z[best])
			sum += p[j]
		}
		near("loss", i, h.loss[i], math.Log(sum)+z[best]-z[target], 2*zError+float64(h.classes)*u)
		right := float32(0)
		if best == int(target) {
			right = 1
		}
		near("correct", i, h.correct[i], float64(right), 0)
		relative := 2*zError + float64(h.classes+32)*u
		for k := range x {
			var want, tolerance float64
			for j := range z {
				g := 0.25 * p[j] / sum
				e := g * relative
				if j == int(target) {
					g -= 0.25
					e += 0.25 * u
				}
				e += math.Abs(g) * relative // of the slope
				g *= slope[j]
				w := float64(h.w[weight(k, j)])
				want += g * w
				tolerance += (e + float64(h.classes)*u*math.Abs(g)) * math.Abs(w)
				dw[weight(k, j)] += g * float64(x[k])
				dwError[weight(k, j)] += (e + float64(h.rows*h.groups)*u*math.Abs(g)) * math.Abs(float64(x[k]))
			}
			near("gradient of the state", i*h.width+k, h.dx[i*h.width+k], want, tolerance)
		}
	}
	for j := range dw {
		near("gradient of the weights", j, h.dw[j], dw[j], dwError[j])
	}
}

// Heads of several passes, several tiles and ragged ends of both are right, with capped logits too, and have the same bits for any number
// of workers. Most workers have no core here: two lead a group each, and the others help.
func TestHeadInPasses(t *testing.T) {
	type form struct {
		width, chunk int
		transposed   bool
		cap          float32
	}
	small := []form{{5, 64, false, 0}, {5, 100, true, 0}, {1, headRows + 5, false, 1.5}}
	for kernels, forms := range map[string][]form{"": append(small, form{134, headRows, false, 0}, form{134, headRows, true, 1.5}), "portable": small} {
		for _, form := range forms {
			var bits []float32
			counts := []int{1, 2, 5, 64}
			if kernels == "portable" {
				counts = []int{1, 2, 5}
			}
			for _, workers := range thorough.Cases(t, 2, "numbers of workers", counts) {
				b, err := New(Options{Kernels: kernels, Workers: workers})
				if err != nil {
					t.Fatal(err)
				}
				b.headFloats = 1
				h := newHeadTrial(headRows+5, form.width, 1030, 2, form.transposed)
				h.cap = form.cap
				if err := h.run(b, form.chunk); err != nil {
					t.Fatal(err)
				}
				if all := slices.Concat(h.loss, h.correct, h.dx, h.dw); bits == nil {
					if form.width < 10 { // wider ones take long to check
						h.check(t)
					}
					bits = all
				} else if !slices.Equal(all, bits) {
					t.Errorf("%s %+v: %d workers make other bits than one", kernels, form, workers)
				}
				h.evaluates = true
				if err := h.run(b, form.chunk); err != nil {
					t.Fatal(err)
				}
				if got := slices.Concat(h.loss, h.correct); !slices.Equal(got, bits[:len(got)]) {
					t.Errorf("%s %+v: %d workers have other losses without gradients", kernels, form, workers)
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// The gradient of a head's weights that groups add to in turn is right, and its bits do not depend on the number of workers.
func TestHeadInTurns(t *testing.T) {
	for _, transposed := range []bool{false, true} {
		var bits []float32
		for _, workers := range []int{1, 2, 3, 8, 20, 64} {
			b, err := New(Options{Workers: workers})
			if err != nil {
				t.Fatal(err)
			}
			h := newHeadTrial(20, 16, 1030, 11, transposed)
			r, err := h.record(b, 64)
			if err != nil {
				t.Fatal(err)
			}
			if l, err := b.layout(r, workers); err != nil || len(l.common.ordered) != 1 {
				t.Fatalf("the gradient of the head is in every replica (%v)", err)
			}
			if err := h.run(b, 64); err != nil {
				t.Fatal(err)
			}
			if all := slices.Concat(h.loss, h.correct, h.dx, h.dw); bits == nil {
				h.check(t)
				bits = all
			} else if !slices.Equal(all, bits) {
				t.Errorf("transposed=%v: %d workers make other bits than one", transposed, workers)
			}
			h.targets[200] = 1030
			if err := h.run(b, 64); err == nil || !strings.Contains(err.Error(), "target 1030 at position 0 of group 10 is not one of 1030 classes") {
				t.Errorf("a target that is no class: %v", err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A target is right only if no class before it has an equal logit, in its tile or in one before.
func TestHeadTies(t *testing.T) {
	b, err := New(Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	h := newHeadTrial(6, 1, 1030, 1, false)
	h.targets = []int32{3, 4, 600, 601, 1029, 2}
	for i := range h.x {
		h.x[i] = 1
	}
	clear(h.w)
	for _, j := range []int{3, 4, 600, 601, 1029} {
		h.w[j] = 2
	}
	if err := h.run(b, 64); err != nil {
		t.Fatal(err)
	}
	if want := []float32{1, 0, 0, 0, 0, 0}; !slices.Equal(h.correct, want) {
		t.Errorf("right: %v, want %v", h.correct, want)
	}
	h.check(t)
}

// The kernels of a head that a team shares do all of its work, and none is left to the leader alone.
func TestSharedHead(t *testing.T) {
	b, err := New(Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.headFloats = 1
	r, err := newHeadTrial(headRows+5, 134, 1030, 2, false).record(b, 64)
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.layout(r, 64)
	if err != nil {
		t.Fatal(err)
	}
	k := l.group[l.heads[0].first]
	if len(k.then) != 6 {
		t.Errorf("%d kernels follow, want three for each of two passes", len(k.then))
	}
	sum := 0.0
	for _, k := range k.then {
		sum += k.work
		if !k.shared() {
			t.Errorf("a kernel of %d parts is not shared", k.parts)
		}
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("they do %g of the work, want all", sum)
	}
}

// A step with a head allocates nothing, shared or not.
func TestHeadAllocatesNothing(t *testing.T) {
	for _, workers := range []int{1, 5} {
		b, err := New(Options{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		h := newHeadTrial(9, 5, 1030, 2, false)
		r, err := h.record(b, 64)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		args, results := h.args(), make([]float32, r.ResultLen())
		allocated := testing.AllocsPerRun(5, func() {
			if err := p.Run(args); err != nil {
				t.Fatal(err)
			}
			if err := p.Results(results); err != nil {
				t.Fatal(err)
			}
		})
		if allocated != 0 {
			t.Errorf("%d workers: %g allocations a step", workers, allocated)
		}
		p.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkHead is the loss of a group of 512 tokens and its gradients.
func BenchmarkHead(b *testing.B) {
	for _, size := range [][2]int{{256, 8192}, {256, 32768}, {768, 32768}} {
		for _, transposed := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dx%d/transposed=%v", size[0], size[1], transposed), func(b *testing.B) {
				c, err := New(Options{Workers: 1})
				if err != nil {
					b.Fatal(err)
				}
				h := newHeadTrial(512, size[0], size[1], 1, transposed)
				r, err := h.record(c, 64)
				if err != nil {
					b.Fatal(err)
				}
				p, err := c.Compile(r)
				if err != nil {
					b.Fatal(err)
				}
				results := make([]float32, r.ResultLen())
				for b.Loop() {
					if err := p.Run(h.args()); err != nil {
						b.Fatal(err)
					}
					if err := p.Results(results); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(6*512*float64(size[0]*size[1])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
