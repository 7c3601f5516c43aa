package main

import "fmt"

const aboutAMD64 = `// Each kernel is a loop over whole vectors and a masked tail. AX is the offset in bytes, CX the elements left, DI, SI,
// BX, DX, R8, R9 the slices in the order of the arguments; sums are in the lowest vector registers, then what changes
// from vector to vector, and constants from the top down. `

var avx512 = machine{name: "avx512", about: aboutAMD64 + "K1 is the mask of the tail.\n", suffix: "AVX512", arch: "amd64", lanes: 16, registers: 32, scratch: 1,
	emitter: func(w *writer) emitter { return &amd64{writer: w, kind: "Z"} }}

var avx2 = machine{name: "avx2", about: aboutAMD64 + "Y14 is the mask of the tail.\n", suffix: "AVX2", arch: "amd64", lanes: 8, registers: 16, scratch: 2, memory: true,
	emitter: func(w *writer) emitter { return &amd64{writer: w, kind: "Y"} }}

// amd64 writes AVX-512 and AVX2. AX is the byte offset into the slices, CX the elements left, K1 or the last register
// the mask of the tail.
type amd64 struct {
	*writer
	kind  string
	after string // the label behind the tail
}

var pointers = []string{"DI", "SI", "BX", "DX", "R8", "R9"}

func (a *amd64) reg(i int) string { return fmt.Sprintf("%s%d", a.kind, i) }

func (a *amd64) wide() bool { return a.kind == "Z" }

// spare is a register that no value has.
func (a *amd64) spare() string { return a.reg(a.m.registers - 1) }

// mask is the register of the tail's mask on AVX2.
func (a *amd64) mask() string { return a.reg(a.m.registers - 2) }

func (a *amd64) pointer(slice string) string {
	for i, s := range a.k.slices {
		if s == slice || s == slice+"?" || s == slice+"|" {
			return pointers[i]
		}
	}
	panic("no slice " + slice)
}

// address is where vector u of a turn is: behind vector 0, or, with rows in pairs, in the next row.
func (a *amd64) address(slice string, u int) string {
	switch {
	case a.rowPairs && a.k.column(slice):
		u = 0
	case a.rowPairs && u > 0:
		return fmt.Sprintf("(%s)(R12*1)", a.pointer(slice))
	}
	if u == 0 {
		return fmt.Sprintf("(%s)(AX*1)", a.pointer(slice))
	}
	return fmt.Sprintf("%d(%s)(AX*1)", u*a.m.lanes*4, a.pointer(slice))
}

func (a *amd64) begin(k *kernel) {
	for i, s := range k.slices {
		a.line("MOVQ %s+%d(FP), %s", parameter(s), i*8, pointers[i])
	}
	if k.rows != nil {
		a.line("MOVQ row+%d(FP), R12", len(k.slices)*8)
		a.line("MOVQ out+%d(FP), R13", len(k.slices)*8+8)
		return
	}
	a.line("MOVQ n+%d(FP), CX", len(k.slices)*8)
	a.line("XORQ AX, AX")
	if k.columns {
		a.line("MOVQ stride+%d(FP), R11", k.countOffset()+8)
	}
}

func (a *amd64) beginColumns(k *kernel) {
	for i, s := range k.slices {
		if !k.column(parameter(s)) {
			a.line("MOVQ %s+%d(FP), %s", parameter(s), i*8, pointers[i])
		}
	}
	a.line("MOVQ count+%d(FP), R10", k.countOffset())
	a.line("LEAQ (AX)(R11*1), R12 // in the next row")
}

func (a *amd64) rowLoop(step int) (again, done string) {
	again, done = a.label("row"), a.label("rows")
	a.line("SUBQ $%d, R10", step)
	a.line("JLT  %s", done)
	fmt.Fprintf(a, "%s:\n", again)
	return again, done
}

func (a *amd64) endRowLoop(k *kernel, step int, again, done string) {
	for i, s := range k.slices {
		if !k.column(parameter(s)) {
			a.line("LEAQ (%[1]s)(R11*%[2]d), %[1]s", pointers[i], step)
		}
	}
	a.line("SUBQ $%d, R10", step)
	a.line("JGE  %s", again)
	fmt.Fprintf(a, "%s:\n", done)
	a.line("ADDQ $%d, R10", step)
}

func (a *amd64) beginRows(k *kernel) {
	fmt.Fprintf(a, "rows:\n")
	a.line("MOVQ n+%d(FP), CX", k.nOffset())
	a.line("XORQ AX, AX")
}

func (a *amd64) endRows(k *kernel) {
	for i, s := range k.slices {
		a.line("ADDQ %s+%d(FP), %s", stride(s), k.countOffset()+8+8*i, pointers[i])
	}
	a.line("ADDQ $%d, R12", 4*len(k.rows))
	a.line("ADDQ $%d, R13", 4*len(k.results))
	a.line("DECQ count+%d(FP)", k.countOffset())
	a.line("JNZ  rows")
}

func (a *amd64) rowScalar(reg, index int) {
	a.line("VBROADCASTSS %d(R12), %s", 4*index, a.reg(reg))
}

func (a *amd64) rowResult(reg, index int) { a.line("VMOVSS X%d, %d(R13)", reg, 4*index) }

func (a *amd64) beginRepeat(k *kernel) {
	a.line("MOVQ count+%d(FP), R11", k.countOffset())
	a.line("MOVQ stride+%d(FP), R12", k.countOffset()+8)
	fmt.Fprintf(a, "repeat:\n")
	a.line("MOVQ n+%d(FP), CX", len(k.slices)*8)
	a.line("XORQ AX, AX")
}

func (a *amd64) endRepeat(k *kernel) {
	for _, s := range k.repeat {
		a.line("ADDQ R12, %s", a.pointer(s))
	}
	a.line("DECQ R11")
	a.line("JNZ  repeat")
}

func (a *amd64) constant(reg int, c constant, index int) {
	if c.scalar != "" {
		for i, s := range a.k.scalars {
			if s == c.scalar {
				a.line("VBROADCASTSS %s+%d(FP), %s", s, a.k.scalarOffset(i), a.reg(reg))
			}
		}
		return
	}
	a.line("VBROADCASTSS constants<>+%d(SB), %s // %.9g", index*constantBytes, a.reg(reg), c.number)
}

func (a *amd64) zero(reg int) {
	if a.wide() {
		a.line("VPXORD %[1]s, %[1]s, %[1]s", a.reg(reg))
	} else {
		a.line("VXORPS %[1]s, %[1]s, %[1]s", a.reg(reg))
	}
}

func (a *amd64) first(reg int, slice string) {
	a.line("VBROADCASTSS (%s), %s", a.pointer(slice), a.reg(reg))
}

func (a *amd64) loop(u int) (again, done string) {
	again, done = a.label("loop"), a.label("done")
	a.line("SUBQ $%d, CX", u*a.m.lanes)
	a.line("JLT  %s", done)
	fmt.Fprintf(a, "%s:\n", again)
	return again, done
}

func (a *amd64) endLoop(u int, again, done string) {
	a.line("ADDQ $%d, AX", u*a.m.lanes*4)
	a.line("SUBQ $%d, CX", u*a.m.lanes)
	a.line("JGE  %s", again)
	fmt.Fprintf(a, "%s:\n", done)
	a.line("ADDQ $%d, CX", u*a.m.lanes)
}

func (a *amd64) tail() {
	a.after = a.label("end")
	a.line("JZ   %s", a.after)
	if a.wide() {
		a.line("MOVL $1, R10 // the lowest CX lanes")
		a.line("SHLL CX, R10")
		a.line("DECL R10")
		a.line("KMOVW R10, K1")
	} else {
		a.line("LEAQ masks<>+32(SB), R10 // the lowest CX lanes")
		a.line("NEGQ CX")
		a.line("VMOVUPS (R10)(CX*4), %s", a.mask())
	}
}

func (a *amd64) endTail() { fmt.Fprintf(a, "%s:\n", a.after) }

// text is an operand of an instruction: a register, or a constant in memory.
func (a *amd64) text(o operand) string {
	if o.reg >= 0 {
		return a.reg(o.reg)
	}
	return fmt.Sprintf("constants<>+%d(SB)", o.index*constantBytes)
}

// inRegister is an operand that must be in a register.
func (a *amd64) inRegister(o operand) string {
	if o.reg >= 0 {
		return a.reg(o.reg)
	}
	a.line("VMOVUPS %s, %s", a.text(o), a.spare())
	return a.spare()
}

func (a *amd64) instruction(in instruction, place func(value) operand, to, u int) {
	d := ""
	if to >= 0 {
		d = a.reg(to)
	}
	at := func(i int) operand { return place(in.from[i]) }
	note := ""
	if in.note != "" {
		note = " // " + in.note
	}
	two := func(mnemonic string, x, y operand) {
		a.line("%s %s, %s, %s%s", mnemonic, a.text(y), a.inRegister(x), d, note)
	}
	swap := func(mnemonic string) { // the operands may change places
		x, y := at(0), at(1)
		if x.reg < 0 {
			x, y = y, x
		}
		two(mnemonic, x, y)
	}
	switch in.op {
	case "load":
		switch {
		case !a.masked:
			a.line("VMOVUPS %s, %s%s", a.address(in.slice, u), d, note)
		case a.wide():
			a.line("VMOVUPS.Z %s, K1, %s%s", a.address(in.slice, u), d, note)
		default:
			a.line("VMASKMOVPS %s, %s, %s%s", a.address(in.slice, u), a.mask(), d, note)
		}
	case "store":
		x := a.inRegister(at(0))
		switch {
		case !a.masked:
			a.line("VMOVUPS %s, %s%s", x, a.address(in.slice, u), note)
		case a.wide():
			a.line("VMOVUPS %s, K1, %s%s", x, a.address(in.slice, u), note)
		default:
			a.line("VMASKMOVPS %s, %s, %s%s", x, a.mask(), a.address(in.slice, u), note)
		}
	case "move":
		a.line("VMOVAPS %s, %s", a.text(at(0)), d)
	case "if":
		p := a.pointer(in.slice)
		a.line("TESTQ %s, %s", p, p)
		a.line("JZ   %s%d", "skip", a.labels+1)
	case "fi":
		fmt.Fprintf(a, "%s:\n", a.label("skip"))
	case "add":
		swap("VADDPS")
	case "mul":
		swap("VMULPS")
	case "sub":
		two("VSUBPS", at(0), at(1))
	case "div":
		two("VDIVPS", at(0), at(1))
	case "max": // the second operand of Intel's order, the first here, is what comes back if one is NaN
		two("VMAXPS", at(0), at(1))
	case "min":
		two("VMINPS", at(0), at(1))
	case "sqrt":
		a.line("VSQRTPS %s, %s%s", a.text(at(0)), d, note)
	case "round":
		if a.wide() {
			a.line("VRNDSCALEPS $8, %s, %s%s", a.text(at(0)), d, note)
		} else {
			a.line("VROUNDPS $8, %s, %s%s", a.text(at(0)), d, note)
		}
	case "where":
		x, v, zero := a.inRegister(at(0)), a.text(at(1)), a.spare()
		if x == zero {
			panicf("amd64: a condition must not be a constant")
		}
		if a.wide() {
			a.line("VPXORD %[1]s, %[1]s, %[1]s", zero)
			a.line("VCMPPS $14, %s, %s, K2 // greater", zero, x)
			a.line("VMOVAPS.Z %s, K2, %s%s", v, d, note)
			return
		}
		a.line("VXORPS %[1]s, %[1]s, %[1]s", zero)
		a.line("VCMPPS $14, %s, %s, %s // greater", zero, x, zero)
		a.line("VANDPS %s, %s, %s%s", v, zero, d, note)
	case "scale":
		if a.wide() {
			a.line("VSCALEFPS %s, %s, %s%s", a.text(at(1)), a.text(at(0)), d, note)
			return
		}
		a.line("VCVTPS2DQ %s, %s", a.text(at(1)), a.spare())
		a.line("VPSLLD $23, %[1]s, %[1]s", a.spare())
		a.line("VPADDD %s, %s, %s%s", a.spare(), a.text(at(0)), d, note)
	case "addBits":
		swap("VPADDD")
	case "and":
		if a.wide() {
			swap("VPANDD")
		} else {
			swap("VANDPS")
		}
	case "exponent":
		a.line("VPSRLD $23, %s, %s", a.inRegister(at(0)), d)
		a.line("VCVTDQ2PS %[1]s, %[1]s%[2]s", d, note)
	case "inverse": // one Newton step on a 14-bit estimate; AVX2's has 12 bits only, and divides
		if !a.wide() {
			two("VDIVPS", at(0), at(1))
			return
		}
		x, t := a.text(at(1)), a.spare()
		a.line("VRCP14PS %s, %s%s", x, d, note)
		a.line("VMOVAPS %s, %s", a.text(at(0)), t)
		a.line("VFNMADD231PS %s, %s, %s", d, x, t)
		a.line("VFMADD231PS %s, %s, %s", t, d, d)
	case "fma", "fnma":
		a.multiplyAdd(in, at(0), at(1), at(2), to, note)
	case "sum", "prod", "largest":
		a.accumulate(in, at, d)
	default:
		panicf("amd64: no %s", in.op)
	}
}

// multiplyAdd is d = ±x·y + z, written over whichever of them d is.
func (a *amd64) multiplyAdd(in instruction, x, y, z operand, to int, note string) {
	name, d := "VFMADD", a.reg(to)
	if in.op == "fnma" {
		name = "VFNMADD"
	}
	switch to {
	case z.reg: // d = ±x·y + d
		if x.reg < 0 {
			x, y = y, x
		}
		a.line("%s231PS %s, %s, %s%s", name, a.text(y), a.inRegister(x), d, note)
	case x.reg: // d = ±y·d + z
		a.line("%s213PS %s, %s, %s%s", name, a.text(z), a.inRegister(y), d, note)
	case y.reg:
		a.line("%s213PS %s, %s, %s%s", name, a.text(z), a.inRegister(x), d, note)
	default:
		a.line("VMOVAPS %s, %s", a.text(z), d)
		if x.reg < 0 {
			x, y = y, x
		}
		a.line("%s231PS %s, %s, %s%s", name, a.text(y), a.inRegister(x), d, note)
	}
}

func (a *amd64) accumulate(in instruction, at func(int) operand, acc string) {
	x := a.inRegister(at(0))
	note := " // " + in.note
	if a.masked && !a.wide() {
		t := a.spare()
		if in.op == "largest" {
			a.line("VBLENDVPS %s, %s, %s, %s", a.mask(), x, acc, t)
		} else {
			a.line("VANDPS %s, %s, %s", a.mask(), x, t)
		}
		x = t
	}
	k := ""
	if a.masked && a.wide() {
		k = "K1, "
	}
	switch in.op {
	case "sum":
		a.line("VADDPS %s, %s, %s%s%s", x, acc, k, acc, note)
	case "largest":
		a.line("VMAXPS %s, %s, %s%s%s", x, acc, k, acc, note)
	case "prod":
		a.line("VFMADD231PS %s, %s, %s%s%s", a.text(at(1)), x, k, acc, note)
	}
}

func (a *amd64) merge(to, from int, max bool) {
	a.line("%s %s, %[3]s, %[3]s", a.adder(max), a.reg(from), a.reg(to))
}

func (a *amd64) adder(max bool) string {
	if max {
		return "VMAXPS"
	}
	return "VADDPS"
}

func (a *amd64) reduce(reg int, max bool) {
	op := a.adder(max)
	y, x, t := fmt.Sprintf("Y%d", reg), fmt.Sprintf("X%d", reg), fmt.Sprintf("%d", a.m.registers-1)
	if a.wide() {
		a.line("VEXTRACTF64X4 $1, Z%d, Y%s", reg, t)
		a.line("%s Y%s, %[3]s, %[3]s", op, t, y)
		a.line("VEXTRACTF32X4 $1, %s, X%s", y, t)
	} else {
		a.line("VEXTRACTF128 $1, %s, X%s", y, t)
	}
	a.line("%s X%s, %[3]s, %[3]s", op, t, x)
	a.line("VPERMILPS $14, %s, X%s", x, t)
	a.line("%s X%s, %[3]s, %[3]s", op, t, x)
	a.line("VPERMILPS $1, %s, X%s", x, t)
	a.line("%s X%s, %[3]s, %[3]s", op, t, x)
}

func (a *amd64) result(reg int, name string, offset int) {
	a.line("VMOVSS X%d, %s+%d(FP)", reg, name, offset)
}

func (a *amd64) end() {
	a.line("VZEROUPPER")
	a.line("RET")
}
