//go:build standin

package bridge_test

import (
	"testing"

	"coil/backend/conformance"
	"coil/metal"
	"coil/metal/bridge"
	"coil/metal/bridge/standin"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// The whole backend, from the recording to the kernels, by way of the bridge.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("in full only")
	}
	standin.Use(emulatortest.Open(t, emulator.Options{}))
	live := standin.Live()
	d, err := bridge.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := metal.New(d, metal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, b, conformance.Options{Every: thorough.Every(t, 40, "cases")})
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := standin.Live() - live; n > 1 { // the stand-in's thread may still hold a command buffer
		t.Errorf("%d Objective-C objects are left", n)
	}
}
