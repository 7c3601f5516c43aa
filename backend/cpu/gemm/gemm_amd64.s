//go:build !noasm

#include "textflag.h"

// Every micro-kernel computes one tile of C in registers, C[i,j] (+)= sum over k of A[i,k]*B[k,j]:
//
//   func(k int, a *float32, ars, acs int, b *float32, bcs int, c *float32, ldc int, acc int)
//
//   A[i,k] at a + i*ars + k*acs   strides in bytes, so that row-major, transposed and packed A are all read in place
//   B[k,:] at b + k*bcs           a packed panel row of the tile's width
//   C[i,:] at c + i*ldc
//   acc                           add to C if not 0
//
// Registers: DX k, AX BX CX rows 0.., 5.., 10.. of A, R8 ars, R9 3*ars, R10 acs, SI B, R11 bcs, DI C, R12 ldc, R13 acc.

#define ROW512(addr, t, c0, c1) \
	VBROADCASTSS addr, t       \
	VFMADD231PS  Z28, t, c0    \
	VFMADD231PS  Z29, t, c1

#define ZERO2(z0, z1) \
	VPXORD z0, z0, z0 \
	VPXORD z1, z1, z1

#define PREF2 \
	PREFETCHT0 (DI)   \
	PREFETCHT0 64(DI) \
	ADDQ       R12, DI

#define ST512(c0, c1) \
	VMOVUPS c0, (DI)   \
	VMOVUPS c1, 64(DI) \
	ADDQ    R12, DI

#define AC512(c0, c1) \
	VADDPS  (DI), c0, c0   \
	VADDPS  64(DI), c1, c1 \
	VMOVUPS c0, (DI)       \
	VMOVUPS c1, 64(DI)     \
	ADDQ    R12, DI

#define LOADARGS \
	MOVQ k+0(FP), DX    \
	MOVQ a+8(FP), AX    \
	MOVQ ars+16(FP), R8 \
	MOVQ acs+24(FP), R10 \
	MOVQ b+32(FP), SI   \
	MOVQ bcs+40(FP), R11 \
	MOVQ c+48(FP), DI   \
	MOVQ ldc+56(FP), R12 \
	MOVQ acc+64(FP), R13 \
	LEAQ (R8)(R8*2), R9 \
	LEAQ (R8)(R8*4), BX \
	LEAQ (AX)(BX*2), CX \
	ADDQ AX, BX

// AVX-512, 14x32 tile
TEXT ·k14x32(SB), NOSPLIT, $0-72
	LOADARGS
	MOVQ DI, R15
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	PREF2
	MOVQ R15, DI
	ZERO2(Z0, Z1)
	ZERO2(Z2, Z3)
	ZERO2(Z4, Z5)
	ZERO2(Z6, Z7)
	ZERO2(Z8, Z9)
	ZERO2(Z10, Z11)
	ZERO2(Z12, Z13)
	ZERO2(Z14, Z15)
	ZERO2(Z16, Z17)
	ZERO2(Z18, Z19)
	ZERO2(Z20, Z21)
	ZERO2(Z22, Z23)
	ZERO2(Z24, Z25)
	ZERO2(Z26, Z27)

loop:
	VMOVUPS (SI), Z28
	VMOVUPS 64(SI), Z29
	ADDQ    R11, SI
	ROW512((AX), Z30, Z0, Z1)
	ROW512((AX)(R8*1), Z31, Z2, Z3)
	ROW512((AX)(R8*2), Z30, Z4, Z5)
	ROW512((AX)(R9*1), Z31, Z6, Z7)
	ROW512((AX)(R8*4), Z30, Z8, Z9)
	ADDQ    R10, AX
	ROW512((BX), Z31, Z10, Z11)
	ROW512((BX)(R8*1), Z30, Z12, Z13)
	ROW512((BX)(R8*2), Z31, Z14, Z15)
	ROW512((BX)(R9*1), Z30, Z16, Z17)
	ROW512((BX)(R8*4), Z31, Z18, Z19)
	ADDQ    R10, BX
	ROW512((CX), Z30, Z20, Z21)
	ROW512((CX)(R8*1), Z31, Z22, Z23)
	ROW512((CX)(R8*2), Z30, Z24, Z25)
	ROW512((CX)(R9*1), Z31, Z26, Z27)
	ADDQ    R10, CX
	DECQ    DX
	JNZ     loop

	TESTQ R13, R13
	JNZ   accum
	ST512(Z0, Z1)
	ST512(Z2, Z3)
	ST512(Z4, Z5)
	ST512(Z6, Z7)
	ST512(Z8, Z9)
	ST512(Z10, Z11)
	ST512(Z12, Z13)
	ST512(Z14, Z15)
	ST512(Z16, Z17)
	ST512(Z18, Z19)
	ST512(Z20, Z21)
	ST512(Z22, Z23)
	ST512(Z24, Z25)
	ST512(Z26, Z27)
	VZEROUPPER
	RET

accum:
	AC512(Z0, Z1)
	AC512(Z2, Z3)
	AC512(Z4, Z5)
	AC512(Z6, Z7)
	AC512(Z8, Z9)
	AC512(Z10, Z11)
	AC512(Z12, Z13)
	AC512(Z14, Z15)
	AC512(Z16, Z17)
	AC512(Z18, Z19)
	AC512(Z20, Z21)
	AC512(Z22, Z23)
	AC512(Z24, Z25)
	AC512(Z26, Z27)
	VZEROUPPER
	RET

// AVX-512, 8x32 tile (also the 8-row remainder of the 14-row kernel)
TEXT ·k8x32(SB), NOSPLIT, $0-72
	LOADARGS
	ZERO2(Z0, Z1)
	ZERO2(Z2, Z3)
	ZERO2(Z4, Z5)
	ZERO2(Z6, Z7)
	ZERO2(Z8, Z9)
	ZERO2(Z10, Z11)
	ZERO2(Z12, Z13)
	ZERO2(Z14, Z15)

loop:
	VMOVUPS (SI), Z28
	VMOVUPS 64(SI), Z29
	ADDQ    R11, SI
	ROW512((AX), Z30, Z0, Z1)
	ROW512((AX)(R8*1), Z31, Z2, Z3)
	ROW512((AX)(R8*2), Z30, Z4, Z5)
	ROW512((AX)(R9*1), Z31, Z6, Z7)
	ROW512((AX)(R8*4), Z30, Z8, Z9)
	ADDQ    R10, AX
	ROW512((BX), Z31, Z10, Z11)
	ROW512((BX)(R8*1), Z30, Z12, Z13)
	ROW512((BX)(R8*2), Z31, Z14, Z15)
	ADDQ    R10, BX
	DECQ    DX
	JNZ     loop

	TESTQ R13, R13
	JNZ   accum
	ST512(Z0, Z1)
	ST512(Z2, Z3)
	ST512(Z4, Z5)
	ST512(Z6, Z7)
	ST512(Z8, Z9)
	ST512(Z10, Z11)
	ST512(Z12, Z13)
	ST512(Z14, Z15)
	VZEROUPPER
	RET

accum:
	AC512(Z0, Z1)
	AC512(Z2, Z3)
	AC512(Z4, Z5)
	AC512(Z6, Z7)
	AC512(Z8, Z9)
	AC512(Z10, Z11)
	AC512(Z12, Z13)
	AC512(Z14, Z15)
	VZEROUPPER
	RET

// AVX2+FMA, 6x16 tile
#define ROW256(addr, t, c0, c1) \
	VBROADCASTSS addr, t       \
	VFMADD231PS  Y12, t, c0    \
	VFMADD231PS  Y13, t, c1

#define ZERO2Y(z0, z1) \
	VXORPS z0, z0, z0 \
	VXORPS z1, z1, z1

#define ST256(c0, c1) \
	VMOVUPS c0, (DI)   \
	VMOVUPS c1, 32(DI) \
	ADDQ    R12, DI

#define AC256(c0, c1) \
	VADDPS  (DI), c0, c0   \
	VADDPS  32(DI), c1, c1 \
	VMOVUPS c0, (DI)       \
	VMOVUPS c1, 32(DI)     \
	ADDQ    R12, DI

TEXT ·k6x16(SB), NOSPLIT, $0-72
	LOADARGS
	LEAQ (AX)(R9*1), BX
	ZERO2Y(Y0, Y1)
	ZERO2Y(Y2, Y3)
	ZERO2Y(Y4, Y5)
	ZERO2Y(Y6, Y7)
	ZERO2Y(Y8, Y9)
	ZERO2Y(Y10, Y11)

loop:
	VMOVUPS (SI), Y12
	VMOVUPS 32(SI), Y13
	ADDQ    R11, SI
	ROW256((AX), Y14, Y0, Y1)
	ROW256((AX)(R8*1), Y15, Y2, Y3)
	ROW256((AX)(R8*2), Y14, Y4, Y5)
	ADDQ    R10, AX
	ROW256((BX), Y15, Y6, Y7)
	ROW256((BX)(R8*1), Y14, Y8, Y9)
	ROW256((BX)(R8*2), Y15, Y10, Y11)
	ADDQ    R10, BX
	DECQ    DX
	JNZ     loop

	TESTQ R13, R13
	JNZ   accum
	ST256(Y0, Y1)
	ST256(Y2, Y3)
	ST256(Y4, Y5)
	ST256(Y6, Y7)
	ST256(Y8, Y9)
	ST256(Y10, Y11)
	VZEROUPPER
	RET

accum:
	AC256(Y0, Y1)
	AC256(Y2, Y3)
	AC256(Y4, Y5)
	AC256(Y6, Y7)
	AC256(Y8, Y9)
	AC256(Y10, Y11)
	VZEROUPPER
	RET

// func transpose8(dst *float32, dstStride int, src *float32, srcStride int)  8x8 block, byte strides
TEXT ·transpose8(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ ds+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ ss+24(FP), R9
	LEAQ (R9)(R9*2), R10
	LEAQ (SI)(R9*4), BX
	VMOVUPS (SI), X0
	VMOVUPS (SI)(R9*1), X1
	VMOVUPS (SI)(R9*2), X2
	VMOVUPS (SI)(R10*1), X3
	VMOVUPS 16(SI), X4
	VMOVUPS 16(SI)(R9*1), X5
	VMOVUPS 16(SI)(R9*2), X6
	VMOVUPS 16(SI)(R10*1), X7
	VINSERTF128 $1, (BX), Y0, Y0
	VINSERTF128 $1, (BX)(R9*1), Y1, Y1
	VINSERTF128 $1, (BX)(R9*2), Y2, Y2
	VINSERTF128 $1, (BX)(R10*1), Y3, Y3
	VINSERTF128 $1, 16(BX), Y4, Y4
	VINSERTF128 $1, 16(BX)(R9*1), Y5, Y5
	VINSERTF128 $1, 16(BX)(R9*2), Y6, Y6
	VINSERTF128 $1, 16(BX)(R10*1), Y7, Y7
	VUNPCKLPS Y1, Y0, Y8
	VUNPCKHPS Y1, Y0, Y9
	VUNPCKLPS Y3, Y2, Y10
	VUNPCKHPS Y3, Y2, Y11
	VUNPCKLPS Y5, Y4, Y12
	VUNPCKHPS Y5, Y4, Y13
	VUNPCKLPS Y7, Y6, Y14
	VUNPCKHPS Y7, Y6, Y15
	VUNPCKLPD Y10, Y8, Y0
	VUNPCKHPD Y10, Y8, Y1
	VUNPCKLPD Y11, Y9, Y2
	VUNPCKHPD Y11, Y9, Y3
	VUNPCKLPD Y14, Y12, Y4
	VUNPCKHPD Y14, Y12, Y5
	VUNPCKLPD Y15, Y13, Y6
	VUNPCKHPD Y15, Y13, Y7
	LEAQ (R8)(R8*2), R10
	LEAQ (DI)(R8*4), BX
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, (DI)(R8*1)
	VMOVUPS Y2, (DI)(R8*2)
	VMOVUPS Y3, (DI)(R10*1)
	VMOVUPS Y4, (BX)
	VMOVUPS Y5, (BX)(R8*1)
	VMOVUPS Y6, (BX)(R8*2)
	VMOVUPS Y7, (BX)(R10*1)
	VZEROUPPER
	RET

// func packRows14(dst *float32, ps int, src *float32, ss, k, np int)
// k rows (byte stride ss) of np*14 floats -> np panels (byte stride ps) of [k][14]; reads row by row
TEXT ·packRows14(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ ps+8(FP), R9
	MOVQ src+16(FP), SI
	MOVQ ss+24(FP), R8
	MOVQ k+32(FP), DX
	MOVQ np+40(FP), R10

a1:
	MOVQ R10, CX
	MOVQ SI, AX
	MOVQ DI, BX
a2:
	VMOVUPS (AX), Y0
	VMOVUPS 24(AX), Y1
	VMOVUPS Y0, (BX)
	VMOVUPS Y1, 24(BX)
	ADDQ $56, AX
	ADDQ R9, BX
	DECQ CX
	JNZ  a2
	ADDQ R8, SI
	ADDQ $56, DI
	DECQ DX
	JNZ  a1
	VZEROUPPER
	RET

// func packRows32(dst *float32, ps int, src *float32, ss, k, np int)
TEXT ·packRows32(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ ps+8(FP), R9
	MOVQ src+16(FP), SI
	MOVQ ss+24(FP), R8
	MOVQ k+32(FP), DX
	MOVQ np+40(FP), R10

b1:
	MOVQ R10, CX
	MOVQ SI, AX
	MOVQ DI, BX
b2:
	VMOVUPS (AX), Z0
	VMOVUPS 64(AX), Z1
	VMOVUPS Z0, (BX)
	VMOVUPS Z1, 64(BX)
	ADDQ $128, AX
	ADDQ R9, BX
	DECQ CX
	JNZ  b2
	ADDQ R8, SI
	ADDQ $128, DI
	DECQ DX
	JNZ  b1
	VZEROUPPER
	RET

// func packRows16(dst *float32, ps int, src *float32, ss, k, np int)  AVX2
TEXT ·packRows16(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ ps+8(FP), R9
	MOVQ src+16(FP), SI
	MOVQ ss+24(FP), R8
	MOVQ k+32(FP), DX
	MOVQ np+40(FP), R10

c1:
	MOVQ R10, CX
	MOVQ SI, AX
	MOVQ DI, BX
c2:
	VMOVUPS (AX), Y0
	VMOVUPS 32(AX), Y1
	VMOVUPS Y0, (BX)
	VMOVUPS Y1, 32(BX)
	ADDQ $64, AX
	ADDQ R9, BX
	DECQ CX
	JNZ  c2
	ADDQ R8, SI
	ADDQ $64, DI
	DECQ DX
	JNZ  c1
	VZEROUPPER
	RET

// func packRows6(dst *float32, ps int, src *float32, ss, k, np int)  AVX
TEXT ·packRows6(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ ps+8(FP), R9
	MOVQ src+16(FP), SI
	MOVQ ss+24(FP), R8
	MOVQ k+32(FP), DX
	MOVQ np+40(FP), R10

d1:
	MOVQ R10, CX
	MOVQ SI, AX
	MOVQ DI, BX
d2:
	VMOVUPS (AX), X0
	VMOVUPS 8(AX), X1
	VMOVUPS X0, (BX)
	VMOVUPS X1, 8(BX)
	ADDQ $24, AX
	ADDQ R9, BX
	DECQ CX
	JNZ  d2
	ADDQ R8, SI
	ADDQ $24, DI
	DECQ DX
	JNZ  d1
	RET
