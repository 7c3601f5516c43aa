package doctor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"coil/backend"
	"coil/config"
	"coil/graph"
	"coil/metal"
	"coil/train"
)

// Speed of one operation.
type Speed struct {
	Name      string  `json:"name"`
	Seconds   float64 `json:"seconds"` // of one call, on the GPU
	FLOPs     float64 `json:"flops_per_second,omitempty"`
	Bytes     float64 `json:"bytes_per_second"` // that the operation must move at least
	Share     float64 `json:"share_of_peak,omitempty"`
	Bandwidth float64 `json:"share_of_bandwidth,omitempty"`

	cost metal.Cost // of one call
}

// StepTime is the time of a whole training step.
type StepTime struct {
	Preset    string  `json:"preset"`
	Seconds   float64 `json:"seconds"`                     // from one step to the next
	Predicted float64 `json:"predicted_seconds,omitempty"` // by [metal.Predict], at the assumed rates
	GPU       float64 `json:"gpu_seconds"`                 // of command buffers
	Encode    float64 `json:"encode_seconds"`              // of the CPU, to encode them
	Commands  int     `json:"command_buffers"`
	Launches  int     `json:"launches"`
	Rate      float64 `json:"tokens_per_second"`
	FLOPs     float64 `json:"flops_per_second"`
	Share     float64 `json:"share_of_peak,omitempty"`
	Loss      float64 `json:"loss_after"`        // of the last of the steps that were run
	Skipped   string  `json:"skipped,omitempty"` // why it was not run: it needs more memory than there is

	costs []metal.Cost
}

// subject records one operation.
type subject struct {
	name   string
	record func(r *graph.Recorder, a func(rows, cols int) graph.Tensor) graph.Op
}

// sizes of the operations that are measured. classes are those of a wide head, and weights take more memory than any cache.
type sizes struct{ tokens, width, length, classes, weights int }

// middle are the sizes of a medium model.
var middle = sizes{tokens: 4096, width: 512, length: 512, classes: 50257, weights: 32 << 20}

func (z sizes) subjects() []subject {
	tokens, width, length, attention, attentionBackward := z.tokens, z.width, z.length, z.attention, z.attentionBackward
	return []subject{
		{"matmul NN", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(tokens, width), B: a(width, 4*width), C: a(tokens, 4*width)}
		}},
		{"matmul NT", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(tokens, 4*width), B: a(width, 4*width), C: a(tokens, width), TransB: true}
		}},
		{"matmul TN", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(tokens, width), B: a(tokens, 4*width), C: a(width, 4*width), TransA: true}
		}},
		{"matmul TN, square", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(tokens, width), B: a(tokens, width), C: a(width, width), TransA: true}
		}},
		{"matmul NN, large", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(tokens, tokens/4), B: a(tokens/4, tokens), C: a(tokens, tokens)}
		}},
		{headPrefix + "logits", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(64, width), B: a(z.classes, width), C: a(64, z.classes), TransB: true}
		}},
		{headPrefix + "states", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(64, z.classes), B: a(z.classes, width), C: a(64, width)}
		}},
		{headPrefix + "weights", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(64, z.classes), B: a(64, width), C: a(z.classes, width), TransA: true}
		}},
		{smallMatmul, func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Matmul{A: a(tokens, 64), B: a(tokens, 64), C: a(64, 64), TransA: true}
		}},
		{"layernorm", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.LayerNorm{X: a(tokens, width), Gain: a(1, width), Bias: a(1, width), Y: a(tokens, width), Stats: a(tokens, 2), Eps: 1e-5}
		}},
		{"layernorm backward", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.LayerNormBackward{X: a(tokens, width), Gain: a(1, width), Stats: a(tokens, 2), DY: a(tokens, width), DX: a(tokens, width),
				DGain: a(1, width), DBias: a(1, width)}
		}},
		{"gelu backward", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.ActivateBackward{Activation: graph.GELU, X: a(tokens, 4*width), DY: a(tokens, 4*width), DX: a(tokens, 4*width)}
		}},
		{"attention, heads of 64", attention(64)},
		{"attention, heads of 16", attention(16)},
		{"attention, heads of 128", attention(128)},
		{"attention backward, heads of 64", attentionBackward(64)},
		{"attention backward, heads of 16", attentionBackward(16)},
		{"attention backward, heads of 128", attentionBackward(128)},
		{"rotary", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Rotary{X: a(tokens, 2*width), Width: 64, Length: length, Base: 1e4}
		}},
		{"add", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Add{A: a(tokens, 4*width), B: a(tokens, 4*width), Y: a(tokens, 4*width), Alpha: 1, Beta: 1}
		}},
		{"sum of squares", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Sum{X: a(tokens, 4*width), Y: a(1, 1), Alpha: 1, Squares: true}
		}},
		{oneLaunch, func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			return &graph.Add{A: a(1, 4), B: a(1, 4), Y: a(1, 4), Alpha: 1, Beta: 1}
		}},
		{"adamw", func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
			n := z.weights
			return &graph.AdamW{X: a(1, n), Grad: a(1, n), M: a(1, n), V: a(1, n), Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}
		}},
	}
}

func (z sizes) attention(head int) func(*graph.Recorder, func(int, int) graph.Tensor) graph.Op {
	return func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
		heads := z.width / head
		return &graph.Attention{QKV: a(z.tokens, 3*z.width), Out: a(z.tokens, z.width), LogSum: a(z.tokens, heads), Heads: heads, Length: z.length}
	}
}

func (z sizes) attentionBackward(head int) func(*graph.Recorder, func(int, int) graph.Tensor) graph.Op {
	return func(r *graph.Recorder, a func(int, int) graph.Tensor) graph.Op {
		heads := z.width / head
		return &graph.AttentionBackward{QKV: a(z.tokens, 3*z.width), Out: a(z.tokens, z.width), LogSum: a(z.tokens, heads), DOut: a(z.tokens, z.width),
			DQKV: a(z.tokens, 3*z.width), Heads: heads, Length: z.length}
	}
}

// repeat is how often the measured program contains the operation, and rounds how often the program runs. A launch without work
// is so short that more of them are timed.
const (
	repeat         = 10
	repeatLaunches = 200
	rounds         = 5
)

// measure measures operations and training steps, and compares the rates that follow with the assumed ones.
func (r *Report) measure(d *stopwatch, o Options, stopped func() bool, tell func(any)) error {
	part := o.less
	if part == nil {
		part = &less{sizes: middle, presets: []string{config.DefaultPreset, "bench-b", "bench-a"}, time: stepTime}
		if o.Speed {
			part.presets = append(part.presets, "gpt-2")
		}
	}
	m, err := metal.New(keepOpen{d}, metal.Options{Variants: r.Variants})
	if err != nil {
		return err
	}
	defer m.Close()
	subjects := part.sizes.subjects()
	measure := func(s subject) {
		x, err := r.speed(m, s)
		if err != nil {
			r.problem("%s: %v", s.name, err)
			return
		}
		r.Speeds = append(r.Speeds, x)
		tell(x)
	}
	for _, s := range subjects {
		if measure(s); stopped() {
			return nil
		}
	}
	for _, preset := range part.presets {
		x, err := r.step(m, d, preset, part.batch, part.time)
		if o.Speed && errors.Is(err, backend.ErrMemory) {
			x, err = StepTime{Preset: preset, Skipped: err.Error()}, nil
		}
		if err != nil {
			r.problem("training step of %s: %v", preset, err)
		} else {
			r.Steps = append(r.Steps, x)
			tell(x)
		}
		if stopped() {
			return nil
		}
	}
	warm := subjects[0]
	warm.name += warmSuffix
	measure(warm)
	if len(r.Problems) == 0 {
		r.compareRates(tell)
	}
	return nil
}

func (r *Report) speed(m *metal.Metal, s subject) (Speed, error) {
	rec := graph.NewRecorder(1, 1)
	rec.BeginUpdate()
	op := s.record(rec, func(rows, cols int) graph.Tensor {
		t := rec.Temporary(rows, cols)
		rec.Record(&graph.Fill{Y: t, Value: 0.01})
		return t
	})
	times := repeat
	if s.name == oneLaunch {
		times = repeatLaunches
	}
	for range times {
		rec.Record(op)
	}
	p, err := m.Compile(rec)
	if err != nil {
		return Speed{}, err
	}
	defer p.Close()
	// The program without the operation is measured too, and taken off.
	empty := graph.NewRecorder(1, 1)
	empty.BeginUpdate()
	s.record(empty, func(rows, cols int) graph.Tensor {
		t := empty.Temporary(rows, cols)
		empty.Record(&graph.Fill{Y: t, Value: 0.01})
		return t
	})
	q, err := m.Compile(empty)
	if err != nil {
		return Speed{}, err
	}
	defer q.Close()
	var seconds []float64
	for range rounds {
		var t [2]float64
		for i, p := range []backend.Program{p, q} {
			if err := p.Run(backend.Args{}); err != nil {
				return Speed{}, err
			}
			if err := p.Results(nil); err != nil {
				return Speed{}, err
			}
			t[i] = metal.Seconds(p)
		}
		seconds = append(seconds, max(t[0]-t[1], 1e-9)/float64(times))
	}
	slices.Sort(seconds)
	x := Speed{Name: s.name, Seconds: seconds[len(seconds)/2]}
	for _, c := range metal.Costs(p) {
		if c.Op == op {
			x.cost = c
			x.FLOPs, x.Bytes = float64(c.FLOPs)/x.Seconds, float64(c.Least)/x.Seconds
			break
		}
	}
	if chip := r.GPU.Chip; chip.TFLOPS > 0 {
		x.Share, x.Bandwidth = x.FLOPs/(chip.TFLOPS*1e12), x.Bytes/(chip.Bandwidth*1e9)
	}
	return x, nil
}

// stepTime is for how long a training step is repeated.
const stepTime = 3 * time.Second

func (r *Report) step(m *metal.Metal, d *stopwatch, preset string, batch int, long time.Duration) (StepTime, error) {
	c, err := config.Preset(preset)
	if err != nil {
		return StepTime{}, err
	}
	if batch > 0 {
		c.Train.Batch = batch
	}
	t, err := train.New(c, m, nil)
	if err != nil {
		return StepTime{}, err
	}
	defer t.Close()
	s, err := t.Measure()
	if err != nil {
		return StepTime{}, err
	}
	for range 3 { // to warm up, and to find where to cut command buffers
		if err := s.Step(); err != nil {
			return StepTime{}, err
		}
	}
	x := StepTime{Preset: preset, costs: metal.Costs(s.Program())}
	d.encode, d.commands, d.launches = 0, 0, 0
	begin, n := time.Now(), 0
	for ; n == 0 || time.Since(begin) < long; n++ {
		if err := s.Step(); err != nil {
			return StepTime{}, err
		}
		x.GPU += metal.Seconds(s.Program())
	}
	per := float64(n)
	x.Seconds, x.GPU, x.Encode = time.Since(begin).Seconds()/per, x.GPU/per, d.encode.Seconds()/per
	x.Commands, x.Launches = d.commands/n, d.launches/n
	x.Rate, x.FLOPs, x.Loss = float64(s.Tokens())/x.Seconds, float64(s.FLOPs())/x.Seconds, s.Loss()
	if chip := r.GPU.Chip; chip.TFLOPS > 0 {
		x.Share, x.Predicted = x.FLOPs/(chip.TFLOPS*1e12), metal.Predict(x.costs, chip, metal.AssumedRates())
	}
	if x.GPU > x.Seconds*1.5 {
		return x, fmt.Errorf("%.3g s of GPU time in steps of %.3g s", x.GPU, x.Seconds)
	}
	return x, nil
}
