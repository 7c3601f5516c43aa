package conformance

import (
	"math"
	"slices"

	"coil/backend"
	"coil/graph"
)

func (r *reference) crossEntropy(o *graph.CrossEntropy) {
	logits := r.read(o.Logits)
	loss, correct, grad := newMatrix(logits.rows, 1), newMatrix(logits.rows, 1), newMatrix(logits.rows, logits.cols)
	weight, weights := exact(o.Weight).times(r.scalar(o.Scale)), r.read(o.RowWeights)
	for i, t := range r.index(o.Targets) {
		if t == graph.Ignore {
			continue
		}
		x, p := logits.row(i), grad.row(i)
		scale := weight
		if weights.exists() {
			scale = scale.times(weights.at(i, 0))
		}
		m := largest(x)
		var sum total
		for j := range x {
			p[j] = x[j].minus(m).exp()
			sum.add(p[j])
		}
		loss.set(i, 0, sum.num().log().plus(m.minus(x[t])))
		correct.set(i, 0, firstLargest(x, int(t)))
		for j := range p {
			p[j] = scale.times(p[j]).over(sum.num())
		}
		p[t] = p[t].minus(scale)
	}
	r.write(o.Loss, loss)
	r.write(o.Correct, correct)
	r.write(o.DLogits, grad)
}

// firstLargest is 1 if x[t] is the first largest element and 0 if not; it may be either if the error of x leaves it open.
func firstLargest(x []num, t int) num {
	right := exact(1)
	for j, v := range x {
		if j == t {
			continue
		}
		if math.IsNaN(v.v) || math.IsNaN(x[t].v) {
			return exact(0)
		}
		if d := x[t].v - v.v; d < 0 || d == 0 && j < t {
			right.v = 0
		}
		if e := v.e + x[t].e; e > 0 && math.Abs(x[t].v-v.v) <= e {
			right.e = 1
		}
	}
	return right
}

func crossEntropyCases(s *suite) {
	for i, shape := range [][2]int{{1, 1}, {3, 2}, {4, 7}, {6, 10}, {5, 17}, {9, 33}, {2, 257}, {3, 1000},
		{5, 64}, {3, 70}, {3, 600}, {2, 3001}, {2, 5000}, {2, 9000}, {1, 8193}, {4, 71}} {
		n, classes := shape[0], shape[1]
		targets := make([]int32, n*trialGroups)
		for j := range targets {
			if targets[j] = int32(s.rng.IntN(classes)); j%4 == 3 {
				targets[j] = graph.Ignore
			}
		}
		for variant := range 8 {
			inPlace, scaled, wide := variant&1 != 0, variant&2 != 0, variant&4 != 0
			c := s.inBody("[%d,%d] in place=%v scale=%v large=%v", n, classes, inPlace, scaled, wide)
			c.pad = pads[i%len(pads)]
			value := c.scaled(2)
			if wide {
				value = c.scaled(1e4)
			}
			op := &graph.CrossEntropy{Logits: c.inOut("logits", n, classes, value), Targets: c.index(targets), Weight: 0.5}
			if op.DLogits = op.Logits; !inPlace {
				op.DLogits = c.out("DLogits", n, classes)
			}
			if scaled {
				op.Scale = c.number(1.0 / 3)
			}
			c.pad = 0
			if variant%4 == i%4 {
				op.RowWeights = c.in("row weights", n, 1)
			}
			if variant%3 == 0 {
				op.Loss, op.Correct = c.output("loss", n, 1), c.output("correct", n, 1)
			} else {
				op.Loss, op.Correct = c.out("loss", n, 1), c.out("correct", n, 1)
			}
			c.check(op)
		}
	}
	// The largest of these is far below typical initial values of a maximum.
	for _, classes := range []int{40, 3001} {
		targets := slices.Repeat([]int32{3, int32(classes - 1)}, trialGroups)
		c := s.inBody("%d logits far below zero", classes)
		below := func() float32 { return c.normal() - 300 }
		c.check(&graph.CrossEntropy{Logits: c.in("logits", 2, classes, below), Targets: c.index(targets), Weight: 1,
			Loss: c.out("loss", 2, 1), Correct: c.out("correct", 2, 1), DLogits: c.out("DLogits", 2, classes)})
	}
	special := func(label string, rows int, targets []int32, values ...float32) {
		cols := len(values) / rows
		c := s.inBody("%s", label)
		logits := c.in("logits", rows, cols, list(values...))
		both := c.index(append(append([]int32{}, targets...), targets...))
		op := &graph.CrossEntropy{Logits: logits, Targets: both, Weight: 1,
			Loss: c.out("loss", rows, 1), Correct: c.out("correct", rows, 1), DLogits: c.out("DLogits", rows, cols)}
		alone := func(o graph.CrossEntropy) *graph.CrossEntropy {
			o.Logits, o.Targets, o.Weight = logits, both, 1
			return &o
		}
		c.check(op, alone(graph.CrossEntropy{Loss: c.out("loss alone", rows, 1)}),
			alone(graph.CrossEntropy{Correct: c.out("correct alone", rows, 1)}),
			alone(graph.CrossEntropy{DLogits: c.out("DLogits alone", rows, cols)}))
	}
	ignore := int32(graph.Ignore)
	special("all ignored", 2, []int32{ignore, ignore}, 1, 2, 3, 4)
	special("ties", 4, []int32{0, 1, 1, 2}, 5, 5, 1, 5, 5, 1, 1, 5, 5, 1, 5, 5)
	special("huge", 3, []int32{0, 1, 2}, 1e4, -1e4, 0, 1e4, -1e4, 0, 1e4, -1e4, 0)
	special("NaN", 4, []int32{0, 1, 2, ignore}, nan(), 1, 2, 1, nan(), 5, 3, nan(), 9, nan(), nan(), nan())

	many := make([]float32, 4*9000)
	many[2*9000+7000], many[3*9000+8000] = nan(), 1
	special("many ties", 4, []int32{0, 5, 0, 8000}, many...)

	c := s.inBody("parts of the targets, loss in parts of outputs")
	logits, targets := c.in("logits", 6, 5), c.index([]int32{0, 1, 2, 3, 4, 0, 4, 4, -1, 2, 1, 0})
	loss, correct := c.output("loss", 6, 1), c.output("correct", 6, 1)
	var ops []graph.Op
	for lo := 0; lo < 6; lo += 2 {
		ops = append(ops, &graph.CrossEntropy{Logits: logits.RowRange(lo, lo+2), Targets: targets.Range(lo, lo+2),
			Loss: loss.RowRange(lo, lo+2), Correct: correct.RowRange(lo, lo+2), Weight: 1})
	}
	c.check(ops...)

	// A target that is no class ends the run, whichever outputs are wanted.
	for _, bad := range []int32{-2, 5} {
		c := s.inBody("target %d of 5 classes", bad).kept()
		c.Record(&graph.CrossEntropy{Logits: c.in("logits", 1, 5), Targets: c.index([]int32{0, bad}), Correct: c.out("correct", 1, 1)})
		p, err := s.b.Compile(c.Recorder)
		if err != nil {
			s.Fatal(err)
		}
		if err := runAndTake(p, c.Recorder, backend.Args{Inputs: c.inputs}); err == nil {
			s.Errorf("%s: no error", c.label)
		}
		p.Close()
	}
}
