package metal_test

import (
	"fmt"
	"testing"

	"coil/backend/conformance"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
)

// precisions are what the backend can keep activations in, with what the suite must know of it.
var precisions = []struct {
	name    string
	options metal.Options
	suite   conformance.Options
}{
	{"float32", metal.Options{}, conformance.Options{}},
	{"bfloat16", metal.Options{BFloat16: true}, conformance.Options{BFloat: metal.BFloats}},
}

func TestConformance(t *testing.T) {
	for _, p := range precisions {
		t.Run(p.name, func(t *testing.T) {
			b := on(t, emulatortest.Open(t, emulator.Options{Workers: 2}), p.options)
			defer b.Close()
			conformance.Run(t, b, p.suite)
		})
	}
}

// TestConformanceChecked watches every access to memory, and keeps each argument of a launch within its bounds, in three
// orders of threads, threadgroups and launches.
func TestConformanceChecked(t *testing.T) {
	for i, order := range []emulator.Order{emulator.Forward, emulator.Reverse, emulator.Random} {
		p := precisions[i%len(precisions)]
		t.Run(fmt.Sprintf("%s, %s", order, p.name), func(t *testing.T) {
			d := emulatortest.Open(t, emulator.Options{Checked: true, Order: order, Seed: 11})
			b := on(t, d, p.options)
			defer b.Close()
			d.SetWindows(b.Window)
			suite := p.suite
			suite.Every = 4
			conformance.Run(t, b, suite)
		})
	}
}
