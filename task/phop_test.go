package task

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"coil/thorough"
)

// find is find_p(v, i) word for word from the definition; positions from 1.
func find(v []int32, p, i int) int {
	if p == 0 {
		return i
	}
	i = find(v, p-1, i)
	best := 0
	for j := 2; j <= i; j++ {
		if v[j-1-1] == v[i-1] {
			best = max(best, j)
		}
	}
	return best
}

func letters(s string) []int32 {
	v := make([]int32, len(s))
	for i, c := range []byte(s) {
		v[i] = int32(c - 'a')
	}
	return v
}

func TestFindOnKnownExample(t *testing.T) {
	v := letters("baebcabebdea")
	for p, want := range []int{12, 7, 5} {
		if got := find(v, p, 12); got != want {
			t.Errorf("find_%d = %d, want %d", p, got, want)
		}
	}
}

func TestTargetsFollowTheDefinition(t *testing.T) {
	most := uint64(2000 / thorough.Every(t, 4, "examples"))
	for _, c := range configured() {
		task, ok := c.Task.(*phop)
		if !ok {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s, ex := task.NewSampler(), NewExample(task)
			n := task.Length()
			// A literal solution takes about n²p/4 steps where loss is everywhere.
			examples := uint64(20_000_000/(n*n*task.Hops) + 40)
			for i := range min(examples, most) {
				s.Sample(3, i, Split(i%2), &ex)
				for j := range n {
					want := int32(Ignore)
					if task.Loss == lossEvery || j == n-1 {
						if k := find(ex.Tokens, task.Hops, j+1); k > 0 {
							want = ex.Tokens[k-1]
						}
					}
					if ex.Targets[j] != want {
						t.Fatalf("position %d of %s: target %d, want %d", j+1, text(task, ex), ex.Targets[j], want)
					}
				}
			}
		})
	}
}

// Any letters at all, repeats included, and any p.
func TestWalkerFollowsTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := int32(rapid.IntRange(0, 25).Draw(t, "last letter"))
		v := rapid.SliceOfN(rapid.Int32Range(0, last), 1, 60).Draw(t, "letters")
		p := rapid.IntRange(1, 40).Draw(t, "p")
		n := len(v)
		w := walker{hop: make([]int32, n+1), far: make([]int32, n+1)}
		all := w.all(v, p)
		if all[0] != 0 {
			t.Fatalf("a hop from nowhere leads to %d", all[0])
		}
		for i := 1; i <= n; i++ {
			if got, want := int(all[i]), find(v, p, i); got != want {
				t.Fatalf("find_%d(%v, %d) = %d, want %d", p, v, i, got, want)
			}
		}
		if got, want := w.last(v, p), find(v, p, n); got != want {
			t.Fatalf("find_%d(%v, n) = %d, want %d", p, v, got, want)
		}
	})
}

func TestPlantedHops(t *testing.T) {
	for _, c := range []PHop{
		{4, 256, 1, planted, lossLast},
		{4, 256, 2, planted, lossLast},
		{4, 256, 16, planted, lossLast},
		{4, 256, 32, planted, lossEvery},
		{3, 65, 32, planted, lossLast},
		{26, 100, 7, planted, lossLast},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			task, err := c.New()
			if err != nil {
				t.Fatal(err)
			}
			s, ex := task.NewSampler(), NewExample(task)
			n := c.Length
			answers := make([]float64, c.Letters)
			slots := make([]float64, n-1-c.Hops) // the items laid out by the sampler, from the left
			for i := range uint64(2000) {
				s.Sample(5, i, Train, &ex)
				v := ex.Tokens
				at := n
				for k := range c.Hops {
					j := find(v, 1, at)
					if j < 2 || k == 0 && j > n-1 || k > 0 && j > at-2 {
						t.Fatalf("hop %d goes from %d to %d", k+1, at, j)
					}
					if v[j-1] == v[j-2] {
						t.Fatalf("hop %d ends on a repeat", k+1)
					}
					// Each sample votes with one of its pairs, so that votes are independent.
					if k == int(i)%c.Hops {
						left := c.Hops - 1 - k // pairs further left
						slots[j-2-left]++
					}
					at = j
				}
				if got, want := ex.Targets[n-1], v[at-1]; got != want {
					t.Fatalf("answer %d, want %d", got, want)
				}
				answers[ex.Targets[n-1]]++
			}
			uniform(t, "answers", answers)
			if len(slots) > c.Hops { // otherwise every item is a pair
				uniform(t, "slots", slots)
			}
		})
	}
}

// sequences yields every sequence of n letters out of S.
func sequences(n, S int, yield func(v []int32)) {
	v := make([]int32, n)
	for {
		yield(v)
		i := 0
		for i < n && v[i] == int32(S-1) {
			v[i] = 0
			i++
		}
		if i == n {
			return
		}
		v[i]++
	}
}

// word is a sequence as the key of a map.
func word(v []int32) string {
	b := make([]byte, len(v))
	for i, k := range v {
		b[i] = 'a' + byte(k)
	}
	return string(b)
}

func repeats(v []int32) bool {
	for i := range v[1:] {
		if v[i] == v[i+1] {
			return true
		}
	}
	return false
}

// plantedLaw returns the probability of each sequence under the planted sampler,
// from its description: uniform pairs, uniform letters, and fillers uniform among
// those allowed. The walk shows which pairs were planted.
func plantedLaw(n, S, p int) map[string]float64 {
	arrangements := 1.0 // C(n−1−p, p)
	for k := range p {
		arrangements *= float64(n-1-p-k) / float64(k+1)
	}
	law := make(map[string]float64)
	sequences(n, S, func(v []int32) {
		probability := 1 / arrangements / float64(S)
		at := n
		for k := range p {
			j := find(v, 1, at)
			if j < 2 || j > at-2 && (k > 0 || j > n-1) {
				return
			}
			right := at - 1 // of the fillers between
			if k > 0 {
				right = at - 2
			}
			probability *= math.Pow(1/float64(S-1), float64(right-j+1)) // and the letter at j
			if v[j-1] == v[j-2] {
				return
			}
			at = j
		}
		law[word(v)] = probability * math.Pow(1/float64(S), float64(at-2))
	})
	return law
}

// The whole law of both samplers, on spaces small enough to list. Such tasks are
// too small for a split, so they are drawn from below NewPHop.
func TestSamplersHaveTheRightLaw(t *testing.T) {
	for _, c := range []PHop{
		{3, 7, 2, planted, lossLast},
		{3, 8, 1, planted, lossLast},
		{4, 7, 3, planted, lossLast},
		{3, 7, 2, noRepeats, lossLast},
		{4, 5, 1, noRepeats, lossLast},
		{4, 5, 1, noRepeats, lossEvery},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			law := make(map[string]float64)
			if c.Sampler == planted {
				law = plantedLaw(c.Length, c.Letters, c.Hops)
			} else {
				sequences(c.Length, c.Letters, func(v []int32) {
					from := 1
					if c.Loss == lossLast {
						from = len(v)
					}
					for i := from; i <= len(v); i++ {
						if !repeats(v) && find(v, c.Hops, i) > 0 {
							law[word(v)] = 1
						}
					}
				})
				for v := range law {
					law[v] = 1 / float64(len(law))
				}
			}
			total := 0.0
			for _, p := range law {
				total += p
			}
			if math.Abs(total-1) > 1e-9 {
				t.Fatalf("the law sums to %g", total)
			}

			task := &phop{c}
			s, ex := task.sampler(), NewExample(task)
			s.rng.seed(9, 9, questionStream)
			counts := make(map[string]float64)
			const draws = 60000
			for i := 0; i < draws; {
				if s.draw(ex.Tokens); s.answer(ex.Tokens, ex.Targets) {
					counts[word(ex.Tokens)]++
					i++
				}
			}
			var got, want []float64
			for v, p := range law {
				got, want = append(got, counts[v]), append(want, p*draws)
				delete(counts, v)
			}
			if len(counts) > 0 {
				t.Fatalf("%d sequences that the law excludes", len(counts))
			}
			fits(t, "sequences", got, want)

			// Every question there is gets counted.
			if n := task.countQuestions(); !n.enough() && n[Train]+n[HeldOut] != len(law) {
				t.Errorf("counted %v questions of %d", n, len(law))
			}
		})
	}
}

func TestHopsExist(t *testing.T) {
	for _, c := range []PHop{{Letters: 3, Length: 9}, {Letters: 4, Length: 7}, {Letters: 5, Length: 6}, {Letters: 6, Length: 3}} {
		exist := make([]float64, c.Length+1)
		total := 0.0
		sequences(c.Length, c.Letters, func(v []int32) {
			if repeats(v) {
				return
			}
			total++
			for p := range exist {
				if find(v, p, len(v)) > 0 {
					exist[p]++
				}
			}
		})
		for p := 1; p <= c.Length; p++ {
			if got, want := c.hopsExist(p), exist[p]/total; math.Abs(got-want) > 1e-12 {
				t.Errorf("%d letters, length %d: %d hops exist with probability %g, want %g", c.Letters, c.Length, p, got, want)
			}
		}
	}
}

func TestNoRepeatsLetters(t *testing.T) {
	for _, S := range []int{3, 4, 26} {
		task, err := PHop{S, 64, 1, noRepeats, lossEvery}.New()
		if err != nil {
			t.Fatal(err)
		}
		s, ex := task.NewSampler(), NewExample(task)
		single, pairs := make([]float64, S), make([]float64, S*(S-1))
		for i := range uint64(20000) {
			s.Sample(8, i, Train, &ex)
			if repeats(ex.Tokens) {
				t.Fatalf("repeat in %s", text(task, ex))
			}
			a, b := ex.Tokens[i%63], ex.Tokens[i%63+1]
			single[a]++
			if b > a {
				b--
			}
			pairs[int(a)*(S-1)+int(b)]++
		}
		uniform(t, fmt.Sprintf("%d letters", S), single)
		uniform(t, fmt.Sprintf("pairs of %d letters", S), pairs)
	}
}

// The share held out, and that nothing but the letters decides.
func TestPHopSplit(t *testing.T) {
	task := &phop{PHop{4, 64, 4, noRepeats, lossEvery}}
	s, ex := task.sampler(), NewExample(task)
	s.rng.seed(1, 1, questionStream)
	counts := make([]float64, 2)
	for range 20000 {
		s.draw(ex.Tokens)
		h := hashTokens(ex.Tokens)
		if inSplit(h, Train) == inSplit(h, HeldOut) {
			t.Fatal("in both splits or neither")
		}
		if inSplit(h, HeldOut) {
			counts[HeldOut]++
		} else {
			counts[Train]++
		}
	}
	fits(t, "share", counts, []float64{20000 * (HeldOutOneIn - 1) / HeldOutOneIn, 20000 / HeldOutOneIn})
	// One letter, or their order, is enough to change the question.
	if a, b, c := hashTokens(letters("abab")), hashTokens(letters("abac")), hashTokens(letters("baba")); a == b || a == c {
		t.Error("different questions with the same hash")
	}
}

func TestNewPHopErrors(t *testing.T) {
	good := PHop{4, 64, 4, noRepeats, lossEvery}
	for _, tt := range []struct {
		name   string
		change func(c *PHop)
		want   []string
	}{
		{"two letters", func(c *PHop) { c.Letters = 2 }, []string{"p-hop.letters is 2", "3 to 26"}},
		{"27 letters", func(c *PHop) { c.Letters = 27 }, []string{"p-hop.letters is 27", "3 to 26"}},
		{"no length", func(c *PHop) { c.Length = 0 }, []string{"length is 0", "3 to 65536"}},
		{"huge", func(c *PHop) { c.Length = 1 << 30 }, []string{"length is 1073741824", "65536"}},
		{"no hops", func(c *PHop) { c.Hops = 0 }, []string{"hops is 0", "at least 1"}},
		{"sampler", func(c *PHop) { c.Sampler = "iid" }, []string{`sampler is "iid"`, "no-repeats or planted"}},
		{"loss", func(c *PHop) { c.Loss = "" }, []string{`loss is ""`, "every or last"}},
		{"planted hops do not fit", func(c *PHop) { c.Sampler, c.Hops = planted, 32 }, []string{"hops = 32", "at most 31", "length = 64"}},
		{"hops hardly exist", func(c *PHop) { c.Hops = 30 }, []string{"hops = 30", "at most 25", "length = 64", "letters = 4"}},
		{"hops cannot exist", func(c *PHop) { c.Hops = 1 << 40 }, []string{"hops = 1099511627776", "at most 25"}},
		{"too few questions", func(c *PHop) { c.Length, c.Hops = 6, 1 }, []string{"length = 6", "held-out", "at least 100"}},
		{"too few planted questions", func(c *PHop) { c.Letters, c.Length, c.Hops, c.Sampler = 3, 17, 8, planted }, []string{"length = 17", "held-out", "at least 100"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			task, err := c.New()
			if err == nil || task != nil {
				t.Fatal("no error")
			}
			for _, want := range append(tt.want, "p-hop") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
	// What the errors advise works.
	for _, c := range []PHop{{4, 64, 25, noRepeats, lossLast}, {4, 64, 31, planted, lossLast}} {
		if _, err := c.New(); err != nil {
			t.Error(err)
		}
	}
}

func TestPHopDescription(t *testing.T) {
	for hops, want := range map[int]string{1: "1 hop", 4: "4 hops"} {
		task, err := PHop{5, 64, hops, planted, lossEvery}.New()
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintln(task.Name(), task.Length(), task.Vocabulary(), task.Kinds(), task.Metric()); got != "p-hop 64 [a b c d e] ["+want+"] accuracy\n" {
			t.Error(got)
		}
	}
}

func TestExplainPHop(t *testing.T) {
	task, err := PHop{5, 12, 2, noRepeats, lossEvery}.New()
	if err != nil {
		t.Fatal(err)
	}
	ex := NewExample(task)
	copy(ex.Tokens, letters("baebcabebdea"))
	copy(ex.Targets, []int32{-1, -1, -1, -1, -1, -1, -1, 0, 1, -1, 4, 2})
	var b bytes.Buffer
	if err := task.Explain(&b, ex); err != nil {
		t.Fatal(err)
	}
	want := `2 hops from position 12

        ----+---10--
letters baebcabebdea
targets _______ab_ec
walk        2 1    0

start   at 12: a
hop 1   the last a before 12 is at 6; after it, at 7: b
hop 2   the last b before 7 is at 4; after it, at 5: c
answer  c
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}

// The chain that Explain prints is the definition's, on every configuration.
func TestExplainPHopChain(t *testing.T) {
	for _, c := range configured() {
		task, ok := c.Task.(*phop)
		if !ok {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s, ex := task.NewSampler(), NewExample(task)
			for i := range uint64(10) {
				s.Sample(4, i, Split(i%2), &ex)
				var b bytes.Buffer
				if err := task.Explain(&b, ex); err != nil {
					t.Fatal(err)
				}
				at := task.Length()
				for find(ex.Tokens, task.Hops, at) == 0 {
					at--
				}
				letter := func(i int) string { return string(rune('a' + ex.Tokens[i-1])) }
				want := fmt.Sprintf("start   at %d: %s\n", at, letter(at))
				for k := range task.Hops {
					j := find(ex.Tokens, 1, at)
					want += fmt.Sprintf("hop %-3d the last %s before %d is at %d; after it, at %d: %s\n", k+1, letter(at), at, j-1, j, letter(j))
					at = j
				}
				want += fmt.Sprintf("answer  %s\n", letter(at))
				if !strings.HasSuffix(b.String(), "\n\n"+want) {
					t.Fatalf("got\n%s\nwant an end of\n%s", &b, want)
				}
			}
		})
	}
}

func TestRuler(t *testing.T) {
	if got := string(ruler(1, 12)) + string(ruler(121, 130)); got != "----+---10------+--130" {
		t.Error(got)
	}
}
