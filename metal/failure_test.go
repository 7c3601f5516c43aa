package metal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"coil/backend"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
)

// failing is a device on which something goes wrong.
type failing struct {
	metal.Device
	fail    func(submit int) *fault // what goes wrong with the command buffer of that number, counted from 1
	submits int
	resets  int
	tickets map[metal.Ticket]metal.Progress // of command buffers that failed

	memory  int // bytes that it has; 0: enough
	used    map[metal.Buffer]int
	library func(name string) error
	reset   error
}

// fault of a command buffer: part of its launches run, then it ends with the error, or never.
type fault struct {
	err    error
	never  bool
	submit bool // it can't even be submitted
}

func (d *failing) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	d.submits++
	var f *fault
	if d.fail != nil {
		f = d.fail(d.submits)
	}
	if f == nil {
		return d.Device.Submit(lists, slot)
	}
	if f.submit {
		return 0, f.err
	}
	// Half of it runs; the mark in the last list never.
	ticket, err := d.Device.Submit([][]metal.Launch{lists[0][:len(lists[0])/2]}, slot)
	if err != nil {
		return 0, err
	}
	if d.tickets == nil {
		d.tickets = map[metal.Ticket]metal.Progress{}
	}
	d.tickets[ticket] = metal.Progress{Ended: !f.never, Err: f.err}
	return ticket, nil
}

func (d *failing) Poll(t metal.Ticket) metal.Progress {
	if p, ok := d.tickets[t]; ok {
		for !d.Device.Poll(t).Ended {
			time.Sleep(time.Millisecond)
			if !p.Ended {
				break
			}
		}
		return p
	}
	return d.Device.Poll(t)
}

func (d *failing) Reset() error {
	d.resets++
	d.tickets = nil
	if d.reset != nil {
		return d.reset
	}
	return d.Device.Reset()
}

func (d *failing) NewBuffer(n int) (metal.Buffer, error) {
	total := n
	for _, b := range d.used {
		total += b
	}
	if d.memory > 0 && total > d.memory {
		return 0, fmt.Errorf("no memory for a buffer of %d bytes", n)
	}
	b, err := d.Device.NewBuffer(n)
	if d.used == nil {
		d.used = map[metal.Buffer]int{}
	}
	d.used[b] = n
	return b, err
}

func (d *failing) FreeBuffer(b metal.Buffer) {
	delete(d.used, b)
	d.Device.FreeBuffer(b)
}

func (d *failing) Library(name, source string) (metal.Library, error) {
	if d.library != nil {
		if err := d.library(name); err != nil {
			return 0, err
		}
	}
	return d.Device.Library(name, source)
}

func newFailing(t *testing.T) *failing {
	return &failing{Device: emulatortest.Open(t, emulator.Options{})}
}

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
	total, want := commandsOf(t)
	if total < 100 {
		t.Fatalf("only %d command buffers", total)
	}
	repeated, lost := 0, 0
	for _, failure := range []error{
		&metal.CommandError{Code: metal.CommandTimeout, Text: "Caused GPU Timeout Error"},
		&metal.CommandError{Code: metal.CommandOutOfMemory, Text: "Insufficient Memory"},
	} {
		for at := 8; at < total; at += max(1, total/17) {
			d := newFailing(t)
			d.fail = func(submit int) *fault {
				if submit == at {
					return &fault{err: failure}
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
				t.Errorf("command buffer %d of %d failed: %d resets, error %v, losses %v, want %v", at, total, d.resets, err, got.losses, want.losses)
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
	for _, times := range []int{1, 2, 3, 4} {
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
func TestDeviceFaults(t *testing.T) {
	removed := &metal.CommandError{Code: metal.CommandDeviceRemoved, Text: "the device was removed"}
	for name, x := range map[string]struct {
		set  func(d *failing)
		says []string
	}{
		"a command buffer that never ends": {
			func(d *failing) {
				d.fail = func(submit int) *fault {
					if submit == 40 {
						return &fault{never: true}
					}
					return nil
				}
			}, []string{"not finished it in time", "launches", "last checkpoint"}},
		"the device is removed": {
			func(d *failing) {
				d.fail = func(submit int) *fault {
					if submit == 40 {
						return &fault{err: removed}
					}
					return nil
				}
			}, []string{"removed", "the GPU is gone", "last checkpoint"}},
		"no command buffers any more": {
			func(d *failing) {
				d.fail = func(submit int) *fault {
					if submit >= 40 {
						return &fault{submit: true, err: errors.New("no command buffer")}
					}
					return nil
				}
			}, []string{"no command buffer", "command buffer 1 of"}},
		"no new queue": {
			func(d *failing) {
				d.reset = errors.New("no queue")
				d.fail = func(submit int) *fault {
					if submit == 40 {
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
	} {
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

func runOnce(t *testing.T, p backend.Program, s backend.Step) {
	if err := p.Run(s); err != nil {
		t.Fatal(err)
	}
	if err := p.Results(nil); err != nil {
		t.Fatal(err)
	}
}

// emptyProgram is a program of some launches on a device that does nothing, with an input and its sorted positions.
func emptyProgram(t *testing.T) (backend.Program, backend.Step) {
	t.Helper()
	b := on(t, metal.OnPaper(metal.Chip{Name: "paper"}), metal.Options{Target: 1})
	w, err := b.NewBuffer(40)
	if err != nil {
		t.Fatal(err)
	}
	r := backend.NewRecorder(2, 3)
	tokens := r.Input(4)
	table, grad := r.Parameter(w), r.Accumulator(10, 4)
	table.Rows, table.Cols, table.Stride = 10, 4, 4
	x := r.Temporary(8, 4)
	r.Record(&backend.Embedding{Table: table, Index: tokens, Y: x})
	r.Record(&backend.EmbeddingBackward{Index: tokens, DY: x, DTable: grad})
	r.BeginStep()
	r.Record(&backend.Average{X: grad, Mean: table, Decay: r.Scalar()})
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return p, backend.Step{Scalars: []float32{0.5}, Inputs: [][]int32{make([]int32, 24)}}
}
