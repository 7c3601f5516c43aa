package task

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"coil/thorough"

	"pgregory.net/rapid"
)

// solveAssignment reads the text of a question as a person does, line by line, and returns the answer.
func solveAssignment(text string) string {
	stands := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		if left, right, ok := strings.Cut(line, "="); ok {
			right = strings.TrimSpace(right)
			if v, ok := stands[right]; ok {
				right = v
			}
			stands[strings.TrimSpace(left)] = right
		}
	}
	_, asked, _ := strings.Cut(text, "value of ")
	if i := strings.LastIndex(text, "value of "); i >= 0 {
		asked = text[i+len("value of "):]
	}
	asked, _, _ = strings.Cut(asked, "?")
	return stands[asked]
}

// explained is the text of an example, cut into its questions, and the answer to the last that the task gives.
func explained(t interface{ Fatal(...any) }, task Task, ex Example) (questions []string, answer string) {
	var b bytes.Buffer
	if err := task.Explain(&b, ex); err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(b.String(), "\nanswer  ")
	questions = strings.SplitAfter(text, "Answer:")
	vocabulary := task.Vocabulary()
	for _, k := range ex.Targets {
		if k != Ignore {
			answer = vocabulary[k]
		}
	}
	return questions[:len(questions)-1], answer
}

// Every answer is what a reader of the text finds; shots carry theirs.
func TestAssignmentAnswers(t *testing.T) {
	examples := uint64(400 / thorough.Every(t, 4, "examples"))
	for _, c := range []Assignment{
		{5, 25, []int{0, 1}, nil, bothFormat, 0, lossLast}, {5, 25, []int{0, 1}, nil, bothFormat, 5, lossEvery},
		{3, 9, []int{2}, []int{0, 4}, mathFormat, 1, lossLast}, {2, 2, []int{0, 12}, nil, codeFormat, 0, lossEvery}, {26, 100, []int{0}, nil, codeFormat, 2, lossEvery},
	} {
		task, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		s, ex := task.NewSampler(), NewExample(task)
		for i := range examples {
			kind := int(i) % len(task.Kinds())
			s.SampleKind(4, i, Split(i/3%2), kind, &ex)
			questions, answer := explained(t, task, ex)
			if len(questions) != c.Shots+1 {
				t.Fatalf("%+v: %d questions", c, len(questions))
			}
			if want := solveAssignment(questions[c.Shots]); answer != want {
				t.Fatalf("%+v: the answer is %s, want %s:\n%s", c, answer, want, questions[c.Shots])
			}
			for shot := range c.Shots { // the text after a shot starts with its answer
				said := strings.Fields(questions[shot+1])[0]
				if want := solveAssignment(questions[shot]); said != want {
					t.Fatalf("%+v: shot %d says %s, want %s", c, shot, said, want)
				}
			}
			targets := 0
			for _, k := range ex.Targets {
				if k != Ignore {
					targets++
				}
			}
			if want := map[LossAt]int{lossEvery: c.Shots + 1, lossLast: 1}[c.Loss]; targets != want {
				t.Fatalf("%+v: %d targets, want %d", c, targets, want)
			}
		}
	}
}

// The texts are those of the paper.
func TestAssignmentText(t *testing.T) {
	task, err := Assignment{3, 25, []int{0, 1}, nil, bothFormat, 0, lossLast}.New()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(task.Kinds(), task.Length()); got != "[depth 0 math depth 0 code depth 1 math depth 1 code] 28" {
		t.Error(got)
	}
	s, ex := task.NewSampler(), NewExample(task)
	s.SampleKind(1, 0, Train, 2, &ex)
	questions, _ := explained(t, task, ex)
	lines := strings.Split(questions[0], "\n")
	if lines[0] != "The following is a set of simple mathematical equations." || lines[1] != "" || len(lines[2]) > 4 || lines[len(lines)-1] != "Answer:" ||
		!strings.HasPrefix(lines[len(lines)-2], "What is the numerical value of ") || len(lines) != 10 {
		t.Errorf("%q", lines)
	}
	s.SampleKind(1, 0, Train, 1, &ex)
	questions, _ = explained(t, task, ex)
	if !strings.HasPrefix(questions[0], "The following is a very short Python program. Use the program to resolve the value of the variable in the question.\nProgram:\n") ||
		!strings.Contains(questions[0], "\n\nQuestion:\nWhat is the value of ") {
		t.Errorf("%q", questions[0])
	}
}

// Letters, numbers, which alias has which letter, and the one asked for are uniform, in both splits.
func TestAssignmentDistribution(t *testing.T) {
	draws := uint64(30000 / thorough.Every(t, 4, "examples"))
	c := Assignment{4, 10, []int{1}, nil, mathFormat, 0, lossLast}
	made, err := c.New()
	if err != nil {
		t.Fatal(err)
	}
	task := made.(*assignment)
	for _, split := range []Split{Train, HeldOut} {
		s, ex := task.NewSampler(), NewExample(task)
		letters, values, asked, aliases := make([]float64, 26), make([]float64, 10), make([]float64, 4), make([]float64, 16)
		for i := range draws {
			s.Sample(9, i, split, &ex)
			questions, err := task.parse(ex)
			if err != nil {
				t.Fatal(err)
			}
			q := questions[0]
			letters[q.left[i%8]]++
			values[q.right[i%4]-valueToken]++
			asked[slices.Index(q.left[4:], q.asked)]++
			aliases[int(i%4)*4+slices.Index(q.left[:4], q.right[4+i%4])]++
		}
		uniform(t, split.String()+": letters", letters)
		uniform(t, split.String()+": values", values)
		uniform(t, split.String()+": asked", asked)
		uniform(t, split.String()+": aliases", aliases)
	}
}

// The split ignores the order of lines within a depth, and the format.
func TestAssignmentSplit(t *testing.T) {
	q := assignmentQuestion{left: []int32{3, 9, 5, 7}, right: []int32{valueToken + 4, valueToken + 1, 9, 3}, asked: 7}
	swapped := assignmentQuestion{left: []int32{9, 3, 7, 5}, right: []int32{valueToken + 1, valueToken + 4, 3, 9}, asked: 7}
	if q.hash() != swapped.hash() {
		t.Error("the order of lines counts")
	}
	for _, other := range []assignmentQuestion{{q.left, q.right, 5}, {q.left, []int32{valueToken + 4, valueToken + 1, 3, 9}, 7}, {q.left, []int32{valueToken + 3, valueToken + 1, 9, 3}, 7}} {
		if q.hash() == other.hash() {
			t.Errorf("%+v has the same hash", other)
		}
	}
}

func TestAssignmentRefuses(t *testing.T) {
	good := Assignment{5, 25, []int{0, 1}, nil, bothFormat, 0, lossLast}
	for _, k := range []struct {
		change func(*Assignment)
		want   string
	}{
		{func(c *Assignment) { c.Variables = 1 }, "variables is 1"}, {func(c *Assignment) { c.Variables = 27 }, "variables is 27"},
		{func(c *Assignment) { c.Values = 1 }, "values is 1"}, {func(c *Assignment) { c.Depth = nil }, "depth = []"},
		{func(c *Assignment) { c.Depth = []int{5} }, "want 0 to 4 with variables = 5"}, {func(c *Assignment) { c.Depth = []int{0, 0} }, "twice"},
		{func(c *Assignment) { c.Evaluate = []int{-1} }, "evaluate"}, {func(c *Assignment) { c.Shots = -1 }, "shots"},
		{func(c *Assignment) { c.Format = "prose" }, "format"}, {func(c *Assignment) { c.Loss = "x" }, "loss"},
	} {
		c := good
		k.change(&c)
		if _, err := c.New(); err == nil || !strings.HasPrefix(err.Error(), "assignment") || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Settings at random: refused, or a reader finds the answer.
func TestAssignmentRapid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Assignment{rapid.IntRange(1, 27).Draw(t, "variables"), rapid.IntRange(1, 40).Draw(t, "values"), rapid.SliceOfN(rapid.IntRange(-1, 5), 0, 3).Draw(t, "depth"),
			rapid.SliceOfN(rapid.IntRange(0, 5), 0, 2).Draw(t, "evaluate"), rapid.SampledFrom([]AssignmentFormat{mathFormat, codeFormat, bothFormat}).Draw(t, "format"),
			rapid.IntRange(0, 3).Draw(t, "shots"), rapid.SampledFrom([]LossAt{lossEvery, lossLast}).Draw(t, "loss")}
		task, err := c.New()
		if err != nil {
			return
		}
		s, ex := task.NewSampler(), NewExample(task)
		for kind := range task.Kinds() {
			s.SampleKind(1, 1, HeldOut, kind, &ex)
			questions, answer := explained(t, task, ex)
			if want := solveAssignment(questions[c.Shots]); answer != want {
				t.Fatalf("the answer is %s, want %s:\n%s", answer, want, questions[c.Shots])
			}
		}
	})
}

func BenchmarkAssignment(b *testing.B) {
	task, err := Assignment{5, 25, []int{0, 1}, nil, bothFormat, 0, lossLast}.New()
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
