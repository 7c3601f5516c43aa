package task

import (
	"fmt"
	"strings"
	"testing"
)

func newTeacher(t *testing.T, change func(*Teacher)) Task {
	t.Helper()
	var c Teacher
	c.SetDefault()
	change(&c)
	made, err := c.New()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTeacherDescription(t *testing.T) {
	for want, write := range map[string]int{"teacher 8 [0 1 2 3 4 #] accuracy\n": 2, "teacher 6 [0 1 2 3 4] accuracy\n": 0} {
		task := newTeacher(t, func(c *Teacher) { c.Vocabulary, c.Prompt, c.Write = 5, 6, write })
		if got := fmt.Sprintln(task.Name(), task.Length(), task.Vocabulary(), task.Metric()); got != want {
			t.Error(got)
		}
	}
}

// What the teacher writes is what it would write next at the last position, if its tokens are appended to the prompt. The
// positions past the prompt of a task with more to write have the same vectors.
func TestTeacherWritesWhatComesNext(t *testing.T) {
	const prompt, write = 5, 6
	written := newTeacher(t, func(c *Teacher) { c.Prompt, c.Write = prompt, write })
	// The same network, whose vectors of positions are as many, asked at each of them.
	next := newTeacher(t, func(c *Teacher) { c.Prompt, c.Write = prompt+write, 0 })
	ex, all := NewExample(written), NewExample(next)
	sampler, compared := written.NewSampler(), 0
	for i := range uint64(20) {
		sampler.Sample(1, i, Train, &ex)
		copy(all.Tokens, ex.Tokens[:prompt])
		n := prompt
		for n < len(all.Tokens) && ex.Targets[n] != Ignore {
			all.Tokens[n] = ex.Targets[n]
			n++
		}
		for k := n; k < len(all.Tokens); k++ {
			all.Tokens[k] = 0
		}
		next.NewSampler().(*teacherSampler).answer(&all)
		for k := prompt; k < n; k++ {
			if all.Targets[k-1] != ex.Targets[k] {
				t.Fatalf("%s, but after %d tokens comes %d", text(written, ex), k, all.Targets[k-1])
			}
			compared++
		}
	}
	if compared < 20*write/2 {
		t.Errorf("only %d tokens compared", compared)
	}
}

// A token that leads by next to nothing is not asked for.
func TestTeacherAsksForCertainTokens(t *testing.T) {
	task := newTeacher(t, func(c *Teacher) { c.Prompt, c.Write = 12, 0 })
	s, ex := task.NewSampler().(*teacherSampler), NewExample(task)
	head := s.network.Head
	copy(head[1], head[0]) // whenever one of the two would be said, no lead decides between them
	skipped := 0
	for i := range uint64(50) {
		s.Sample(1, i, Train, &ex)
		for _, target := range ex.Targets {
			switch target {
			case 0, 1:
				t.Fatalf("%s: there is nothing between 0 and 1", text(task, ex))
			case Ignore:
				skipped++
			}
		}
	}
	if skipped < 50 {
		t.Errorf("only %d positions without a target", skipped)
	}
}

func TestTeacherErrors(t *testing.T) {
	for want, change := range map[string]func(*Teacher){
		"schedule has layer 2 at depth 1, want 0 to 1": func(c *Teacher) { c.Schedule = []int{0, 2} },
		"want at most 1024":                            func(c *Teacher) { c.Schedule = make([]int, 1025) },
		"weights, want at most":                        func(c *Teacher) { c.Width, c.Hidden, c.Layers = 1024, 65536, 64 },
		"leave only":                                   func(c *Teacher) { c.Vocabulary, c.Prompt = 2, 4 },
	} {
		var c Teacher
		c.SetDefault()
		change(&c)
		if _, err := c.New(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
