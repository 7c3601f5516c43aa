package task

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// partsOf returns the names of the parts of an example's targets, in their order.
func partsOf(t *testing.T, task Parted, ex Example) (names []string) {
	t.Helper()
	parts := slices.Repeat([]int{-1}, task.Length())
	if err := task.Part(ex, parts); err != nil {
		t.Fatal(err)
	}
	for i, part := range parts {
		if (part >= 0) != (ex.Targets[i] != Ignore) {
			t.Fatalf("%s: position %d with target %d has part %d", text(task, ex), i, ex.Targets[i], part)
		}
		if part >= 0 {
			names = append(names, task.Parts()[part])
		}
	}
	return names
}

// The number of a digit says its power of ten in the sum.
func TestPartsOfAddition(t *testing.T) {
	for _, order := range []DigitOrder{mostFirst, leastFirst} {
		made, err := Addition{Digits: 3, Operands: []int{2, 5, 12}, Order: order}.New()
		if err != nil {
			t.Fatal(err)
		}
		s, ex := made.NewSampler(), NewExample(made)
		for i := range uint64(20) {
			s.Sample(1, i, Split(i%2), &ex)
			question, _, _ := strings.Cut(Render(made, ex.Tokens), "=")
			sum := 0
			for _, operand := range strings.Split(question, "+") {
				x, err := strconv.Atoi(operand)
				if err != nil {
					t.Fatal(err)
				}
				sum += x
			}
			got := 0
			answer := slices.DeleteFunc(slices.Clone(ex.Targets), func(k int32) bool { return k == Ignore })
			for k, part := range partsOf(t, made.(Parted), ex) {
				digit, err := strconv.Atoi(strings.TrimPrefix(part, "digit "))
				if err != nil {
					t.Fatal(err)
				}
				value := int(answer[k])
				for range digit - 1 {
					value *= 10
				}
				got += value
			}
			if got != sum {
				t.Errorf("%s, %s significant first: digits by their parts make %d, want %d", Render(made, ex.Tokens), order, got, sum)
			}
		}
	}
}

// The length of a product is that of the word without what follows the target.
func TestPartsOfGroupWord(t *testing.T) {
	for _, loss := range []LossAt{lossEvery, lossLast} {
		made, err := GroupWord{Group: "S3", Lengths: []int{6, 9}, Loss: loss}.New()
		if err != nil {
			t.Fatal(err)
		}
		s, ex := made.NewSampler(), NewExample(made)
		for kind, n := range []int{6, 9} {
			s.SampleKind(1, 2, Train, kind, &ex)
			var want []string
			for i := 1; i <= n; i++ {
				if loss == lossEvery || i == n {
					want = append(want, fmt.Sprintf("length %d", i))
				}
			}
			if got := partsOf(t, made.(Parted), ex); !slices.Equal(got, want) {
				t.Errorf("loss of %s: %v, want %v", loss, got, want)
			}
		}
	}
}

// Depths are those of the problem as a pupil reads it.
func TestPartsOfIGSM(t *testing.T) {
	c := littleIGSM
	c.Ask = askEvery
	made, err := c.New()
	if err != nil {
		t.Fatal(err)
	}
	s, ex := made.NewSampler(), NewExample(made)
	seen := map[string]bool{}
	for i := range uint64(40) {
		s.Sample(1, i, Split(i%2), &ex)
		p, err := solveIGSM(Render(made, ex.Tokens), c.Modulus)
		if err != nil {
			t.Fatal(err)
		}
		var depth func(name string) int
		depth = func(name string) int {
			n := 0
			for _, q := range p.quantities(name) {
				n = max(n, depth(q))
			}
			return n + 1
		}
		var want []string
		questions := append(slices.Clone(p.others), p.asked)
		for at, k := range ex.Tokens {
			if made.Vocabulary()[k] != "?" {
				continue
			}
			if ex.Targets[at] != Ignore {
				want = append(want, fmt.Sprintf("depth %d", depth(questions[0])))
			}
			questions = questions[1:]
		}
		got := partsOf(t, made.(Parted), ex)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text(made, ex), got, want)
		}
		for _, part := range got {
			seen[part] = true
		}
	}
	if len(seen) < 4 {
		t.Errorf("only %v were seen", seen)
	}
}

// Tokens in front move the parts, and a task whose targets are all alike has none behind them either.
func TestPartsBehindAStart(t *testing.T) {
	each(t, func(t *testing.T, task Task) {
		own, ok := task.(Parted)
		behind := &started{of: task, n: 2}
		if !ok || own.Parts() == nil {
			if parts := behind.Parts(); parts != nil {
				t.Errorf("parts %v", parts)
			}
			return
		}
		a, b := NewExample(task), NewExample(behind)
		own.NewSampler().Sample(1, 3, Train, &a)
		behind.NewSampler().Sample(1, 3, Train, &b)
		if got, want := partsOf(t, behind, b), partsOf(t, own, a); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%v, want %v", got, want)
		}
		b.Tokens[0] = 0
		parts := make([]int, len(b.Tokens))
		if behind.Part(b, parts) == nil {
			t.Error("parts of a foreign example")
		}
		a.Kind = len(task.Kinds())
		if own.Part(a, parts) == nil {
			t.Error("parts of an example of no kind")
		}
	})
}
