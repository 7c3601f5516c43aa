package metal_test

import (
	"testing"

	"coil/backend/conformance"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
)

func TestConformance(t *testing.T) {
	b, err := metal.New(emulatortest.Open(t, emulator.Options{}), metal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, b, conformance.Options{})
}
