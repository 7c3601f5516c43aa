package eval

import (
	"fmt"
	"math"
	"slices"
)

// ExitRule decides after which loop a position leaves, without any training: after the first loop t whose measure is below
// Threshold, or else after the last. The rules are those of Geiping et al. (arXiv 2502.05171, section 6.1, and the code):
//
//	latent-diff       ‖s_t − s_{t−1}‖ / ‖s_t‖ < τ
//	entropy-diff      |H_t − H_{t−1}| < τ, H the entropy of the output, with H_0 = 100
//	kl                KL(p_{t−1} ‖ p_t) < τ, p the output, with p_0 uniform
//	minp-kl           the same for outputs in which every p < 0.1·max p is replaced by 1/V, scaled to sum 1 again
//	argmax-stability  the answer has been the same for τ loops after the one that first gave it
//
// Two others are for comparison:
//
//	fixed             after loop τ
//	oracle            after the first loop whose answer is right: no rule can be better
type ExitRule struct {
	Rule      string  `json:"rule"`
	Threshold float64 `json:"threshold"`
}

// The rules, and the thresholds that their source uses.
var exitDefaults = []ExitRule{{"latent-diff", 0.03}, {"entropy-diff", 1e-3}, {"kl", 5e-4}, {"minp-kl", 1e-6}, {"argmax-stability", 5}}

// ExitRules are the rules with the thresholds of their source, and those that sweep over thresholds; the fixed loop counts
// up to loops; and the oracle.
func ExitRules(loops int) []ExitRule {
	sweeps := map[string][]float64{
		"latent-diff":      {0.01, 0.03, 0.1, 0.3, 1},
		"entropy-diff":     {1e-4, 1e-3, 1e-2, 0.1, 1},
		"kl":               {5e-5, 5e-4, 5e-3, 5e-2, 0.5},
		"minp-kl":          {1e-7, 1e-6, 1e-4, 1e-2, 0.1},
		"argmax-stability": {1, 2, 3, 5},
	}
	var rules []ExitRule
	for _, d := range exitDefaults {
		for _, t := range sweeps[d.Rule] {
			rules = append(rules, ExitRule{d.Rule, t})
		}
	}
	for t := 1; t <= loops; t++ {
		rules = append(rules, ExitRule{"fixed", float64(t)})
	}
	return append(rules, ExitRule{"oracle", 0})
}

// Default reports whether the threshold is that of the rule's source.
func (r ExitRule) Default() bool { return slices.Contains(exitDefaults, r) }

// Check returns an error unless there is such a rule.
func (r ExitRule) Check() error {
	for _, d := range append(slices.Clone(exitDefaults), ExitRule{"fixed", 0}, ExitRule{"oracle", 0}) {
		if d.Rule == r.Rule && r.Threshold >= 0 {
			return nil
		}
	}
	return fmt.Errorf("exit rule %q at %g: there are latent-diff, entropy-diff, kl, minp-kl, argmax-stability, fixed and oracle, with thresholds from 0", r.Rule, r.Threshold)
}

// firstEntropy is H_0 of entropy-diff: so large that no first loop is the last.
const firstEntropy = 100

// leaves is the loop, from 1, after which the position leaves.
func (r ExitRule) leaves(x *Observation) int {
	last := len(x.P) - 1
	for t := 1; t < last; t++ {
		if r.stops(x, t) {
			return t
		}
	}
	return last
}

// stops reports whether the position leaves after loop t.
func (r ExitRule) stops(x *Observation, t int) bool {
	switch r.Rule {
	case "latent-diff":
		return x.LatentDiff[t] < r.Threshold
	case "entropy-diff":
		before := float64(firstEntropy)
		if t > 1 {
			before = entropy(x.P[t-1])
		}
		return math.Abs(entropy(x.P[t])-before) < r.Threshold
	case "kl":
		return divergence(x.P[t-1], x.P[t]) < r.Threshold
	case "minp-kl":
		return divergence(flattened(x.P[t-1]), flattened(x.P[t])) < r.Threshold
	case "argmax-stability":
		same := 0
		for i := t - 1; i >= 1 && said(x.P[i]) == said(x.P[t]); i-- {
			same++
		}
		return float64(same) >= r.Threshold
	case "fixed":
		return float64(t) >= r.Threshold
	case "oracle":
		return said(x.P[t]) == x.Target
	}
	panic("eval: an exit rule that was not checked")
}

// flattened is p with every value below a tenth of the largest set to 1/V, scaled to sum 1.
func flattened(p []float64) []float64 {
	most := slices.Max(p)
	q := make([]float64, len(p))
	var sum float64
	for i, x := range p {
		if q[i] = x; x < 0.1*most {
			q[i] = 1 / float64(len(p))
		}
		sum += q[i]
	}
	for i := range q {
		q[i] /= sum
	}
	return q
}

// ExitView is what an exit rule costs and saves: means over all targets, each kind with the same weight.
type ExitView struct {
	ExitRule
	Loops    float64 `json:"loops"` // run by a position
	Accuracy float64 `json:"accuracy"`
	Exact    float64 `json:"exact"` // share of examples with every target right
}

// exitSum adds up a rule's exits.
type exitSum struct {
	ExitRule
	kinds []exitKind
}

type exitKind struct {
	targets, loops, right, examples, exact float64
	last                                   int
	all                                    bool // targets of the last example are right so far
}

func newExitSum(r ExitRule, kinds int) exitSum {
	s := exitSum{r, make([]exitKind, kinds)}
	for i := range s.kinds {
		s.kinds[i].last = -1
	}
	return s
}

func (s *exitSum) add(x *Observation) {
	k := &s.kinds[x.Kind]
	if x.Example != k.last {
		k.endExample()
		k.last, k.all = x.Example, true
		k.examples++
	}
	t := s.leaves(x)
	k.targets++
	k.loops += float64(t)
	if said(x.P[t]) == x.Target {
		k.right++
	} else {
		k.all = false
	}
}

func (k *exitKind) endExample() {
	if k.last >= 0 && k.all {
		k.exact++
	}
}

// Exits are the means of each rule, when all looks were taken.
func (l *LensStats) Exits() []ExitView {
	var views []ExitView
	for i := range l.exits {
		s := &l.exits[i]
		v := ExitView{ExitRule: s.ExitRule}
		for j := range s.kinds {
			k, n := &s.kinds[j], float64(len(s.kinds))
			k.endExample()
			k.last = -1
			v.Loops += k.loops / k.targets / n
			v.Accuracy += k.right / k.targets / n
			v.Exact += k.exact / k.examples / n
		}
		views = append(views, v)
	}
	return views
}
