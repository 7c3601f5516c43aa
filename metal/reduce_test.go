package metal_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// recording is a recorder whose parameters are made of slices.
type recording struct {
	*graph.Recorder
	t testing.TB
	b *metal.Metal
}

func (r *recording) values(x []float32) graph.Tensor {
	r.t.Helper()
	b, err := r.b.NewBuffer(len(x))
	if err == nil {
		err = b.Write(0, x)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return r.Parameter(b)
}

// result is a tensor of the update that is shown.
func (r *recording) result(rows, cols int) graph.Tensor {
	t := r.Temporary(rows, cols)
	r.Result(t)
	return t
}

// shaped views a row as a matrix.
func shaped(t graph.Tensor, rows, cols, stride int) graph.Tensor {
	t.Rows, t.Cols, t.Stride = rows, cols, stride
	return t
}

// resultsOf runs what record records, for one group of one sequence, once.
func resultsOf(t testing.TB, o emulator.Options, step backend.Args, record func(r *recording)) []float32 {
	t.Helper()
	b, err := metal.New(emulatortest.Open(t, o), metal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{graph.NewRecorder(1, 1), t, b}
	record(r)
	p, err := b.Compile(r.Recorder)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(step); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, r.ResultLen())
	if err := p.Results(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func normals(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// sumError is how far float32 may be from Σ terms: four times √n roundings of what is added up. Sums in a tree are far below.
func sumError(n int, abs float64) float64 { return 4 * math.Sqrt(float64(n)) * abs / (1 << 24) }

// Sums so long that every threadgroup takes its turn several times, of vectors and of single elements, and of rows that do
// not follow each other.
func TestLongSums(t *testing.T) {
	thorough.Skip(t)
	x := normals(6_000_000, 1)
	views := []struct {
		name               string
		rows, cols, stride int
		offset             int
	}{
		{"vectors", 1, 6_000_000, 0, 0},
		{"elements", 1, 1_300_001, 0, 3},
		{"rows of vectors", 1000, 5000, 6000, 4},
		{"narrow rows", 200_000, 3, 7, 1},
		{"few partial sums, not in vectors", 1, 37_000, 0, 0},
	}
	got := resultsOf(t, emulator.Options{}, backend.Args{}, func(r *recording) {
		p := r.values(x)
		r.BeginUpdate()
		for _, v := range views {
			view := shaped(p, v.rows, v.cols, v.stride)
			view.Offset = v.offset
			r.Record(&graph.Sum{X: view, Y: r.result(1, 1), Alpha: 1})
			r.Record(&graph.Sum{X: view, Y: r.result(1, 1), Alpha: 0.5, Squares: true})
		}
	})
	for i, v := range views {
		var sum, abs, squares float64
		for row := range v.rows {
			for _, e := range x[v.offset+row*v.stride:][:v.cols] {
				sum += float64(e)
				abs += math.Abs(float64(e))
				squares += float64(e) * float64(e)
			}
		}
		n := v.rows * v.cols
		if d := math.Abs(float64(got[2*i]) - sum); d > sumError(n, abs) {
			t.Errorf("%s: sum %g, want %g", v.name, got[2*i], sum)
		}
		if d := math.Abs(float64(got[2*i+1]) - squares/2); d > sumError(n, squares/2) {
			t.Errorf("%s: half the squares are %g, want %g", v.name, got[2*i+1], squares/2)
		}
	}
}

// So many rows that the first launch gives each threadgroup more than its usual share.
func TestTallColumnSums(t *testing.T) {
	for _, cols := range []int{3, 8} {
		const rows = 70_000
		x := normals(rows*cols, 2)
		got := resultsOf(t, emulator.Options{}, backend.Args{}, func(r *recording) {
			p := r.values(x)
			r.BeginUpdate()
			r.Record(&graph.ColumnSums{X: shaped(p, rows, cols, cols), Y: r.result(1, cols)})
		})
		for j, g := range got {
			var sum, abs float64
			for i := range rows {
				sum += float64(x[i*cols+j])
				abs += math.Abs(float64(x[i*cols+j]))
			}
			if math.Abs(float64(g)-sum) > sumError(rows, abs) {
				t.Errorf("%d columns: sum %d is %g, want %g", cols, j, g, sum)
			}
		}
	}
}

// More pieces than there are threadgroups for a cosine.
func TestLongCosine(t *testing.T) {
	const n = 1_200_000
	a, b := normals(n, 3), normals(n, 4)
	for i := range b {
		b[i] += a[i]
	}
	got := resultsOf(t, emulator.Options{}, backend.Args{}, func(r *recording) {
		x, y := r.values(a), r.values(b)
		r.BeginUpdate()
		r.Record(&graph.Cosine{A: x, B: y, Y: r.result(1, 1), Norms: r.result(1, 3), Alpha: 2})
	})
	var ab, aa, bb, abs float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb, abs = ab+x*y, aa+x*x, bb+y*y, abs+math.Abs(x*y)
	}
	for i, c := range []struct{ want, err float64 }{
		{2 * ab / math.Sqrt(aa*bb), 1e-5}, {ab, sumError(n, abs)}, {aa, sumError(n, aa)}, {bb, sumError(n, bb)},
	} {
		if math.Abs(float64(got[i])-c.want) > c.err {
			t.Errorf("result %d is %g, want %g", i, got[i], c.want)
		}
	}
}

// Sums have one order, whatever the GPU does first.
func TestSumsAreReproducible(t *testing.T) {
	const rows, cols = 400, 300
	var first []float32
	for _, o := range []emulator.Options{{}, {Order: emulator.Reverse}, {Order: emulator.Random, Seed: 1}, {Order: emulator.Random, Seed: 2}} {
		got := resultsOf(t, o, backend.Args{Scalars: []float32{0.1, 0}, Inputs: [][]int32{make([]int32, rows)}}, func(r *recording) {
			x, y := shaped(r.values(normals(rows*cols, 5)), rows, cols, cols), shaped(r.values(normals(rows*cols, 6)), rows, cols, cols)
			table, positions := r.Accumulator(2, cols), r.Accumulator(50, cols)
			r.Record(&graph.EmbeddingBackward{Index: r.Input(rows), DY: x, DTable: table, DPositions: positions})
			r.Result(table)
			r.Result(positions)
			r.BeginUpdate()
			r.Record(&graph.Sum{X: x, Y: r.result(1, 1), Alpha: 1})
			r.Record(&graph.Sum{X: x.Columns(1, cols), Y: r.result(1, 1), Alpha: 1})
			r.Record(&graph.ColumnSums{X: x, Y: r.result(1, cols)})
			r.Record(&graph.Cosine{A: x, B: y, Y: r.result(1, 1), Norms: r.result(1, 3), Alpha: 1})
			state := r.values(normals(rows*cols, 7))
			r.Record(&graph.Adafactor{X: shaped(state, rows, cols, cols), Grad: x, RowV: r.values(make([]float32, rows)),
				ColV: r.values(make([]float32, cols)), Rate: r.Scalar(), Beta: r.Scalar(),
				Eps: 1e-30, Clip: 1})
			r.Result(state)
		})
		if first == nil {
			first = got
		} else if !slices.Equal(got, first) {
			t.Errorf("%v: other bits", o.Order)
		}
	}
}

// A sum over a gradient of many megabytes takes two launches, and a short one a single launch.
func TestLaunchesOfSums(t *testing.T) {
	d := emulatortest.Open(t, emulator.Options{})
	for _, c := range []struct{ n, launches int }{{1, 1}, {8192, 1}, {32_768, 1}, {32_772, 2}, {5_000_000, 2}} {
		counting := &counter{Device: d}
		b, err := metal.New(counting, metal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := &recording{graph.NewRecorder(1, 1), t, b}
		x := r.values(make([]float32, c.n))
		r.BeginUpdate()
		r.Record(&graph.Sum{X: x, Y: r.result(1, 1), Alpha: 1})
		p, err := b.Compile(r.Recorder)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(backend.Args{}); err != nil {
			t.Fatal(err)
		}
		if err := p.Results(make([]float32, 1)); err != nil {
			t.Fatal(err)
		}
		p.Close()
		if counting.sums != c.launches {
			t.Errorf("%d values: %d launches, want %d", c.n, counting.sums, c.launches)
		}
	}
}

// counter counts the launches of the kernel sum.
type counter struct {
	metal.Device
	sum  map[metal.Pipeline]bool
	sums int
}

func (d *counter) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	p, err := d.Device.Pipeline(lib, kernel, constants)
	if d.sum == nil {
		d.sum = map[metal.Pipeline]bool{}
	}
	d.sum[p] = kernel == "sum"
	return p, err
}

func (d *counter) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	for _, list := range lists {
		for _, x := range list {
			if d.sum[x.Pipeline] {
				d.sums++
			}
		}
	}
	return d.Device.Submit(lists, slot)
}

// ClipFactor of a norm that is not finite is 0.
func TestClipFactorOfWhatIsNotFinite(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, squares := range []float32{inf, float32(math.NaN()), -1, math.MaxFloat32} {
		t.Run(fmt.Sprint(squares), func(t *testing.T) {
			got := resultsOf(t, emulator.Options{}, backend.Args{}, func(r *recording) {
				x := r.values([]float32{squares})
				r.BeginUpdate()
				r.Record(&graph.ClipFactor{Squares: x, Norm: r.result(1, 1), Factor: r.result(1, 1)})
			})
			want := float32(0)
			if squares == math.MaxFloat32 {
				want = 1
			}
			if got[1] != want {
				t.Errorf("factor %g, want %g", got[1], want)
			}
		})
	}
}
