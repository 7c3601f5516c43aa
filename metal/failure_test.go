package metal_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"coil/backend"
	"coil/graph"
	"coil/metal"
	"coil/thorough"
)

// short makes many command buffers of a step, so that a fault can hit any part of it.
var short = metal.Options{Target: 20 * time.Microsecond}

// trainAndClose trains the tiny model on d and closes it, for a test that needs many.
func trainAndClose(t *testing.T, d metal.Device, o metal.Options) (trained, error) {
	b := on(t, d, o)
	defer b.Close()
	c := tiny()
	c.Train.Steps, c.Evaluate.Every = 4, 0
	return trainOn(t, c, b, nil)
}

// commandsOf counts the command buffers of training c.
func commandsOf(t *testing.T) (total int, want trained) {
	t.Helper()
	d := newFailing(t)
	want, err := trainAndClose(t, d, short)
	if err != nil {
		t.Fatal(err)
	}
	return d.submits, want
}

// TestFailedCommandBuffers: wherever a command buffer fails, training ends with the same weights, or with an error that
// says that they are lost; never with other weights.
func TestFailedCommandBuffers(t *testing.T) {
	thorough.Skip(t)
	total, want := commandsOf(t)
	if total < 100 {
		t.Fatalf("only %d command buffers", total)
	}
	repeated, lost := 0, 0
	step := max(1, total/7)
	for ran := range extents {
		failure := []error{
			&metal.CommandError{Code: metal.CommandTimeout, Text: "Caused GPU Timeout Error"},
			&metal.CommandError{Code: metal.CommandOutOfMemory, Text: "Insufficient Memory"},
		}[ran%2]
		for at := 8 + int(ran); at < total; at += step {
			d := newFailing(t)
			d.fail = func(submit int) *fault {
				if submit == at {
					return &fault{err: failure, ran: ran}
				}
				return nil
			}
			got, err := trainAndClose(t, d, short)
			switch {
			case err == nil && d.resets == 1 && slices.Equal(got.weights, want.weights) && slices.Equal(got.losses, want.losses):
				repeated++
			case err != nil && errors.Is(err, failure) && strings.Contains(err.Error(), "last checkpoint") && strings.Contains(err.Error(), "command buffer "):
				lost++
			default:
				t.Errorf("command buffer %d of %d failed when %s had run: %d resets, error %v, losses %v, want %v", at, total, ran, d.resets, err, got.losses, want.losses)
			}
		}
	}
	if repeated == 0 || lost == 0 || lost > repeated {
		t.Errorf("%d repeated, %d lost: want mostly repeated, and some lost", repeated, lost)
	}
	t.Logf("%d repeated, %d lost", repeated, lost)
}

// TestFailuresInARow: a step that fails once more than it is tried is given up, with smaller command buffers each time.
func TestFailuresInARow(t *testing.T) {
	for _, times := range thorough.Cases(t, 4, "numbers of failures", []int{4, 3, 2, 1}) {
		d := newFailing(t)
		failed := 0
		d.fail = func(submit int) *fault {
			if submit >= 12 && failed < times && failed == d.resets { // once after each new queue
				failed++
				return &fault{err: &metal.CommandError{Code: 5, Text: "no luck"}}
			}
			return nil
		}
		_, err := trainAndClose(t, d, metal.Options{Target: 200 * time.Microsecond})
		if times < 4 && err != nil {
			t.Errorf("%d failures: %v", times, err)
		}
		if times == 4 && (err == nil || !strings.Contains(err.Error(), "no luck")) {
			t.Errorf("%d failures: error %v", times, err)
		}
	}
}

// TestDeviceFaults: what can't be repaired is an error that names the fault and what to do.
// The command buffer that fails is one of the second step, before weights are written.
func TestDeviceFaults(t *testing.T) {
	removed := &metal.CommandError{Code: metal.CommandDeviceRemoved, Text: "the device was removed"}
	faults := map[string]struct {
		set  func(d *failing)
		says []string
	}{
		"a command buffer that never ends": {
			func(d *failing) {
				d.fail = func(submit int) *fault {
					if submit == 30 {
						return &fault{never: true}
					}
					return nil
				}
			}, []string{"did not finish it in time", "launches", "last checkpoint"}},
		"the device is removed": {
			func(d *failing) {
				d.fail = func(submit int) *fault {
					if submit == 30 {
						return &fault{err: removed}
					}
					return nil
				}
			}, []string{"removed", "the GPU is gone", "last checkpoint"}},
		"no command buffers any more": {
			func(d *failing) {
				d.fail = func(submit int) *fault {
					if submit >= 30 {
						return &fault{submit: true, err: errors.New("no command buffer")}
					}
					return nil
				}
			}, []string{"no command buffer", "command buffer 1 of"}},
		"no new queue": {
			func(d *failing) {
				d.reset = errors.New("no queue")
				d.fail = func(submit int) *fault {
					if submit == 30 {
						return &fault{err: &metal.CommandError{Code: 8, Text: "Insufficient Memory"}}
					}
					return nil
				}
			}, []string{"no queue", "Insufficient Memory"}},
		"a shader that does not compile": {
			func(d *failing) {
				d.library = func(name string) error {
					if name == "norm" {
						return errors.New("program_source:3:1: error: unknown type name 'flaot'")
					}
					return nil
				}
			}, []string{"shader norm", "flaot"}},
		"no memory": {
			func(d *failing) { d.memory = 150_000 }, []string{"no memory for a buffer"}},
	}
	for _, name := range thorough.Cases(t, 6, "faults", slices.Sorted(maps.Keys(faults))) {
		x := faults[name]
		t.Run(name, func(t *testing.T) {
			d := newFailing(t)
			x.set(d)
			o := short
			o.Timeout = 200 * time.Millisecond
			b := on(t, d, o)
			_, err := trainOn(t, tiny(), b, nil)
			if err == nil {
				t.Fatal("no error")
			}
			for _, s := range x.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("error %q does not say %q", err, s)
				}
			}
			b.Close()
			if n := len(d.used); n != 1 { // the journal goes with the device
				t.Errorf("%d buffers are left, want 1", n)
			}
		})
	}
}

// TestRefusedCommandBuffers: if a command buffer of a step cannot be submitted, the step is tried again, and then an error names
// the command buffer. A GPU that is removed ends the step at once.
func TestRefusedCommandBuffers(t *testing.T) {
	for _, x := range []struct {
		fault    fault
		times    int
		ok       bool
		says     string
		attempts int
	}{
		{fault{submit: true, err: errors.New("no command buffer")}, 1, true, "", 1},
		{fault{submit: true, err: errors.New("no command buffer")}, 3, true, "", 3},
		{fault{submit: true, err: errors.New("no command buffer")}, 4, false, "command buffer 2 of 5: no command buffer", 3},
		{fault{err: &metal.CommandError{Code: metal.CommandDeviceRemoved, Text: "removed"}}, 1, false, "the GPU is gone", 0},
		{fault{err: &metal.CommandError{Code: metal.CommandTimeout, Text: "too late"}}, 3, true, "", 3},
		{fault{err: &metal.CommandError{Code: metal.CommandTimeout, Text: "too late"}}, 4, false, "failed 4 times", 3},
	} {
		d := &failing{Device: metal.NewDryRun(metal.Chip{Name: "paper"})}
		b := on(t, d, metal.Options{Target: 1})
		p := addsOf(t, b, 3) // five launches
		failed, try, n := 0, 0, 0
		d.fail = func(int) *fault {
			if d.resets != try { // the next try starts a new count
				try, n = d.resets, 0
			}
			if n++; n == 2 && failed < x.times {
				failed++
				return &x.fault
			}
			return nil
		}
		err := p.Run(backend.Args{})
		if err == nil {
			err = p.Results(nil)
		}
		if (err == nil) != x.ok || err != nil && !strings.Contains(err.Error(), x.says) || d.resets != x.attempts {
			t.Errorf("%v, %d times: error %v, %d resets", x.fault.err, x.times, err, d.resets)
		}
		p.Close()
		b.Close()
	}
}

// narrow is a device that gives a kernel only small threadgroups.
type narrow struct {
	metal.Device
	kernel  string
	threads int
	of      map[metal.Pipeline]string
}

func (d *narrow) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	p, err := d.Device.Pipeline(lib, kernel, constants)
	d.of[p] = kernel
	return p, err
}

func (d *narrow) MaxThreads(p metal.Pipeline) int {
	if d.of[p] == d.kernel {
		return d.threads
	}
	return d.Device.MaxThreads(p)
}

// TestNarrowPipeline: a kernel runs in smaller threadgroups than it wants, but one that gets no whole SIMD-group is an error
// that says so, whether its pipeline is new or was made for another program; and nothing is kept of a program that has one.
func TestNarrowPipeline(t *testing.T) {
	for _, x := range []struct {
		threads int
		ok      bool
	}{{1024, true}, {256, true}, {255, true}, {32, true}, {31, false}, {0, false}} {
		fails := &failing{Device: metal.NewDryRun(metal.Chip{Name: "paper"})}
		d := &narrow{Device: fails, kernel: "add", threads: x.threads, of: map[metal.Pipeline]string{}}
		b := on(t, d, metal.Options{})
		compile := func() error {
			r := graph.NewRecorder(1, 1)
			r.BeginUpdate()
			y := r.Temporary(1, 2048)
			r.Record(&graph.Fill{Y: y, Value: 3})
			r.Record(&graph.Add{A: y, Y: y, Alpha: 1})
			p, err := b.Compile(r)
			if err == nil {
				p.Close()
			}
			return err
		}
		check := func(ok bool) {
			t.Helper()
			err := compile()
			if (err == nil) != ok {
				t.Errorf("threadgroups of %d: error %v", d.threads, err)
			}
			if !ok && err != nil {
				for _, s := range []string{"kernel add", "threads in a threadgroup", fmt.Sprintf("gives it %d", d.threads)} {
					if !strings.Contains(err.Error(), s) {
						t.Errorf("error %q does not say %q", err, s)
					}
				}
			}
			if n := len(fails.used); n != 1 || b.Condition().Memory != 0 { // the journal
				t.Errorf("threadgroups of %d: %d buffers and %d bytes are left", d.threads, n, b.Condition().Memory)
			}
		}
		check(x.ok)
		check(x.ok)
		d.threads = 16 // the pipeline is there
		check(false)
		b.Close()
	}
}

// TestMemory: what does not fit is refused before anything is allocated.
func TestMemory(t *testing.T) {
	d := newFailing(t)
	b := on(t, d, metal.Options{Memory: 100_000})
	_, err := trainOn(t, tiny(), b, nil)
	if !errors.Is(err, backend.ErrMemory) {
		t.Errorf("error %v, want one of memory", err)
	}
	if len(d.used) != 1 {
		t.Errorf("%d buffers were left", len(d.used))
	}
}

// TestNoAllocation: a step allocates nothing.
func TestNoAllocation(t *testing.T) {
	p, s := emptyProgram(t)
	for range 5 {
		runOnce(t, p, s)
	}
	if n := testing.AllocsPerRun(50, func() { runOnce(t, p, s) }); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}

func runOnce(t *testing.T, p backend.Program, s backend.Args) {
	if err := p.Run(s); err != nil {
		t.Fatal(err)
	}
	if err := p.Results(nil); err != nil {
		t.Fatal(err)
	}
}

// emptyProgram is a program of some launches on a device that does nothing, with an input and its sorted positions.
func emptyProgram(t *testing.T) (backend.Program, backend.Args) {
	t.Helper()
	b := on(t, metal.NewDryRun(metal.Chip{Name: "paper"}), metal.Options{Target: 1})
	w, err := b.NewBuffer(40)
	if err != nil {
		t.Fatal(err)
	}
	r := graph.NewRecorder(2, 3)
	tokens := r.Input(4)
	table, grad := r.Parameter(w), r.Accumulator(10, 4)
	table.Rows, table.Cols, table.Stride = 10, 4, 4
	x := r.Temporary(8, 4)
	r.Record(&graph.Embedding{Table: table, Index: tokens, Y: x})
	r.Record(&graph.EmbeddingBackward{Index: tokens, DY: x, DTable: grad})
	r.BeginUpdate()
	r.Record(&graph.EMA{X: grad, Mean: table, Decay: r.Scalar()})
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return p, backend.Args{Scalars: []float32{0.5}, Inputs: [][]int32{make([]int32, 24)}}
}
