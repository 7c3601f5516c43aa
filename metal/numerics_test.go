package metal_test

import (
	"maps"
	"slices"
	"testing"

	"coil/backend/conformance"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// The arithmetic of a Mac's GPU, as wrong as the Metal Shading Language Specification allows: denormal numbers are flushed,
// and functions are off. The bridge asks for the precise functions.
func TestConformanceNumerics(t *testing.T) {
	thorough.Skip(t)
	worstPrecise := emulator.Options{Flush: true, Functions: emulator.WorstPrecise}
	type combination struct {
		name  string
		gpu   emulator.Options
		p     precision
		every int
	}
	var all []combination
	for _, p := range precisions {
		all = append(all, combination{"denormals flushed, worst precise functions", worstPrecise, p, 2}, combination{"denormals flushed", emulator.Options{Flush: true}, p, 4})
	}
	for _, x := range all {
		t.Run(x.name+", "+x.p.name, func(t *testing.T) {
			t.Parallel()
			b := on(t, emulatortest.Open(t, x.gpu), x.p.options)
			defer b.Close()
			suite := x.p.suite
			suite.Every = x.every
			conformance.Run(t, b, suite)
		})
	}
	t.Run("where denormals are", func(t *testing.T) {
		t.Parallel()
		b := on(t, emulatortest.Open(t, worstPrecise), metal.Options{})
		defer b.Close()
		conformance.Run(t, b, conformance.Options{Subjects: []string{"exit", "activation", "clip factor"}})
	})
}

// TestFastFunctions is why the bridge asks for precise functions: fast ones are outside of the suite's bounds, and of what the
// operations promise. So the suite also finds out if a Mac has them all the same.
func TestFastFunctions(t *testing.T) {
	t.Parallel()
	wrong := map[string]bool{
		"activation":  true,  // exp errs by 3 + floor(2|x|) units in the last place and not by 4
		"exit":        true,  // log(1 + exp(-|x|)) errs by 1/2²¹, which is more than its value at large |x|
		"clip factor": true,  // the square root of 1/4 is not 1/2
		"matmul":      false, // no functions
		"attention":   false, // the arguments of exp are small, and its errors a share of the sum's
	}
	b := on(t, emulatortest.Open(t, emulator.Options{Flush: true, Functions: emulator.WorstFast, Quick: !thorough.On()}), metal.Options{})
	defer b.Close()
	suite := conformance.Options{Every: 4, Subjects: thorough.Cases(t, 3, "subjects", slices.Sorted(maps.Keys(wrong)))}
	conformance.Check(b, suite, func(f conformance.Finding) bool {
		if (len(f.Failures) > 0) != wrong[f.Subject] {
			t.Errorf("%s with fast functions: %d failures in %d trials: %q", f.Subject, len(f.Failures), f.Trials, f.Failures)
		}
		return true
	})
}
