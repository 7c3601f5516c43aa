package conformance

import (
	"testing"

	"coil/graph"
)

// A part of the suite is about each operation.
func TestOperations(t *testing.T) {
	for _, op := range graph.Operations() {
		if len(About(op)) == 0 {
			t.Errorf("no part of the suite is about %s", op.Name())
		}
	}
}
