package metal_test

import (
	"fmt"
	"testing"

	"coil/backend/conformance"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// A precision is what the backend keeps activations in, with what the suite must know of it.
type precision struct {
	name    string
	options metal.Options
	suite   conformance.Options
}

var precisions = []precision{
	{"float32", metal.Options{}, conformance.Options{}},
	{"bfloat16", metal.Options{BFloat16: true}, conformance.Options{BFloat: metal.BFloats}},
}

func TestConformance(t *testing.T) {
	for _, p := range thorough.Cases(t, 2, "precisions", precisions) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			d := newDeclared(emulatortest.Open(t, emulator.Options{}))
			b := on(t, d, p.options)
			defer b.Close()
			d.b = b
			suite := p.suite
			suite.Every = thorough.Every(t, 200, "cases")
			conformance.Run(t, b, suite)
		})
	}
}

// strict is an emulator that keeps every argument of a launch within its bounds, and whose memory holds no numbers before a
// launch writes them: a Mac may give zeros where nobody has written, or may not.
type strict struct {
	*emulator.Device
	b    *metal.Metal
	seen map[metal.Buffer]bool
}

func (d *strict) watch(b *metal.Metal) {
	d.b, d.seen = b, map[metal.Buffer]bool{}
	d.SetWindows(b.Window)
}

func (d *strict) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	if d.b != nil && len(lists[0]) > 0 {
		for _, b := range d.b.Undefined(&lists[0][0]) {
			if !d.seen[b] {
				d.seen[b] = true
				d.MarkUndefined(b, 0, len(d.Bytes(b)))
			}
		}
	}
	return d.Device.Submit(lists, slot)
}

// TestConformanceChecked watches every access to memory in three orders of threads, threadgroups and launches.
func TestConformanceChecked(t *testing.T) {
	for i, order := range thorough.Cases(t, 3, "orders", []emulator.Order{emulator.Random, emulator.Reverse, emulator.Forward}) {
		p := precisions[i%len(precisions)]
		t.Run(fmt.Sprintf("%s, %s", order, p.name), func(t *testing.T) {
			t.Parallel()
			d := &strict{Device: emulatortest.Open(t, emulator.Options{Checked: true, Order: order, Seed: 11})}
			b := on(t, d, p.options)
			defer b.Close()
			d.watch(b)
			suite := p.suite
			suite.Every = 4 * thorough.Every(t, 400, "cases")
			conformance.Run(t, b, suite)
		})
	}
}
