package main

import (
	"fmt"
	"strings"
)

const aboutARM64 = `// R0 counts k; R1 and up are the rows of A, R9 a row's bytes, R10 a column's; R11 is B, R24 a row of B, R12 is C, R13 a row of C; R15 is D, R19 a row of D;
// R20 is the bias, R21 counts tiles, R22, R8 and R7 are A, B and k of the tile, R23, R26 and R25
// the steps to those of the next. V0 and up are the sums, row by row; above V23 are
// elements of A and of B's row, and behind the loop the bias and a row of D.
//
// Cores load an element into all lanes of a register at the price of a multiply-add, so the kernels multiply by one lane of a
// register that holds four elements of A: four columns of a row (quads, if acs is 4), or the rows of a column (columns, if ars is 4).
// What is left of k, and other strides, take one element at a time (singles).
`

// arm64Kernel writes a tile with the registers of aboutARM64, for whole vectors of columns.
func arm64Kernel(w *writer, t tile, rows, vectors int) {
	list := func(first int) string {
		var s []string
		for j := range vectors {
			s = append(s, fmt.Sprintf("V%d.S4", first+j))
		}
		return "[" + strings.Join(s, ", ") + "]"
	}
	w.line("MOVD a+8(FP), R22")
	w.line("MOVD ars+16(FP), R9")
	w.line("MOVD acs+24(FP), R10")
	w.line("MOVD bs+40(FP), R24")
	w.line("MOVD c+48(FP), R12")
	w.line("MOVD ldc+56(FP), R13")
	w.line("MOVD d+72(FP), R15")
	w.line("MOVD ldd+80(FP), R19")
	w.line("MOVD bias+88(FP), R20")
	w.line("MOVD tiles+96(FP), R21")
	w.line("MOVD step+104(FP), R23")
	w.line("MOVD k+0(FP), R7")
	w.line("MOVD b+32(FP), R8")
	w.line("MOVD kstep+112(FP), R25")
	w.line("MOVD bstep+120(FP), R26")
	w.label("tile")
	w.line("MOVD R7, R0")
	w.line("MOVD R8, R11")
	w.line("MOVD R22, R1")
	for i := 1; i < rows; i++ {
		w.line("ADD  R9, R%d, R%d", i, i+1)
	}
	for i := range rows * vectors {
		w.line("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", i)
	}
	w.line("CMP  $4, R10")
	w.line("BNE  strided")
	w.line("SUBS $4, R0")
	w.line("BLT  rest")

	w.label("quads")
	for i := range rows {
		w.line("FMOVQ.P 16(R%d), F%d", i+1, 24+i)
	}
	for k := range 4 {
		for j := range vectors {
			b := 30 + (k*vectors+j)%2
			w.line("FMOVQ %d(R11), F%d", j*16, b)
			for i := range rows {
				w.multiplyByLane(i*vectors+j, b, 24+i, k)
			}
		}
		w.line("ADD  R24, R11")
	}
	w.line("SUBS $4, R0")
	w.line("BGE  quads")
	w.label("rest")
	w.line("ADDS $4, R0")
	w.line("BEQ  done")
	w.line("B    singles")

	w.label("strided")
	w.line("CMP  $4, R9")
	w.line("BNE  singles")
	w.label("columns")
	registers, lanes := w.column(rows)
	w.line("ADD  R10, R1")
	for j := range vectors {
		w.line("FMOVQ %d(R11), F%d", j*16, 28+j)
		for i := range rows {
			w.multiplyByLane(i*vectors+j, 28+j, registers[i], lanes[i])
		}
	}
	w.line("ADD  R24, R11")
	w.line("SUBS $1, R0")
	w.line("BNE  columns")
	w.line("B    done")

	w.label("singles")
	w.line("VLD1 (R11), %s", list(28))
	w.line("ADD  R24, R11")
	for i := range rows {
		w.line("VLD1R.P (R%d)(R10), [V%d.S4]", i+1, 24+i%2)
		for j := range vectors {
			w.line("VFMLA V%d.S4, V%d.S4, V%d.S4", 28+j, 24+i%2, i*vectors+j)
		}
	}
	w.line("SUBS $1, R0")
	w.line("BNE  singles")
	w.label("done")
	w.line("CBZ  R20, bare")
	w.line("VLD1 (R20), %s", list(24))
	for i := range rows {
		for j := range vectors {
			w.add(i*vectors+j, 24+j)
		}
	}
	w.label("bare")
	w.line("CBZ  R15, store")
	for i := range rows {
		w.line("VLD1 (R15), %s", list(24))
		w.line("ADD  R19, R15")
		for j := range vectors {
			w.add(i*vectors+j, 24+j)
		}
	}
	w.label("store")
	for i := range rows {
		w.line("VST1 %s, (R12)", list(i*vectors))
		w.line("ADD  R13, R12")
	}
	w.line("ADD  R23, R22")
	w.line("ADD  R25, R7")
	w.line("ADD  R26, R8")
	w.line("SUBS $1, R21")
	w.line("BNE  tile")
	w.line("RET")
}

// add adds register n to register d. Go's assembler has no name for it.
func (w *writer) add(d, n int) {
	w.line("WORD $%#x // fadd v%d.4s, v%d.4s, v%d.4s", 0x4e20d400|n<<16|d<<5|d, d, d, n)
}

// multiplyByLane adds the product of register n and one lane of register m to register d. Go's assembler has no name for it.
func (w *writer) multiplyByLane(d, n, m, lane int) {
	word := 0x4f801000 | lane&1<<21 | m<<16 | lane>>1<<11 | n<<5 | d
	w.line("WORD $%#x // fmla v%d.4s, v%d.4s, v%d.s[%d]", word, d, n, m, lane)
}

// column loads the elements of a column of A from R1 into registers from 24 on. It returns each row's register and lane.
func (w *writer) column(rows int) (registers, lanes []int) {
	for i, next := 0, 24; i < rows; next++ {
		n, load := 1, "FMOVS"
		switch {
		case rows-i >= 4:
			n, load = 4, "FMOVQ"
		case rows-i >= 2:
			n, load = 2, "FMOVD"
		}
		w.line("%s %d(R1), F%d", load, i*4, next)
		for lane := range n {
			registers, lanes = append(registers, next), append(lanes, lane)
		}
		i += n
	}
	return registers, lanes
}

// arm64First: R0 counts k, R1 is A, R10 a column of it, R11 B, R24 a row of it, R14 the panel, R20 sums, R12 C and R13 a row of C. Vector
// registers: the products' sums, row by row, from 0, then those of B's rows; A's column from 24, B's row from 28.
func arm64First(w *writer, t tile, rows int) {
	list := func(first int) string {
		return fmt.Sprintf("[V%d.S4, V%d.S4, V%d.S4, V%d.S4]", first, first+1, first+2, first+3)
	}
	sums := rows * t.vectors
	w.line("MOVD k+0(FP), R0")
	w.line("MOVD a+8(FP), R1")
	w.line("MOVD as+16(FP), R10")
	w.line("MOVD b+24(FP), R11")
	w.line("MOVD bs+32(FP), R24")
	w.line("MOVD panel+40(FP), R14")
	w.line("MOVD sums+48(FP), R20")
	w.line("MOVD c+56(FP), R12")
	w.line("MOVD ldc+64(FP), R13")
	w.line("MOVD add+72(FP), R15")
	for i := range sums + t.vectors {
		w.line("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", i)
	}
	w.line("CBZ  R20, loop")
	w.line("VLD1 (R20), %s", list(sums))
	w.label("loop")
	registers, lanes := w.column(rows)
	w.line("ADD  R10, R1")
	w.line("VLD1 (R11), %s", list(28))
	w.line("ADD  R24, R11")
	w.line("VST1.P %s, 64(R14)", list(28))
	for j := range t.vectors {
		w.add(sums+j, 28+j)
		for i := range rows {
			w.multiplyByLane(i*t.vectors+j, 28+j, registers[i], lanes[i])
		}
	}
	w.line("SUBS $1, R0")
	w.line("BNE  loop")
	w.line("CBZ  R20, summed")
	w.line("VST1 %s, (R20)", list(sums))
	w.label("summed")
	w.line("CBZ  R15, store")
	w.line("MOVD R12, R1")
	for i := range rows {
		w.line("VLD1 (R1), %s", list(28))
		w.line("ADD  R13, R1")
		for j := range t.vectors {
			w.add(i*t.vectors+j, 28+j)
		}
	}
	w.label("store")
	for i := range rows {
		w.line("VST1 %s, (R12)", list(i*t.vectors))
		w.line("ADD  R13, R12")
	}
	w.line("RET")
}
