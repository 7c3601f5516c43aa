package eval

import (
	"errors"
	"fmt"
	"math"

	"coil/model"
	"coil/run"
	"coil/task"
)

// Probe runs a model on held-out examples and shows, for every target, what the model would say if it ended after each loop,
// and how the loop moved its state: the loop lens. Not for concurrent use.
type Probe struct {
	batches
	*forward
	loops          int
	width, classes int
	states, logits []*output // of each loop; the states begin with that before the first
	seen           Observation
}

// Observation is one target of one example. P[0] is the uniform distribution, with which that after the first loop is compared; index 0 of the
// others is unused.
type Observation struct {
	Kind    int // index of the task's Kinds
	Example int // of its kind
	Target  int32
	P       [][]float64 // [loop][class]: softmax of the logits after the loop
	// Of s_t, the state after loop t, s_0 being that before the first:
	Moved      []float64 // ‖s_t − s_{t−1}‖²
	Before     []float64 // ‖s_{t−1}‖²
	LatentDiff []float64 // ‖s_t − s_{t−1}‖ / ‖s_t‖
	Cosine     []float64 // ⟨s_t, s_{t−1}⟩ / (‖s_t‖·‖s_{t−1}‖)
}

// NewProbe compiles a pass with a number of loops, for batches of the given size, that returns the states and logits of all loops.
func NewProbe(t Trained, batch, loops int) (*Probe, error) {
	if loops < 1 {
		return nil, errors.New("look after no loop: want at least one")
	}
	m := t.Model
	l := &Probe{batches: newBatches(t.Task, batch), forward: t.forward(batch, t.Backend.GroupSize(batch, m.Length), loops),
		loops: loops, width: m.Config.Width, classes: m.Vocabulary}
	l.pass.Loops(l.pass.Embed(l.forward.tokens), func(x model.Loop) {
		if x.Number == 1 {
			l.states = append(l.states, l.keep(x.Before))
		}
		l.states = append(l.states, l.keep(x.After))
		logits := l.output(m.Length, m.Vocabulary)
		l.pass.Logits(l.pass.Ending(x.After), logits.Tensor)
		l.logits = append(l.logits, logits)
	})
	if err := l.compile(t.Backend); err != nil {
		return nil, fmt.Errorf("the lens of %s: %w", l.pass.Architecture, err)
	}
	for _, of := range []*[]float64{&l.seen.Moved, &l.seen.Before, &l.seen.LatentDiff, &l.seen.Cosine} {
		*of = make([]float64, loops+1)
	}
	for i := range loops + 1 {
		l.seen.P = append(l.seen.P, make([]float64, l.classes))
		if i == 0 {
			for c := range l.classes {
				l.seen.P[0][c] = 1 / float64(l.classes)
			}
		}
	}
	return l, nil
}

// Each calls f with every target of the first examples held-out examples of each kind that the seed draws, those of an example
// after each other. What f is given is valid until it returns. stop, if not nil, is asked between batches; when it returns true
// Each ends with ErrStopped.
func (l *Probe) Each(seed uint64, examples int, stop func() bool, f func(x *Observation)) error {
	length := l.task.Length()
	return l.eachBatch(seed, examples, stop, func(kind, first, n int) error {
		if err := l.run(l.batches.tokens); err != nil {
			return err
		}
		for i, target := range l.targets[:n*length] {
			if target != task.Ignore {
				l.at(i)
				l.seen.Kind, l.seen.Example = kind, first+i/length
				f(&l.seen)
			}
		}
		return nil
	})
}

// at fills the observation with the position i of the batch.
func (l *Probe) at(i int) {
	l.seen.Target = l.targets[i]
	for t := 1; t <= l.loops; t++ {
		softmax(l.logits[t-1].values[i*l.classes:(i+1)*l.classes], l.seen.P[t])
		var moved, now, before, both float64
		s0, s1 := l.states[t-1].values[i*l.width:(i+1)*l.width], l.states[t].values[i*l.width:(i+1)*l.width]
		for j := range s1 {
			a, b := float64(s0[j]), float64(s1[j])
			moved += (b - a) * (b - a)
			now += b * b
			before += a * a
			both += a * b
		}
		l.seen.Moved[t], l.seen.Before[t] = moved, before
		l.seen.LatentDiff[t], l.seen.Cosine[t] = math.Sqrt(moved/now), both/math.Sqrt(now*before)
	}
}

// softmax writes exp(x_i) / Σ exp(x_j) to p.
func softmax(x []float32, p []float64) {
	most := math.Inf(-1)
	for _, v := range x {
		most = max(most, float64(v))
	}
	var sum float64
	for i, v := range x {
		p[i] = math.Exp(float64(v) - most)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
}

// entropy is −Σ p·ln p, in nats.
func entropy(p []float64) float64 {
	var h float64
	for _, x := range p {
		if x > 0 {
			h -= x * math.Log(x)
		}
	}
	return h
}

// least is what a probability that rounding has made 0 counts as, so that means stay finite.
const least = 1e-300

// divergence is KL(p ‖ q) = Σ p·ln(p/q), in nats.
func divergence(p, q []float64) float64 {
	var d float64
	for i, x := range p {
		if x > 0 {
			d += x * math.Log(x/max(q[i], least))
		}
	}
	return d
}

// said returns the most likely class.
func said(p []float64) int32 {
	best := 0
	for i, x := range p {
		if x > p[best] {
			best = i
		}
	}
	return int32(best)
}

// LoopStats is what the lens shows after one loop: means over all targets, each kind with the same weight.
type LoopStats struct {
	Loops    int        `json:"loops"`
	Loss     float64    `json:"loss"`
	Accuracy float64    `json:"accuracy"`
	Exact    float64    `json:"exact"`      // share of examples with every target right
	Entropy  float64    `json:"entropy"`    // of the output, nats
	ToLast   float64    `json:"kl_to_last"` // KL(p_t ‖ p_T) to the output after the last loop, nats
	KL       float64    `json:"kl"`         // KL(p_{t−1} ‖ p_t), with p_0 uniform: the measure of the exit rule kl
	Flips    float64    `json:"flips"`      // share of answers that differ from those after the loop before
	ToRight  float64    `json:"to_right"`   // share that became right
	ToWrong  float64    `json:"to_wrong"`   // share that became wrong
	Change   run.Number `json:"change"`     // as in Result
	Cosine   float64    `json:"cosine"`     // mean cosine of s_t and s_{t−1}
}

// LensStats sums observations up. Make one with NewLensStats.
type LensStats struct {
	loops   int
	kinds   []lensKind
	changes []squares // over the observations of all kinds
	exits   []exitSum
}

// lensKind are the sums over the observations of a kind of example.
type lensKind struct {
	targets, examples float64
	last              int // the example of the last observation
	right             []bool
	sums              []LoopStats
}

// NewLensStats sums up observations of that many loops, of a task with that many kinds of examples, and the given exits.
func NewLensStats(loops, kinds int, exits []ExitRule) *LensStats {
	l := &LensStats{loops: loops, kinds: make([]lensKind, kinds), changes: make([]squares, loops+1)}
	for k := range l.kinds {
		l.kinds[k] = lensKind{last: -1, right: make([]bool, loops+1), sums: make([]LoopStats, loops+1)}
	}
	for _, e := range exits {
		l.exits = append(l.exits, newExitSum(e, kinds))
	}
	return l
}

// Add takes an observation.
func (l *LensStats) Add(x *Observation) {
	k := &l.kinds[x.Kind]
	if x.Example != k.last {
		k.endExample()
		k.last = x.Example
		k.examples++
		for t := range k.right {
			k.right[t] = true
		}
	}
	k.targets++
	final := x.P[l.loops]
	for t := 1; t <= l.loops; t++ {
		v, p, before := &k.sums[t], x.P[t], x.P[t-1]
		now, was := said(p), said(before)
		v.Loss -= math.Log(max(p[x.Target], least))
		v.Entropy += entropy(p)
		v.ToLast += divergence(p, final)
		v.KL += divergence(before, p)
		l.changes[t].moved += x.Moved[t]
		l.changes[t].state += x.Before[t]
		v.Cosine += x.Cosine[t]
		if now == x.Target {
			v.Accuracy++
		} else {
			k.right[t] = false
		}
		if t > 1 && now != was {
			v.Flips++
			switch x.Target {
			case now:
				v.ToRight++
			case was:
				v.ToWrong++
			}
		}
	}
	for i := range l.exits {
		l.exits[i].add(x)
	}
}

// endExample counts the example that the observations were of.
func (k *lensKind) endExample() {
	if k.last < 0 {
		return
	}
	for t := range k.right {
		if k.right[t] {
			k.sums[t].Exact++
		}
	}
}

// Views are the means after each loop, once all observations are added.
func (l *LensStats) Views() []LoopStats {
	views := make([]LoopStats, l.loops)
	for i := range l.kinds {
		k := &l.kinds[i]
		k.endExample()
		k.last = -1
		for t := 1; t <= l.loops; t++ {
			v, s, n := &views[t-1], k.sums[t], k.targets*float64(len(l.kinds))
			v.Loops = t
			v.Loss += s.Loss / n
			v.Accuracy += s.Accuracy / n
			v.Exact += s.Exact / k.examples / float64(len(l.kinds))
			v.Entropy += s.Entropy / n
			v.ToLast += s.ToLast / n
			v.KL += s.KL / n
			v.Flips += s.Flips / n
			v.ToRight += s.ToRight / n
			v.ToWrong += s.ToWrong / n
			v.Cosine += s.Cosine / n
		}
	}
	for t := range views {
		views[t].Change = l.changes[t+1].change()
	}
	return views
}
