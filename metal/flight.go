package metal

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// flight is a step that was started.
type flight struct {
	p        *program
	number   uint32
	slot     int
	commands []command // its command buffers
	ended    bool
	seconds  float64 // of the GPU
	err      error   // why not all of it could be submitted
}

// command is a submitted command buffer: launches [from, to) of its program.
type command struct {
	ticket   Ticket
	from, to int
	estimate float64 // seconds
}

// launchSeconds is what a launch costs before it computes anything, flopsRate and byteRate what a small Apple GPU reaches.
// They only decide where the first steps are cut into command buffers; from then on measured times do.
const (
	launchSeconds = 3e-6
	flopRate      = 1.5e12
	byteRate      = 50e9
)

func (x launch) estimate() float64 {
	return launchSeconds + max(float64(x.flops)/flopRate, float64(x.traffic())/byteRate)
}

// cut divides the program's launches into command buffers of about the target's time.
func (m *Metal) cut(p *program, commands []command) []command {
	target := m.target.Seconds()
	for { // until there are marks enough
		commands = commands[:0]
		from, sum := 0, 0.0
		for i, e := range p.estimates {
			if e *= m.pace; i > from && sum+e > target {
				commands = append(commands, command{from: from, to: i, estimate: sum / m.pace})
				from, sum = i, 0
			}
			sum += e
		}
		commands = append(commands, command{from: from, to: len(p.estimates), estimate: sum / m.pace})
		if len(commands) <= MaxCommands {
			return commands
		}
		target *= 2
	}
}

// submit starts, or starts again, the command buffers of a flight. If that fails, waiting for the flight returns the error.
func (m *Metal) submit(f *flight) {
	p := f.p
	f.err, f.seconds = nil, 0
	f.commands = m.cut(p, f.commands)
	c := control{number: f.number, all: uint32(len(f.commands) - 1)}
	for i, x := range f.commands {
		if p.gate >= x.from && p.gate < x.to {
			c.before = uint32(i)
		}
	}
	p.writeControl(f.slot, c)
	for i := range f.commands {
		x := &f.commands[i]
		p.lists[0], p.lists[1] = p.launches[x.from:x.to], p.marks[i:i+1]
		t, err := m.device.Submit(p.lists[:], f.slot)
		if err != nil {
			f.commands, f.err = f.commands[:i], fmt.Errorf("command buffer %d of %d: %w", i+1, len(f.commands), err)
			return
		}
		x.ticket = t
	}
}

// wait waits for a command buffer and returns its GPU time.
func (m *Metal) wait(x *command) (seconds float64, err error) {
	if x.ticket == 0 {
		return 0, nil
	}
	pause, begin := 20*time.Microsecond, time.Time{}
	for {
		s := m.device.Poll(x.ticket)
		if s.Ended {
			x.ticket = 0
			if s.Err == nil && s.Seconds > 0 && x.estimate > 0 {
				m.pace += (min(max(s.Seconds/x.estimate, 1e-4), 1e5) - m.pace) / 4
			}
			return s.Seconds, s.Err
		}
		if begin.IsZero() {
			begin = time.Now()
		} else if time.Since(begin) > m.options.Timeout {
			return 0, errHung
		}
		time.Sleep(pause)
		pause = min(pause*5/4, 300*time.Microsecond)
	}
}

var errHung = errors.New("the GPU did not finish it in time")

// The target of a command buffer follows what the GPU lets pass: it is halved when a command buffer fails and grows slowly
// back to the target while steps succeed.
//
// macOS now and then kills a command buffer for reasons of its own ("Impacting Interactivity"), whatever its length. Without
// a floor and growth each such kill would make command buffers shorter for the rest of the run.
const (
	// leastTarget is where halving ends. Shorter command buffers don't keep the display more alive, and what it takes to
	// start one, some 0.1 ms, comes to count. A wanted target below it is kept as it is.
	leastTarget = 2 * time.Millisecond

	// A good step adds this part of the target: it doubles in 90 steps. If the machine can't take the wanted target at all,
	// about one step in 90 is run again.
	targetGrowth = 128
)

// shrink halves the target after a failure.
func (m *Metal) shrink() {
	m.target = max(m.target/2, min(leastTarget, m.options.Target))
}

// grow lengthens the target after a step that ended well.
func (m *Metal) grow() {
	m.target = min(m.target+m.target/targetGrowth, m.options.Target)
}

// settle waits until the first n flights have ended well. A flight that failed is run again, with those after it, if it
// left the weights as they were.
func (m *Metal) settle(n int) error {
	for m.lost == nil {
		i, err := m.waitAll(n)
		if err == nil {
			return nil
		}
		m.recover(i, err)
	}
	return m.lost
}

// waitAll waits for the first n flights; on failure it says which failed.
func (m *Metal) waitAll(n int) (int, error) {
	for i := range m.flights[:n] {
		f := &m.flights[i]
		if f.ended {
			continue
		}
		for j := range f.commands {
			f.p.position.Store(int32(min(f.p.steps[f.commands[j].from].at, len(f.p.rec.Body()))))
			seconds, err := m.wait(&f.commands[j])
			if err != nil {
				return i, m.describe(f, j, err)
			}
			f.seconds += seconds
			f.p.spend(&f.commands[j], seconds)
		}
		if f.err != nil {
			return i, f.err
		}
		f.ended = true
		f.p.position.Store(-1)
		if f.p.profiling {
			f.p.profiled++
		}
		m.failures = 0
		m.grow()
	}
	return 0, nil
}

// describe says which command buffer failed.
func (m *Metal) describe(f *flight, j int, err error) error {
	x := f.commands[j]
	first, last := f.p.name(x.from), f.p.name(x.to-1)
	return fmt.Errorf("command buffer %d of %d, launches %d to %d (%s … %s): %w", j+1, len(f.commands), x.from+1, x.to, first, last, err)
}

// attempts is how often a step is tried.
const attempts = 4

// recover deals with the failure of flight i: it submits that flight and those after it again, cut smaller, or says in
// m.lost why that can't be.
func (m *Metal) recover(i int, err error) {
	hung := errors.Is(err, errHung)
	for j := range m.flights[i:] { // nothing may still run when the queue is dropped
		f := &m.flights[i+j]
		for k := range f.commands {
			if !hung {
				_, err := m.wait(&f.commands[k])
				hung = errors.Is(err, errHung)
			}
			f.commands[k].ticket = 0
		}
	}
	var removed *CommandError
	m.failures++
	switch {
	case hung:
		m.lost = fmt.Errorf("metal: %w; waited %v. What the GPU holds can't be trusted: start again from the last checkpoint", err, m.options.Timeout)
	case errors.As(err, &removed) && removed.Code == CommandDeviceRemoved:
		m.lost = fmt.Errorf("metal: %w; the GPU is gone: start again from the last checkpoint", err)
	case m.anyOpened(i) || m.anyUngated(i):
		m.lost = fmt.Errorf("metal: %w, while weights were being updated: they may be half old, half new; start again from the last checkpoint", err)
	case slices.ContainsFunc(m.flights[i:], func(f flight) bool { return f.p.unrepeatable }):
		m.lost = fmt.Errorf("metal: %w, while state that the step also reads was being written: it may be half old and half new; build it again", err)
	case m.failures >= attempts:
		m.lost = fmt.Errorf("metal: %w; it failed %d times, with command buffers as short as %v. The weights are as they were before the step", err, m.failures, m.target)
	}
	if m.lost != nil {
		return
	}
	m.shrink()
	if again := m.device.Reset(); again != nil {
		m.lost = fmt.Errorf("metal: %w; and then there was no new queue: %w", err, again)
		return
	}
	clear(m.marks()[journalMarks:]) // those of this try must not stand for the next
	for j := range m.flights[i:] {
		m.submit(&m.flights[i+j])
	}
}

// anyOpened reports whether a flight from i on may have changed parameters behind its gate. A command buffer may fail when
// all of it has run, so that may also be one behind the flight that failed.
func (m *Metal) anyOpened(i int) bool {
	opened := m.marks()[journalOpen]
	return slices.ContainsFunc(m.flights[i:], func(f flight) bool { return f.number == opened })
}

// anyUngated reports whether a flight from i on may have changed parameters without asking the gate.
func (m *Metal) anyUngated(i int) bool {
	return slices.ContainsFunc(m.flights[i:], func(f flight) bool { return f.p.ungated })
}

func (m *Metal) marks() []uint32 { return uints(m.device.Bytes(m.journal)) }
