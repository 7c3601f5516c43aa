package task

import (
	"slices"
	"strings"
	"testing"
)

// The texts are those of arXiv 2409.19044, appendix B, with its example of depth 0: n = 22 and r = 16 come first. Those of depth 1 have
// an alias for each letter.
func TestPrimitiveText(t *testing.T) {
	p, err := NewPrimitives(0)
	if err != nil {
		t.Fatal(err)
	}
	letters := func(s string) (tokens []int32) {
		for _, c := range s {
			tokens = append(tokens, int32(strings.IndexRune(alphabet, c)))
		}
		return tokens
	}
	numbers := []int32{valueToken + 21, valueToken + 15, valueToken + 12, valueToken + 20, valueToken + 24}
	shallow := assignmentQuestion{letters("nrwvk"), numbers, letters("n")[0]}
	deep := assignmentQuestion{letters("nrwvkabcde"), slices.Concat(numbers, letters("krnwv")), letters("c")[0]}
	for _, x := range []struct {
		f    *notation
		q    assignmentQuestion
		want string
	}{
		{&mathematics, shallow, "The following is a set of simple mathematical equations.\n\nn=22\nr=16\nw=13\nv=21\nk=25\nWhat is the numerical value of n?\nAnswer:"},
		{&program, shallow, "The following is a very short Python program. Use the program to resolve the value of the variable in the question.\nProgram:\nn = 22\nr = 16\nw = 13\nv = 21\nk = 25\n\nQuestion:\nWhat is the value of n?\nAnswer:"},
		{&mathematics, deep, "The following is a set of simple mathematical equations.\n\nn=22\nr=16\nw=13\nv=21\nk=25\na=k\nb=r\nc=n\nd=w\ne=v\nWhat is the numerical value of c?\nAnswer:"},
	} {
		if got := p.sampler.text(x.f, x.q); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
		if got := p.sampler.said(x.q); got != " 22" {
			t.Errorf("the answer is %q, want 22", got)
		}
	}
}

// A reader of the text finds the right choice; shots carry their answers; choices are the numbers of the question, and no others; a
// seed always gives the same questions, which differ from index to index.
func TestPrimitives(t *testing.T) {
	p, err := NewPrimitives(5)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Kinds(), ", "); got != "depth 0 math, depth 0 code, depth 1 math, depth 1 code" {
		t.Error(got)
	}
	seen := map[string]bool{}
	for i := range uint64(200) {
		kind := int(i % 4)
		q := p.Question(3, i/4, kind)
		if want := solveAssignment(q.Question); q.Choices[q.Right] != " "+want+"\n" {
			t.Fatalf("%q is right, want %s:\n%s", q.Choices[q.Right], want, q.Question)
		}
		var numbers []string
		for line := range strings.SplitSeq(q.Question, "\n") {
			if _, right, ok := strings.Cut(line, "="); ok {
				if n := strings.TrimSpace(right); n[0] <= '9' && !slices.Contains(numbers, " "+n+"\n") {
					numbers = append(numbers, " "+n+"\n")
				}
			}
		}
		if !slices.Equal(q.Choices, numbers) {
			t.Fatalf("choices %q, want %q:\n%s", q.Choices, numbers, q.Question)
		}
		if len(q.Shots) != 5 || !strings.HasSuffix(q.Question, "?\nAnswer:") {
			t.Fatalf("%q after %d shots", q.Question, len(q.Shots))
		}
		for _, shot := range q.Shots {
			question, answer, _ := strings.Cut(shot, "Answer:")
			if want := " " + solveAssignment(question) + "\n\n"; answer != want {
				t.Fatalf("a shot says %q, want %q:\n%s", answer, want, question)
			}
		}
		if again := p.Question(3, i/4, kind); again.Question != q.Question || !slices.Equal(again.Shots, q.Shots) {
			t.Fatal("the second time, it is another question")
		}
		seen[q.Question] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d different questions of 200", len(seen))
	}
}
