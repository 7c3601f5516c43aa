package train

import (
	"fmt"
	"math"
	"testing"

	"coil/model/reference"
	"coil/run"
	"coil/task"
)

// The report of a step with a learned exit agrees with the definition of the model, in float64, on its batch.
func TestLearnedExitReports(t *testing.T) {
	c := tiny()
	c.Model.Layers, c.Loops.Exit, c.Train.Rate, c.Model.InitStd = "1x3", "learned", 0, 0.5
	c.Train.Steps, c.Train.Report, c.Evaluate.Every = 1, 1, 0
	tr, r := newTrainer(t, c, 2), newRun(t, c)
	m := reference.New(tr.Model, tr.Model.Architecture, values(t, tr.state.weights))
	want := map[string]float64{}
	b := newBatch(tr.Task, c.Train.Batch)
	b.fill(c.Train.Seed, 0)
	for i := range c.Train.Batch {
		tokens := make([]int, tr.Model.Length)
		for j := range tokens {
			tokens[j] = int(b.inputs[0][i*tr.Model.Length+j])
		}
		p, logits := m.Exits(tokens), m.Logits(tokens)
		for j, target := range b.inputs[1][i*tr.Model.Length:][:tr.Model.Length] {
			if target == task.Ignore {
				continue
			}
			for l := range p {
				var sum float64
				most := math.Inf(-1)
				for _, v := range logits[l][j] {
					sum, most = sum+math.Exp(v), max(most, v)
				}
				loss, q, n := math.Log(sum)-logits[l][j][target], p[l][j], float64(b.count)
				want[fmt.Sprintf("loss_loop_%d", l+1)] += loss / n
				want[fmt.Sprintf("exit_loop_%d", l+1)] += q / n
				want["exit_loop"] += float64(l+1) * q / n
				want["exit_entropy"] -= q * math.Log(q) / n
				want["loss"] += q * loss / n
				if l == len(p)-1 && logits[l][j][target] == most {
					want["accuracy"] += 1 / n
				}
			}
		}
	}
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	got := reports(t, r, run.KindTrain)[1]
	for name, w := range want {
		if v, ok := got[name]; !ok || math.Abs(float64(v)-w) > 1e-5*(1+math.Abs(w)) {
			t.Errorf("%s is %v, want %g", name, v, w)
		}
	}
	if len(want) != 3+3+4 {
		t.Fatalf("%d values were looked at", len(want))
	}
}
