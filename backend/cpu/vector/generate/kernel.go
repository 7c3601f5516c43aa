package main

import (
	"fmt"
	"slices"
)

// kernel is a loop over vectors of elements of some slices.
type kernel struct {
	name    string
	formula string   // the comment above it
	slices  []string // pointers, in the order of the arguments; one that ends in "?" may be nil
	scalars []string // float32 arguments, broadcast to a vector each
	results []string // accumulators, summed over their lanes; empty if there is none
	repeat  []string // slices that advance by a stride when the whole is done count times; the others start again
	rows    []string // not nil: all is done for each of count rows; these scalars, and the results, are values of a row

	// columns: all is done for count rows of two vectors of columns, then for those of the next. A slice that ends in "|" has one row, and
	// results are the rows of such slices.
	columns bool

	adds   bool // the results begin with what is there
	unroll int  // vectors in an iteration of the loop, each with its own accumulators; at least 1
	pairs  bool // the loop takes two vectors at a time, an instruction of each in turn: a long chain hides its latency behind another
	body   func(b *body)
}

// value is a vector: the result of an instruction, a constant, a scalar or an accumulator.
type value int

// instruction is one operation of a body.
type instruction struct {
	op    string
	to    value
	from  []value
	slice string // of load and store
	note  string
}

// body collects the instructions for one vector of elements.
type body struct {
	k            *kernel
	instructions []instruction
	count        int
	constants    []constant // the values that do not change in the loop
	accumulators []accumulator
	byFloat      map[float64]value
	byScalar     map[string]value
}

// perRow is the kernel with a name for count rows of each slice, which lie a stride of their own apart. Some scalars are values of a row,
// in one array of all rows; so are the results.
func perRow(name string, scalars ...string) kernel {
	for _, k := range kernels {
		if k.name != name {
			continue
		}
		k.name += "Rows"
		k.rows = append([]string{}, scalars...)
		all := k.scalars
		k.scalars = nil
		for _, s := range all {
			if !slices.Contains(scalars, s) {
				k.scalars = append(k.scalars, s)
			}
		}
		return k
	}
	panic("no kernel " + name)
}

// column reports whether a slice has one row for all rows of others.
func (k *kernel) column(slice string) bool { return slices.Contains(k.slices, slice+"|") }

type constant struct {
	v      value
	number float64
	scalar string // instead of a number
	uses   int
}

type accumulator struct {
	v   value
	max bool // instead of a sum
}

func newBody(k *kernel) *body {
	b := &body{k: k, byFloat: map[float64]value{}, byScalar: map[string]value{}}
	for range k.results {
		b.accumulators = append(b.accumulators, accumulator{v: b.fresh()})
	}
	k.body(b)
	return b
}

func (b *body) fresh() value {
	b.count++
	return value(b.count)
}

func (b *body) emit(op, note string, from ...value) value {
	v := b.fresh()
	b.instructions = append(b.instructions, instruction{op: op, to: v, from: from, note: note})
	return v
}

// number is a constant.
func (b *body) number(x float64) value {
	v, ok := b.byFloat[x]
	if !ok {
		v = b.fresh()
		b.byFloat[x] = v
		b.constants = append(b.constants, constant{v: v, number: x})
	}
	return v
}

// scalar is an argument.
func (b *body) scalar(name string) value {
	v, ok := b.byScalar[name]
	if !ok {
		v = b.fresh()
		b.byScalar[name] = v
		b.constants = append(b.constants, constant{v: v, scalar: name})
	}
	return v
}

func (b *body) load(slice string) value {
	v := b.fresh()
	b.instructions = append(b.instructions, instruction{op: "load", to: v, slice: slice, note: slice})
	return v
}

func (b *body) store(slice string, v value) {
	b.instructions = append(b.instructions, instruction{op: "store", from: []value{v}, slice: slice, note: slice})
}

// ifGiven runs f's instructions only if the slice is not nil.
func (b *body) ifGiven(slice string, f func()) {
	b.instructions = append(b.instructions, instruction{op: "if", slice: slice})
	f()
	b.instructions = append(b.instructions, instruction{op: "fi", slice: slice})
}

func (b *body) add(x, y value, note string) value { return b.emit("add", note, x, y) }
func (b *body) sub(x, y value, note string) value { return b.emit("sub", note, x, y) }
func (b *body) mul(x, y value, note string) value { return b.emit("mul", note, x, y) }
func (b *body) div(x, y value, note string) value { return b.emit("div", note, x, y) }

// fma is x·y + z, fnma is z − x·y, each rounded once.
func (b *body) fma(x, y, z value, note string) value  { return b.emit("fma", note, x, y, z) }
func (b *body) fnma(x, y, z value, note string) value { return b.emit("fnma", note, x, y, z) }

// clampLow is max(low, x) and clampHigh min(high, x); both leave NaN as it is.
func (b *body) clampLow(low, x value, note string) value   { return b.emit("max", note, low, x) }
func (b *body) clampHigh(high, x value, note string) value { return b.emit("min", note, high, x) }

func (b *body) round(x value, note string) value { return b.emit("round", note, x) }
func (b *body) sqrt(x value, note string) value  { return b.emit("sqrt", note, x) }

// where is v where x > 0, and 0 elsewhere.
func (b *body) where(x, v value, note string) value { return b.emit("where", note, x, v) }

// scale is x·2^n for a whole n.
func (b *body) scale(x, n value, note string) value { return b.emit("scale", note, x, n) }

// addBits is x + y and and x & y of the bits of floats; exponent is the bits of x, shifted right by 23, as a float.
func (b *body) addBits(x, y value, note string) value { return b.emit("addBits", note, x, y) }
func (b *body) and(x, y value, note string) value     { return b.emit("and", note, x, y) }
func (b *body) exponent(x value, note string) value   { return b.emit("exponent", note, x) }

// inverse is an estimate of 1/x within 2 ulp.
func (b *body) inverse(x value, note string) value {
	return b.emit("inverse", note, b.number(1), x)
}

// reassign gives v the value of x.
func (b *body) reassign(v, x value) {
	b.instructions = append(b.instructions, instruction{op: "move", to: v, from: []value{x}})
}

// sum adds x to an accumulator, prod x·y, largest takes the maximum; lanes beyond the end of the slices do not count.
func (b *body) sum(result int, x value) {
	b.accumulate("sum", result, x)
}
func (b *body) prod(result int, x, y value) { b.accumulate("prod", result, x, y) }
func (b *body) largest(result int, x value) {
	b.accumulators[result].max = true
	b.accumulate("largest", result, x)
}

func (b *body) accumulate(op string, result int, from ...value) {
	b.instructions = append(b.instructions, instruction{op: op, to: b.accumulators[result].v, from: from, note: b.k.results[result]})
}

// lastUses returns for each value the index of the last instruction that reads it.
func (b *body) lastUses() map[value]int {
	last := map[value]int{}
	for i, in := range b.instructions {
		for _, v := range in.from {
			last[v] = i
		}
	}
	return last
}

func (b *body) countUses() {
	for i := range b.constants {
		for _, in := range b.instructions {
			for _, v := range in.from {
				if v == b.constants[i].v {
					b.constants[i].uses++
				}
			}
		}
	}
}

func panicf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
