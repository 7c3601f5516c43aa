package task

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Groups of every kind satisfy the axioms, in full.
func TestGroups(t *testing.T) {
	for _, k := range []struct {
		name    string
		order   int
		abelian bool
	}{
		{"S3", 6, false}, {"S4", 24, false}, {"S5", 120, false}, {"A3", 3, true}, {"A4", 12, false}, {"A5", 60, false},
		{"Z2", 2, true}, {"Z7", 7, true}, {"Z60", 60, true}, {"D3", 6, false}, {"D5", 10, false}, {"D8", 16, false},
		{"Z2xZ2", 4, true}, {"S3xZ2", 12, false}, {"A4xZ5", 60, false}, {"Z2xZ3xZ5", 30, true},
	} {
		g, err := newGroup(k.name)
		if err != nil {
			t.Fatal(err)
		}
		if g.order != k.order || len(g.texts) != k.order {
			t.Errorf("%s has %d elements and %d texts, want %d", k.name, g.order, len(g.texts), k.order)
		}
		if n := len(slices.Compact(slices.Sorted(slices.Values(g.texts)))); n != k.order {
			t.Errorf("%s has %d different texts", k.name, n)
		}
		n, abelian := int32(k.order), true
		for a := range n {
			if g.times(a, 0) != a || g.times(0, a) != a {
				t.Errorf("%s: 0 is not the identity of %d", k.name, a)
			}
			inverses := 0
			for b := range n {
				c := g.times(a, b)
				if c < 0 || c >= n {
					t.Fatalf("%s: %d·%d = %d", k.name, a, b, c)
				}
				if c == 0 {
					inverses++
				}
				abelian = abelian && c == g.times(b, a)
				for d := int32(0); d < n; d += 1 + n/24 {
					if g.times(c, d) != g.times(a, g.times(b, d)) {
						t.Fatalf("%s: (%d·%d)·%d is not %d·(%d·%d)", k.name, a, b, d, a, b, d)
					}
				}
			}
			if inverses != 1 {
				t.Errorf("%s: %d has %d inverses", k.name, a, inverses)
			}
		}
		if abelian != k.abelian {
			t.Errorf("%s is abelian: %v", k.name, abelian)
		}
	}
	for _, bad := range []string{"", "S2", "S8", "A2", "Z1", "Z0", "Z-3", "Z07", "D2", "Q8", "S3x", "xZ2", "s3", "Z999999", "S7xS7", "D99999"} {
		if _, err := newGroup(bad); err == nil {
			t.Errorf("%q is a group", bad)
		}
	}
}

// solveWord composes texts of permutations and of Z by definition: the first is applied first.
func solveWord(group string, texts []string) string {
	if group[0] == 'Z' {
		sum, m := 0, 0
		fmt.Sscan(group[1:], &m)
		for _, s := range texts {
			k := 0
			fmt.Sscan(s, &k)
			sum += k
		}
		return fmt.Sprint(sum % m)
	}
	points := []byte(strings.Repeat(" ", len(texts[0])))
	for i := range points {
		at := byte('1' + i)
		for _, s := range texts {
			at = s[at-'1']
		}
		points[i] = at
	}
	return string(points)
}

// The targets are the products, worked out from the texts.
func TestGroupWordTargets(t *testing.T) {
	for _, c := range []GroupWord{
		{"S5", []int{16}, nil, lossEvery}, {"S3", []int{5, 8}, []int{12}, lossEvery}, {"A5", []int{7}, nil, lossLast},
		{"Z7", []int{6, 4}, nil, lossEvery}, {"Z60", []int{9}, []int{4}, lossLast}, {"S4", []int{6}, nil, lossEvery},
	} {
		task, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		words := task.Vocabulary()
		s, ex := task.NewSampler(), NewExample(task)
		for i := range uint64(600) {
			kind := int(i) % len(task.Kinds())
			s.SampleKind(3, i, Split(i%2), kind, &ex)
			n := 0
			fmt.Sscanf(task.Kinds()[kind], "n=%d", &n)
			var texts []string
			for j, k := range ex.Tokens {
				switch {
				case j >= n:
					if words[k] != "·" || ex.Targets[j] != Ignore {
						t.Fatalf("%+v: behind the word is %s with target %d", c, words[k], ex.Targets[j])
					}
					continue
				case c.Loss == lossLast && j < n-1:
					if ex.Targets[j] != Ignore {
						t.Fatalf("%+v: a target at %d", c, j)
					}
				}
				texts = append(texts, words[k])
				if c.Loss == lossEvery || j == n-1 {
					if want := solveWord(c.Group, texts); words[ex.Targets[j]] != want {
						t.Fatalf("%+v: %v gives %s, want %s", c, texts, words[ex.Targets[j]], want)
					}
				}
			}
		}
	}
	// As the doc comment has it.
	if got := solveWord("S3", []string{"213", "132"}); got != "312" {
		t.Errorf("213·132 = %s", got)
	}
}

// Elements are uniform at every place, and so are products, in both splits; lengths are uniform in training.
func TestGroupWordDistribution(t *testing.T) {
	task, err := GroupWord{"S3", []int{8, 11, 9}, []int{10}, lossEvery}.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range []Split{Train, HeldOut} {
		s, ex := task.NewSampler(), NewExample(task)
		elements, products, pairs, kinds := make([]float64, 6), make([]float64, 6), make([]float64, 36), map[int]float64{}
		for i := range uint64(30000) {
			s.Sample(2, i, split, &ex)
			kinds[ex.Kind]++
			at := int(i) % 5
			elements[ex.Tokens[at]]++
			products[ex.Targets[4]]++
			pairs[ex.Tokens[at]*6+ex.Tokens[(at+1)%5]]++
		}
		uniform(t, split.String()+": elements", elements)
		uniform(t, split.String()+": products", products)
		uniform(t, split.String()+": pairs", pairs)
		if len(kinds) != 3 || kinds[2] != 0 { // n=10 is not trained
			t.Errorf("kinds are %v", kinds)
		}
		uniform(t, split.String()+": lengths", []float64{kinds[0], kinds[1], kinds[3]})
	}
}

func TestGroupWordExplains(t *testing.T) {
	task, err := GroupWord{"S3", []int{5}, []int{6}, lossEvery}.New()
	if err != nil {
		t.Fatal(err)
	}
	ex := Example{Tokens: []int32{2, 1, 0, 0, 0, 6}, Targets: []int32{2, 4, 4, 4, 4, Ignore}} // 213 132 123 123 123
	var b bytes.Buffer
	if err := task.Explain(&b, ex); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the first applied first", "213·132 = 312: 1→2→3, 2→1→1, 3→3→2", "answer  312", "padding up to position 6"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

func TestGroupWordRefuses(t *testing.T) {
	for _, k := range []struct {
		c    GroupWord
		want string
	}{
		{GroupWord{"Q8", []int{5}, nil, lossEvery}, "group"}, {GroupWord{"S3", nil, nil, lossEvery}, "lengths"},
		{GroupWord{"S3", []int{0}, nil, lossEvery}, "lengths"}, {GroupWord{"S3", []int{5, 5}, nil, lossEvery}, "twice"},
		{GroupWord{"S3", []int{5}, []int{-1}, lossEvery}, "evaluate"}, {GroupWord{"S3", []int{5}, nil, "x"}, "loss"},
		{GroupWord{"S3", []int{2}, nil, lossEvery}, "leave only"}, {GroupWord{"Z2", []int{20}, []int{5}, lossEvery}, "leave only"},
	} {
		if _, err := k.c.New(); err == nil || !strings.HasPrefix(err.Error(), "group-word") || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%+v: %v", k.c, err)
		}
	}
}

// Settings at random: refused, or the targets are right.
func TestGroupWordRapid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := GroupWord{rapid.SampledFrom([]string{"S3", "S4", "A4", "Z2", "Z5", "Z11"}).Draw(t, "group"),
			rapid.SliceOfN(rapid.IntRange(0, 12), 0, 3).Draw(t, "lengths"), rapid.SliceOfN(rapid.IntRange(0, 12), 0, 2).Draw(t, "evaluate"),
			rapid.SampledFrom([]LossAt{lossEvery, lossLast}).Draw(t, "loss")}
		task, err := c.New()
		if err != nil {
			return
		}
		s, ex := task.NewSampler(), NewExample(task)
		for kind := range task.Kinds() {
			s.SampleKind(1, 1, HeldOut, kind, &ex)
			if err := task.Explain(&bytes.Buffer{}, ex); err != nil {
				t.Fatal(err)
			}
			var texts []string
			answer := ""
			for j, k := range ex.Tokens {
				if word := task.Vocabulary()[k]; word != "·" {
					texts = append(texts, word)
				}
				if ex.Targets[j] != Ignore {
					answer = task.Vocabulary()[ex.Targets[j]]
				}
			}
			if want := solveWord(c.Group, texts); answer != want {
				t.Fatalf("%v gives %s, want %s", texts, answer, want)
			}
		}
	})
}

func BenchmarkGroupWord(b *testing.B) {
	task, err := GroupWord{"S5", []int{16}, nil, lossEvery}.New()
	if err != nil {
		b.Fatal(err)
	}
	s, ex := task.NewSampler(), NewExample(task)
	b.ReportAllocs()
	i := uint64(0)
	for b.Loop() {
		s.Sample(1, i, Train, &ex)
		i++
	}
}
