package metal_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// tensorProducts computes products of bfloat matrices with all that may happen to C.
func tensorProducts(b *metal.Metal) ([]float32, error) {
	r := graph.NewRecorder(1, 1)
	phase := 0.0
	values := func(rows, cols int) graph.Tensor {
		v := make([]float32, rows*cols)
		phase++
		for i := range v {
			v[i] = float32(math.Sin(0.37*float64(i) + phase))
		}
		return r.Constant(rows, cols, v)
	}
	bfloat := func(rows, cols int) graph.Tensor {
		x := r.Temporary(rows, cols+16)
		r.Record(&graph.Fill{Y: x, Value: 3}) // what lies around the operand must not count
		y := x.Columns(8, 8+cols)
		r.Record(&graph.Add{A: values(rows, cols), Y: y, Alpha: 1})
		return y
	}
	var shown []graph.Tensor
	product := func(o graph.Matmul, m, n, k int) graph.Tensor {
		if o.A = bfloat(m, k); o.TransA {
			o.A = bfloat(k, m)
		}
		if o.B = bfloat(k, n); o.TransB {
			o.B = bfloat(n, k)
		}
		o.C = r.Output(m, n)
		if o.Accumulate {
			r.Record(&graph.Add{A: values(m, n), Y: o.C, Alpha: 1})
		}
		r.Record(&o)
		shown = append(shown, o.C)
		if o.Sums.Exists() {
			y := r.Output(1, n)
			r.Record(&graph.Add{A: o.Sums, Y: y, Alpha: 1})
			shown = append(shown, y)
		}
		return o.C
	}
	sums := func(n int) graph.Tensor {
		y := r.Temporary(1, n)
		r.Record(&graph.Fill{Y: y, Value: 2})
		return y
	}
	product(graph.Matmul{}, 64, 64, 64)
	product(graph.Matmul{}, 70, 45, 40)
	product(graph.Matmul{Bias: values(1, 72), Activation: graph.GELU, Residual: values(130, 72)}, 130, 72, 24)
	product(graph.Matmul{Bias: values(1, 136), Activation: graph.GELU, Residual: values(520, 136)}, 520, 136, 24)
	for _, cols := range []int{192, 186} { // in fours, and one by one
		turned := product(graph.Matmul{Bias: values(1, cols)}, 520, cols, 24)
		r.Record(&graph.Rotary{X: turned.Columns(0, 128), Width: 32, Length: 65, Base: 100})
	}
	product(graph.Matmul{TransB: true}, 65, 130, 56)
	product(graph.Matmul{TransB: true, Accumulate: true}, 8, 200, 16)
	product(graph.Matmul{TransA: true, Sums: sums(72)}, 136, 72, 40)
	product(graph.Matmul{TransA: true, Accumulate: true, Sums: sums(70)}, 64, 70, 33)
	product(graph.Matmul{TransA: true, Sums: sums(64)}, 64, 64, 264) // in parts
	p, err := b.Compile(r)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := p.Run(backend.Args{}); err != nil {
		return nil, err
	}
	if err := p.Results(nil); err != nil {
		return nil, err
	}
	var out []float32
	for _, y := range shown {
		v := make([]float32, y.Size())
		if err := p.Output(y, v); err != nil {
			return nil, err
		}
		out = append(out, v...)
	}
	return out, nil
}

// nearProducts returns an error unless products are as wanted: both ways multiply bfloat exactly and add in float32, in other orders.
func nearProducts(got, want []float32) error {
	for i, v := range got {
		if w := want[i]; !(math.Abs(float64(v-w)) <= 2e-3+1e-4*math.Abs(float64(w))) {
			return fmt.Errorf("value %d is %g, want %g", i, v, w)
		}
	}
	return nil
}

// TestTensors holds products through tensor operations to the kernels that the conformance suite proves.
func TestTensors(t *testing.T) {
	thorough.Skip(t)
	plain := on(t, emulatortest.Open(t, emulator.Options{}), metal.Options{BFloat16: true})
	defer plain.Close()
	want, err := tensorProducts(plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]emulator.Options{"fast": {}, "checked": {Checked: true, Order: emulator.Random, Seed: 3}} {
		t.Run(name, func(t *testing.T) {
			o.Tensors = true
			d := &tensorGPU{Device: emulatortest.Open(t, o), kernels: map[metal.Pipeline]string{}}
			b := on(t, d, metal.Options{BFloat16: true, Tensors: &metal.Tensors{Always: true}})
			defer b.Close()
			got, err := tensorProducts(b)
			if err == nil {
				err = nearProducts(got, want)
			}
			if err != nil {
				t.Error(err)
			}
			for _, kernel := range []string{"tensor_nn", "tensor_nt", "tensor_tn"} {
				if d.submitted[kernel] == 0 {
					t.Errorf("launches %v, want %s", d.submitted, kernel)
				}
			}
		})
	}
}

// tensorGPU counts launches by kernel, and gives those of the tensor kernels another time.
type tensorGPU struct {
	metal.Device
	kernels   map[metal.Pipeline]string
	submitted map[string]int
	tensors   bool               // the command buffer that was last submitted has a tensor kernel
	speed     float64            // of tensor kernels: the share of the time of others; 0: as measured
	wrong     bool               // tensor kernels compute nothing
	compile   func(string) error // of a file, before the device does; may be nil
}

func (d *tensorGPU) Library(name, source string) (metal.Library, error) {
	if d.compile != nil {
		if err := d.compile(name); err != nil {
			return 0, err
		}
	}
	return d.Device.Library(name, source)
}

func (d *tensorGPU) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	p, err := d.Device.Pipeline(lib, kernel, constants)
	d.kernels[p] = kernel
	return p, err
}

func (d *tensorGPU) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	if d.submitted == nil {
		d.submitted = map[string]int{}
	}
	d.tensors = false
	var kept [][]metal.Launch
	for _, list := range lists {
		var k []metal.Launch
		for _, x := range list {
			name := d.kernels[x.Pipeline]
			d.submitted[name]++
			tensor := strings.HasPrefix(name, "tensor_")
			d.tensors = d.tensors || tensor
			if !tensor || !d.wrong {
				k = append(k, x)
			}
		}
		kept = append(kept, k)
	}
	return d.Device.Submit(kept, slot)
}

func (d *tensorGPU) Poll(ticket metal.Ticket) metal.Progress {
	p := d.Device.Poll(ticket)
	if p.Ended && d.speed != 0 {
		if p.Seconds = 1e-3; d.tensors {
			p.Seconds *= d.speed
		}
	}
	return p
}

// TestTensorProbe: a shape goes through tensor operations if they are right and faster there, and the answer is remembered.
func TestTensorProbe(t *testing.T) {
	thorough.Skip(t)
	for name, x := range map[string]struct {
		device     tensorGPU
		bfloat     bool
		tensors    bool // the GPU has units for them
		use        *metal.Tensors
		want       bool // products use them
		off        string
		remembered bool
	}{
		"right and faster":    {tensorGPU{speed: 0.3}, true, true, &metal.Tensors{}, true, "", true},
		"right and no faster": {tensorGPU{speed: 1}, true, true, &metal.Tensors{}, false, "", true},
		"faster and wrong":    {tensorGPU{speed: 0.3, wrong: true}, true, true, &metal.Tensors{}, false, "", true},
		"not asked for":       {tensorGPU{speed: 0.3}, true, true, nil, false, "they are not enabled", false},
		"found wrong before":  {tensorGPU{speed: 0.3}, true, true, &metal.Tensors{Off: "wrong"}, false, "wrong", false},
		"float32":             {tensorGPU{speed: 0.3}, false, true, &metal.Tensors{}, false, "--bfloat16 only", false},
		"no units":            {tensorGPU{speed: 0.3}, true, false, &metal.Tensors{}, false, "no units", false},
		"does not compile":    {tensorGPU{speed: 0.3, compile: refuse}, true, true, &metal.Tensors{}, false, "no such header", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := x.device
			d.Device, d.kernels = emulatortest.Open(t, emulator.Options{Tensors: x.tensors}), map[metal.Pipeline]string{}
			var remembered map[string]bool
			if x.use != nil {
				x.use.Remember = func(shapes map[string]bool) { remembered = shapes }
			}
			b := on(t, &d, metal.Options{BFloat16: x.bfloat, Tensors: x.use})
			defer b.Close()
			wide(t, b)
			use := b.Tensors()
			if (len(remembered) > 0) != x.remembered || !strings.Contains(use.Off, x.off) || (use.Off == "") != (x.off == "") {
				t.Errorf("remembered %v, off because %q", remembered, use.Off)
			}
			for shape, uses := range remembered {
				if uses != x.want {
					t.Errorf("%s uses tensors: %v, want %v", shape, uses, x.want)
				}
			}
		})
	}
}

// wide computes a product of bfloat matrices that is large enough for tiles of 64.
func wide(t *testing.T, b *metal.Metal) {
	t.Helper()
	r := graph.NewRecorder(1, 1)
	x, y := r.Temporary(512, 32), r.Temporary(32, 512)
	r.Record(&graph.Fill{Y: x, Value: 1})
	r.Record(&graph.Fill{Y: y, Value: 2})
	z := r.Output(512, 512)
	r.Record(&graph.Matmul{A: x, B: y, C: z})
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(backend.Args{}); err != nil {
		t.Fatal(err)
	}
	got := make([]float32, 512*512)
	if err := p.Output(z, got); err != nil || !b.Tensors().Shapes["nn 512x512x32"] && slices.Max(got) != 64 {
		t.Errorf("the largest element is %g, %v; want 64", slices.Max(got), err)
	}
}

func refuse(file string) error {
	if file == "tensors" {
		return &emulator.CompileError{Name: file, Output: "no such header"}
	}
	return nil
}
