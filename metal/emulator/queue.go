//go:build linux && amd64

package emulator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"coil/metal"
)

// command is a command buffer.
type command struct {
	ticket   metal.Ticket
	launches []launch
	executed bool
	seconds  float64
	faults   []string
	code     int
}

// launch is a metal.Launch with what Submit has found out.
type launch struct {
	metal.Launch
	offset [len(metal.Launch{}.Bind)]uint64 // with the slot
	window [len(metal.Launch{}.Bind)]uint64 // bytes that may be touched from there on
}

func (c *command) fail(code int, faults ...string) {
	c.faults = append(c.faults, faults...)
	c.code = max(c.code, code)
}

func (c *command) uses(b metal.Buffer) bool {
	for i := range c.launches {
		if slices.ContainsFunc(c.launches[i].Bind[:c.launches[i].Binds], func(x metal.Bind) bool { return x.Buffer == b }) {
			return true
		}
	}
	return false
}

// Submit takes a command buffer, and runs it at once or, in another order, when Poll asks for it.
func (d *Device) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pool == 0 {
		return 0, errors.New("the emulator is closed")
	}
	if slot < 0 {
		return 0, fmt.Errorf("slot %d", slot)
	}
	d.ticket++
	c := &command{ticket: d.ticket}
	for _, list := range lists {
		for i := range list {
			l := launch{Launch: list[i]}
			for j := range min(int(l.Binds), len(l.Bind)) {
				b := &l.Bind[j]
				l.offset[j], l.window[j] = b.Offset+uint64(b.Slot)*uint64(slot), maxBuffer
				if d.windows != nil && d.o.Checked {
					if n, ok := d.windows(&list[i], j); ok {
						l.window[j] = uint64(max(0, n))
					}
				}
			}
			c.launches = append(c.launches, l)
		}
	}
	d.commands = append(d.commands, c)
	if d.o.Order == Forward || d.o.Order == Random && d.random(uint64(c.ticket)).IntN(2) == 0 {
		d.executeTo(c)
	}
	return c.ticket, nil
}

func (d *Device) random(n uint64) *rand.Rand { return rand.New(rand.NewPCG(d.o.Seed, n)) }

// Poll reports how far a command buffer is.
func (d *Device) Poll(t metal.Ticket) metal.Progress {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.commands, func(c *command) bool { return c.ticket == t })
	if i < 0 {
		return metal.Progress{Ended: true, Err: &metal.CommandError{Code: codeInternal, Text: fmt.Sprintf("ticket %d is not in flight", t)}}
	}
	c := d.commands[i]
	d.executeTo(c)
	d.commands = slices.Delete(d.commands, i, i+1)
	p := metal.Progress{Ended: true, Seconds: c.seconds}
	if c.faults != nil {
		p.Err = &metal.CommandError{Code: c.code, Text: strings.Join(c.faults, "\n")}
	}
	return p
}

// Reset forgets all submitted command buffers.
func (d *Device) Reset() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commands = nil
	return nil
}

// executeTo runs everything up to c that has not run.
func (d *Device) executeTo(c *command) {
	for _, x := range d.commands {
		if !x.executed {
			d.execute(x)
		}
		if x == c {
			return
		}
	}
}

// execute runs a command buffer, up to the first launch that cannot be finished.
func (d *Device) execute(c *command) {
	c.executed = true
	start := time.Now()
	defer func() { c.seconds = time.Since(start).Seconds() }()
	if len(c.faults) > 0 { // one of its buffers is gone
		return
	}
	ran := map[uint32]*pipeline{} // since the last barrier
	for from := 0; from < len(c.launches); {
		to := from + 1
		for to < len(c.launches) && !c.launches[to].Barrier {
			to++
		}
		segment := c.launches[from:to]
		order := make([]int, len(segment))
		for i := range order {
			order[i] = i
		}
		switch d.o.Order {
		case Reverse:
			slices.Reverse(order)
		case Random:
			d.random(uint64(c.ticket)<<32|uint64(from)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		first := d.launches + 1
		clear(ran)
		for _, i := range order {
			if !d.run(c, &segment[i], first, ran) {
				return
			}
		}
		from = to
	}
}
