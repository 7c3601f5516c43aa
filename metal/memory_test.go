package metal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"coil/backend"
	"coil/graph"
	"coil/metal"
)

// budget is a device on paper with limits that counts its buffers.
type budget struct {
	failing
	description metal.Description
}

func newBudget(maxBuffer, workingSet int64) *budget {
	d := &budget{failing: failing{Device: metal.NewDryRun(metal.Chip{Name: "paper"})}}
	d.description = d.Device.Description()
	d.description.MaxBuffer, d.description.WorkingSet = maxBuffer, workingSet
	return d
}

func (d *budget) Description() metal.Description { return d.description }

// bytes is what the device holds besides the journal.
func (d *budget) bytes(journal int64) (n int64) {
	for _, b := range d.used {
		n += int64(b)
	}
	return n - journal
}

func (d *budget) FreeBuffer(b metal.Buffer) {
	if d.used[b] == 0 {
		panic("a buffer is freed that isn't there")
	}
	d.failing.FreeBuffer(b)
}

// accumulation is a program with a parameter, an input, an output and memory of every kind.
func accumulation(t *testing.T, b *metal.Metal, w graph.Buffer) *graph.Recorder {
	t.Helper()
	r := graph.NewRecorder(2, 3)
	table := r.Parameter(w)
	table.Rows, table.Cols, table.Stride = 10, 4, 4
	tokens, grad := r.Input(4), r.Accumulator(10, 4)
	x, y := r.Temporary(8, 4), r.Output(4, 4)
	r.Record(&graph.Embedding{Table: table, Index: tokens, Y: x})
	r.Record(&graph.Rotary{X: x, Width: 4, Length: 4, Base: 100})
	r.Record(&graph.Add{A: x, B: r.Constant(8, 4, make([]float32, 32)), Y: y, Alpha: 1, Beta: 1})
	r.Record(&graph.EmbeddingBackward{Index: tokens, DY: x, DTable: grad})
	r.BeginUpdate()
	sum := r.Temporary(1, 1)
	r.Record(&graph.Sum{X: grad, Y: sum, Alpha: 1})
	r.Record(&graph.EMA{X: grad, Mean: table, Decay: r.Scalar()})
	r.Result(sum)
	return r
}

// TestMemoryIsCounted: what a program and buffers take is what is planned, what the device gives, and what the backend says
// that it uses; all of it is given back; and what fits exactly is taken while a byte less is not enough.
func TestMemoryIsCounted(t *testing.T) {
	d := newBudget(1<<30, 1<<30)
	b := on(t, d, metal.Options{})
	if b.Info().Memory != 3<<28 {
		t.Errorf("%d bytes are to be used of %d, want three quarters", b.Info().Memory, 1<<30)
	}
	journal := d.bytes(0)
	used := func(what string, want int64) {
		t.Helper()
		if got := b.Condition().Memory; got != want {
			t.Errorf("%s: %d bytes used, want %d", what, got, want)
		}
	}
	used("nothing", 0)
	w, err := b.NewBuffer(40)
	if err != nil {
		t.Fatal(err)
	}
	used("a buffer", 160)
	r := accumulation(t, b, w)
	plan, err := b.Plan(r)
	if err != nil {
		t.Fatal(err)
	}
	var programs []backend.Program
	for i := range 2 {
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		if p.Memory() != plan || plan.Buffers != 160 {
			t.Errorf("planned %+v, compiled %+v", plan, p.Memory())
		}
		programs = append(programs, p)
		used("programs", 160+int64(i+1)*plan.Own())
		if got := d.bytes(journal); got != b.Condition().Memory {
			t.Errorf("%d programs: the device gave %d bytes, %d are counted", i+1, got, b.Condition().Memory)
		}
	}
	for i, p := range programs {
		if err := p.Run(backend.Args{Scalars: []float32{1}, Inputs: [][]int32{make([]int32, 24)}}); err != nil {
			t.Fatal(err)
		}
		p.Close()
		used("closed programs", 160+int64(1-i)*plan.Own())
		p.Close() // does nothing
	}
	w.Free()
	used("nothing any more", 0)
	keys, err := b.NewBuffer(2 * 3 * 5 * 8)
	if err != nil {
		t.Fatal(err)
	}
	r = graph.NewRecorder(2, 3)
	state := r.State(keys, 5, 8)
	r.Record(&graph.CachedAttention{QKV: state.Slice(0, 2, 0, 3), Keys: state.Columns(3, 4), Values: state.Columns(4, 5), Out: r.Temporary(2, 1), Heads: 1, Length: 1})
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	if m := p.Memory(); m.State != 960 || m.Buffers != 0 || m.Own()+960 != m.Total() {
		t.Errorf("a program with 960 bytes of state has %+v", m)
	}
	used("a program with state", 960+p.Memory().Own())
	p.Close()
	keys.Free()
	used("nothing any more, again", 0)
	if got := d.bytes(journal); got != 0 || len(d.used) != 1 {
		t.Errorf("%d bytes in %d buffers are left, want the journal's", got, len(d.used))
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}

	for _, less := range []int64{0, 1} {
		d := newBudget(1<<30, 1<<30)
		b := on(t, d, metal.Options{Memory: 160 + plan.Own() - less})
		w, err := b.NewBuffer(40)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Compile(accumulation(t, b, w))
		if (err == nil) != (less == 0) || err != nil && !errors.Is(err, backend.ErrMemory) {
			t.Errorf("%d bytes less than needed: error %v", less, err)
		}
		if err == nil {
			if _, err := b.NewBuffer(1); !errors.Is(err, backend.ErrMemory) {
				t.Errorf("a buffer when all is used: error %v", err)
			}
			p.Close()
			if _, err := b.NewBuffer(int(plan.Own() / 4)); err != nil {
				t.Errorf("a buffer in the place of a program: %v", err)
			}
		} else if len(d.used) != 2 {
			t.Errorf("%d buffers are left of a program that does not fit, want 2", len(d.used))
		}
		b.Close()
	}
}

// TestLargestBuffer: no buffer and no part of a program is larger than the device's largest buffer.
func TestLargestBuffer(t *testing.T) {
	const most = 64 << 10
	b := on(t, newBudget(most, 1<<30), metal.Options{})
	defer b.Close()
	for n, ok := range map[int]bool{most / 4: true, most/4 + 1: false} {
		if _, err := b.NewBuffer(n); (err == nil) != ok {
			t.Errorf("a buffer of %d values: error %v", n, err)
		}
		r := graph.NewRecorder(1, 1)
		r.BeginUpdate()
		r.Record(&graph.Fill{Y: r.Temporary(1, n)})
		if _, err := b.Compile(r); (err == nil) != ok || err != nil && !errors.Is(err, backend.ErrMemory) {
			t.Errorf("a temporary of %d values: error %v", n, err)
		}
	}
}

// TestTooLargeOperand: an operand of more values than a kernel can count is an error.
func TestTooLargeOperand(t *testing.T) {
	b := on(t, metal.NewDryRun(metal.Chip{Name: "paper"}), metal.Options{})
	defer b.Close()
	for _, x := range []struct {
		rows, cols int
		ok         bool
	}{{65535, 65537, true}, {65536, 65536, false}, {65537, 65537, false}} {
		r := graph.NewRecorder(1, 1)
		r.BeginUpdate()
		r.Record(&graph.Fill{Y: r.Temporary(x.rows, x.cols)})
		if _, err := b.Plan(r); (err == nil) != x.ok {
			t.Errorf("an operand of [%d,%d]: error %v", x.rows, x.cols, err)
		}
	}
}

// TestGroupSize: a group is the largest divisor of the batch with at most 32,768 tokens.
func TestGroupSize(t *testing.T) {
	b := on(t, metal.NewDryRun(metal.Chip{Name: "paper"}), metal.Options{})
	defer b.Close()
	for _, x := range []struct{ batch, length, want int }{
		{64, 512, 64}, {64, 513, 32}, {65, 512, 13}, {128, 512, 64}, {7, 8192, 1}, {8, 8192, 4}, {9, 8192, 3}, {1, 100_000, 1}, {6, 100_000, 1},
		{1, 1, 1}, {30, 1, 30},
	} {
		if got := b.GroupSize(x.batch, x.length); got != x.want {
			t.Errorf("%d sequences of %d tokens: groups of %d, want %d", x.batch, x.length, got, x.want)
		}
	}
}

// TestMisuse: what a caller may get wrong is an error, and does not disturb the steps in flight.
func TestMisuse(t *testing.T) {
	b := on(t, metal.NewDryRun(metal.Chip{Name: "paper"}), metal.Options{})
	other := on(t, metal.NewDryRun(metal.Chip{Name: "paper"}), metal.Options{})
	defer b.Close()
	defer other.Close()
	foreign, err := other.NewBuffer(40)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Compile(accumulation(t, b, foreign)); err == nil || !strings.Contains(err.Error(), "another backend") {
		t.Errorf("a buffer of another backend: error %v", err)
	}
	w, err := b.NewBuffer(40)
	if err != nil {
		t.Fatal(err)
	}
	r := accumulation(t, b, w)
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	step := backend.Args{Scalars: []float32{1}, Inputs: [][]int32{make([]int32, 24)}}
	sum := make([]float32, 1)
	for range b.Info().Depth {
		if err := p.Run(step); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Run(step); err == nil || !strings.Contains(err.Error(), "results") {
		t.Errorf("a step more than may be in flight: error %v", err)
	}
	for _, n := range []int{0, 2} {
		if err := p.Results(make([]float32, n)); err == nil {
			t.Errorf("%d results of 1: no error", n)
		}
	}
	for range b.Info().Depth {
		if err := p.Results(sum); err != nil {
			t.Error(err)
		}
	}
	if err := p.Results(sum); err == nil || !strings.Contains(err.Error(), "not run") {
		t.Errorf("results of a step that was not run: error %v", err)
	}
	for i, s := range r.Storages() {
		x := graph.Tensor{Storage: i + 1, Rows: 1, Cols: s.Len, Stride: s.Len}
		isOutput := s.Space == graph.Output
		if err := p.Output(x, make([]float32, s.Len*3)); (err == nil) != isOutput {
			t.Errorf("output of storage %d: error %v", i, err)
		}
		if err := p.Output(x, make([]float32, s.Len)); err == nil {
			t.Errorf("a third of storage %d: no error", i)
		}
	}
}

// TestAccumulatorIsCleared: to its last value, and one without room behind it.
func TestAccumulatorIsCleared(t *testing.T) {
	b := emulated(t, metal.Options{})
	defer b.Close()
	r := graph.NewRecorder(1, 2)
	sum, one := r.Accumulator(1, 128), r.Temporary(1, 128)
	r.Record(&graph.Fill{Y: one, Value: 1})
	r.Record(&graph.Add{A: sum, B: one, Y: sum, Alpha: 1, Beta: 1})
	r.BeginUpdate()
	r.Result(sum)
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 3 {
		got := make([]float32, 128)
		if err := errors.Join(p.Run(backend.Args{}), p.Results(got)); err != nil {
			t.Fatal(err)
		}
		for i, x := range got {
			if x != 2 {
				t.Fatalf("sum %d is %g, want 2", i, x)
			}
		}
	}
}

// late is a device whose command buffers end after some polls, or never.
type late struct {
	metal.Device
	polls, submits int
	ends           time.Duration // -1: never
	begin          time.Time
}

func (d *late) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	d.begin = time.Now()
	d.submits++
	return d.Device.Submit(lists, slot)
}

func (d *late) Poll(t metal.Ticket) metal.Progress {
	d.polls++
	if d.ends < 0 || time.Since(d.begin) < d.ends {
		return metal.Progress{}
	}
	return d.Device.Poll(t)
}

// TestTimeout: a command buffer is waited for as long as it may take, and not longer; nothing runs after one that hangs.
func TestTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	for _, ends := range []time.Duration{timeout / 3, -1} {
		d := &late{Device: metal.NewDryRun(metal.Chip{Name: "paper"})}
		b := on(t, d, metal.Options{Timeout: timeout})
		d.ends, d.submits = ends, 0 // whatever the backend has tried when it started
		p := addsOf(t, b, 3)
		if err := p.Run(backend.Args{}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		err := p.Results(nil)
		waited := time.Since(begin)
		if (err == nil) != (ends > 0) {
			t.Errorf("a command buffer that takes %v: error %v", ends, err)
		}
		if ends < 0 {
			if waited < timeout {
				t.Errorf("given up after %v, want %v", waited, timeout)
			}
			if d.submits != 1 || err == nil || !strings.Contains(err.Error(), "can't be trusted") {
				t.Errorf("%d command buffers were submitted, error %v", d.submits, err)
			}
			if err := p.Run(backend.Args{}); err == nil {
				t.Error("a step after one that hangs: no error")
			}
			if _, err := b.Compile(graph.NewRecorder(1, 1)); err == nil {
				t.Error("a program after a step that hangs: no error")
			}
		}
		if d.polls > 10_000 {
			t.Errorf("polled %d times", d.polls)
		}
		p.Close()
		b.Close()
	}
}
