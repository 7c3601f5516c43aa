package task

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"coil/metric"
	"coil/thorough"
)

// The paper's size, and smaller ones.
var (
	paperIGSM  = IGSM{7, 4, 4, 20, 15, mostOperands, lightLaw, nil, wholeNames, askOne, 128}
	littleIGSM = IGSM{5, 3, 2, 6, 6, mostOperands, lightLaw, nil, wholeNames, askOne, 0}
)

// igsmTasks makes tasks of all kinds, each once for all tests.
var igsmTasks = makers(
	paperIGSM,
	littleIGSM,
	IGSM{7, 4, 4, 20, 15, mostOperands, lightLaw, []int{20, 6, 40}, letterNames, askOne, 0},
	IGSM{23, 4, 4, 28, 21, mostOperands, lightLaw, nil, wholeNames, askOne, 0},
	IGSM{2, 2, 3, 7, 8, mostOperands, fixedLaw, nil, letterNames, askOne, 96},
	IGSM{3, 2, 3, 5, 6, mostOperands, lightLaw, nil, wholeNames, askEvery, 56},
	IGSM{5, 2, 3, 6, 6, 2, lightLaw, []int{5}, wholeNames, askEvery, 0},
	IGSM{7, 4, 4, 20, 15, 3, lightLaw, nil, wholeNames, askOne, 0},
	IGSM{7, 4, 4, 20, 15, mostOperands, lightLaw, []int{20}, letterNames, askEvery, 0},
	IGSM{6, 13, 2, 26, 9, mostOperands, lightLaw, []int{12}, wholeNames, askOne, 0},
	IGSM{100, 2, 13, 169, 64, mostOperands, lightLaw, nil, letterNames, askOne, 0},
)

// igsmMaker makes a task when it is first asked for it.
type igsmMaker struct {
	name string
	task func() *igsm
}

func makers(all ...IGSM) (m []igsmMaker) {
	for _, c := range all {
		m = append(m, igsmMaker{fmt.Sprintf("%+v", c), sync.OnceValue(func() *igsm {
			task, err := c.New()
			if err != nil {
				panic(fmt.Sprintf("%+v: %v", c, err))
			}
			return task.(*igsm)
		})})
	}
	return m
}

// paperTask is the task of the paper's size. Tasks do not change.
func paperTask() *igsm { return igsmTasks[0].task() }

var (
	igsmName   = regexp.MustCompile(`[A-Z]#[A-Z]`)
	igsmNumber = regexp.MustCompile(`\d+`)
)

// Thousands of problems of every kind and either split: well-formed, on a graph, not circular, with the answer that the
// other solver finds, the operations of their kind, and nothing superfluous.
func TestIGSMFollowsTheDefinition(t *testing.T) {
	every := thorough.Every(t, 20, "examples")
	for _, c := range thorough.Cases(t, 3, "settings", igsmTasks) {
		t.Run(c.name, func(t *testing.T) {
			task := c.task()
			s, ex := task.NewSampler(), NewExample(task)
			for i := range uint64(1000 / every) {
				kind, split := int(i)%len(task.kinds), Split(i/7%2)
				s.SampleKind(3, i, split, kind, &ex)
				text := Render(task, ex.Tokens)
				p, err := solveIGSM(text, task.Modulus)
				if err != nil {
					t.Fatalf("%v in %s", err, text)
				}
				checkOtherQuestions(t, task, p, split, ex)
				if got, want := Render(task, ex.Targets[task.length-1:]), strconv.Itoa(p.values[p.asked]); got != want {
					t.Fatalf("answer %s, want %s in %s", got, want, text)
				}
				checkProblem(t, task, p)
				if ops, k := p.operations(), task.kinds[kind]; ops < k.fewest || ops > k.most || split == HeldOut && ops < leastHeldOut {
					t.Fatalf("%d operations of kind %s, %v in %s", ops, k.name, split, text)
				}
			}
		})
	}
}

func TestIGSMKinds(t *testing.T) {
	for _, tt := range thorough.Cases(t, 2, "settings", []struct {
		operations int
		law        IGSMLaw
		evaluate   []int
		want       string
	}{
		{15, lightLaw, nil, "[ops≤6 ops=6-7 ops=7-9 ops=9-11 ops=11-15]"},
		{21, lightLaw, []int{28, 22}, "[ops≤6 ops=6-8 ops=8-11 ops=11-14 ops=14-21 ops=22 ops=28]"},
		{5, lightLaw, nil, "[ops≤5]"},
		{6, lightLaw, []int{6}, "[ops≤5 ops=5-6 ops=6]"},
		{8, lightLaw, []int{6}, "[ops≤5 ops=5-6 ops=6 ops=7-8]"},
		{9, fixedLaw, []int{9, 5}, "[ops=9 ops=5]"},
	}) {
		c := paperIGSM
		c.Operations, c.Law, c.Evaluate, c.Length = tt.operations, tt.law, tt.evaluate, 0
		task, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(task.Kinds()); got != tt.want {
			t.Errorf("%d, %s, %v: %s, want %s", tt.operations, tt.law, tt.evaluate, got, tt.want)
		}
	}
}

// A limit on the length leaves shorter problems as they are, and names as letters everything.
func TestIGSMLengthAndNames(t *testing.T) {
	texts := func(c IGSM) []string {
		made, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		s, ex := made.NewSampler(), NewExample(made)
		texts := make([]string, 300)
		for i := range texts {
			s.Sample(3, uint64(i), Train, &ex)
			texts[i] = strings.ReplaceAll(strings.TrimLeft(Render(made, ex.Tokens), "· "), " # ", "#")
		}
		return texts
	}
	free, limited, letters := paperIGSM, paperIGSM, paperIGSM
	free.Length, limited.Length = 0, 100
	letters.Length, letters.Names = 0, letterNames
	wants, inLetters, inLimits := texts(free), texts(letters), texts(limited)
	redrawn := 0
	for i, want := range wants {
		if got := inLetters[i]; got != want {
			t.Fatalf("in letters\n%s\nwhole\n%s", got, want)
		}
		got := inLimits[i]
		switch fits := len(strings.Fields(want)) <= 100; {
		case fits && got != want:
			t.Fatalf("limited\n%s\nwant\n%s", got, want)
		case !fits && got == want:
			t.Fatalf("%s does not fit", want)
		case !fits:
			redrawn++
		}
	}
	if redrawn == 0 {
		t.Error("no problem was too long; the test says little")
	}
}

// The longest problem fills the default length.
func TestIGSMWastesNothing(t *testing.T) {
	for i := range 4 {
		names, ask := []IGSMNames{wholeNames, letterNames}[i%2], []IGSMAsk{askOne, askEvery}[i/2]
		made, err := IGSM{7, 4, 4, 20, 5, mostOperands, fixedLaw, nil, names, ask, 0}.New()
		if err != nil {
			t.Fatal(err)
		}
		task := made.(*igsm)
		q := question{asked: make([]int, task.questions(20))}
		for i := range 20 {
			d := definition{name: i, constant: factor, value: 6}
			for o := range min(i, 3) {
				d.add(o)
			}
			if i == 0 {
				d.constant = summand
			}
			q.definitions, q.order = append(q.definitions, d), append(q.order, i)
		}
		ex := NewExample(task)
		task.write(&q, make([]int32, len(q.asked)), &ex)
		if n := len(strings.Fields(Render(task, ex.Tokens))); n != task.length || strings.Contains(Render(task, ex.Tokens), "·") {
			t.Errorf("%d tokens of %d: %s", n, task.length, Render(task, ex.Tokens))
		}
	}
}

// igsmExample reads a text into an example.
func igsmExample(t *testing.T, task Task, text string, answer int32, kind int) Example {
	t.Helper()
	words := strings.Fields(text)
	ex := NewExample(task)
	ex.Kind = kind
	token := make(map[string]int32)
	for k, word := range task.Vocabulary() {
		token[word] = int32(k)
	}
	at := len(ex.Tokens) - len(words)
	for i := range ex.Tokens {
		word := "·"
		if i >= at {
			word = words[i-at]
		}
		k, ok := token[word]
		if !ok {
			t.Fatalf("no token %q", word)
		}
		ex.Tokens[i], ex.Targets[i] = k, Ignore
	}
	ex.Targets[len(ex.Targets)-1] = answer
	return ex
}

func TestNewIGSMErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *IGSM)
		want   []string
	}{
		{"modulus", func(c *IGSM) { c.Modulus = 1 }, []string{"modulus is 1", "2 to 100"}},
		{"large modulus", func(c *IGSM) { c.Modulus = 101 }, []string{"modulus is 101", "2 to 100"}},
		{"one level", func(c *IGSM) { c.Levels = 1 }, []string{"levels is 1", "2 to 13"}},
		{"many levels", func(c *IGSM) { c.Levels = 14 }, []string{"levels is 14", "2 to 13"}},
		{"one entity", func(c *IGSM) { c.Width = 1 }, []string{"width = 1", "2 to 6", "levels = 4"}},
		{"many entities", func(c *IGSM) { c.Width = 7 }, []string{"width = 7", "2 to 6", "26 letters"}},
		{"few edges", func(c *IGSM) { c.Edges = 11 }, []string{"edges = 11", "12 to 48", "levels = 4", "width = 4"}},
		{"many edges", func(c *IGSM) { c.Edges = 49 }, []string{"edges = 49", "12 to 48"}},
		{"few operations", func(c *IGSM) { c.Operations = 4 }, []string{"operations = 4", "5 to 64", "templates"}},
		{"many operations", func(c *IGSM) { c.Operations = 65 }, []string{"operations = 65", "5 to 64"}},
		{"too many for the edges", func(c *IGSM) { c.Operations = 56 }, []string{"operations = 56", "at most 55", "edges = 20"}},
		{"evaluate", func(c *IGSM) { c.Evaluate = []int{8, 3} }, []string{"evaluate = [8 3]: 3", "5 to 64"}},
		{"evaluate too many", func(c *IGSM) { c.Evaluate = []int{60} }, []string{"evaluate = [60]: 60", "at most 55"}},
		{"evaluate twice", func(c *IGSM) { c.Evaluate = []int{9, 8, 9} }, []string{"evaluate = [9 8 9]: 9", "twice"}},
		{"law", func(c *IGSM) { c.Law = "uniform" }, []string{`law is "uniform"`, "light or fixed"}},
		{"one operand", func(c *IGSM) { c.Operands = 1 }, []string{"operands is 1", "2 to 4"}},
		{"five operands", func(c *IGSM) { c.Operands = 5 }, []string{"operands is 5", "2 to 4"}},
		{"too many for the operands", func(c *IGSM) { c.Operands, c.Operations = 2, 21 }, []string{"operations = 21", "at most 20", "operands = 2"}},
		{"ask", func(c *IGSM) { c.Ask = "all" }, []string{`ask is "all"`, "one or every"}},
		{"names", func(c *IGSM) { c.Names = "" }, []string{`names is ""`, "whole or letters"}},
		{"negative length", func(c *IGSM) { c.Length = -1 }, []string{"length is -1", "0 to 65536"}},
		{"huge length", func(c *IGSM) { c.Length = 1 << 20 }, []string{"length is 1048576", "0 to 65536"}},
		{"short", func(c *IGSM) { c.Length = 80 }, []string{"length = 80", "a share of only 0.", "operations", "226 tokens"}},
		{"few templates", func(c *IGSM) { c.Levels, c.Width, c.Edges, c.Operations = 2, 2, 4, 5 }, []string{"operations: 5", "edges = 4", "held-out solution templates", "at least 100"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := paperIGSM
			tt.change(&c)
			task, err := c.New()
			if err == nil || task != nil {
				t.Fatal("no error")
			}
			for _, want := range append(tt.want, "i-gsm") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
	// What the errors advise works.
	for _, c := range []IGSM{{2, 13, 2, 24, 5, mostOperands, lightLaw, nil, wholeNames, askOne, 0}, {100, 4, 6, 18, 49, mostOperands, lightLaw, nil, wholeNames, askOne, 0}, {7, 2, 13, 169, 64, mostOperands, fixedLaw, nil, letterNames, askOne, 0}} {
		if _, err := c.New(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Settings at random: the constructor refuses, with advice, or the sampler makes problems that hold up.
func TestIGSMAnySettings(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	taken, every := 0, thorough.Every(t, 3, "settings")
	for range 60 / every {
		c := IGSM{Modulus: 2 + r.IntN(30), Levels: 2 + r.IntN(5), Width: 2 + r.IntN(4), Operations: 5 + r.IntN(12), Operands: 2 + r.IntN(3),
			Law: []IGSMLaw{lightLaw, fixedLaw}[r.IntN(2)], Names: []IGSMNames{wholeNames, letterNames}[r.IntN(2)], Ask: []IGSMAsk{askOne, askEvery}[r.IntN(2)]}
		least := (c.Levels - 1) * c.Width
		c.Edges = min(least+r.IntN(12), least*c.Width)
		if r.IntN(2) == 0 {
			c.Evaluate = []int{5 + r.IntN(20)}
		}
		if r.IntN(3) == 0 {
			c.Length = 20 + r.IntN(200)
		}
		made, err := c.New()
		if err != nil {
			if !strings.HasPrefix(err.Error(), "i-gsm: ") || !strings.Contains(err.Error(), "want ") {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		taken++
		s, ex := made.NewSampler(), NewExample(made)
		for i := range uint64(20) {
			s.SampleKind(1, i, Split(i%2), int(i)%len(made.Kinds()), &ex)
			p, err := solveIGSM(Render(made, ex.Tokens), c.Modulus)
			if err != nil {
				t.Fatalf("%+v: %v in %s", c, err, Render(made, ex.Tokens))
			}
			if got := ex.Targets[len(ex.Targets)-1]; int(got) != p.values[p.asked] {
				t.Fatalf("%+v: answer %d, want %d in %s", c, got, p.values[p.asked], Render(made, ex.Tokens))
			}
			checkProblem(t, made.(*igsm), p)
		}
	}
	if taken < 20/every {
		t.Errorf("only %d settings were taken", taken)
	}
}

// A task does not see later changes to the list that configured it.
func TestIGSMCopiesItsConfiguration(t *testing.T) {
	c := paperIGSM
	c.Length, c.Evaluate = 0, []int{20, 18}
	task, err := c.New()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Evaluate, []int{20, 18}) {
		t.Errorf("NewIGSM changed its argument to %v", c.Evaluate)
	}
	c.Evaluate[0] = 6
	if got := task.(*igsm).Evaluate; !slices.Equal(got, []int{20, 18}) {
		t.Error(got)
	}
}

func TestIGSMDescription(t *testing.T) {
	for _, tt := range []struct {
		c                  IGSM
		length, vocabulary int
		words              string
	}{
		{paperIGSM, 128, 64, "[0 1 2 3 4 5 6 := + - * ( ) . ? · A#E A#F A#G A#H B#E]"},
		{IGSM{7, 4, 4, 20, 15, mostOperands, lightLaw, nil, letterNames, askOne, 0}, 376, 33, "[0 1 2 3 4 5 6 := + - * ( ) . ? · # A B C D]"},
		{littleIGSM, 58, 22, "[0 1 2 3 4 := + - * ( ) . ? · A#C A#D B#C B#D C#E C#F D#E]"},
	} {
		task, err := tt.c.New()
		if err != nil {
			t.Fatal(err)
		}
		v := task.Vocabulary()
		if task.Name() != "i-gsm" || task.Metric() != metric.Accuracy || task.Length() != tt.length || len(v) != tt.vocabulary || fmt.Sprint(v[:21]) != tt.words {
			t.Errorf("%s, judged by %s, length %d, %d tokens: %v", task.Name(), task.Metric(), task.Length(), len(v), v)
		}
	}
}

func BenchmarkIGSM(b *testing.B) {
	every := littleIGSM
	every.Ask = askEvery
	for name, c := range map[string]IGSM{"paper": paperIGSM, "little": littleIGSM, "every": every} {
		task, err := c.New()
		if err != nil {
			b.Fatal(err)
		}
		for _, split := range []Split{Train, HeldOut} {
			b.Run(name+"/"+split.String(), func(b *testing.B) {
				s, ex := task.NewSampler(), NewExample(task)
				index := uint64(0)
				b.ReportAllocs()
				for b.Loop() {
					s.Sample(1, index, split, &ex)
					index++
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "problems/s")
			})
		}
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			if _, err := paperIGSM.New(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
