package metal_test

import (
	"fmt"
	"math"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal/emulator"
)

// Logits of −∞ are classes that cannot be: they have no probability and no gradient, wherever the largest logit is searched
// for.
func TestCrossEntropyOfImpossibleClasses(t *testing.T) {
	inf := float32(math.Inf(1))
	const rows = 5
	for _, classes := range []int{3, 10, 700, 4000, 9000, 9001} {
		t.Run(fmt.Sprint(classes), func(t *testing.T) {
			x := normals(rows*classes, 1)
			row := func(i int) []float32 { return x[i*classes:][:classes] }
			targets := []int32{int32(classes - 1), 1, 2, 0, 2}
			for j := range classes {
				if j%2 == 1 && j != classes-1 {
					row(0)[j] = -inf // some classes
				}
				row(1)[j], row(2)[j], row(3)[j] = -inf, -inf, -inf
			}
			row(1)[1] = -3 // all but the target
			row(2)[1] = 5  // the target too
			row(4)[1] = inf

			got := resultsOf(t, emulator.Options{Checked: true}, backend.Args{Inputs: [][]int32{targets}}, func(r *recording) {
				logits := shaped(r.values(x), rows, classes, classes)
				loss, correct, grad := r.Temporary(rows, 1), r.Temporary(rows, 1), r.Temporary(rows, classes)
				r.Record(&graph.CrossEntropy{Logits: logits, Targets: r.Input(rows), Loss: loss, Correct: correct, DLogits: grad, Weight: 1})
				for _, v := range []graph.Tensor{loss, correct, grad} {
					sum := r.Accumulator(v.Rows, v.Cols)
					r.Record(&graph.Add{A: sum, B: v, Y: sum, Alpha: 1, Beta: 1})
					r.Result(sum)
				}
			})
			loss, correct, grad := got[:rows], got[rows:2*rows], got[2*rows:]
			var sum float64
			for _, v := range row(0) {
				sum += math.Exp(float64(v))
			}
			if want := math.Log(sum) - float64(row(0)[classes-1]); math.Abs(float64(loss[0])-want) > 1e-4 {
				t.Errorf("some classes impossible: loss %g, want %g", loss[0], want)
			}
			for j, g := range grad[:classes] {
				want := math.Exp(float64(row(0)[j])) / sum
				if j == classes-1 {
					want--
				}
				if math.Abs(float64(g)-want) > 1e-5 {
					t.Fatalf("some classes impossible: gradient of class %d is %g, want %g", j, g, want)
				}
			}
			if loss[1] != 0 || correct[1] != 1 {
				t.Errorf("only the target possible: loss %g, correct %g", loss[1], correct[1])
			}
			if loss[2] != inf || correct[2] != 0 || grad[2*classes+1] != 1 || grad[2*classes+2] != -1 {
				t.Errorf("target impossible: loss %g, correct %g, gradients %g", loss[2], correct[2], grad[2*classes:][1:3])
			}
			if loss[3] == loss[3] || grad[3*classes] == grad[3*classes] {
				t.Errorf("all impossible: loss %g, gradient %g, want NaN", loss[3], grad[3*classes])
			}
			if loss[4] == loss[4] || correct[4] != 0 {
				t.Errorf("a logit of +∞: loss %g, correct %g, want NaN and 0", loss[4], correct[4])
			}
		})
	}
}
