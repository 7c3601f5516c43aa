package metal_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"coil/backend"
	"coil/graph"
	"coil/metal"
)

// slow is a GPU on which each launch takes some time, whatever it does.
type slow struct {
	metal.Device
	launch  float64 // seconds
	buffers []int   // launches of each command buffer of the last step
	ended   map[metal.Ticket]int
}

func (d *slow) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	t, err := d.Device.Submit(lists, slot)
	n := len(lists[0]) // the mark behind them takes nothing
	d.ended[t] = n
	d.buffers = append(d.buffers, n)
	return t, err
}

func (d *slow) Poll(t metal.Ticket) metal.Progress {
	p := d.Device.Poll(t)
	p.Seconds = float64(d.ended[t]) * d.launch
	return p
}

// TestCommandBufferTime: whatever a launch takes, command buffers come to take 20 to 50 ms.
func TestCommandBufferTime(t *testing.T) {
	for _, launch := range []float64{20e-6, 300e-6, 2e-3, 8e-3} {
		d := &slow{Device: metal.NewDryRun(metal.Chip{Name: "paper"}), launch: launch, ended: map[metal.Ticket]int{}}
		b := on(t, d, metal.Options{})
		p := addsOf(t, b, 1000)
		for range 40 {
			d.buffers = d.buffers[:0]
			runOnce(t, p, backend.Args{})
		}
		for i, n := range d.buffers[:len(d.buffers)-1] { // the last is what is left
			if s := float64(n) * launch; len(d.buffers) < metal.MaxCommands && (s < 0.020 || s > 0.050) {
				t.Errorf("launches of %g s: command buffer %d takes %g s", launch, i, s)
				break
			}
		}
		if len(d.buffers) > metal.MaxCommands {
			t.Errorf("launches of %g s: %d command buffers", launch, len(d.buffers))
		}
		if total := 1000 * launch; total > 0.2 && len(d.buffers) < 4 {
			t.Errorf("a step of %g s in %d command buffers", total, len(d.buffers))
		}
		b.Close()
	}
}

// sporadic is a GPU with a clock, in a system that kills command buffers now and then.
type sporadic struct {
	slow
	overhead float64 // seconds from one command buffer to the next
	kill     func(seconds float64) bool
	killed   map[metal.Ticket]bool
	clock    float64
	kills    int
}

func newSporadic(launch, overhead float64) *sporadic {
	return &sporadic{slow: slow{Device: metal.NewDryRun(metal.Chip{Name: "paper"}), launch: launch, ended: map[metal.Ticket]int{}},
		overhead: overhead, killed: map[metal.Ticket]bool{}}
}

func (d *sporadic) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	t, err := d.slow.Submit(lists, slot)
	seconds := float64(len(lists[0])) * d.launch
	if d.clock += seconds + d.overhead; d.kill != nil && d.kill(seconds) {
		d.killed[t] = true
		d.kills++
	}
	return t, err
}

func (d *sporadic) Poll(t metal.Ticket) metal.Progress {
	p := d.slow.Poll(t)
	if d.killed[t] {
		p.Err = &metal.CommandError{Code: 1, Text: "Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)"}
	}
	return p
}

// longest is the time of the longest command buffer of the last step.
func (d *sporadic) longest() float64 { return float64(slices.Max(d.buffers)) * d.launch }

// TestSporadicKills: command buffers that the system kills now and then cost throughput only for a while, and never make
// command buffers so short that starting them takes longer than their work.
func TestSporadicKills(t *testing.T) {
	const launches, launch, overhead = 1000, 100e-6, 150e-6
	d := newSporadic(launch, overhead)
	b := on(t, d, metal.Options{})
	defer b.Close()
	p := addsOf(t, b, launches)
	defer p.Close()
	// rate is the number of steps in a second of the device's clock.
	rate := func(steps int) float64 {
		begin := d.clock
		for range steps {
			d.buffers = d.buffers[:0]
			runOnce(t, p, backend.Args{})
		}
		return float64(steps) / (d.clock - begin)
	}
	rate(50) // until launches are known
	before := rate(50)

	// A burst: every fifth step or so, longer command buffers more often.
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 1))
	d.kill = func(seconds float64) bool { return rng.ExpFloat64() < 2*seconds }
	during := rate(200)
	if d.kills < 20 {
		t.Fatalf("seed %d: only %d kills", seed, d.kills)
	}
	if s := d.longest(); s > 0.025 {
		t.Errorf("after %d kills a command buffer takes %g s: none was shortened", d.kills, s)
	}
	if during < 0.6*before {
		t.Errorf("%g steps a second while command buffers are killed, %g before", during, before)
	}
	// The floor, after a kill in each of many steps.
	kills := d.kills
	for range 12 {
		once := true
		d.kill = func(float64) bool { defer func() { once = false }(); return once }
		d.buffers = d.buffers[:0]
		runOnce(t, p, backend.Args{})
	}
	if d.kills != kills+12 {
		t.Fatalf("%d kills, want 12", d.kills-kills)
	}
	if s := d.longest(); s < 0.0015 || s > 0.0025 {
		t.Errorf("after %d kills in a row the longest command buffer takes %g s, want about 2 ms", d.kills-kills, s)
	}
	if r := rate(1); r < 0.9*before {
		t.Errorf("%g steps a second with command buffers of 2 ms, %g before", r, before)
	}

	// The slow rise, and the end of it.
	d.kill = nil
	rate(90)
	if s := d.longest(); s < 0.003 || s > 0.006 {
		t.Errorf("90 steps later the longest command buffer takes %g s, want about 4 ms", s)
	}
	rate(500)
	if s := d.longest(); s < 0.025 || s > 0.035 {
		t.Errorf("after 590 good steps the longest command buffer takes %g s, want 30 ms", s)
	}
	if after := rate(50); math.Abs(after-before) > 0.01*before {
		t.Errorf("%g steps a second afterwards, %g before", after, before)
	}
}

// TestWantedTarget: a target below the floor stays as it is, whatever fails.
func TestWantedTarget(t *testing.T) {
	d := newSporadic(10e-6, 0)
	b := on(t, d, metal.Options{Target: 300 * time.Microsecond})
	defer b.Close()
	p := addsOf(t, b, 1000)
	defer p.Close()
	for range 30 {
		runOnce(t, p, backend.Args{})
	}
	once := true
	d.kill = func(float64) bool { defer func() { once = false }(); return once }
	for range 3 {
		d.buffers = d.buffers[:0]
		runOnce(t, p, backend.Args{})
		if s := d.longest(); s < 250e-6 || s > 350e-6 {
			t.Errorf("a command buffer takes %g s, want 0.3 ms", s)
		}
	}
}

// addsOf compiles a program of n additions and little else.
func addsOf(t *testing.T, b *metal.Metal, n int) backend.Program {
	t.Helper()
	r := graph.NewRecorder(1, 1)
	r.BeginUpdate()
	x := r.Temporary(1, 256)
	r.Record(&graph.Fill{Y: x})
	for range n {
		r.Record(&graph.Add{A: x, Y: x, Alpha: 1})
	}
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMostCommandBuffers: a step is never cut into more command buffers than the journal has marks, however short the command
// buffers should be and however long the launches take.
func TestMostCommandBuffers(t *testing.T) {
	for _, launches := range []int{metal.MaxCommands, metal.MaxCommands + 1, metal.MaxCommands + 100} {
		d := newSporadic(1, 0)
		b := on(t, d, metal.Options{Target: 1})
		p := addsOf(t, b, launches-2)
		if _, n := metal.Gate(p); n != launches {
			t.Fatalf("%d launches, want %d", n, launches)
		}
		for range 40 { // until launches are known
			d.buffers = d.buffers[:0]
			runOnce(t, p, backend.Args{})
			if n := len(d.buffers); n > metal.MaxCommands || launches == metal.MaxCommands && n != launches {
				t.Fatalf("%d launches in %d command buffers", launches, n)
			}
		}
		b.Close()
	}
}

// asked is a device that asks for the program's position whenever it is polled.
type asked struct {
	metal.Device
	ask func()
}

func (d *asked) Poll(t metal.Ticket) metal.Progress {
	if d.ask != nil { // else the backend starts
		d.ask()
	}
	return d.Device.Poll(t)
}

// TestPosition: while a command buffer is waited for, the program is at its first operation, again in each group.
func TestPosition(t *testing.T) {
	d := &asked{Device: metal.NewDryRun(metal.Chip{Name: "paper"})}
	b := on(t, d, metal.Options{Target: 1}) // a command buffer for each launch
	defer b.Close()
	r := graph.NewRecorder(1, 2)
	x := r.Temporary(1, 256)
	for range 5 {
		r.Record(&graph.Fill{Y: x})
	}
	r.BeginUpdate()
	r.Record(&graph.Fill{Y: r.Temporary(1, 1)})
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	position := p.(backend.Positioner).Position
	var seen []int
	d.ask = func() { seen = append(seen, position()) }
	for range 2 {
		seen = nil
		if at := position(); at >= 0 {
			t.Errorf("between steps it is at %d", at)
		}
		runOnce(t, p, backend.Args{})
		want := []int{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5}
		if seen = slices.Compact(seen); !slices.Equal(seen, want) {
			t.Errorf("positions %v, want %v", seen, want)
		}
	}
}
