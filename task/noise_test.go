package task

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"coil/thorough"
)

func TestNoiseDescription(t *testing.T) {
	task, err := Noise{12, 5}.New()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintln(task.Name(), task.Length(), task.Vocabulary(), task.Kinds(), task.Metric()); got != "noise 5 [0 1 2 3 4 5 6 7 8 9 10 11] [noise] accuracy\n" {
		t.Error(got)
	}
}

// Every target is the next token, on sequences of a single token too.
func TestNoiseTargets(t *testing.T) {
	for _, c := range []Noise{{2, 12}, {64, 256}, {262144, 1}} {
		task, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		s, ex := task.NewSampler(), NewExample(task)
		for i := range uint64(200) {
			s.Sample(3, i, Split(i%2), &ex)
			if !slices.Equal(ex.Targets[:c.Length-1], ex.Tokens[1:]) {
				t.Fatalf("%+v: tokens %v, targets %v", c, ex.Tokens, ex.Targets)
			}
			if last := ex.Targets[c.Length-1]; last < 0 || int(last) >= c.Vocabulary {
				t.Fatalf("%+v: the last target is %d", c, last)
			}
		}
	}
}

// In both splits tokens are uniform and neighbours independent, up to the token
// that is only asked for.
func TestNoiseDistribution(t *testing.T) {
	every := thorough.Every(t, 4, "examples")
	for _, c := range []Noise{{2, 40}, {7, 20}, {64, 16}} {
		task, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		for _, split := range []Split{Train, HeldOut} {
			s, ex := task.NewSampler(), NewExample(task)
			V := c.Vocabulary
			single, last, pairs := make([]float64, V), make([]float64, V), make([]float64, V*V)
			for i := range uint64(max(40000/every, 6*V*V)) {
				s.Sample(8, i, split, &ex)
				at := int(i) % c.Length // one position of each sample, so that votes are independent
				single[ex.Tokens[at]]++
				last[ex.Targets[c.Length-1]]++
				pairs[int(ex.Tokens[at])*V+int(ex.Targets[at])]++
			}
			uniform(t, fmt.Sprintf("%+v, %s: tokens", c, split), single)
			uniform(t, fmt.Sprintf("%+v, %s: last targets", c, split), last)
			uniform(t, fmt.Sprintf("%+v, %s: pairs", c, split), pairs)
		}
	}
}

// The share held out, and that nothing but the tokens that are read decides.
func TestNoiseSplit(t *testing.T) {
	s := &noiseSampler{noise: &noise{Noise{64, 16}}}
	ex := NewExample(s)
	s.rng.seed(1, 1, questionStream)
	counts := make([]float64, 2)
	for range 20000 {
		s.draw(ex.Tokens)
		if inSplit(hashTokens(ex.Tokens), HeldOut) {
			counts[HeldOut]++
		} else {
			counts[Train]++
		}
	}
	fits(t, "share", counts, []float64{20000 * (HeldOutOneIn - 1) / HeldOutOneIn, 20000 / HeldOutOneIn})
	for i := range uint64(200) {
		split := Split(i % 2)
		s.Sample(1, i, split, &ex)
		if !inSplit(hashTokens(ex.Tokens), split) {
			t.Fatalf("%v is not in the %s split", ex.Tokens, split)
		}
	}
}

// In a space small enough to list, every question is counted, once.
func TestCountSequences(t *testing.T) {
	for _, c := range []Noise{{2, 1}, {5, 1}, {2, 9}, {3, 6}} {
		want := tally{}
		sequences(c.Length, c.Vocabulary, func(v []int32) { want.add(hashTokens(v)) })
		if got := countSequences(c.Length, c.Vocabulary); got != want {
			t.Errorf("%+v: counted %v, want %v", c, got, want)
		}
	}
}

func TestNewNoiseErrors(t *testing.T) {
	for _, tt := range []struct {
		c    Noise
		want []string
	}{
		{Noise{1, 64}, []string{"vocabulary is 1,", "2 to 262144"}},
		{Noise{262145, 64}, []string{"vocabulary is 262145", "2 to 262144"}},
		{Noise{64, 0}, []string{"length is 0", "1 to 65536"}},
		{Noise{64, 65537}, []string{"length is 65537", "1 to 65536"}},
		{Noise{2, 10}, []string{"vocabulary = 2, length = 10", "held-out", "at least 100"}},
		{Noise{1000, 1}, []string{"vocabulary = 1000, length = 1", "held-out", "at least 100"}},
	} {
		task, err := tt.c.New()
		if err == nil || task != nil {
			t.Errorf("%+v: no error", tt.c)
			continue
		}
		for _, want := range append(tt.want, "noise") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q lacks %q", err, want)
			}
		}
	}
	// The largest there are.
	for _, c := range []Noise{{65536, 1}, {2, 65536}} {
		if _, err := c.New(); err != nil {
			t.Error(err)
		}
	}
}

func TestExplainNoise(t *testing.T) {
	task, err := Noise{100, 22}.New()
	if err != nil {
		t.Fatal(err)
	}
	ex := NewExample(task)
	for i := range ex.Tokens {
		ex.Tokens[i], ex.Targets[i] = int32(3*i), int32(3*i+3)
	}
	var b bytes.Buffer
	if err := task.Explain(&b, ex); err != nil {
		t.Fatal(err)
	}
	want := `random tokens: each target is the token that comes next, and there is nothing to follow

tokens   0  3  6  9 12 15 18 21 24 27 30 33 36 39 42 45 48 51 54 57
targets  3  6  9 12 15 18 21 24 27 30 33 36 39 42 45 48 51 54 57 60

tokens  60 63
targets 63 66
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
	ex.Targets[21] = 100
	if err := task.Explain(&b, ex); err == nil || err.Error() != "noise: target 100 at position 22, want 0 to 99" {
		t.Errorf("error %v", err)
	}
}
