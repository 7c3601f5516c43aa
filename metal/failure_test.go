package metal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"coil/backend"
	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// failing is a device on which something goes wrong.
type failing struct {
	metal.Device
	fail    func(submit int) *fault // what goes wrong with the command buffer of that number, counted from 1
	submits int
	probe   metal.Pipeline
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
	ran    extent
	never  bool
	submit bool // it can't even be submitted
}

// extent is how much of a command buffer has run when it fails. The mark is its last launch.
type extent int

const (
	half extent = iota
	nothing
	butMark
	everything // and so everything that waits for it continues
	scattered  // half, and every second one of the launches that may run at once then
	extents
)

func (e extent) String() string {
	return [...]string{"half", "nothing", "all but the mark", "everything", "scattered launches"}[e]
}

// of returns what runs.
func (e extent) of(lists [][]metal.Launch) [][]metal.Launch {
	work := lists[0]
	switch e {
	case nothing:
		return nil
	case butMark:
		return [][]metal.Launch{work}
	case everything:
		return lists
	}
	at := len(work) / 2
	if e == half {
		return [][]metal.Launch{work[:at]}
	}
	for at > 0 && !work[at].Barrier {
		at--
	}
	ran := slices.Clone(work[:at])
	for i := at; i < len(work) && (i == at || !work[i].Barrier); i += 2 {
		ran = append(ran, work[i])
		ran[len(ran)-1].Barrier = i == at
		if i+1 < len(work) && work[i+1].Barrier {
			break
		}
	}
	return [][]metal.Launch{ran}
}

func (d *failing) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	p, err := d.Device.Pipeline(lib, kernel, constants)
	if kernel == "matrix_layout" {
		d.probe = p
	}
	return p, err
}

func (d *failing) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	if lists[0][0].Pipeline == d.probe { // the test of the device, which comes before steps
		return d.Device.Submit(lists, slot)
	}
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
	ticket, err := d.Device.Submit(f.ran.of(lists), slot)
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
	step := max(1, total/7) * thorough.Every(t, 3, "command buffers")
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

// failAt makes the command buffer of that number, from 1 on, fail when so much of it has run.
func failAt(t *testing.T, at int, ran extent) *failing {
	d := newFailing(t)
	d.fail = func(submit int) *fault {
		if submit == at {
			return &fault{err: &metal.CommandError{Code: metal.CommandTimeout, Text: "too late"}, ran: ran}
		}
		return nil
	}
	return d
}

// TestGate has every single command buffer of three steps fail, two of which are in flight at once. As long as the gate of
// its step has not opened the weights are whole, and the step is run again. Behind the gate they are not, and an error says
// so. In no case do the steps end well with other weights.
func TestGate(t *testing.T) {
	run := func(d *failing) (weights []float32, gate, launches int, err error) {
		b := on(t, d, metal.Options{Target: 1}) // a command buffer for each launch
		defer b.Close()
		u := newUpdates(b)
		gate, launches = metal.Gate(u.program)
		weights, err = u.run()
		return weights, gate, launches, err
	}
	undisturbed := newFailing(t)
	want, gate, launches, err := run(undisturbed)
	if err != nil || undisturbed.submits != 3*launches || gate < 2 || gate > launches-4 {
		t.Fatalf("undisturbed: %d command buffers of %d launches with the gate at %d, error %v", undisturbed.submits, launches, gate, err)
	}
	every := thorough.Every(t, 5, "command buffers")
	for at := 1; at <= 3*launches; at += every {
		for ran := range extents {
			d := failAt(t, at, ran)
			got, _, _, err := run(d)
			i := (at - 1) % launches
			// A command buffer of one launch has run only if all of it has, or all but its mark.
			open := i > gate || i == gate && (ran == butMark || ran == everything || ran == scattered) || ran == everything
			switch {
			case open && (err == nil || !strings.Contains(err.Error(), "last checkpoint")):
				t.Fatalf("launch %d of a step with its gate at %d failed when %s had run: error %v, want one that the weights are lost", i, gate, ran, err)
			case !open && (err != nil || d.resets != 1 || !slices.Equal(got, want)):
				t.Fatalf("launch %d of a step with its gate at %d failed when %s had run: error %v, %d resets, weights %v, want %v", i, gate, ran, err, d.resets, got, want)
			}
			d.Device.Close()
		}
	}
}

// TestTwoFailures has a step fail, and when it is run again any of its first command buffers. Marks of the first try must not
// open the gate of the second.
func TestTwoFailures(t *testing.T) {
	undisturbed := newFailing(t)
	u := newUpdates(on(t, undisturbed, metal.Options{Target: 1}))
	gate, launches := metal.Gate(u.program)
	want, err := u.run()
	if err != nil {
		t.Fatal(err)
	}
	for second := range gate + 1 {
		d := newFailing(t)
		d.fail = func(submit int) *fault {
			if submit == gate || submit == launches+1+second {
				return &fault{err: &metal.CommandError{Code: metal.CommandTimeout, Text: "too late"}, ran: nothing}
			}
			return nil
		}
		b := on(t, d, metal.Options{Target: 1})
		got, err := newUpdates(b).run()
		if err != nil || d.resets != 2 || !slices.Equal(got, want) {
			t.Errorf("launch %d failed, then launch %d: error %v, %d resets, weights %v, want %v", gate-1, second, err, d.resets, got, want)
		}
		b.Close()
	}
}

// TestFailureBehindEndedStep has the second of two steps fail while the results of the first, which has ended, are still to
// be taken: only the second one is run again.
func TestFailureBehindEndedStep(t *testing.T) {
	run := func(d *failing) (all []float32, launches int) {
		b := on(t, d, metal.Options{Target: 1})
		defer b.Close()
		u := newUpdates(b)
		defer u.program.Close()
		_, launches = metal.Gate(u.program)
		for range 2 {
			if err := u.program.Run(backend.Args{Scalars: []float32{0.5}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range u.state {
			got := make([]float32, s.Len())
			if err := s.Read(0, got); err != nil { // waits for both
				t.Fatal(err)
			}
			all = append(all, got...)
		}
		for range 2 {
			if err := u.program.Results(u.results); err != nil {
				t.Fatal(err)
			}
			all = append(all, u.results...)
		}
		return all, launches
	}
	want, launches := run(newFailing(t))
	d := failAt(t, launches+1, nothing)
	got, _ := run(d)
	if d.resets != 1 || d.submits != 3*launches || !slices.Equal(got, want) {
		t.Errorf("%d resets, %d command buffers of steps of %d; weights and results %v, want %v", d.resets, d.submits, launches, got, want)
	}
}

// outstanding is a device whose command buffers take a few polls, and which complains if something is done too early.
type outstanding struct {
	failing
	t     *testing.T
	polls map[metal.Ticket]int
	steps int // at most, in flight
}

func (d *outstanding) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	if !lists[1][0].Barrier {
		d.t.Error("a mark does not wait for what is before it")
	}
	t, err := d.failing.Submit(lists, slot)
	d.polls[t] = 0
	if len(d.polls) > d.steps {
		d.t.Errorf("%d command buffers are in flight, want at most %d", len(d.polls), d.steps)
	}
	return t, err
}

func (d *outstanding) Poll(t metal.Ticket) metal.Progress {
	if d.polls[t]++; d.polls[t] < 4 {
		return metal.Progress{}
	}
	delete(d.polls, t)
	return d.failing.Poll(t)
}

func (d *outstanding) Reset() error {
	if len(d.polls) > 0 {
		d.t.Errorf("the queue is dropped while %d command buffers run", len(d.polls))
	}
	return d.failing.Reset()
}

func (d *outstanding) FreeBuffer(b metal.Buffer) {
	if len(d.polls) > 0 {
		d.t.Errorf("a buffer is freed while %d command buffers run", len(d.polls))
	}
	d.failing.FreeBuffer(b)
}

// TestNothingRunsMeanwhile: no more than two steps are in flight, of whichever programs; and what they use is not freed nor
// their queue dropped before they have ended.
func TestNothingRunsMeanwhile(t *testing.T) {
	d := &outstanding{failing: failing{Device: metal.NewDryRun(metal.Chip{Name: "paper"})}, t: t, polls: map[metal.Ticket]int{}}
	b := on(t, d, metal.Options{Variants: metal.Preferred(d.Description())})
	d.steps = b.Info().Depth // one command buffer each
	w, err := b.NewBuffer(40)
	if err != nil {
		t.Fatal(err)
	}
	var programs []backend.Program
	for range 3 {
		programs = append(programs, addsOf(t, b, 3))
	}
	for range 2 {
		for _, p := range programs {
			if err := p.Run(backend.Args{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range programs {
			if err := p.Results(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Reading the results of the later step waits for it.
	for _, p := range programs[:2] {
		if err := p.Run(backend.Args{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := programs[1].Results(nil); err != nil || len(d.polls) > 0 {
		t.Errorf("results of the later step, while %d command buffers run: error %v", len(d.polls), err)
	}
	if err := programs[0].Results(nil); err != nil {
		t.Error(err)
	}
	// A failure, with another step in flight behind it.
	d.fail = func(submit int) *fault {
		if submit == 9 {
			return &fault{err: &metal.CommandError{Code: metal.CommandTimeout, Text: "too late"}}
		}
		return nil
	}
	for range 2 {
		if err := programs[0].Run(backend.Args{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := programs[0].Results(nil); err != nil {
			t.Error(err)
		}
	}
	if d.resets != 1 {
		t.Errorf("%d resets", d.resets)
	}
	for i, p := range programs {
		if err := p.Run(backend.Args{}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			w.Free()
			continue
		}
		p.Close()
	}
	programs[0].Close()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestGateBehindOtherProgram has every command buffer fail of a step that changes nothing, while one is in flight that does.
func TestGateBehindOtherProgram(t *testing.T) {
	run := func(d *failing) (weights []float32, launches int, err error) {
		b := on(t, d, metal.Options{Target: 1})
		defer b.Close()
		w, err := b.NewBuffer(6)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(0, []float32{1, 2, 3, 4, 5, 6}); err != nil {
			t.Fatal(err)
		}
		compile := func(record func(r *graph.Recorder, w graph.Tensor)) backend.Program {
			r := graph.NewRecorder(1, 1)
			r.BeginUpdate()
			record(r, r.Parameter(w))
			p, err := b.Compile(r)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		reads := compile(func(r *graph.Recorder, w graph.Tensor) {
			twice := r.Temporary(1, 6)
			r.Record(&graph.Add{A: w, Y: twice, Alpha: 2})
			r.Result(twice)
		})
		writes := compile(func(r *graph.Recorder, w graph.Tensor) {
			x := r.Temporary(1, 6)
			r.Record(&graph.Fill{Y: x, Value: 1})
			r.Record(&graph.EMA{X: x, Mean: w, Decay: r.Scalar()})
		})
		_, launches = metal.Gate(reads)
		twice := make([]float32, 6)
		err = errors.Join(reads.Run(backend.Args{}), writes.Run(backend.Args{Scalars: []float32{0.5}}), reads.Results(twice), writes.Results(nil))
		weights = make([]float32, 6)
		return append(weights, twice...), launches, errors.Join(err, w.Read(0, weights))
	}
	want, launches, err := run(newFailing(t))
	if err != nil || launches < 3 {
		t.Fatalf("undisturbed: %d launches, error %v", launches, err)
	}
	for at := 1; at <= launches; at++ {
		for ran := range extents {
			d := failAt(t, at, ran)
			got, _, err := run(d)
			if ran == everything || at == launches && ran != half && ran != nothing { // the other step may have gone on
				if err == nil && !slices.Equal(got, want) {
					t.Errorf("launch %d of %d failed when %s had run: weights %v, want %v", at, launches, ran, got, want)
				}
				continue
			}
			if err != nil || d.resets != 1 || !slices.Equal(got, want) {
				t.Errorf("launch %d of %d failed when %s had run: error %v, %d resets, weights %v, want %v", at, launches, ran, err, d.resets, got, want)
			}
		}
	}
}

// TestUngated: operations without a gate may have changed a parameter whenever a command buffer fails, whether of their own
// step or of the one before.
func TestUngated(t *testing.T) {
	for _, of := range []string{"the step", "the step before"} {
		for at := 1; at <= 3; at++ {
			d := failAt(t, at, half)
			b := on(t, d, metal.Options{Target: 1})
			defer b.Close()
			w, err := b.NewBuffer(4)
			if err != nil {
				t.Fatal(err)
			}
			r := graph.NewRecorder(1, 1)
			r.BeginUpdate()
			x, y := r.Temporary(1, 4), r.Parameter(w)
			r.Record(&graph.Fill{Y: x, Value: 3})
			r.Record(&graph.Add{A: y, B: x, Y: y, Alpha: 1, Beta: 1})
			r.Record(&graph.EMA{X: x, Mean: y}) // which asks the gate
			p, err := b.Compile(r)
			if err != nil {
				t.Fatal(err)
			}
			programs := []backend.Program{p}
			if of == "the step before" {
				programs = []backend.Program{addsOf(t, b, 3), p}
			}
			for _, p := range programs {
				if err := p.Run(backend.Args{}); err != nil {
					t.Fatal(err)
				}
			}
			for i, p := range programs {
				if err := p.Results(nil); err == nil || !strings.Contains(err.Error(), "last checkpoint") {
					t.Errorf("command buffer %d of %s failed; program %d: error %v, want one that the weights are lost", at, of, i, err)
				}
			}
		}
	}
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
// The command buffer that fails is one of the second step, before weights are written.
func TestDeviceFaults(t *testing.T) {
	removed := &metal.CommandError{Code: metal.CommandDeviceRemoved, Text: "the device was removed"}
	for name, x := range map[string]struct {
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

// TestRefusedCommandBuffers: a step of which not all can be submitted is tried again, and then an error says which command
// buffer it was; and a GPU that is removed ends it at once.
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
