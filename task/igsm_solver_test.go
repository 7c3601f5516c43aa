package task

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

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
