// Package emulatortest opens emulators for tests.
package emulatortest

import (
	"errors"
	"os"
	"testing"

	"coil/metal/emulator"
)

// Open returns an emulator that is closed when the test ends. Where there can be none the test is skipped, or fails if
// COIL_REQUIRE is "all".
func Open(t testing.TB, o emulator.Options) *emulator.Device {
	t.Helper()
	d, err := emulator.Open(o)
	if errors.Is(err, emulator.ErrUnavailable) && os.Getenv("COIL_REQUIRE") != "all" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
