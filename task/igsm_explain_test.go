package task

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"coil/thorough"
)

// The example of arXiv 2502.17416, with the brackets that its solution computes and its text leaves out.
const paperProblem = "E#I := 4 . E#J := E#I . K#N := I#N + J#O + F#K . F#K := E#J . J#O := F#K + K#O + E#J . H#J := E#J + F#K . " +
	"I#P := L#M + I#N + K#O . I#M := J#O + J#P + F#K . J#P := H#J - F#K . L#M := I#N + J#P + F#K . " +
	"I#N := 2 * ( J#P + H#J + E#I ) . K#O := J#P + I#N + E#J . I#P ?"

func TestExplainIGSM(t *testing.T) {
	task := Task(paperTask())
	const hardest = 4 // of the kinds
	var b bytes.Buffer
	if err := task.Explain(&b, igsmExample(t, task, paperProblem, 0, hardest)); err != nil {
		t.Fatal(err)
	}
	want := `12 definitions, of which the answer needs 9: 14 operations, modulo 7

E#I := 4
E#J := E#I
K#N := I#N + J#O + F#K            not needed
F#K := E#J
J#O := F#K + K#O + E#J            not needed
H#J := E#J + F#K
I#P := L#M + I#N + K#O
I#M := J#O + J#P + F#K            not needed
J#P := H#J - F#K
L#M := I#N + J#P + F#K
I#N := 2 * (J#P + H#J + E#I)
K#O := J#P + I#N + E#J
I#P ?

E#I = 4
E#J = E#I = 4
F#K = E#J = 4
H#J = E#J + F#K = 4 + 4 = 8 = 1 modulo 7
J#P = H#J - F#K = 1 - 4 = -3 = 4 modulo 7
I#N = 2 * (J#P + H#J + E#I) = 2 * (4 + 1 + 4) = 18 = 4 modulo 7
L#M = I#N + J#P + F#K = 4 + 4 + 4 = 12 = 5 modulo 7
K#O = J#P + I#N + E#J = 4 + 4 + 4 = 12 = 5 modulo 7
I#P = L#M + I#N + K#O = 5 + 4 + 5 = 14 = 0 modulo 7
answer  0
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}

	// What is not an example.
	for what, text := range map[string]string{
		"no brackets":         strings.NewReplacer("( ", "", " )", "").Replace(paperProblem),
		"no question":         strings.TrimSuffix(paperProblem, " I#P ?"),
		"a question too much": strings.Replace(paperProblem, "I#P ?", "I#P ? I#P ?", 1),
		"an unknown asked":    strings.Replace(paperProblem, "I#P ?", "A#E ?", 1),
		"a circle":            strings.Replace(paperProblem, "E#J := E#I", "E#J := K#O", 1),
		"a circle aside":      strings.Replace(paperProblem, "J#O := F#K", "J#O := K#N", 1),
		"itself":              strings.Replace(paperProblem, "F#K := E#J", "F#K := F#K", 1),
		"an unknown operand":  strings.Replace(paperProblem, "F#K := E#J", "F#K := A#E", 1),
		"a second definition": strings.Replace(paperProblem, "F#K := E#J", "E#J := E#I", 1),
		"an operand twice":    strings.Replace(paperProblem, "E#J + F#K", "E#J + E#J", 1),
		"four operands":       strings.Replace(paperProblem, "E#J + F#K", "E#J + F#K + E#I + L#M", 1),
		"a difference of 3":   strings.Replace(paperProblem, "H#J - F#K", "H#J - F#K - E#I", 1),
		"needless brackets":   strings.Replace(paperProblem, "H#J - F#K", "( H#J - F#K )", 1),
		"two constants":       strings.Replace(paperProblem, "F#K := E#J", "F#K := 2 * E#J + 3", 1),
		"numbers only":        strings.Replace(paperProblem, "F#K := E#J", "F#K := 2 + 3", 1),
		"a constant first":    strings.Replace(paperProblem, "F#K := E#J", "F#K := 2 + E#J", 1),
		"no stop":             strings.Replace(paperProblem, "F#K := E#J .", "F#K := E#J", 1),
		"no operand":          strings.Replace(paperProblem, "F#K := E#J", "F#K := E#J +", 1),
		"nothing":             strings.Replace(paperProblem, "F#K := E#J", "F#K :=", 1),
		"padding within":      strings.Replace(paperProblem, "F#K := E#J", "· F#K := E#J", 1),
		"empty":               "",
	} {
		if err := task.Explain(&b, igsmExample(t, task, text, 0, hardest)); err == nil || !strings.HasPrefix(err.Error(), "i-gsm: ") {
			t.Errorf("%s: error %v", what, err)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 / thorough.Every(t, 5, "random texts") { // random text never crashes it
		ex := igsmExample(t, task, paperProblem, 0, hardest)
		for range 1 + r.IntN(4) {
			ex.Tokens[r.IntN(len(ex.Tokens))] = int32(r.IntN(len(task.Vocabulary())))
		}
		p, want := solveIGSM(Render(task, ex.Tokens), 7)
		if got := task.Explain(&b, ex); got == nil && (want != nil || p.values[p.asked] != 0) {
			t.Fatalf("Explain takes %s, with the answer 0: %v", Render(task, ex.Tokens), want)
		}
	}
	if err := task.Explain(&b, igsmExample(t, task, paperProblem, 0, 1)); err == nil || !strings.Contains(err.Error(), "14 operations") {
		t.Errorf("another kind: error %v", err)
	}
}

// Explain solves the sampler's problems, with whole names or letters, and each line of the solution follows from those above.
func TestExplainIGSMSteps(t *testing.T) {
	examples := uint64(30 / thorough.Every(t, 5, "examples"))
	for _, c := range thorough.Cases(t, 3, "settings", igsmTasks) {
		t.Run(c.name, func(t *testing.T) {
			task := c.task()
			s, ex := task.NewSampler(), NewExample(task)
			for i := range examples {
				s.SampleKind(4, i, Split(i%2), int(i)%len(task.kinds), &ex)
				var b bytes.Buffer
				if err := task.Explain(&b, ex); err != nil {
					t.Fatal(err)
				}
				p, err := solveIGSM(Render(task, ex.Tokens), task.Modulus)
				if err != nil {
					t.Fatal(err)
				}
				parts := strings.Split(b.String(), "\n\n")
				lines := strings.Split(strings.TrimSpace(parts[2]), "\n")
				if want := fmt.Sprintf("answer  %d", p.values[p.asked]); len(lines) != len(p.steps)+1 || lines[len(p.steps)] != want {
					t.Fatalf("want %d steps and %s in\n%s", len(p.steps), want, &b)
				}
				known := make(map[string]bool)
				for _, line := range lines[:len(p.steps)] {
					sides := strings.Split(strings.TrimSuffix(line, fmt.Sprintf(" modulo %d", task.Modulus)), " = ")
					for _, q := range igsmName.FindAllString(sides[1], -1) {
						if !known[q] {
							t.Fatalf("%s is not known in\n%s", q, &b)
						}
					}
					if got := sides[len(sides)-1]; got != strconv.Itoa(p.values[sides[0]]) {
						t.Fatalf("%s: want %d", line, p.values[sides[0]])
					}
					known[sides[0]] = true
				}
				if n := strings.Count(parts[1], "not needed"); n != len(p.order)-len(p.steps) {
					t.Fatalf("%d definitions are not needed in\n%s", n, &b)
				}
			}
		})
	}
}

// If every quantity is asked for, Explain says so. It refuses too few questions, a question twice, and an answer that training
// must not see.
func TestExplainIGSMQuestions(t *testing.T) {
	c := littleIGSM
	c.Ask = askEvery
	task, err := c.New()
	if err != nil {
		t.Fatal(err)
	}
	const text = "A#C := 3 . B#C := 2 * A#C . C#E := B#C - A#C . A#C ? C#E ? B#C ?"
	example := func(text string) Example {
		ex := igsmExample(t, task, text, 1, 0)
		for i, k := range ex.Tokens {
			if task.Vocabulary()[k] == "?" {
				ex.Targets[i] = map[string]int32{"A#C": 3, "B#C": 1, "C#E": 3}[task.Vocabulary()[ex.Tokens[i-1]]]
			}
		}
		return ex
	}
	var b bytes.Buffer
	if err := task.Explain(&b, example(text)); err != nil {
		t.Fatal(err)
	}
	if want := "\nA#C ?  C#E ?  B#C ?\n\nA#C = 3\nB#C = 2 * A#C = 2 * 3 = 6 = 1 modulo 5\nanswer  1\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("got\n%s\nwant at the end\n%s", &b, want)
	}
	for what, text := range map[string]string{
		"two questions":           strings.Replace(text, "C#E ? ", "", 1),
		"one twice":               strings.Replace(text, "C#E ?", "A#C ?", 1),
		"four":                    text + " A#C ?",
		"a definition after them": strings.Replace(text, "C#E ? B#C ?", "C#F := 4 . C#E ? B#C ?", 1),
	} {
		if err := task.Explain(&b, example(text)); err == nil || !strings.HasPrefix(err.Error(), "i-gsm: ") {
			t.Errorf("%s: error %v", what, err)
		}
	}
	ex := example(text)
	ex.Targets[len(ex.Targets)-3] = Ignore
	if err := task.Explain(&b, ex); err == nil || !strings.Contains(err.Error(), "with targets") {
		t.Errorf("an answer too few: error %v", err)
	}
}
