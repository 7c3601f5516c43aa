package metal_test

import (
	"slices"
	"testing"

	"coil/backend/conformance"
	"coil/graph"
	"coil/graph/graphtest"
	"coil/metal"
)

// The backend lowers every operation, by whatever variant, to kernels whose files have mutants, and a part of the conformance
// suite that is about the operation hunts those. Its kernels ask the gate exactly if the operation says so.
func TestOperations(t *testing.T) {
	dryRun := metal.NewDryRun(metal.Chip{Name: "paper"})
	for _, variants := range []metal.Variants{metal.Preferred(dryRun.Description()), metal.Plainest()} {
		b := on(t, metal.NewDryRun(metal.Chip{Name: "paper"}), metal.Options{Variants: variants})
		defer b.Close()
		r := graph.NewRecorder(1, 1)
		ops := graphtest.Examples(r)
		for _, op := range ops {
			r.Record(op)
		}
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, op := range ops {
			files := metal.Files(p, op)
			if len(files) == 0 {
				t.Errorf("%s is lowered to nothing", op.Name())
			}
			for _, file := range files {
				if !slices.ContainsFunc(conformance.About(op), func(part string) bool { return slices.Contains(subjectsOf[file], part) }) {
					t.Errorf("%s: %q run the mutants of %s.metal, and none tests the operation: want one of %q",
						op.Name(), subjectsOf[file], file, conformance.About(op))
				}
			}
			if got := metal.AsksGate(p, op); got != graph.Describe(op).Gated {
				t.Errorf("%s: its kernels ask the gate: %v", op.Name(), got)
			}
		}
	}
}
