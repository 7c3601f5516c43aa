package main

import (
	"fmt"
	"slices"
)

const aboutARM64 = `// Each kernel is a loop over whole vectors, and one over single elements for the rest. R0 and up are the slices in the
// order of the arguments, R8 is the elements left, R10 and up what slices that may be nil were at first; sums are in the
// lowest vector registers, then what changes from vector to vector, and constants from the top down. Instructions that
// Go's assembler has no name for are words, with their names beside them.
`

var neon = machine{name: "neon", about: aboutARM64, suffix: "NEON", arch: "arm64", lanes: 4, registers: 32, scratch: 1,
	emitter: func(w *writer) emitter { return &arm64{writer: w} }}

// arm64 writes NEON. R0 and up are the slices, advanced as the loop goes, R8 the elements left, R10 and up what the
// slices that may be nil were at first. Instructions that Go's assembler has no name for are written as words.
type arm64 struct {
	*writer
	one, after string // the labels at the beginning of the tail and behind it
}

func (a *arm64) reg(i int) string { return fmt.Sprintf("V%d", i) }

func (a *arm64) slice(name string) int {
	for i, s := range a.k.slices {
		if s == name || s == name+"?" || s == name+"|" {
			return i
		}
	}
	panic("no slice " + name)
}

// address is where vector u of a turn is: behind vector 0, or, with rows in pairs, in the next row.
func (a *arm64) address(slice string, u int) string {
	i := a.slice(slice)
	switch {
	case a.rowPairs && a.k.column(slice):
		u = 0
	case a.rowPairs && u > 0:
		return fmt.Sprintf("(R%d)", 10+i)
	}
	if u == 0 {
		return fmt.Sprintf("(R%d)", i)
	}
	return fmt.Sprintf("%d(R%d)", 16*u, i)
}

func (a *arm64) begin(k *kernel) {
	for i, s := range k.slices {
		if k.columns {
			break
		}
		a.line("MOVD %s+%d(FP), R%d", parameter(s), i*8, i)
		if k.optional(parameter(s)) {
			a.line("MOVD R%d, R%d", i, 10+i)
		}
	}
	if k.rows != nil {
		a.line("MOVD row+%d(FP), R19", len(k.slices)*8)
		a.line("MOVD out+%d(FP), R20", len(k.slices)*8+8)
	} else {
		a.line("MOVD n+%d(FP), R8", len(k.slices)*8)
	}
	a.line("MOVD $constants<>(SB), R9")
	if k.columns {
		a.line("MOVD ZR, R21 // bytes before the columns")
		a.line("MOVD stride+%d(FP), R22", k.countOffset()+8)
	}
}

func (a *arm64) beginColumns(k *kernel) {
	for i, s := range k.slices {
		a.line("MOVD %s+%d(FP), R%d", parameter(s), i*8, i)
		a.line("ADD  R21, R%d", i)
		if !k.column(parameter(s)) {
			a.line("ADD  R22, R%d, R%d", i, 10+i)
		}
	}
	a.line("MOVD count+%d(FP), R23", k.countOffset())
}

func (a *arm64) rowLoop(step int) (again, done string) {
	again, done = a.label("row"), a.label("rows")
	a.line("SUBS $%d, R23", step)
	a.line("BLT  %s", done)
	fmt.Fprintf(a, "%s:\n", again)
	return again, done
}

func (a *arm64) endRowLoop(k *kernel, step int, again, done string) {
	for i, s := range k.slices {
		if k.column(parameter(s)) {
			continue
		}
		for range step {
			a.line("ADD  R22, R%d", i)
			if step > 1 {
				a.line("ADD  R22, R%d", 10+i)
			}
		}
	}
	a.line("SUBS $%d, R23", step)
	a.line("BGE  %s", again)
	fmt.Fprintf(a, "%s:\n", done)
	a.line("ADD  $%d, R23", step)
}

func (a *arm64) beginRows(k *kernel) {
	fmt.Fprintf(a, "rows:\n")
	a.line("MOVD n+%d(FP), R8", k.nOffset())
	a.line("LSL  $2, R8, R21")
}

// endRows takes back what the loops have moved the slices on by.
func (a *arm64) endRows(k *kernel) {
	for i, s := range k.slices {
		a.line("SUB  R21, R%d", i)
		a.line("MOVD %s+%d(FP), R22", stride(s), k.countOffset()+8+8*i)
		a.line("ADD  R22, R%d", i)
	}
	a.line("ADD  $%d, R19", 4*len(k.rows))
	a.line("ADD  $%d, R20", 4*len(k.results))
	a.line("MOVD count+%d(FP), R22", k.countOffset())
	a.line("SUBS $1, R22")
	a.line("MOVD R22, count+%d(FP)", k.countOffset())
	a.line("BNE  rows")
}

func (a *arm64) rowScalar(reg, index int) {
	a.line("FMOVS %d(R19), F%d", 4*index, reg)
	a.line("VDUP %[1]s.S[0], %[1]s.S4", a.reg(reg))
}

func (a *arm64) rowResult(reg, index int) { a.line("FMOVS F%d, %d(R20)", reg, 4*index) }

func (a *arm64) beginRepeat(k *kernel) {
	a.line("MOVD count+%d(FP), R19", k.countOffset())
	a.line("MOVD stride+%d(FP), R20", k.countOffset()+8)
	a.line("LSL  $2, R8, R21")
	fmt.Fprintf(a, "repeat:\n")
	a.line("LSR  $2, R21, R8")
}

// endRepeat takes back what the loops have moved the slices on by.
func (a *arm64) endRepeat(k *kernel) {
	for i, s := range k.slices {
		a.line("SUB  R21, R%d", i)
		if slices.Contains(k.repeat, s) {
			a.line("ADD  R20, R%d", i)
		}
	}
	a.line("SUBS $1, R19")
	a.line("BNE  repeat")
}

func (a *arm64) constant(reg int, c constant, index int) {
	if c.scalar != "" {
		for i, s := range a.k.scalars {
			if s == c.scalar {
				a.line("FMOVS %s+%d(FP), F%d", s, a.k.scalarOffset(i), reg)
			}
		}
	} else {
		a.line("FMOVS %d(R9), F%d // %.9g", index*constantBytes, reg, c.number)
	}
	a.line("VDUP %[1]s.S[0], %[1]s.S4", a.reg(reg))
}

func (a *arm64) zero(reg int) { a.line("VEOR %[1]s.B16, %[1]s.B16, %[1]s.B16", a.reg(reg)) }

func (a *arm64) first(reg int, slice string) {
	a.line("VLD1R (R%d), [%s.S4]", a.slice(slice), a.reg(reg))
}

func (a *arm64) loop(u int) (again, done string) {
	again, done = a.label("loop"), a.label("done")
	a.line("SUBS $%d, R8", u*4)
	a.line("BLT  %s", done)
	fmt.Fprintf(a, "%s:\n", again)
	return again, done
}

func (a *arm64) endLoop(u int, again, done string) {
	a.advance(u)
	a.line("SUBS $%d, R8", u*4)
	a.line("BGE  %s", again)
	fmt.Fprintf(a, "%s:\n", done)
	a.line("ADD  $%d, R8", u*4)
}

// advance moves all slices on by u vectors.
func (a *arm64) advance(u int) {
	if a.k.columns {
		a.line("ADD  $%d, R21", 16*u)
		return
	}
	for i := range a.k.slices {
		a.line("ADD  $%d, R%d", 16*u, i)
	}
}

// tail takes the rest one element at a time, in the lowest lane.
func (a *arm64) tail() {
	a.one, a.after = a.label("one"), a.label("end")
	a.line("CBZ  R8, %s", a.after)
	fmt.Fprintf(a, "%s:\n", a.one)
}

func (a *arm64) endTail() {
	if a.k.columns {
		a.line("ADD  $4, R21")
	} else {
		for i := range a.k.slices {
			a.line("ADD  $4, R%d", i)
		}
	}
	a.line("SUBS $1, R8")
	a.line("BNE  %s", a.one)
	fmt.Fprintf(a, "%s:\n", a.after)
}

// word writes an instruction with three registers of four floats each.
func (a *arm64) word(code uint32, name string, d, n, m int, note string) {
	text := fmt.Sprintf("%s V%d.4S, V%d.4S", name, d, n)
	if m >= 0 {
		text += fmt.Sprintf(", V%d.4S", m)
		code |= uint32(m) << 16
	}
	if note != "" {
		text += ": " + note
	}
	a.line("WORD $0x%08x // %s", code|uint32(n)<<5|uint32(d), text)
}

func (a *arm64) move(d, n int) {
	if d != n {
		a.line("VMOV V%d.B16, V%d.B16", n, d)
	}
}

func (a *arm64) instruction(in instruction, place func(value) operand, to, u int) {
	r := func(i int) int { return place(in.from[i]).reg }
	spare := a.m.registers - 1
	switch in.op {
	case "load":
		if a.masked {
			a.line("FMOVS (R%d), F%d // %s", a.slice(in.slice), to, in.note)
			return
		}
		a.line("FMOVQ %s, F%d // %s", a.address(in.slice, u), to, in.note)
	case "store":
		if a.masked {
			a.line("FMOVS F%d, (R%d) // %s", r(0), a.slice(in.slice), in.note)
			return
		}
		a.line("FMOVQ F%d, %s // %s", r(0), a.address(in.slice, u), in.note)
	case "move":
		a.move(to, r(0))
	case "if":
		a.line("CBZ  R%d, skip%d", 10+a.slice(in.slice), a.labels+1)
	case "fi":
		fmt.Fprintf(a, "%s:\n", a.label("skip"))
	case "add":
		a.word(0x4e20d400, "FADD", to, r(0), r(1), in.note)
	case "sub":
		a.word(0x4ea0d400, "FSUB", to, r(0), r(1), in.note)
	case "mul":
		a.word(0x6e20dc00, "FMUL", to, r(0), r(1), in.note)
	case "div", "inverse":
		a.word(0x6e20fc00, "FDIV", to, r(0), r(1), in.note)
	case "max":
		a.word(0x4e20f400, "FMAX", to, r(0), r(1), in.note)
	case "min":
		a.word(0x4ea0f400, "FMIN", to, r(0), r(1), in.note)
	case "sqrt":
		a.word(0x6ea1f800, "FSQRT", to, r(0), -1, in.note)
	case "round":
		a.word(0x4e218800, "FRINTN", to, r(0), -1, in.note)
	case "where":
		a.word(0x4ea0c800, "FCMGT #0.0", spare, r(0), -1, "")
		a.line("VAND V%d.B16, V%d.B16, V%d.B16 // %s", spare, r(1), to, in.note)
	case "scale":
		a.word(0x4e21a800, "FCVTNS", spare, r(1), -1, "")
		a.line("VSHL $23, V%d.S4, V%d.S4", spare, spare)
		a.line("VADD V%d.S4, V%d.S4, V%d.S4 // %s", spare, r(0), to, in.note)
	case "addBits":
		a.line("VADD V%d.S4, V%d.S4, V%d.S4 // %s", r(1), r(0), to, in.note)
	case "and":
		a.line("VAND V%d.B16, V%d.B16, V%d.B16 // %s", r(1), r(0), to, in.note)
	case "exponent":
		a.line("VUSHR $23, V%d.S4, V%d.S4", r(0), to)
		a.word(0x4e21d800, "SCVTF", to, to, -1, in.note)
	case "fma", "fnma":
		a.multiplyAdd(in, r(0), r(1), r(2), to)
	case "sum":
		a.word(0x4e20d400, "FADD", to, to, a.counted(r(0)), in.note)
	case "largest":
		x := r(0)
		if a.masked {
			a.line("VDUP V%d.S[0], V%d.S4", x, spare)
			x = spare
		}
		a.word(0x4e20f400, "FMAX", to, to, x, in.note)
	case "prod":
		a.line("VFMLA V%d.S4, V%d.S4, V%d.S4 // %s", r(1), a.counted(r(0)), to, in.note)
	default:
		panicf("arm64: no %s", in.op)
	}
}

// counted is the register with the lanes of x that count: in the tail, the lowest.
func (a *arm64) counted(x int) int {
	if !a.masked {
		return x
	}
	spare := a.m.registers - 1
	a.line("FMOVS F%d, F%d", x, spare)
	return spare
}

// multiplyAdd is d = z ± x·y; NEON adds to the register of the result, so z goes there first.
func (a *arm64) multiplyAdd(in instruction, x, y, z, d int) {
	name := "VFMLA"
	if in.op == "fnma" {
		name = "VFMLS"
	}
	to := d
	if d != z && (d == x || d == y) {
		to = a.m.registers - 1
	}
	a.move(to, z)
	a.line("%s V%d.S4, V%d.S4, V%d.S4 // %s", name, y, x, to, in.note)
	a.move(d, to)
}

func (a *arm64) adder(max bool) (code uint32, pairs uint32, name string) {
	if max {
		return 0x4e20f400, 0x6e20f400, "FMAX"
	}
	return 0x4e20d400, 0x6e20d400, "FADD"
}

func (a *arm64) merge(to, from int, max bool) {
	code, _, name := a.adder(max)
	a.word(code, name, to, to, from, "")
}

func (a *arm64) reduce(reg int, max bool) {
	_, pairs, name := a.adder(max)
	a.word(pairs, name+"P", reg, reg, reg, "")
	a.word(pairs, name+"P", reg, reg, reg, "")
}

func (a *arm64) result(reg int, name string, offset int) {
	a.line("FMOVS F%d, %s+%d(FP)", reg, name, offset)
}

func (a *arm64) end() { a.line("RET") }
