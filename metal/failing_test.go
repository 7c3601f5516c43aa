package metal_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
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
