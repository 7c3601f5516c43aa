package task

import (
	"fmt"
	"strconv"
	"strings"
)

// A definition makes a quantity of others and a constant.
type definition struct {
	name       int               // of the quantity, in igsm.names
	operands   [mostSummands]int // the definitions of the quantities that it is made of
	quantities int               // number of operands that count
	minus      bool              // operands[0] − operands[1], not their sum
	constant   constantUse
	value      int // of the constant
}

type constantUse int

const (
	noConstant constantUse = iota
	summand                // or the only operand
	factor
)

// operations is how many the definition takes.
func (d *definition) operations() int {
	n := d.quantities
	if d.constant != noConstant {
		n++
	}
	return max(1, n-1)
}

// length is the number of tokens of the definition, with names of that many.
func (d *definition) length(name int) int {
	n := 2 + name + d.quantities*name + max(0, d.quantities-1) // name := a + b .
	switch {
	case d.constant == noConstant:
	case d.quantities == 0:
		n++
	case d.constant == factor && d.quantities > 1:
		n += 4 // c * ( )
	default:
		n += 2
	}
	return n
}

// compute returns the value of a definition whose operands have these values, before reduction by the modulus.
func (d *definition) compute(values []int) int {
	x := 0
	for k, o := range d.operands[:d.quantities] {
		if k > 0 && d.minus {
			x -= values[o]
		} else {
			x += values[o]
		}
	}
	switch d.constant {
	case summand:
		x += d.value
	case factor:
		x *= d.value
	}
	return x
}

// template is the hash of a definition whose operands have these hashes. A sum ignores their order.
func (d *definition) template(operands []uint64) uint64 {
	h := uint64(0)
	for k, o := range d.operands[:d.quantities] {
		x := operands[o]
		if k > 0 && d.minus {
			x = mix(x)
		}
		h += mix(x)
	}
	return mix(h + uint64(d.constant))
}

// A question is a problem: its definitions, their order in the text, and which ones are asked for, in this order. The last
// is the one that evaluation is about.
type question struct {
	definitions []definition
	order       []int
	asked       []int
}

// last is the definition that evaluation is about.
func (q *question) last() int { return q.asked[len(q.asked)-1] }

// operations is how many definition i takes, with all that it needs and that is not counted yet.
func (q *question) operations(i int, counted []bool) int {
	if counted[i] {
		return 0
	}
	counted[i] = true
	d := &q.definitions[i]
	n := d.operations()
	for _, o := range d.operands[:d.quantities] {
		n += q.operations(o, counted)
	}
	return n
}

// depth is 1 for a definition that is a constant, and otherwise one more than that of its deepest operand.
func (q *question) depth(i int) int {
	n := 0
	for _, o := range q.definitions[i].operands[:q.definitions[i].quantities] {
		n = max(n, q.depth(o))
	}
	return n + 1
}

// solutionTemplate is the hash of the template of a solution that ends in a definition with this one.
func solutionTemplate(definition uint64, ops int) uint64 { return mix(definition ^ uint64(ops)) }

// splitOf is the split of a solution with this number of operations and this template.
func splitOf(template uint64, ops int) Split {
	if ops >= leastHeldOut && inSplit(template, HeldOut) {
		return HeldOut
	}
	return Train
}

// fits reports whether q has room in a sequence.
func (t *igsm) fits(q *question) bool { return t.textLength(q) <= t.length }

// textLength is the number of q's tokens.
func (t *igsm) textLength(q *question) int {
	name := t.nameLength()
	n := t.questions(len(q.definitions)) * (name + 1)
	for i := range q.definitions {
		n += q.definitions[i].length(name)
	}
	return n
}

// tell appends the answers to the questions of q to answers. An answer that the split hides is Ignore: training has the answers
// whose solution templates belong to it, evaluation has only the last answer. templates and values are those of the definitions.
func (t *igsm) tell(q *question, split Split, templates []uint64, values []int, counted []bool, answers []int32) []int32 {
	for _, i := range q.asked {
		answer := int32(Ignore)
		switch {
		case i == q.last():
			answer = int32(values[i])
		case split == Train:
			clear(counted)
			ops := q.operations(i, counted)
			if splitOf(solutionTemplate(templates[i], ops), ops) == Train {
				answer = int32(values[i])
			}
		}
		answers = append(answers, answer)
	}
	return answers
}

// write puts q into ex, with the answers to its questions; Ignore hides one.
func (t *igsm) write(q *question, answers []int32, ex *Example) {
	at := t.length - t.textLength(q)
	for i := range ex.Tokens {
		ex.Targets[i] = Ignore
		if i < at {
			ex.Tokens[i] = t.symbol(padSymbol)
		}
	}
	w := igsmWriter{igsm: t, tokens: ex.Tokens, at: at}
	for _, i := range q.order {
		w.definition(q, &q.definitions[i])
	}
	for k, i := range q.asked {
		w.name(q.definitions[i].name)
		w.symbol(askSymbol)
		ex.Targets[w.at-1] = answers[k]
	}
}

// igsmWriter writes tokens from a position on.
type igsmWriter struct {
	*igsm
	tokens []int32
	at     int
}

func (w *igsmWriter) token(k int32) {
	w.tokens[w.at] = k
	w.at++
}

func (w *igsmWriter) symbol(k int32) { w.token(w.igsm.symbol(k)) }

func (w *igsmWriter) name(name int) {
	if w.Names == wholeNames {
		w.symbol(nameSymbol + int32(name))
		return
	}
	from, to := name/w.Width, name%w.Width
	w.symbol(nameSymbol + 1 + int32(from))
	w.symbol(nameSymbol)
	w.symbol(nameSymbol + 1 + int32((from/w.Width+1)*w.Width+to))
}

func (w *igsmWriter) definition(q *question, d *definition) {
	w.name(d.name)
	w.symbol(defineSymbol)
	brackets := d.constant == factor && d.quantities > 1
	if d.constant == factor {
		w.token(int32(d.value))
		w.symbol(timesSymbol)
	}
	if brackets {
		w.symbol(openSymbol)
	}
	for k, o := range d.operands[:d.quantities] {
		switch {
		case k > 0 && d.minus:
			w.symbol(minusSymbol)
		case k > 0:
			w.symbol(plusSymbol)
		}
		w.name(q.definitions[o].name)
	}
	if brackets {
		w.symbol(closeSymbol)
	}
	if d.constant == summand {
		if d.quantities > 0 {
			w.symbol(plusSymbol)
		}
		w.token(int32(d.value))
	}
	w.symbol(stopSymbol)
}

// describe returns the right-hand side of a definition, with its operands as texts.
func (d *definition) describe(operand func(definition int) string) string {
	var b strings.Builder
	for k, o := range d.operands[:d.quantities] {
		switch {
		case k > 0 && d.minus:
			b.WriteString(" - ")
		case k > 0:
			b.WriteString(" + ")
		}
		b.WriteString(operand(o))
	}
	switch {
	case d.constant == factor && d.quantities > 1:
		return fmt.Sprintf("%d * (%s)", d.value, &b)
	case d.constant == factor:
		return fmt.Sprintf("%d * %s", d.value, &b)
	case d.constant == summand && d.quantities > 0:
		return fmt.Sprintf("%s + %d", &b, d.value)
	case d.constant == summand:
		return strconv.Itoa(d.value)
	}
	return b.String()
}
