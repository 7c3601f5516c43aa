package task

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"coil/format"
)

// Explain shows the definitions, marks those that the answer does not need, and derives the values of the others one by one
// from values above.
func (t *igsm) Explain(w io.Writer, ex Example) error {
	q, steps, values, err := t.parse(ex)
	if err != nil {
		return err
	}
	name := func(i int) string { return t.names[q.definitions[i].name] }
	value := func(i int) string { return fmt.Sprint(values[i]) }
	ops := 0
	for _, i := range steps {
		ops += q.definitions[i].operations()
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, of which the answer needs %d: %s, modulo %d\n\n",
		format.Plural(len(q.definitions), "definition"), len(steps), format.Plural(ops, "operation"), t.Modulus)
	for i := range q.definitions {
		d := &q.definitions[i]
		line := name(i) + " := " + d.describe(name)
		if slices.Contains(steps, i) {
			fmt.Fprintf(&b, "%s\n", line)
		} else {
			fmt.Fprintf(&b, "%-32s  not needed\n", line)
		}
	}
	for _, i := range q.asked[:len(q.asked)-1] {
		fmt.Fprintf(&b, "%s ?  ", name(i))
	}
	fmt.Fprintf(&b, "%s ?\n\n", name(q.last()))
	for _, i := range steps {
		d := &q.definitions[i]
		fmt.Fprintf(&b, "%s = %s", name(i), d.describe(name))
		if d.quantities > 0 {
			numbers := d.describe(value)
			fmt.Fprintf(&b, " = %s", numbers)
			if x := fmt.Sprint(d.compute(values)); x != numbers {
				fmt.Fprintf(&b, " = %s", x)
			}
		}
		if d.compute(values) != values[i] {
			fmt.Fprintf(&b, " = %d modulo %d", values[i], t.Modulus)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "answer  %d\n", values[q.last()])
	_, err = w.Write(b.Bytes())
	return err
}

// parse reads the question back: its definitions in the order of the text, those that the answer needs in an order in which
// they can be solved, and their values. It fails if ex is not what write writes for the question.
func (t *igsm) parse(ex Example) (q question, steps, values []int, err error) {
	if len(ex.Tokens) != t.length || len(ex.Targets) != t.length {
		return q, nil, nil, fmt.Errorf("i-gsm: an example has %d tokens and targets, not %d and %d", t.length, len(ex.Tokens), len(ex.Targets))
	}
	if ex.Kind < 0 || ex.Kind >= len(t.kinds) {
		return q, nil, nil, fmt.Errorf("i-gsm: kind %d, want 0 to %d", ex.Kind, len(t.kinds)-1)
	}
	r := igsmReader{igsm: t, tokens: ex.Tokens, defined: make([]int, len(t.names))}
	if err := r.read(); err != nil {
		return q, nil, nil, err
	}
	q = r.question
	values = make([]int, len(q.definitions))
	s := igsmSolver{igsm: t, question: &q, values: values, state: make([]int, len(q.definitions))}
	if err := s.solve(q.last()); err != nil {
		return q, nil, nil, err
	}
	steps = slices.Clone(s.steps)
	for i := range q.definitions { // distractors are not circular either
		if err := s.solve(i); err != nil {
			return q, nil, nil, err
		}
	}
	ops := 0
	for _, i := range steps {
		ops += q.definitions[i].operations()
	}
	if kind := t.kinds[ex.Kind]; ops < kind.fewest || ops > kind.most {
		return q, nil, nil, fmt.Errorf("i-gsm: %s take %d operations, want %d to %d in the kind %s",
			Render(t, ex.Tokens), ops, kind.fewest, kind.most, kind.name)
	}
	templates := make([]uint64, len(q.definitions))
	for _, i := range s.steps {
		templates[i] = q.definitions[i].template(templates)
	}
	split := splitOf(solutionTemplate(templates[q.last()], ops), ops)
	want := NewExample(t)
	t.write(&q, t.tell(&q, split, templates, values, make([]bool, len(values)), nil), &want)
	if !slices.Equal(ex.Tokens, want.Tokens) || !slices.Equal(ex.Targets, want.Targets) {
		return q, nil, nil, fmt.Errorf("i-gsm: %s with targets %s, want %s, %s",
			Render(t, ex.Tokens), Render(t, ex.Targets), Render(t, want.Tokens), Render(t, want.Targets))
	}
	return q, steps, values, nil
}

// Parts are the depths of the quantities that are asked for: depth 1 is a constant, and others are one deeper than the deepest
// quantity that they are made of.
func (t *igsm) Parts() []string {
	parts := make([]string, t.Edges)
	for i := range parts {
		parts[i] = fmt.Sprintf("depth %d", i+1)
	}
	return parts
}

// Part is the depth of the quantity that each target gives.
func (t *igsm) Part(ex Example, parts []int) error {
	q, _, _, err := t.parse(ex)
	if err != nil {
		return err
	}
	asked := q.asked
	for i, token := range ex.Tokens {
		if token != t.symbol(askSymbol) {
			continue
		}
		if ex.Targets[i] != Ignore {
			parts[i] = q.depth(asked[0]) - 1
		}
		asked = asked[1:]
	}
	return nil
}

// igsmReader reads a question from tokens. It takes more than write makes, such as a constant between quantities.
type igsmReader struct {
	*igsm
	tokens   []int32
	at       int
	question question
	defined  []int // by name: 1 more than the number of its definition
}

func (r *igsmReader) wrong(want string) error {
	got := "the end"
	if r.at < len(r.tokens) {
		got = Render(r.igsm, r.tokens[r.at:r.at+1])
	}
	return fmt.Errorf("i-gsm: %s at position %d, want %s", got, r.at+1, want)
}

// take reads the symbol k, if that comes next.
func (r *igsmReader) take(k int32) bool {
	if r.at < len(r.tokens) && r.tokens[r.at] == r.symbol(k) {
		r.at++
		return true
	}
	return false
}

func (r *igsmReader) read() error {
	for r.take(padSymbol) {
	}
	q := &r.question
	for {
		begin := r.at
		name, err := r.name()
		if err != nil {
			return err
		}
		if r.take(askSymbol) {
			if r.defined[name] == 0 || slices.Contains(q.asked, r.defined[name]-1) {
				r.at = begin
				return r.wrong("a question for a quantity that is defined, and not asked for already")
			}
			q.asked = append(q.asked, r.defined[name]-1)
			if r.at == len(r.tokens) && len(q.asked) == r.questions(len(q.definitions)) {
				break
			}
			continue
		}
		if len(q.asked) > 0 {
			r.at = begin
			return r.wrong(fmt.Sprintf("%s at the end", format.Plural(r.questions(len(q.definitions)), "question")))
		}
		if r.defined[name] != 0 {
			r.at = begin
			return r.wrong("no second definition")
		}
		if len(q.definitions) == r.Edges {
			return r.wrong(fmt.Sprintf("%d definitions at most", r.Edges))
		}
		q.order = append(q.order, len(q.definitions))
		d, err := r.definition()
		if err != nil {
			return err
		}
		d.name = name
		q.definitions = append(q.definitions, d)
		r.defined[name] = len(q.definitions)
	}
	for i := range q.definitions { // so far operands are names
		d := &q.definitions[i]
		for k, name := range d.operands[:d.quantities] {
			if r.defined[name] == 0 {
				return fmt.Errorf("i-gsm: %s has no definition", r.names[name])
			}
			d.operands[k] = r.defined[name] - 1
		}
	}
	return nil
}

// name reads a name.
func (r *igsmReader) name() (int, error) {
	const want = "the name of a quantity"
	if len(r.tokens)-r.at < r.nameLength() {
		return 0, r.wrong(want)
	}
	if r.Names == wholeNames {
		name := r.tokens[r.at] - r.symbol(nameSymbol)
		if name < 0 || int(name) >= len(r.names) {
			return 0, r.wrong(want)
		}
		r.at++
		return int(name), nil
	}
	first := r.symbol(nameSymbol + 1)
	from, to := int(r.tokens[r.at]-first), int(r.tokens[r.at+2]-first)
	if r.tokens[r.at+1] != r.symbol(nameSymbol) || from < 0 || to < 0 || to >= r.Levels*r.Width || from/r.Width+1 != to/r.Width {
		return 0, r.wrong(want)
	}
	r.at += 3
	return from*r.Width + to%r.Width, nil
}

// number reads a number, if one comes next.
func (r *igsmReader) number() (n int, ok bool) {
	if r.at == len(r.tokens) || r.tokens[r.at] < 0 || r.tokens[r.at] >= int32(r.Modulus) {
		return 0, false
	}
	r.at++
	return int(r.tokens[r.at-1]), true
}

// definition reads what follows a definition's name. Its operands are names.
func (r *igsmReader) definition() (d definition, err error) {
	if !r.take(defineSymbol) {
		return d, r.wrong(":= or ?")
	}
	if n, ok := r.number(); ok {
		d.value = n
		if r.take(stopSymbol) {
			d.constant = summand
			return d, nil
		}
		if !r.take(timesSymbol) {
			return d, r.wrong("* or .")
		}
		d.constant = factor
	}
	brackets := r.take(openSymbol)
	for more := true; more; {
		if n, ok := r.number(); ok {
			if d.quantities == 0 || d.constant != noConstant {
				return d, r.wrong("one constant, after quantities")
			}
			d.constant, d.value = summand, n
		} else {
			name, err := r.name()
			if err != nil {
				return d, err
			}
			if d.quantities == mostSummands || d.has(name) {
				return d, r.wrong(fmt.Sprintf("at most %d quantities, all different", mostSummands))
			}
			d.add(name)
		}
		minus := r.take(minusSymbol)
		d.minus = d.minus || minus
		more = minus || r.take(plusSymbol)
	}
	if brackets && !r.take(closeSymbol) {
		return d, r.wrong(")")
	}
	if !r.take(stopSymbol) {
		return d, r.wrong(".")
	}
	return d, nil
}

// igsmSolver computes values by following the definitions.
type igsmSolver struct {
	*igsm
	question *question
	state    []int // of each definition: 0, begun, solved
	values   []int
	steps    []int // definitions in the order in which they were solved
}

const (
	begun = 1 + iota
	solved
)

func (s *igsmSolver) solve(i int) error {
	d := &s.question.definitions[i]
	switch s.state[i] {
	case begun:
		return fmt.Errorf("i-gsm: %s is defined by itself", s.names[d.name])
	case solved:
		return nil
	}
	s.state[i] = begun
	for _, o := range d.operands[:d.quantities] {
		if err := s.solve(o); err != nil {
			return err
		}
	}
	s.state[i] = solved
	s.values[i] = modulo(d.compute(s.values), s.Modulus)
	s.steps = append(s.steps, i)
	return nil
}
