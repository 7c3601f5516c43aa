package task

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coil/thorough"
)

// The numbers of operations have the law that is written down, with a chance of 0.001 each that a right sampler fails.
func TestIGSMOperations(t *testing.T) {
	task := Task(paperTask())
	for _, split := range []Split{Train, HeldOut} {
		draws := 20000 / float64(thorough.Every(t, 8, "examples"))
		var got, want []float64
		kinds, wantKinds := make([]float64, mostKinds), make([]float64, mostKinds)
		least := 1
		if split == HeldOut {
			least = leastHeldOut
		}
		total := 0.0
		for s := least; s <= 15; s++ {
			got, want = append(got, 0), append(want, float64(2*(15-s)+1))
			total += want[s-least]
		}
		for i := range want {
			want[i] *= draws / total
		}
		inFirst := total - 121*4/5. // 11², the weight of 5 to 15, in fifths
		for k := range wantKinds {
			wantKinds[k] = 121 / 5. * draws / total
		}
		wantKinds[0] = inFirst * draws / total
		s, ex := task.NewSampler(), NewExample(task)
		for i := range uint64(draws) {
			s.Sample(8, i, split, &ex)
			p, err := solveIGSM(Render(task, ex.Tokens), 7)
			if err != nil {
				t.Fatal(err)
			}
			got[p.operations()-least]++
			kinds[ex.Kind]++
		}
		fits(t, fmt.Sprint("operations in the split ", split), got, want)
		fits(t, fmt.Sprint("kinds in the split ", split), kinds, wantKinds)
	}
}

// sizesLaw is the law of the numbers of necessary definitions and of edges, from its description.
func sizesLaw(c IGSM, s int) map[[2]int]float64 {
	operands := func(m int) int { // most operations of m definitions, 1, 1, 2, 3, 3, …
		return map[int]int{1: 1, 2: 2, 3: 4}[min(m, 3)] + 3*max(0, m-3)
	}
	least := 1
	for operands(least) < s {
		least++
	}
	ms := make(map[int]float64)
	for n1 := 1; n1 <= s; n1++ {
		for n2 := 1; n2 <= s; n2++ {
			n := max(n1, n2)
			for m := n; m <= s; m++ {
				ms[m] += 1 / float64(s*s*(s-n+1))
			}
		}
	}
	weight := make(map[int]float64)
	for w := 2; w <= c.Width; w++ {
		x := 0.5
		if c.Width > 2 {
			x = 0.2 + 0.6*float64(w-2)/float64(c.Width-2)
		}
		weight[w] = math.Exp(-math.Pow(float64(s-1)/float64(c.Edges-1)-x, 2))
	}
	es := make(map[int]float64)
	for a, wa := range weight {
		for b, wb := range weight {
			from := (c.Levels - 1) * min(a, b)
			n := c.Edges - from + 1
			for i := range n {
				for j := range n {
					e := min(from+min(i, j), (c.Levels-1)*max(a, b)*max(a, b))
					es[e] += wa * wb / float64(n*n)
				}
			}
		}
	}
	law, total := make(map[[2]int]float64), 0.0
	for m, p := range ms {
		for e, q := range es {
			if m >= least && e >= least {
				law[[2]int{min(m, e), e}] += p * q
				total += p * q
			}
		}
	}
	for k := range law {
		law[k] /= total
	}
	return law
}

// grouped fits counts to a distribution, combining values that are expected fewer than 8 times.
func grouped[K comparable](t *testing.T, what string, counts map[K]float64, law map[K]float64) {
	t.Helper()
	draws := 0.0
	for k, n := range counts {
		if law[k] == 0 {
			t.Errorf("%s: %v, which is impossible", what, k)
		}
		draws += n
	}
	var got, want []float64
	restGot, restWant := 0.0, 0.0
	for k, p := range law {
		if p*draws < 8 {
			restGot, restWant = restGot+counts[k], restWant+p*draws
			continue
		}
		got, want = append(got, counts[k]), append(want, p*draws)
	}
	if restWant >= 8 {
		got, want = append(got, restGot), append(want, restWant)
	}
	fits(t, what, got, want)
}

// How many definitions there are, and how many are needed.
func TestIGSMSizes(t *testing.T) {
	draws := uint64(10000 / thorough.Every(t, 5, "examples"))
	for _, tt := range []struct {
		c IGSM
		s int
	}{{paperIGSM, 6}, {paperIGSM, 15}, {IGSM{7, 3, 2, 7, 12, mostOperands, fixedLaw, nil, wholeNames, askOne, 0}, 12}, {IGSM{7, 2, 5, 20, 8, mostOperands, fixedLaw, nil, wholeNames, askOne, 0}, 8}} {
		c := tt.c
		c.Operations, c.Law, c.Length = tt.s, fixedLaw, 0
		made, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		counts := make(map[[2]int]float64)
		s, ex := made.NewSampler(), NewExample(made)
		for i := range draws {
			s.Sample(4, i, Train, &ex)
			p, err := solveIGSM(Render(made, ex.Tokens), c.Modulus)
			if err != nil {
				t.Fatal(err)
			}
			counts[[2]int{len(p.steps), len(p.order)}]++
		}
		// The split moves the law a little, as not quite 1 in 16 problems of each size is held out.
		grouped(t, fmt.Sprintf("sizes of %d operations, %+v", tt.s, c), counts, sizesLaw(c, tt.s))
	}
}

// The whole distribution of the necessary part with 3 operations, which is all in training: a, b made of a, c made of b.
func TestIGSMNecessaryPart(t *testing.T) {
	task := Task(paperTask())
	// b has a constant if its two operands are to be all that there is; c if it wins a toss, or is the one of two things.
	b := map[string]float64{"plain": 1. / 2, "plus": 1. / 4, "times": 1. / 4}
	c := map[string]float64{"plain": 1. / 2, "plus": 3. / 16, "times": 3. / 16, "b+a": 1. / 32, "a+b": 1. / 32, "b-a": 1. / 32, "a-b": 1. / 32}
	law := make(map[string]float64)
	for kb, pb := range b {
		for kc, pc := range c {
			law[kb+" "+kc] = pb * pc
		}
	}
	s := task.(*igsm).sampler()
	s.rng.seed(1, 2, questionStream)
	counts := make(map[string]float64)
	for range 40000 {
		s.necessary(3)
		if len(s.question.definitions) != 3 {
			t.Fatalf("%d definitions", len(s.question.definitions))
		}
		use := map[constantUse]string{noConstant: "plain", summand: "plus", factor: "times"}
		b, c := s.question.definitions[1], s.question.definitions[2]
		key := use[b.constant] + " "
		if c.quantities == 1 {
			key += use[c.constant]
		} else {
			names := "ab"
			sign := map[bool]string{false: "+", true: "-"}[c.minus]
			key += names[c.operands[0]:][:1] + sign + names[c.operands[1]:][:1]
		}
		counts[key]++
	}
	grouped(t, "necessary part", counts, law)
}

// Operations beyond one for each definition are spread as balls over urns, one by one over those that have room.
func TestIGSMAddedOperations(t *testing.T) {
	task := Task(paperTask())
	// Of 5 definitions the first two have no room, the third has for one, the others for two.
	law := map[[3]int]float64{{}: 1}
	const added = 3
	for range added {
		next := make(map[[3]int]float64)
		for has, p := range law {
			var free []int
			for i, most := range [3]int{1, 2, 2} {
				if has[i] < most {
					free = append(free, i)
				}
			}
			for _, i := range free {
				to := has
				to[i]++
				next[to] += p / float64(len(free))
			}
		}
		law = next
	}
	s := task.(*igsm).sampler()
	s.rng.seed(1, 3, questionStream)
	counts := make(map[[3]int]float64)
	for n := 0; n < 20000; {
		s.necessary(5 + added)
		if d := s.question.definitions; len(d) == 5 {
			counts[[3]int{d[2].operations() - 1, d[3].operations() - 1, d[4].operations() - 1}]++
			n++
		}
	}
	grouped(t, "added operations", counts, law)
}

// The first distractor's law; and half of all are made of such as themselves only.
func TestIGSMDistractors(t *testing.T) {
	task := Task(paperTask())
	s := task.(*igsm).sampler()
	s.rng.seed(1, 4, questionStream)
	type form struct {
		quantities int
		constant   constantUse
	}
	counts := make(map[form]float64)
	operands := make([]float64, 6)
	independent, distractors := 0.0, 0.0
	for n := 0; n < 40000; {
		e := s.necessary(6)
		m := len(s.question.definitions)
		if m != 6 || e == 6 {
			continue
		}
		s.rest(e)
		for i, d := range s.question.definitions[m:] {
			if !slices.Contains(s.independent, m+i) {
				continue
			}
			for _, o := range d.operands[:d.quantities] {
				if !slices.Contains(s.independent, o) {
					t.Fatalf("distractor %d is made of %d, not of those in %v only", m+i, o, s.independent)
				}
			}
			independent++
		}
		distractors += float64(e - m)
		d := s.question.definitions[m]
		counts[form{d.quantities, d.constant}]++
		for _, o := range d.operands[:d.quantities] {
			operands[o]++
		}
		n++
	}
	// With odds 1/2 it is made of the distractors before, that is of a constant. Else it has 1 to 4 operands with odds 1/2,
	// 1/4, 1/8, 1/8; a constant among them with odds 1/2, but surely among four.
	law := map[form]float64{{0, summand}: 1./2 + 1./8, {1, noConstant}: 1. / 8, {2, noConstant}: 1. / 16, {3, noConstant}: 1. / 32}
	for q, p := range map[int]float64{1: 1. / 16, 2: 1. / 32, 3: 1. / 16} {
		law[form{q, summand}] += p / 2
		law[form{q, factor}] += p / 2
	}
	grouped(t, "first distractor", counts, law)
	fits(t, "distractors made of distractors only", []float64{independent, distractors - independent}, []float64{distractors / 2, distractors / 2})
	// Operands of the same definition are different, so their counts vary less than independent ones.
	total := 0.0
	for _, n := range operands {
		total += n
	}
	for o, n := range operands {
		if sd := math.Sqrt(total / 6); math.Abs(n-total/6) > 4*sd {
			t.Errorf("operand %d stands in a distractor %g times of %g", o, n, total)
		}
	}
}

// The law of the graph, where it can be written down: levels of 2 or 3 entities.
func TestIGSMGraph(t *testing.T) {
	task, err := IGSM{7, 2, 3, 9, 8, mostOperands, lightLaw, nil, wholeNames, askOne, 0}.New()
	if err != nil {
		t.Fatal(err)
	}
	s := task.(*igsm).sampler()
	s.rng.seed(1, 6, questionStream)
	draw := func(w0, w1, e int) { // there is a definition for each edge, but of no importance
		s.w0, s.w1 = w0, w1
		s.graph(e)
		if names := slices.Compact(slices.Sorted(slices.Values(s.edges))); len(names) != e {
			t.Fatalf("edges %v, want %d", s.edges, e)
		}
	}
	// With a bias p of its own, uniform, a coin allows k entities more with probability ∫p^k dp = 1/(k+1).
	for e, law := range map[int]map[[2]int]float64{
		2: {{2, 2}: 1},
		4: {{2, 2}: 1. / 2, {3, 2}: 1. / 12, {2, 3}: 1. / 12, {3, 3}: 1. / 3},
		6: {{3, 2}: 1. / 4, {2, 3}: 1. / 4, {3, 3}: 1. / 2},
		9: {{3, 3}: 1},
	} {
		counts := make(map[[2]int]float64)
		for range 5000 {
			draw(2, 3, e)
			counts[[2]int(s.entities)]++
		}
		if len(law) > 1 {
			grouped(t, fmt.Sprintf("entities for %d edges", e), counts, law)
		} else if len(counts) != 1 || counts[[2]int{2, 2}]*law[[2]int{2, 2}]+counts[[2]int{3, 3}]*law[[2]int{3, 3}] == 0 {
			t.Errorf("entities for %d edges: %v", e, counts)
		}
	}
	// Three entities with a parent each, out of three: of the 27 ways 3, 18 and 6 have one, two and three parents in all.
	counts := make(map[int]float64)
	for range 5000 {
		draw(3, 3, 3)
		var parents []int
		for _, name := range s.edges {
			parents = append(parents, name/3)
		}
		slices.Sort(parents)
		counts[len(slices.Compact(parents))]++
	}
	grouped(t, "parents", counts, map[int]float64{1: 3. / 27, 2: 18. / 27, 3: 6. / 27})
}

// The position and name of the quantity asked for, and the order of operands, give nothing away. Each of these tests fails for
// a right sampler with probability 0.001.
func TestIGSMSaysNothingElse(t *testing.T) {
	task := Task(paperTask())
	s, ex := task.NewSampler(), NewExample(task)
	r := rand.New(rand.NewPCG(5, 6))
	place := func(i, n int) int { return int(10 * (float64(i) + r.Float64()) / float64(n)) } // in tenths
	asked, needed, edges := make([]float64, 10), make([]float64, 10), make([]float64, 10)
	first := make([]float64, 2)
	summands, factors := make([]float64, 7), make([]float64, 7)
	names := make(map[string]float64)
	askedNames := make(map[string]float64)
	for i := range uint64(20000 / thorough.Every(t, 4, "examples")) {
		s.Sample(6, i, Train, &ex)
		p, err := solveIGSM(Render(task, ex.Tokens), 7)
		if err != nil {
			t.Fatal(err)
		}
		n := len(p.order)
		asked[place(slices.Index(p.order, p.asked), n)]++
		needed[place(slices.Index(p.order, p.steps[r.IntN(len(p.steps))]), n)]++
		edges[place(slices.Index(slices.Sorted(slices.Values(p.order)), p.asked), n)]++
		names[p.order[r.IntN(n)]]++
		askedNames[p.asked]++
		if q := p.quantities(p.asked); len(q) == 2 {
			before := p.steps[len(p.steps)-2]
			first[slices.Index(q, before)]++
		}
		if text := p.definitions[p.order[r.IntN(n)]]; igsmNumber.MatchString(text) {
			number, _ := strconv.Atoi(igsmNumber.FindString(text))
			if strings.Contains(text, "*") {
				factors[number]++
			} else {
				summands[number]++
			}
		}
	}
	uniform(t, "place of the asked quantity", asked)
	uniform(t, "place of a needed quantity", needed)
	uniform(t, "asked edge of the graph", edges)
	uniform(t, "operands", first)
	uniform(t, "summands", summands)
	uniform(t, "factors", factors[1:])
	if factors[0] > 0 {
		t.Error("a factor 0")
	}
	for what, names := range map[string]map[string]float64{"names": names, "asked names": askedNames} {
		for level := range 3 { // within a level all edges are alike
			var counts []float64
			for _, name := range task.(*igsm).names[16*level:][:16] {
				counts = append(counts, names[name])
			}
			uniform(t, fmt.Sprint(what, " from level ", level), counts)
		}
	}
}

// All answers except 0 are equally likely, in all problems (where a right sampler fails with probability 0.001) and for each
// number of operations. 0 is not much likelier: always answering 0 is right a fifth of the time.
func TestIGSMAnswers(t *testing.T) {
	task := Task(paperTask())
	for _, split := range []Split{Train, HeldOut} {
		s, ex := task.NewSampler(), NewExample(task)
		answers := make([]float64, 7)
		draws := 20000 / thorough.Every(t, 4, "examples")
		for i := range uint64(draws) {
			s.Sample(7, i, split, &ex)
			answers[ex.Targets[len(ex.Targets)-1]]++
		}
		uniform(t, fmt.Sprint("answers but 0 in the split ", split), answers[1:])
		if zero := answers[0] / float64(draws); zero < 1./7 || zero > 0.21 {
			t.Errorf("a share of %g of the answers in the split %v is 0", zero, split)
		}
	}
}

// No template is in both splits. 5 operations have about 2300 templates; the samplers show most of them many times, so the test
// would see a template in both.
func TestIGSMSplit(t *testing.T) {
	every := thorough.Every(t, 8, "examples")
	for _, c := range thorough.Cases(t, 2, "settings", []IGSM{
		{7, 4, 4, 20, 5, mostOperands, fixedLaw, nil, wholeNames, askOne, 0},
		{5, 2, 3, 5, 6, mostOperands, lightLaw, []int{5, 6}, letterNames, askOne, 0},
		{5, 2, 3, 5, 6, mostOperands, lightLaw, []int{5, 6}, wholeNames, askEvery, 0},
	}) {
		made, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		s, ex := made.NewSampler(), NewExample(made)
		var seen [2]map[string]int
		for split := range seen {
			seen[split] = make(map[string]int)
			for i := range uint64(6000 / every) {
				s.SampleKind(9, i, Split(split), int(i)%len(made.Kinds()), &ex)
				p, err := solveIGSM(Render(made, ex.Tokens), c.Modulus)
				if err != nil {
					t.Fatal(err)
				}
				seen[split][p.template()]++
			}
		}
		for template := range seen[HeldOut] {
			if n := seen[Train][template]; n > 0 {
				t.Fatalf("%+v: %s is in both splits", c, template)
			}
		}
		if train, held := len(seen[Train]), len(seen[HeldOut]); train < 500/every || held < 50/every {
			t.Errorf("%+v: %d templates in training, %d held out; the test says little", c, train, held)
		}
	}
}

// There are 1, 3, 18 and 180 templates of 1, 2, 3 and 4 operations, each with a hash of its own; and about 1 in 16 of all
// is held out: 4 standard deviations are allowed.
func TestIGSMTemplates(t *testing.T) {
	task := paperTask()
	s, ex := task.sampler(), NewExample(task)
	s.rng.seed(1, 5, questionStream)
	all := map[int]int{1: 1, 2: 3, 3: 18, 4: 180, 9: 0}
	every := thorough.Every(t, 4, "examples")
	for _, ops := range thorough.Cases(t, 2, "numbers of operations", slices.Sorted(maps.Keys(all))) {
		want := all[ops]
		hashes, texts := make(map[uint64]string), make(map[string]uint64)
		held := 0.0
		draws := 40000 / every
		if want == 0 {
			draws = 5000 / every
		}
		for i := range draws {
			e := s.necessary(ops)
			h := s.template(ops)
			if _, ok := hashes[h]; !ok || i%16 == 0 {
				s.rest(e)
				if !task.fits(&s.question) {
					continue
				}
				s.answer(HeldOut)
				task.write(&s.question, s.answers, &ex)
				p, err := solveIGSM(Render(task, ex.Tokens), 7)
				if err != nil {
					t.Fatal(err)
				}
				text := p.template()
				if was, ok := hashes[h]; ok && was != text {
					t.Fatalf("%s and %s have the same hash", was, text)
				}
				if was, ok := texts[text]; ok && was != h {
					t.Fatalf("%s has two hashes", text)
				}
				if hashes[h] == "" && inSplit(h, HeldOut) {
					held++
				}
				hashes[h], texts[text] = text, h
			}
		}
		n := float64(len(hashes))
		if want > 0 && len(hashes) != want {
			t.Errorf("%d templates of %d operations, want %d", len(hashes), ops, want)
		}
		if mean := n / HeldOutOneIn; want == 0 && math.Abs(held-mean) > 4*math.Sqrt(mean) {
			t.Errorf("%g of %g templates held out", held, n)
		}
	}
}
