package task

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"coil/thorough"
	"coil/tokenizer"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

type named struct {
	name string
	Task
}

// configured makes tasks of every shape, once for all tests. A task does not change.
var configured = sync.OnceValue(func() []named {
	var tasks []named
	add := func(c any, task Task, err error) {
		if err == nil {
			err = Prepare(task, nil)
		}
		if err != nil {
			panic(fmt.Sprintf("%+v: %v", c, err))
		}
		tasks = append(tasks, named{fmt.Sprintf("%+v", c), task})
	}
	for _, c := range []PHop{
		{4, 64, 4, noRepeats, lossEvery},
		{4, 64, 4, noRepeats, lossLast},
		{4, 64, 4, planted, lossEvery},
		{4, 64, 4, planted, lossLast},
		{3, 14, 1, noRepeats, lossEvery},
		{3, 14, 6, noRepeats, lossLast},
		{3, 15, 5, planted, lossEvery},
		{3, 33, 16, planted, lossLast},
		{26, 40, 2, noRepeats, lossEvery},
		{26, 40, 2, planted, lossEvery},
		{4, 256, 16, planted, lossLast},
		{4, 256, 32, planted, lossEvery},
		{4, 256, 32, noRepeats, lossEvery},
		{4, 256, 1, planted, lossLast},
	} {
		task, err := c.New()
		add(c, task, err)
	}
	for _, c := range []Addition{
		{3, []int{2, 4, 8}, nil, mostFirst},
		{3, []int{2, 4, 8, 16, 32}, []int{8, 16, 24, 32}, mostFirst},
		{3, []int{32, 2}, []int{24}, leastFirst},
		{1, []int{5, 12}, []int{256}, mostFirst},
		{2, []int{2}, nil, leastFirst},
		{9, []int{2, 3}, []int{11}, leastFirst},
	} {
		task, err := c.New()
		add(c, task, err)
	}
	for _, c := range []IGSM{
		{7, 4, 4, 20, 15, mostOperands, lightLaw, nil, wholeNames, askOne, 128},
		{7, 4, 4, 20, 15, mostOperands, lightLaw, []int{20, 6}, letterNames, askOne, 0},
		{5, 3, 2, 6, 6, mostOperands, lightLaw, nil, wholeNames, askOne, 0},
		{23, 2, 3, 9, 7, mostOperands, fixedLaw, []int{12}, letterNames, askEvery, 0},
	} {
		task, err := c.New()
		add(c, task, err)
	}
	for _, c := range []GroupWord{
		{"S5", []int{16}, nil, lossEvery}, {"S3", []int{5, 8}, []int{12}, lossLast}, {"Z7", []int{6}, nil, lossEvery}, {"A4xZ5", []int{4}, []int{9}, lossEvery},
	} {
		task, err := c.New()
		add(c, task, err)
	}
	for _, c := range []Assignment{
		{5, 25, []int{0, 1}, nil, bothFormat, 0, lossLast}, {5, 25, []int{1}, []int{0}, codeFormat, 5, lossEvery}, {2, 3, []int{0, 3}, nil, mathFormat, 1, lossLast},
	} {
		task, err := c.New()
		add(c, task, err)
	}
	for _, c := range []Teacher{
		{8, 4, 8, 2, nil, 8, 2, 4, 12, 1, 1}, {5, 7, 0, 2, []int{1, 0, 1}, 6, 1, 3, 8, 0, 2}, {3, 9, 1, 1, nil, 4, 1, 2, 4, 2, 3},
	} {
		task, err := c.New()
		add(c, task, err)
	}
	for _, packing := range []Packing{Stream, BestFit} {
		c := Text{Field: "text", Tokenizer: tokenizer.BytesName, Length: 100, Packing: packing}
		task, err := c.New()
		add(c, task, err)
	}
	for _, c := range []Noise{{2, 12}, {64, 256}, {60000, 2}} {
		task, err := c.New()
		add(c, task, err)
	}
	for _, name := range []string{"p-hop", "group-word"} { // TestStart has all tasks
		c := Default()
		c.Name, c.Start = Name(name), 2
		if name == "text" { // has no #: see TestStart
			continue
		}
		task, err := c.New()
		add(fmt.Sprintf("%s after 2 tokens #", name), task, err)
	}
	return tasks
})

// each runs f as a subtest for every configured task.
func each(t *testing.T, f func(*testing.T, Task)) {
	t.Helper()
	for _, c := range thorough.Cases(t, 2, "tasks", configured()) {
		t.Run(c.name, func(t *testing.T) { f(t, c.Task) })
	}
}

func text(t Task, ex Example) string {
	return fmt.Sprint(ex.Kind, " ", Render(t, ex.Tokens), " ", Render(t, ex.Targets))
}

// fits fails t if counts are unlikely under the expected ones: chi-square with
// len(counts)−1 degrees of freedom. Seeds are fixed, so a pass is for ever.
func fits(t *testing.T, what string, counts, expected []float64) {
	t.Helper()
	for i, e := range expected {
		if e < 5 {
			t.Fatalf("%s: only %g expected in cell %d", what, e, i)
		}
	}
	x := stat.ChiSquare(counts, expected)
	if p := (distuv.ChiSquared{K: float64(len(counts) - 1)}).Survival(x); p < 1e-3 || len(counts) > 30 && p > 1-1e-3 {
		t.Errorf("%s: chi-square %.1f with %d cells, p = %.2g", what, x, len(counts), p)
	}
}

// uniform is fits for equal expected counts.
func uniform(t *testing.T, what string, counts []float64) {
	t.Helper()
	total := 0.0
	for _, c := range counts {
		total += c
	}
	expected := make([]float64, len(counts))
	for i := range expected {
		expected[i] = total / float64(len(counts))
	}
	fits(t, what, counts, expected)
}

func TestExamplesAreWellFormed(t *testing.T) {
	examples := uint64(300 / thorough.Every(t, 4, "examples"))
	each(t, func(t *testing.T, task Task) {
		s, ex := task.NewSampler(), NewExample(task)
		if len(ex.Tokens) != task.Length() || len(ex.Targets) != task.Length() {
			t.Fatal("NewExample has the wrong size")
		}
		vocabulary, kinds := task.Vocabulary(), task.Kinds()
		if len(kinds) == 0 {
			t.Fatal("no kinds")
		}
		for i := range examples {
			if kind := int(i) % (len(kinds) + 1); kind < len(kinds) {
				s.SampleKind(1, i, Split(i/7%2), kind, &ex)
				if ex.Kind != kind {
					t.Fatalf("kind %d, asked for %d", ex.Kind, kind)
				}
			} else {
				s.Sample(1, i, Split(i/7%2), &ex)
			}
			if ex.Kind < 0 || ex.Kind >= len(kinds) {
				t.Fatalf("kind %d of %d", ex.Kind, len(kinds))
			}
			asked := 0
			for j := range ex.Tokens {
				if k := ex.Tokens[j]; k < 0 || int(k) >= len(vocabulary) {
					t.Fatalf("token %d", k)
				}
				if k := ex.Targets[j]; k != Ignore {
					asked++
					if k < 0 || int(k) >= len(vocabulary) {
						t.Fatalf("target %d", k)
					}
				}
			}
			if asked == 0 {
				t.Fatalf("no target in %s", text(task, ex))
			}
		}
	})
}

func TestSamplesDependOnNothingElse(t *testing.T) {
	type key struct {
		seed, index uint64
		split       Split
	}
	var keys []key
	for seed := range uint64(3) {
		for index := range uint64(10 / thorough.Every(t, 3, "examples")) {
			keys = append(keys, key{seed, index, Train}, key{seed, index << 60, HeldOut})
		}
	}
	each(t, func(t *testing.T, task Task) {
		want := make(map[key]string)
		s, ex := task.NewSampler(), NewExample(task)
		different := make(map[string]bool)
		for _, k := range keys {
			s.Sample(k.seed, k.index, k.split, &ex)
			want[k] = text(task, ex)
			different[want[k]] = true
		}
		if len(different) < len(want)*3/4 { // a few repeats are due in small spaces
			t.Errorf("only %d different examples of %d", len(different), len(want))
		}
		// Again in another order, from another sampler, into dirty memory, with
		// other samples in between.
		s = task.NewSampler()
		r := rand.New(rand.NewPCG(1, 2))
		for _, i := range r.Perm(len(keys)) {
			k := keys[i]
			for j := range ex.Tokens {
				ex.Tokens[j], ex.Targets[j] = r.Int32(), r.Int32()
			}
			ex.Kind = r.Int()
			s.Sample(k.seed, k.index, k.split, &ex)
			if got := text(task, ex); got != want[k] {
				t.Fatalf("%+v gives %s, gave %s", k, got, want[k])
			}
			s.SampleKind(k.seed, k.index, k.split, ex.Kind, &ex)
			if got := text(task, ex); got != want[k] {
				t.Fatalf("%+v: SampleKind gives %s, Sample %s", k, got, want[k])
			}
			s.SampleKind(r.Uint64(), 5, Train, r.IntN(len(task.Kinds())), &ex)
		}
	})
}

// A change to these is a change to every run: old checkpoints would resume on
// other data, old results stand for another held-out set.
func TestSamplesStayTheSame(t *testing.T) {
	one, err := PHop{4, 32, 4, noRepeats, lossEvery}.New()
	if err != nil {
		t.Fatal(err)
	}
	two, err := PHop{4, 32, 4, planted, lossLast}.New()
	if err != nil {
		t.Fatal(err)
	}
	three, err := Addition{3, []int{2, 4, 8}, []int{6}, mostFirst}.New()
	if err != nil {
		t.Fatal(err)
	}
	four, err := Noise{10, 32}.New()
	if err != nil {
		t.Fatal(err)
	}
	five, err := IGSM{7, 4, 4, 20, 15, mostOperands, lightLaw, []int{18}, wholeNames, askOne, 0}.New()
	if err != nil {
		t.Fatal(err)
	}
	six, err := IGSM{5, 3, 2, 6, 6, mostOperands, lightLaw, nil, letterNames, askOne, 0}.New()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, task := range []Task{one, two, three, four, five, six} {
		ex := NewExample(task)
		for _, split := range []Split{Train, HeldOut} {
			task.NewSampler().Sample(7, 11, split, &ex)
			got = append(got, text(task, ex))
			if task.Name() == "i-gsm" { // so long are the paddings
				got[len(got)-1] = strings.NewReplacer("· ", "", "_ ", "").Replace(text(task, ex))
			}
		}
	}
	want := []string{
		"0 dbcbcdbcabcbcbdadcadcdabdbdcdbab _____________acbdccbbacbbcddaacb",
		"0 acadabacdbadadcdacdcdbcbcdcbdadc ____________ba_dbadadcadcacdadcc",
		"0 cabdcccaaccdbbacccacabddcdbabbbd _______________________________d",
		"0 cbadcaaacddaddddacbdbbbdcccdcdca _______________________________b",
		"1 723+984+593+820=312················ _______________3120________________",
		"1 812+419+639+641=251················ _______________2511________________",
		"0 85644846215544707916880296899522 56448462155447079168802968995223",
		"0 39516028131365672581878412333054 95160281313656725818784123330544",
		"0 E#L := G#J + C#G + J#M . J#N := 1 . A#E := G#J . F#J := 0 . B#F := 3 . C#E := 3 . J#M := 5 . C#G := J#M . G#L := 2 . E#K := B#G . " +
			"L#O := 3 * G#J . G#J := J#M + C#G + 0 . B#E := 3 * G#L . B#G := G#L . A#E ? 3",
		"2 A#H := 6 * F#K . F#K := F#L . F#L := L#P . L#P := L#O - H#J . D#F := A#F - L#O + 0 . A#F := 2 . H#J := L#O + 4 . K#O := L#O + 3 . " +
			"H#K := 4 . J#P := L#O + A#H . L#O := 3 * A#F . J#P ? 3",
		"0 A # C := D # F . D # F := 2 . B # D := B # C . B # C := 0 . C # E := B # C + B # D + 2 . C # E ? 2",
		"1 B # D := 3 * A # D . D # F := A # C + 3 . C # E := B # D . A # C := 1 * ( C # E - B # D ) . A # D := 0 . D # F ? 3",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSplitsShareNoQuestion(t *testing.T) {
	examples := uint64(600 / thorough.Every(t, 4, "examples"))
	each(t, func(t *testing.T, task Task) {
		question := func(ex Example) string {
			if task.Name() != "addition" {
				return fmt.Sprint(ex.Tokens)
			}
			q, _, _ := strings.Cut(Render(task, ex.Tokens), "=")
			operands := strings.Split(q, "+")
			slices.Sort(operands)
			return strings.Join(operands, "+")
		}
		s, ex := task.NewSampler(), NewExample(task)
		splits := make(map[string]Split)
		for i := range examples {
			seed := i % 5
			for _, split := range []Split{Train, HeldOut} {
				s.SampleKind(seed, i, split, int(i)%len(task.Kinds()), &ex)
				q := question(ex)
				if was, ok := splits[q]; ok && was != split {
					t.Fatalf("%s is in both splits", q)
				}
				splits[q] = split
			}
		}
	})
}

func TestSampleDoesNotAllocate(t *testing.T) {
	each(t, func(t *testing.T, task Task) {
		s, ex := task.NewSampler(), NewExample(task)
		index, last := uint64(0), len(task.Kinds())-1
		if n := testing.AllocsPerRun(50, func() {
			s.Sample(1, index, Train, &ex)
			s.SampleKind(1, index, HeldOut, last, &ex)
			index++
		}); n != 0 {
			t.Errorf("%g allocations", n)
		}
	})
}

func TestExplainRefusesForeignExamples(t *testing.T) {
	each(t, func(t *testing.T, task Task) {
		ex := NewExample(task)
		s := task.NewSampler()
		s.Sample(1, 2, Train, &ex)
		if err := task.Explain(&bytes.Buffer{}, ex); err != nil {
			t.Fatal(err)
		}
		for name, spoil := range map[string]func(ex *Example){
			"token":    func(ex *Example) { ex.Tokens[0] = int32(len(task.Vocabulary())) },
			"negative": func(ex *Example) { ex.Tokens[1] = -1 },
			"target": func(ex *Example) {
				i := slices.IndexFunc(ex.Targets, func(k int32) bool { return k != Ignore })
				ex.Targets[i]++
			},
			"mask": func(ex *Example) {
				if ex.Targets[0] == Ignore {
					ex.Targets[0] = 0
				} else {
					ex.Targets[0] = Ignore
				}
			},
			"kind":    func(ex *Example) { ex.Kind = len(task.Kinds()) },
			"tokens":  func(ex *Example) { ex.Tokens = ex.Tokens[1:] },
			"targets": func(ex *Example) { ex.Targets = nil },
		} {
			bad := Example{slices.Clone(ex.Tokens), slices.Clone(ex.Targets), ex.Kind}
			spoil(&bad)
			if err := task.Explain(&bytes.Buffer{}, bad); err == nil || !strings.HasPrefix(err.Error(), task.Name()+": ") {
				t.Errorf("%s: error %v", name, err)
			}
		}
	})
}

func TestRender(t *testing.T) {
	task, err := Addition{3, []int{2}, nil, mostFirst}.New()
	if err != nil {
		t.Fatal(err)
	}
	if got := Render(task, []int32{1, plusToken, 9, equalsToken, padToken, Ignore, 13, -2}); got != "1+9=·_??" {
		t.Error(got)
	}
	if task, err = (Noise{11, 12}).New(); err != nil {
		t.Fatal(err)
	}
	if got := Render(task, []int32{1, 10, Ignore, 9}); got != "1 10 _ 9" {
		t.Error(got)
	}
}

func TestSplitString(t *testing.T) {
	if got := fmt.Sprint(Train, HeldOut, Split(7)); got != "train held-out Split(7)" {
		t.Error(got)
	}
}

func TestBelow(t *testing.T) {
	var r rng
	r.seed(1, 2, 3)
	for _, n := range []uint64{1, 2, 3, 7, 10, 1000} {
		counts := make([]float64, n)
		for range 100 * n {
			counts[r.below(n)]++
		}
		if n > 1 {
			uniform(t, fmt.Sprintf("below %d", n), counts)
		}
	}
	// Without rejection the multiples of 3 would be twice as likely here.
	counts := make([]float64, 3)
	for range 3000 {
		counts[r.below(3<<62)%3]++
	}
	uniform(t, "below 3·2^62, mod 3", counts)
}

func TestSeedsGiveDifferentStreams(t *testing.T) {
	seen := make(map[uint64]bool)
	var r rng
	for seed := range uint64(30) {
		for index := range uint64(30) {
			for _, stream := range []uint64{kindStream, questionStream} {
				r.seed(seed, index, stream)
				seen[r.pcg.Uint64()] = true
			}
		}
	}
	if len(seen) != 30*30*2 {
		t.Errorf("%d different first words of %d", len(seen), 30*30*2)
	}
}

func BenchmarkSample(b *testing.B) {
	sample := func(name string, task Task, err error) {
		if err != nil {
			b.Fatal(err)
		}
		for _, split := range []Split{Train, HeldOut} {
			b.Run(name+"/"+split.String(), func(b *testing.B) {
				s, ex := task.NewSampler(), NewExample(task)
				index := uint64(0)
				for b.Loop() {
					s.Sample(1, index, split, &ex)
					index++
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "examples/s")
			})
		}
	}
	for _, c := range []PHop{
		{4, 64, 4, noRepeats, lossEvery},
		{4, 256, 16, planted, lossLast},
		{4, 256, 32, planted, lossEvery},
	} {
		task, err := c.New()
		sample(fmt.Sprintf("p-hop/n=%d,p=%d,%s,%s", c.Length, c.Hops, c.Sampler, c.Loss), task, err)
	}
	for _, c := range []Addition{
		{3, []int{2, 4, 8}, nil, mostFirst},
		{3, []int{2, 4, 8, 16, 32}, []int{24}, mostFirst},
	} {
		task, err := c.New()
		sample(fmt.Sprintf("addition/digits=%d,operands<=%d", c.Digits, slices.Max(c.Operands)), task, err)
	}
	task, err := Noise{64, 256}.New()
	sample("noise/n=256", task, err)
}
