package main

import (
	"fmt"
	"strings"
)

const aboutARM64 = `// R0 counts k; R1 and up are the rows of A, R10 a column's bytes; R11 is B, R12 is C, R13 a row of C. V0 and up are the
// sums, row by row, V24 to V26 B's row, V27 and V28 the elements of A in turn.
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
	w.line("MOVD k+0(FP), R0")
	w.line("MOVD a+8(FP), R1")
	w.line("MOVD ars+16(FP), R9")
	w.line("MOVD acs+24(FP), R10")
	w.line("MOVD b+32(FP), R11")
	w.line("MOVD c+40(FP), R12")
	w.line("MOVD ldc+48(FP), R13")
	w.line("MOVD acc+64(FP), R15")
	w.line("MOVD $%d, R16", t.vectors*t.lanes*4)
	for i := 1; i < rows; i++ {
		w.line("ADD  R9, R%d, R%d", i, i+1)
	}
	w.line("CBNZ R15, add")
	for i := range rows * vectors {
		w.line("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", i)
	}
	w.line("B    loop")
	w.label("add")
	w.line("MOVD R12, R14")
	for i := range rows {
		w.line("VLD1 (R14), %s", list(i*vectors))
		w.line("ADD  R13, R14")
	}
	w.label("loop")
	w.line("VLD1 (R11), %s", list(24))
	w.line("ADD  R16, R11")
	for i := range rows {
		w.line("VLD1R.P (R%d)(R10), [V%d.S4]", i+1, 27+i%2)
		for j := range vectors {
			w.line("VFMLA V%d.S4, V%d.S4, V%d.S4", 24+j, 27+i%2, i*vectors+j)
		}
	}
	w.line("SUBS $1, R0")
	w.line("BNE  loop")
	for i := range rows {
		w.line("VST1 %s, (R12)", list(i*vectors))
		w.line("ADD  R13, R12")
	}
	w.line("RET")
}
