package main

import "fmt"

const aboutAMD64 = `// DX counts k; AX, BX, CX are rows 0, 5 and 10 of A, R8 one row's bytes, R9 three rows', R10 a column's; SI is B, R13 a
// row of B, R11 the distance to the next panel, DI is C, R12 a row of C; behind the loop BX is the bias, R13 D, R11 a row
// of D. Vector registers: the sums, row by row, from 0; B's row and the elements of A, and behind the loop the bias, at
// the top. TERM adds one term to each sum.
`

// unroll is how many terms the loop of a tile adds in a turn.
const unroll = 4

// amd64Kernel writes a tile with the registers of aboutAMD64. K1, or the first element's register, is the mask of the
// last vector of C.
func amd64Kernel(w *writer, t tile, rows, vectors int) {
	wide := t.lanes == 16
	kind, registers := "Y", 16
	if wide {
		kind, registers = "Z", 32
	}
	sum := func(i, j int) string { return fmt.Sprintf("%s%d", kind, i*vectors+j) }
	bRow := func(j int) string { return fmt.Sprintf("%s%d", kind, registers-4+j) }
	element := func(i int) string { return fmt.Sprintf("%s%d", kind, registers-2+i%2) }

	ahead := rows*vectors > 8 // C and the next panel arrive while the sums are made
	bases := []string{"AX", "BX", "CX"}[:(rows+4)/5]
	w.macro("TERM", func() {
		for j := range vectors {
			w.line("VMOVUPS %d(SI), %s", j*t.lanes*4, bRow(j))
		}
		for at := 0; ahead && at < vectors*t.lanes*4; at += 64 {
			w.line("PREFETCHT1 %d(SI)(R11*1)", at)
		}
		w.line("ADDQ R13, SI")
		for i := range rows {
			base := bases[i/5]
			address := []string{"(%s)", "(%s)(R8*1)", "(%s)(R8*2)", "(%s)(R9*1)", "(%s)(R8*4)"}[i%5]
			if wide && vectors == 1 {
				w.line("VFMADD231PS.BCST "+address+", %s, %s", base, bRow(0), sum(i, 0)) // a broadcast of its own takes time from the multiply-adds
			} else {
				w.line("VBROADCASTSS "+address+", %s", base, element(i))
				for j := range vectors {
					w.line("VFMADD231PS %s, %s, %s", bRow(j), element(i), sum(i, j))
				}
			}
			if i%5 == 4 || i == rows-1 {
				w.line("ADDQ R10, %s", base)
			}
		}
	})
	w.line("MOVQ ars+16(FP), R8")
	w.line("MOVQ acs+24(FP), R10")
	w.line("MOVQ c+48(FP), DI")
	w.line("MOVQ ldc+56(FP), R12")
	w.line("LEAQ (R8)(R8*2), R9")
	w.label("tile")
	w.line("MOVQ k+0(FP), DX")
	w.line("MOVQ a+8(FP), AX")
	w.line("MOVQ b+32(FP), SI")
	w.line("MOVQ bs+40(FP), R13")
	if rows > 5 {
		w.line("LEAQ (R8)(R8*4), R11")
		w.line("LEAQ (AX)(R11*1), BX")
		if rows > 10 {
			w.line("LEAQ (BX)(R11*1), CX")
		}
	}
	if ahead {
		w.line("MOVQ DI, R11")
		for range rows {
			w.line("PREFETCHT0 (R11)")
			if vectors*t.lanes*4 > 64 {
				w.line("PREFETCHT0 64(R11)")
			}
			w.line("ADDQ R12, R11")
		}
	}
	for i := range rows {
		for j := range vectors {
			if wide {
				w.line("VPXORD %[1]s, %[1]s, %[1]s", sum(i, j))
			} else {
				w.line("VXORPS %[1]s, %[1]s, %[1]s", sum(i, j))
			}
		}
	}
	if ahead {
		w.line("MOVQ ahead+128(FP), R11")
	}
	w.line("SUBQ $%d, DX", unroll)
	w.line("JL   rest")
	w.label("loop")
	for range unroll {
		w.line("TERM")
	}
	w.line("SUBQ $%d, DX", unroll)
	w.line("JGE  loop")
	w.label("rest")
	w.line("ADDQ $%d, DX", unroll)
	w.line("JZ   summed")
	w.label("one")
	w.line("TERM")
	w.line("DECQ DX")
	w.line("JNZ  one")
	w.label("summed")

	// Whole vectors, then the same with a mask on the last.
	bias := func(j int) string { return fmt.Sprintf("%s%d", kind, registers-4+j) }
	w.line("MOVQ cols+64(FP), CX")
	w.line("MOVQ bias+88(FP), BX")
	w.line("MOVQ d+72(FP), R13")
	w.line("MOVQ ldd+80(FP), R11")
	w.line("SUBQ $%d, CX", vectors*t.lanes)
	w.line("JNE  part")
	store := func(masked bool, accumulate bool) {
		for i := range rows {
			for j := range vectors {
				place, more := fmt.Sprintf("%d(DI)", j*t.lanes*4), fmt.Sprintf("%d(R13)", j*t.lanes*4)
				last := masked && j == vectors-1
				s := sum(i, j)
				switch {
				case !last:
					if accumulate {
						w.line("VADDPS %s, %[2]s, %[2]s", more, s)
					}
					w.line("VMOVUPS %s, %s", s, place)
				case wide:
					if accumulate {
						w.line("VADDPS %s, %[2]s, K1, %[2]s", more, s)
					}
					w.line("VMOVUPS %s, K1, %s", s, place)
				default:
					if accumulate {
						w.line("VMASKMOVPS %s, %s, %s", more, element(0), element(1))
						w.line("VADDPS %s, %[2]s, %[2]s", element(1), s)
					}
					w.line("VMASKMOVPS %s, %s, %s", s, element(0), place)
				}
			}
			w.line("ADDQ R12, DI")
			if accumulate {
				w.line("ADDQ R11, R13")
			}
		}
		if accumulate {
			w.line("MOVQ R13, d+72(FP)")
		}
		if !masked || !accumulate {
			w.line("JMP  next")
		}
	}
	both := func(masked bool, suffix string) {
		w.line("TESTQ BX, BX")
		w.line("JZ   bare%s", suffix)
		for j := range vectors {
			place := fmt.Sprintf("%d(BX)", j*t.lanes*4)
			switch {
			case !masked || j < vectors-1:
				w.line("VMOVUPS %s, %s", place, bias(j))
			case wide:
				w.line("VMOVUPS.Z %s, K1, %s", place, bias(j))
			default:
				w.line("VMASKMOVPS %s, %s, %s", place, element(0), bias(j))
			}
		}
		for i := range rows {
			for j := range vectors {
				w.line("VADDPS %s, %[2]s, %[2]s", bias(j), sum(i, j))
			}
		}
		w.label("bare" + suffix)
		w.line("TESTQ R13, R13")
		w.line("JNZ  add%s", suffix)
		store(masked, false)
		w.label("add" + suffix)
		store(masked, true)
	}
	both(false, "")
	w.label("part")
	w.line("ADDQ $%d, CX // of the last vector", t.lanes)
	if wide {
		w.line("MOVL $1, DX")
		w.line("SHLL CX, DX")
		w.line("DECL DX")
		w.line("KMOVW DX, K1")
	} else {
		w.line("LEAQ masks<>+32(SB), DX")
		w.line("NEGQ CX")
		w.line("VMOVUPS (DX)(CX*4), %s", element(0))
	}
	both(true, "part")
	w.label("next")
	w.line("MOVQ step+104(FP), DX")
	w.line("ADDQ DX, a+8(FP)")
	w.line("MOVQ kstep+112(FP), DX")
	w.line("ADDQ DX, k+0(FP)")
	w.line("MOVQ bstep+120(FP), DX")
	w.line("ADDQ DX, b+32(FP)")
	w.line("DECQ tiles+96(FP)")
	w.line("JNZ  tile")
	w.line("VZEROUPPER")
	w.line("RET")
	w.WriteString("#undef TERM\n")
}

// amd64First: DX counts k, AX is A, R10 a column of it, SI B, R13 a row of it, R11 the panel, BX sums, DI C and R12 a row of C. Vector
// registers: the products' sums, row by row, from 0, then those of B's rows; B's row and the elements of A at the top.
func amd64First(w *writer, t tile, rows int) {
	wide := t.lanes == 16
	kind, registers := "Y", 16
	if wide {
		kind, registers = "Z", 32
	}
	size := t.lanes * 4
	sum := func(i, j int) string { return fmt.Sprintf("%s%d", kind, i*t.vectors+j) }
	bRow := func(j int) string { return fmt.Sprintf("%s%d", kind, registers-4+j) }
	element := func(i int) string { return fmt.Sprintf("%s%d", kind, registers-2+i%2) }

	w.line("MOVQ k+0(FP), DX")
	w.line("MOVQ a+8(FP), AX")
	w.line("MOVQ as+16(FP), R10")
	w.line("MOVQ b+24(FP), SI")
	w.line("MOVQ bs+32(FP), R13")
	w.line("MOVQ panel+40(FP), R11")
	w.line("MOVQ sums+48(FP), BX")
	w.line("MOVQ c+56(FP), DI")
	w.line("MOVQ ldc+64(FP), R12")
	for i := range rows + 1 {
		for j := range t.vectors {
			if wide {
				w.line("VPXORD %[1]s, %[1]s, %[1]s", sum(i, j))
			} else {
				w.line("VXORPS %[1]s, %[1]s, %[1]s", sum(i, j))
			}
		}
	}
	w.line("TESTQ BX, BX")
	w.line("JZ   loop")
	for j := range t.vectors {
		w.line("VMOVUPS %d(BX), %s", j*size, sum(rows, j))
	}
	w.label("loop")
	for j := range t.vectors {
		w.line("VMOVUPS %d(SI), %s", j*size, bRow(j))
	}
	for line := 0; line < t.vectors*size; line += 64 {
		w.line("PREFETCHT0 %d(SI)(R13*8)", line)
	}
	w.line("ADDQ R13, SI")
	for j := range t.vectors {
		w.line("VMOVUPS %s, %d(R11)", bRow(j), j*size)
		w.line("VADDPS %s, %[2]s, %[2]s", bRow(j), sum(rows, j))
	}
	w.line("ADDQ $%d, R11", t.vectors*size)
	for i := range rows {
		w.line("VBROADCASTSS %d(AX), %s", 4*i, element(i))
		for j := range t.vectors {
			w.line("VFMADD231PS %s, %s, %s", bRow(j), element(i), sum(i, j))
		}
	}
	w.line("ADDQ R10, AX")
	w.line("DECQ DX")
	w.line("JNZ  loop")
	w.line("TESTQ BX, BX")
	w.line("JZ   summed")
	for j := range t.vectors {
		w.line("VMOVUPS %s, %d(BX)", sum(rows, j), j*size)
	}
	w.label("summed")
	w.line("CMPQ add+72(FP), $0")
	w.line("JE   store")
	w.line("MOVQ DI, AX")
	for i := range rows {
		for j := range t.vectors {
			w.line("VADDPS %d(AX), %[2]s, %[2]s", j*size, sum(i, j))
		}
		w.line("ADDQ R12, AX")
	}
	w.label("store")
	for i := range rows {
		for j := range t.vectors {
			w.line("VMOVUPS %s, %d(DI)", sum(i, j), j*size)
		}
		w.line("ADDQ R12, DI")
	}
	w.line("VZEROUPPER")
	w.line("RET")
}

// amd64Packing: packA copies k rows, ss bytes apart, of np·width floats to np panels of [k][width], ps bytes apart;
// width is at most one vector. packB does the same for panels as wide as the tile; columns beyond width become 0; with np > 1,
// width is that of the tile. Both read row by row, for the prefetcher. AVX2's loads and stores under a mask are slow on some processors, so
// packA copies only the last row so, and packB only panels with fewer columns.
func amd64Packing(w *writer, t tile) {
	wide := t.lanes == 16
	kind := "Y"
	if wide {
		kind = "Z"
	}
	load := func(place, to string, j int) {
		if wide {
			w.line("VMOVUPS.Z %s, K%d, %s", place, j+1, to)
		} else {
			w.line("VMASKMOVPS %s, Y%d, %s", place, 14+j, to)
		}
	}
	// mask j is of the lanes of vector j below R11, clamped.
	mask := func(j int) {
		w.line("MOVQ R11, CX")
		w.line("SUBQ $%d, CX", j*t.lanes)
		w.line("XORQ R13, R13")
		w.line("CMPQ CX, R13")
		w.line("CMOVQLT R13, CX")
		w.line("MOVQ $%d, R13", t.lanes)
		w.line("CMPQ CX, R13")
		w.line("CMOVQGT R13, CX")
		if wide {
			w.line("MOVL $1, R13")
			w.line("SHLL CX, R13")
			w.line("DECL R13")
			w.line("KMOVW R13, K%d", j+1)
		} else {
			w.line("LEAQ masks<>+32(SB), R13")
			w.line("NEGQ CX")
			w.line("VMOVUPS (R13)(CX*4), Y%d", 14+j)
		}
	}
	begin := func(name string) {
		fmt.Fprintf(w, "\n// func %s%s(dst *float32, ps int, src *float32, ss, k, np, width int)\nTEXT ·%s%s(SB), NOSPLIT, $0-56\n",
			name, t.suffix, name, t.suffix)
		w.line("MOVQ dst+0(FP), DI")
		w.line("MOVQ ps+8(FP), R9")
		w.line("MOVQ src+16(FP), SI")
		w.line("MOVQ ss+24(FP), R8")
		w.line("MOVQ k+32(FP), DX")
		w.line("MOVQ np+40(FP), R10")
		w.line("MOVQ width+48(FP), R11")
	}
	body := func(copyRow func(), step string) {
		w.label("row")
		w.line("MOVQ R10, CX")
		w.line("MOVQ SI, AX")
		w.line("MOVQ DI, BX")
		w.label("panel")
		copyRow()
		w.line("ADDQ R11, AX")
		w.line("ADDQ R9, BX")
		w.line("DECQ CX")
		w.line("JNZ  panel")
		w.line("ADDQ R8, SI")
		w.line("ADDQ %s, DI", step)
		w.line("DECQ DX")
		w.line("JNZ  row")
		w.line("VZEROUPPER")
		w.line("RET")
	}
	if !wide {
		fmt.Fprintf(w, "\n// The mask of the first n lanes begins 4·(8 - n) bytes from the start.\n")
		for i := range 16 {
			fmt.Fprintf(w, "DATA masks<>+%d(SB)/4, $%#x\n", i*4, [2]uint32{0xffffffff, 0}[i/8])
		}
		fmt.Fprintf(w, "GLOBL masks<>(SB), RODATA|NOPTR, $64\n")
	}
	begin("packA")
	mask(0)
	if !wide { // rows that are copied under a mask
		w.line("MOVQ $1, R12")
		w.line("CMPQ R11, $4")
		w.line("CMOVQLT DX, R12")
	}
	w.line("SHLQ $2, R11")
	body(func() {
		if wide {
			load("(AX)", "Z0", 0)
			w.line("VMOVUPS Z0, K1, (BX)")
			return
		}
		w.line("CMPQ DX, R12")
		w.line("JLE  masked")
		w.line("VMOVUPS (AX), Y0 // and some of the next row at most")
		w.line("VMOVUPS Y0, (BX) // the next row is written over what is too much")
		w.line("JMP  stored")
		w.label("masked")
		load("(AX)", "Y0", 0)
		w.line("VMASKMOVPS Y0, Y14, (BX)")
		w.label("stored")
	}, "R11")
	begin("packB")
	for j := range t.vectors {
		mask(j)
	}
	w.line("SHLQ $2, R11")
	body(func() {
		if !wide {
			w.line("CMPQ R11, $%d", t.vectors*t.lanes*4)
			w.line("JNE  masked")
			for j := range t.vectors {
				w.line("VMOVUPS %d(AX), Y%d", j*t.lanes*4, j)
			}
			w.line("JMP  store")
			w.label("masked")
		}
		for j := range t.vectors {
			load(fmt.Sprintf("%d(AX)", j*t.lanes*4), fmt.Sprintf("%s%d", kind, j), j)
		}
		if !wide {
			w.label("store")
		}
		for j := range t.vectors {
			w.line("VMOVUPS %s%d, %d(BX)", kind, j, j*t.lanes*4)
		}
	}, fmt.Sprintf("$%d", t.vectors*t.lanes*4))
}
