package task

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coil/metric"
	"coil/thorough"
)

// The paper's size, and smaller ones.
var (
	paperIGSM  = IGSM{7, 4, 4, 20, 15, mostOperands, lightLaw, nil, wholeNames, askOne, 128}
	littleIGSM = IGSM{5, 3, 2, 6, 6, mostOperands, lightLaw, nil, wholeNames, askOne, 0}
)

func igsmTasks(t *testing.T) map[string]*igsm {
	t.Helper()
	tasks := make(map[string]*igsm)
	for _, c := range []IGSM{
		paperIGSM,
		littleIGSM,
		{7, 4, 4, 20, 15, mostOperands, lightLaw, []int{20, 6, 40}, letterNames, askOne, 0},
		{23, 4, 4, 28, 21, mostOperands, lightLaw, nil, wholeNames, askOne, 0},
		{2, 2, 3, 7, 8, mostOperands, fixedLaw, nil, letterNames, askOne, 96},
		{3, 2, 3, 5, 6, mostOperands, lightLaw, nil, wholeNames, askEvery, 56},
		{5, 2, 3, 6, 6, 2, lightLaw, []int{5}, wholeNames, askEvery, 0},
		{7, 4, 4, 20, 15, 3, lightLaw, nil, wholeNames, askOne, 0},
		{7, 4, 4, 20, 15, mostOperands, lightLaw, []int{20}, letterNames, askEvery, 0},
		{6, 13, 2, 26, 9, mostOperands, lightLaw, []int{12}, wholeNames, askOne, 0},
		{100, 2, 13, 169, 64, mostOperands, lightLaw, nil, letterNames, askOne, 0},
	} {
		task, err := c.New()
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		tasks[fmt.Sprintf("%+v", c)] = task.(*igsm)
	}
	return tasks
}

// A solved problem, as a pupil solves it: on strings.
type solution struct {
	definitions map[string]string // by name
	order       []string          // of the definitions
	asked       string
	others      []string // asked for before
	values      map[string]int
	begun       map[string]bool // to compute it
	steps       []string        // names in the order in which they were computed
	modulus     int
}

var igsmDefinition = regexp.MustCompile(`^([A-Z]#[A-Z]) := (` +
	`\d+|` + // a constant
	`(?:\d+ \* )?[A-Z]#[A-Z]|` + // a quantity, perhaps times a constant
	`[A-Z]#[A-Z](?: [+-] [A-Z]#[A-Z]| \+ [A-Z]#[A-Z] \+ [A-Z]#[A-Z])?(?: \+ \d+)?|` + // up to three, perhaps and a constant
	`\d+ \* \( [A-Z]#[A-Z](?: [+-] [A-Z]#[A-Z]| \+ [A-Z]#[A-Z] \+ [A-Z]#[A-Z]) \)` + // or times it
	`)$`)

// solveIGSM reads and solves the text of an example. It shares nothing with the sampler.
func solveIGSM(text string, modulus int) (*solution, error) {
	text = strings.ReplaceAll(strings.TrimLeft(text, "· "), " # ", "#")
	sentences := strings.Split(text, " . ")
	s := &solution{definitions: map[string]string{}, values: map[string]int{}, begun: map[string]bool{}, modulus: modulus}
	for _, sentence := range sentences[:len(sentences)-1] {
		parts := igsmDefinition.FindStringSubmatch(sentence)
		if parts == nil {
			return nil, fmt.Errorf("no definition: %s", sentence)
		}
		if s.definitions[parts[1]] != "" {
			return nil, fmt.Errorf("%s is defined twice", parts[1])
		}
		s.definitions[parts[1]] = parts[2]
		s.order = append(s.order, parts[1])
	}
	questions, ok := strings.CutSuffix(sentences[len(sentences)-1], " ?")
	names := strings.Split(questions, " ? ")
	for i, name := range names {
		if !ok || s.definitions[name] == "" || slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("no questions: %s", sentences[len(sentences)-1])
		}
	}
	s.others, s.asked = names[:len(names)-1], names[len(names)-1]
	return s, s.compute(s.asked)
}

func (s *solution) compute(name string) error {
	if _, ok := s.values[name]; ok {
		return nil
	}
	if s.begun[name] || s.definitions[name] == "" {
		return fmt.Errorf("%s is circular or not defined", name)
	}
	s.begun[name] = true
	rest := strings.Fields(s.definitions[name])
	x, err := s.sum(&rest)
	if err != nil {
		return err
	}
	s.values[name] = (x%s.modulus + s.modulus) % s.modulus
	s.steps = append(s.steps, name)
	return nil
}

func (s *solution) sum(rest *[]string) (int, error) {
	total, err := s.product(rest)
	for err == nil && len(*rest) > 0 && (*rest)[0] != ")" {
		sign := (*rest)[0]
		*rest = (*rest)[1:]
		var x int
		if x, err = s.product(rest); sign == "-" {
			x = -x
		}
		total += x
	}
	return total, err
}

func (s *solution) product(rest *[]string) (int, error) {
	word := (*rest)[0]
	*rest = (*rest)[1:]
	var x int
	var err error
	switch {
	case word == "(":
		x, err = s.sum(rest)
		*rest = (*rest)[1:]
	case strings.Contains(word, "#"):
		err = s.compute(word)
		x = s.values[word]
	default:
		x, err = strconv.Atoi(word)
	}
	if err == nil && len(*rest) > 0 && (*rest)[0] == "*" {
		*rest = (*rest)[1:]
		var y int
		y, err = s.product(rest)
		x *= y
	}
	return x, err
}

var (
	igsmName   = regexp.MustCompile(`[A-Z]#[A-Z]`)
	igsmNumber = regexp.MustCompile(`\d+`)
)

func (s *solution) quantities(name string) []string {
	return igsmName.FindAllString(s.definitions[name], -1)
}

// operations counts those of the steps.
func (s *solution) operations() int {
	n := 0
	for _, name := range s.steps {
		n += max(1, len(s.quantities(name))+len(igsmNumber.FindAllString(s.definitions[name], -1))-1)
	}
	return n
}

// solve returns s with another question.
func (s *solution) solve(asked string) (*solution, error) {
	o := &solution{definitions: s.definitions, order: s.order, asked: asked, values: map[string]int{}, begun: map[string]bool{}, modulus: s.modulus}
	return o, o.compute(asked)
}

// template spells the asked quantity out, without names and numbers, and with the operands of sums in order.
func (s *solution) template() string {
	var spell func(name string) string
	spell = func(name string) string {
		text := s.definitions[name]
		var operands []string
		for _, o := range s.quantities(name) {
			operands = append(operands, spell(o))
		}
		minus := strings.Contains(text, " - ")
		if !minus {
			slices.Sort(operands)
		}
		how := "plain"
		if strings.Contains(text, "*") {
			how = "times"
		} else if igsmNumber.MatchString(text) {
			how = "plus"
		}
		return fmt.Sprint(how, minus, operands)
	}
	return fmt.Sprint(s.operations(), spell(s.asked))
}

// Thousands of problems of every kind and either split: well-formed, on a graph, not circular, with the answer that the
// other solver finds, the operations of their kind, and nothing superfluous.
func TestIGSMFollowsTheDefinition(t *testing.T) {
	every := thorough.Every(t, 5, "examples")
	for name, task := range igsmTasks(t) {
		t.Run(name, func(t *testing.T) {
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

// checkOtherQuestions checks the targets before the last one. If all quantities are asked for, each is asked for once. Training
// answers those whose solution template is not held out, so that no answered question of any problem has a held-out template.
func checkOtherQuestions(t *testing.T, task *igsm, p *solution, split Split, ex Example) {
	t.Helper()
	if want := len(p.order) - 1; len(p.others) != want && task.Ask == askEvery || task.Ask == askOne && len(p.others) != 0 {
		t.Fatalf("%d other questions in %s", len(p.others), Render(task, ex.Tokens))
	}
	at := task.length - 1
	check := func(want int32) {
		t.Helper()
		if ex.Targets[at] != want {
			t.Fatalf("target %d at position %d, want %d in %s", ex.Targets[at], at+1, want, Render(task, ex.Tokens))
		}
		at--
	}
	check(int32(p.values[p.asked]))
	for i := len(p.others) - 1; i >= 0; i-- {
		for range task.nameLength() {
			check(Ignore)
		}
		o, err := p.solve(p.others[i])
		if err != nil {
			t.Fatal(err)
		}
		ops := o.operations()
		switch {
		case split == HeldOut:
			check(Ignore)
		case ops < leastHeldOut || inSplit(task.textTemplate(o), Train):
			check(int32(o.values[o.asked]))
		default:
			check(Ignore)
		}
	}
	for at >= 0 {
		check(Ignore)
	}
}

// textTemplate is the hash of the template of p, computed from its text.
func (t *igsm) textTemplate(p *solution) uint64 {
	var hash func(name string) uint64
	hash = func(name string) uint64 {
		text := p.definitions[name]
		var d definition
		var operands []uint64
		for _, o := range p.quantities(name) {
			d.add(len(operands))
			operands = append(operands, hash(o))
		}
		d.minus = strings.Contains(text, " - ")
		if strings.Contains(text, "*") {
			d.constant = factor
		} else if len(igsmNumber.FindAllString(text, -1)) > 0 {
			d.constant = summand
		}
		return d.template(operands)
	}
	return solutionTemplate(hash(p.asked), p.operations())
}

func checkProblem(t *testing.T, task *igsm, p *solution) {
	t.Helper()
	if len(p.order) > task.Edges {
		t.Fatalf("%d definitions", len(p.order))
	}
	for name, d := range p.definitions {
		if n := len(p.quantities(name)) + len(igsmNumber.FindAllString(d, -1)); n > task.Operands {
			t.Fatalf("%d operands in %s := %s", n, name, d)
		}
	}
	level := func(letter byte) int { return int(letter-'A') / task.Width }
	for _, name := range p.order {
		if level(name[0])+1 != level(name[2]) || level(name[2]) >= task.Levels {
			t.Fatalf("an edge %s", name)
		}
		has := func(n string) bool { return n[2] == name[0] }
		if level(name[0]) > 0 && !slices.ContainsFunc(p.order, has) {
			t.Fatalf("%c has no parent in %v", name[0], p.order)
		}
		operands := p.quantities(name)
		slices.Sort(operands)
		if len(slices.Compact(operands)) != len(p.quantities(name)) {
			t.Fatalf("an operand stands twice in %s := %s", name, p.definitions[name])
		}
		for _, number := range igsmNumber.FindAllString(p.definitions[name], -1) {
			if n, _ := strconv.Atoi(number); n >= task.Modulus || n == 0 && strings.Contains(p.definitions[name], "*") {
				t.Fatalf("%s := %s", name, p.definitions[name])
			}
		}
	}
	// Each step but the last is an operand of the next: so all are needed, and one after the other.
	for i, name := range p.steps[:len(p.steps)-1] {
		if !slices.Contains(p.quantities(p.steps[i+1]), name) {
			t.Fatalf("%s is not needed for %s", name, p.steps[i+1])
		}
	}
	for _, name := range p.order { // distractors can be computed too
		if err := p.compute(name); err != nil {
			t.Fatal(err)
		}
	}
	p.steps = p.steps[:slices.Index(p.steps, p.asked)+1]
}

func TestIGSMKinds(t *testing.T) {
	for _, tt := range []struct {
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
	} {
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
		made, err := IGSM{7, 4, 4, 20, 15, mostOperands, lightLaw, nil, names, ask, 0}.New()
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

// The example of arXiv 2502.17416, with the brackets that its solution computes and its text leaves out.
const paperProblem = "E#I := 4 . E#J := E#I . K#N := I#N + J#O + F#K . F#K := E#J . J#O := F#K + K#O + E#J . H#J := E#J + F#K . " +
	"I#P := L#M + I#N + K#O . I#M := J#O + J#P + F#K . J#P := H#J - F#K . L#M := I#N + J#P + F#K . " +
	"I#N := 2 * ( J#P + H#J + E#I ) . K#O := J#P + I#N + E#J . I#P ?"

func TestExplainIGSM(t *testing.T) {
	task, err := paperIGSM.New()
	if err != nil {
		t.Fatal(err)
	}
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
	for range 5000 { // random text never crashes it
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
	for name, task := range igsmTasks(t) {
		t.Run(name, func(t *testing.T) {
			s, ex := task.NewSampler(), NewExample(task)
			for i := range uint64(30) {
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
	taken := 0
	for range 60 {
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
	if taken < 20 {
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
