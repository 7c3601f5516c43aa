package metal_test

import (
	"testing"

	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/shaders"
	"coil/thorough"
)

// TestRegisters proves that no kernel leaves an array of its threads in memory.
func TestRegisters(t *testing.T) {
	t.Parallel()
	d := emulatortest.Open(t, emulator.Options{})
	for _, variants := range []metal.Variants{metal.Preferred(d.Description()), metal.Plainest()} {
		for _, name := range thorough.Cases(t, 6, "shaders", shaders.Names()) {
			diags, err := d.Registers(name, shaders.Source(name, variants.Definitions(d.Description())...))
			if err != nil {
				t.Fatal(err)
			}
			for _, diag := range diags {
				t.Error(diag)
			}
		}
	}
}
