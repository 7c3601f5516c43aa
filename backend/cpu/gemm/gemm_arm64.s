//go:build !noasm

#include "textflag.h"

// NEON 8x12 tile: 24 accumulators V0-V23, B in V24-V26, broadcast A in V27/V28.
// Only VFMLA, VLD1(R), VST1, VEOR are used: all known to the Go 1.26 assembler.
// func k8x12(k int, a *float32, ars, acs int, b *float32, bcs int, c *float32, ldc int, acc int)

#define ROW(p, t, c0, c1, c2) \
	VLD1R.P (p)(R10), [t.S4]   \
	VFMLA   V24.S4, t.S4, c0.S4 \
	VFMLA   V25.S4, t.S4, c1.S4 \
	VFMLA   V26.S4, t.S4, c2.S4

#define ZERO3(c0, c1, c2) \
	VEOR c0.B16, c0.B16, c0.B16 \
	VEOR c1.B16, c1.B16, c1.B16 \
	VEOR c2.B16, c2.B16, c2.B16

#define LOADROW(c0, c1, c2) \
	VLD1 (R14), [c0.S4, c1.S4, c2.S4] \
	ADD  R13, R14

#define STOREROW(c0, c1, c2) \
	VST1 [c0.S4, c1.S4, c2.S4], (R12) \
	ADD  R13, R12

TEXT ·k8x12(SB), NOSPLIT, $0-72
	MOVD k+0(FP), R0
	MOVD a+8(FP), R1
	MOVD ars+16(FP), R9
	MOVD acs+24(FP), R10
	MOVD b+32(FP), R11
	MOVD c+48(FP), R12
	MOVD ldc+56(FP), R13
	MOVD acc+64(FP), R15
	MOVD bcs+40(FP), R16
	ADD  R9, R1, R2
	ADD  R9, R2, R3
	ADD  R9, R3, R4
	ADD  R9, R4, R5
	ADD  R9, R5, R6
	ADD  R9, R6, R7
	ADD  R9, R7, R8
	CBNZ R15, load
	ZERO3(V0, V1, V2)
	ZERO3(V3, V4, V5)
	ZERO3(V6, V7, V8)
	ZERO3(V9, V10, V11)
	ZERO3(V12, V13, V14)
	ZERO3(V15, V16, V17)
	ZERO3(V18, V19, V20)
	ZERO3(V21, V22, V23)
	B    loop

load:
	MOVD R12, R14
	LOADROW(V0, V1, V2)
	LOADROW(V3, V4, V5)
	LOADROW(V6, V7, V8)
	LOADROW(V9, V10, V11)
	LOADROW(V12, V13, V14)
	LOADROW(V15, V16, V17)
	LOADROW(V18, V19, V20)
	LOADROW(V21, V22, V23)

loop:
	VLD1 (R11), [V24.S4, V25.S4, V26.S4]
	ADD  R16, R11
	ROW(R1, V27, V0, V1, V2)
	ROW(R2, V28, V3, V4, V5)
	ROW(R3, V27, V6, V7, V8)
	ROW(R4, V28, V9, V10, V11)
	ROW(R5, V27, V12, V13, V14)
	ROW(R6, V28, V15, V16, V17)
	ROW(R7, V27, V18, V19, V20)
	ROW(R8, V28, V21, V22, V23)
	SUBS $1, R0
	BNE  loop

	STOREROW(V0, V1, V2)
	STOREROW(V3, V4, V5)
	STOREROW(V6, V7, V8)
	STOREROW(V9, V10, V11)
	STOREROW(V12, V13, V14)
	STOREROW(V15, V16, V17)
	STOREROW(V18, V19, V20)
	STOREROW(V21, V22, V23)
	RET
