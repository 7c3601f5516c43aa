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
	quantities int               // how many of operands count
	minus      bool              // operands[0] − operands[1], not their sum
	constant   constantUse
	value      int // of the constant
}

type constantUse int

const (
	noConstant constantUse = iota
	summand                // or all that there is
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

// compute is the quantity of which the operands have these values, before it is taken modulo the modulus.
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

// A question is a problem: its definitions, their order in the text, and which one is asked for.
type question struct {
	definitions []definition
	order       []int
	asked       int
}

// length is the number of tokens of the question, with names of that many.
func (q *question) length(name int) int {
	n := name + 1
	for i := range q.definitions {
		n += q.definitions[i].length(name)
	}
	return n
}

// write puts q into ex, of which the answer is known.
func (t *igsm) write(q *question, answer int, ex *Example) {
	at := t.length - q.length(t.nameLength())
	for i := range at {
		ex.Tokens[i] = t.symbol(padSymbol)
	}
	w := igsmWriter{igsm: t, tokens: ex.Tokens, at: at}
	for _, i := range q.order {
		w.definition(q, &q.definitions[i])
	}
	w.name(q.definitions[q.asked].name)
	w.symbol(askSymbol)
	for i := range ex.Targets {
		ex.Targets[i] = Ignore
	}
	ex.Targets[t.length-1] = int32(answer)
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

// describe is what there is of a definition to the right of :=, with its operands as texts.
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
