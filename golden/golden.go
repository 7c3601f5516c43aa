// Package golden compares what a test makes with a file that was looked at, for tests.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Update is the flag -update of the tests: they write the golden files anew.
var Update = flag.Bool("update", false, "write the golden files anew")

// Compare fails the test if got is not what the file of that name in testdata holds.
func Compare(t *testing.T, name, got string) {
	t.Helper()
	CompareFile(t, filepath.Join("testdata", name), got)
}

// CompareFile fails the test if got is not what the file at path holds.
func CompareFile(t *testing.T, path, got string) {
	t.Helper()
	if *Update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got; with -update, the test writes it):\n%s", path, d)
	}
}
