package train

import (
	"math"
	"strings"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/run"
)

// Every report of whole windows says where the time of its last step went, and has the state of the machine.
func TestReportsTellOfTheMachine(t *testing.T) {
	c := tiny()
	r := newRun(t, c)
	if err := newTrainer(t, c, 2).Run(r, nil); err != nil {
		t.Fatal(err)
	}
	for step, v := range reports(t, r, run.KindTrain) {
		sum := 0.0
		for name, x := range v {
			if strings.HasPrefix(name, "time_") {
				sum += float64(x)
			}
		}
		if math.Abs(sum-1) > 1e-9 || v["time_matmul"] <= 0 || v["time_optimizer"] <= 0 {
			t.Errorf("step %d: the shares %v sum to %g", step, v, sum)
		}
		if v["memory_peak"] <= 0 {
			t.Errorf("step %d reports no memory: %v", step, v)
		}
	}
}

// A training step has work of each kind.
func TestKinds(t *testing.T) {
	c := tiny()
	c.Regularize.Lambda, c.Model.Layers, c.Model.Activation = 1, "2x1", "swiglu"
	tr := newTrainer(t, c, 1)
	rec, _ := recordStep(tr.Model, c, 1, tr.state, tr.Model.Architecture)
	seen := map[graph.Kind]bool{}
	for _, ops := range [][]graph.Op{rec.Body(), rec.Update()} {
		for _, op := range ops {
			seen[backend.OpTime{Op: op}.Kind()] = true
			if kind := (backend.OpTime{Op: op, Update: true}).Kind(); kind != graph.KindUpdate {
				t.Errorf("%s in the update is of kind %s", op.Name(), kind)
			}
		}
	}
	if len(seen) != len(graph.Kinds) {
		t.Errorf("seen are %v of %v", seen, graph.Kinds)
	}
}
