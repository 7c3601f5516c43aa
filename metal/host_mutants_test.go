package metal_test

import (
	"os"
	"regexp"
	"testing"

	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/metal/mutation"
)

// TestHostMutants puts faults into the Go code of this package and wants them noticed, if COIL_MUTANTS is "host" or matches
// the name of a file. Those of package bridge are tried by package standin.
func TestHostMutants(t *testing.T) {
	only := os.Getenv("COIL_MUTANTS")
	if only == "host" {
		only = ".*"
	}
	if only == "" || only == "all" {
		t.Skip("set COIL_MUTANTS to host to try mutants of the Go code")
	}
	emulatortest.Open(t, emulator.Options{})
	mutation.Test(t, mutation.Package{Dir: ".", Path: "coil/metal"}, "testdata/host_mutants.txt", regexp.MustCompile(only))
}
