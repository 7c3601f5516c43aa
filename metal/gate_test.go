package metal_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal"
	"coil/thorough"
)

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

// TestGate makes every command buffer of three steps fail, one at a time, with two steps in flight. Until the gate of a step
// opens, the weights are whole and the step runs again. After it they are not, and an error says so. The steps never end
// well with other weights.
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
	every := thorough.Every(t, 11, "command buffers")
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

// TestNothingRunsMeanwhile: at most two steps are in flight, whatever their programs. Their buffers are not freed and their queue
// is not dropped before they have ended.
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
