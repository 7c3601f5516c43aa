package metal_test

import (
	"slices"
	"testing"

	"coil/backend"
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
		d := &slow{Device: metal.OnPaper(metal.Chip{Name: "paper"}), launch: launch, ended: map[metal.Ticket]int{}}
		b := on(t, d, metal.Options{})
		r := backend.NewRecorder(1, 1)
		r.BeginStep()
		x := r.Temporary(1, 256)
		r.Record(&backend.Fill{Y: x})
		for range 1000 {
			r.Record(&backend.Add{A: x, Y: x, Alpha: 1})
		}
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			d.buffers = d.buffers[:0]
			runOnce(t, p, backend.Step{})
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

// asked is a device of which someone asks, whenever it is polled, where the program is.
type asked struct {
	metal.Device
	ask func()
}

func (d *asked) Poll(t metal.Ticket) metal.Progress {
	d.ask()
	return d.Device.Poll(t)
}

// TestPosition: while a command buffer is waited for, a program is at the operation that begins it, in each group anew.
func TestPosition(t *testing.T) {
	d := &asked{Device: metal.OnPaper(metal.Chip{Name: "paper"})}
	b := on(t, d, metal.Options{Target: 1}) // a command buffer for each launch
	defer b.Close()
	r := backend.NewRecorder(1, 2)
	x := r.Temporary(1, 256)
	for range 5 {
		r.Record(&backend.Fill{Y: x})
	}
	r.BeginStep()
	r.Record(&backend.Fill{Y: r.Temporary(1, 1)})
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
		runOnce(t, p, backend.Step{})
		want := []int{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5}
		if seen = slices.Compact(seen); !slices.Equal(seen, want) {
			t.Errorf("positions %v, want %v", seen, want)
		}
	}
}
