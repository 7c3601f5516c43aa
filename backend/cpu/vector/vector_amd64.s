//go:build !noasm

#include "textflag.h"

// AVX-512 kernels. Each loops over 16 floats at a time and ends with the remaining n mod 16 under the mask K1, which
// also keeps loads and stores within the slices. The formulas stand with the fields of Kernels in vector.go.
//
// Registers: DI, SI, BX, DX, R8, R9 the slices; CX the floats left; AX the byte offset; Z16 and up the constants.

// Constants of exp (Cephes expf), GELU, and one.
DATA k<>+0(SB)/4, $0x3fb8aa3b   // log2(e)
DATA k<>+4(SB)/4, $0x3f318000   // ln 2, high part
DATA k<>+8(SB)/4, $0xb95e8083   // ln 2, low part
DATA k<>+12(SB)/4, $0x39506967  // polynomial
DATA k<>+16(SB)/4, $0x3ab743ce
DATA k<>+20(SB)/4, $0x3c088908
DATA k<>+24(SB)/4, $0x3d2aa9c1
DATA k<>+28(SB)/4, $0x3e2aaaaa
DATA k<>+32(SB)/4, $0x3f000000
DATA k<>+36(SB)/4, $0x3f800000  // 1
DATA k<>+40(SB)/4, $0xc2aeac50  // -87.3365, below which the result would be denormal
DATA k<>+44(SB)/4, $0x42b0c0a5  // 88.3763, exp of which is finite
DATA k<>+48(SB)/4, $0xbfcc422a  // -2√(2/π)
DATA k<>+52(SB)/4, $0xbd922279  // -2√(2/π)·0.044715
DATA k<>+56(SB)/4, $0x3fcc422a  // 2√(2/π)
DATA k<>+60(SB)/4, $0x3e5b33b6  // 2√(2/π)·3·0.044715
GLOBL k<>(SB), RODATA|NOPTR, $64

#define EXPCONSTANTS \
	VBROADCASTSS k<>+0(SB), Z31  \
	VBROADCASTSS k<>+4(SB), Z30  \
	VBROADCASTSS k<>+8(SB), Z29  \
	VBROADCASTSS k<>+12(SB), Z28 \
	VBROADCASTSS k<>+16(SB), Z27 \
	VBROADCASTSS k<>+20(SB), Z26 \
	VBROADCASTSS k<>+24(SB), Z25 \
	VBROADCASTSS k<>+28(SB), Z24 \
	VBROADCASTSS k<>+32(SB), Z23 \
	VBROADCASTSS k<>+36(SB), Z22 \
	VBROADCASTSS k<>+40(SB), Z21 \
	VBROADCASTSS k<>+44(SB), Z20

// x = exp(x); NaN stays NaN, since min and max return their last operand then. Clobbers n, p, r.
#define EXP(x, n, p, r) \
	VMAXPS       x, Z21, x    \
	VMINPS       x, Z20, x    \
	VMULPS       Z31, x, n    \
	VRNDSCALEPS  $8, n, n     \
	VFNMADD231PS Z30, n, x    \
	VFNMADD231PS Z29, n, x    \
	VMOVAPS      Z28, p       \
	VFMADD213PS  Z27, x, p    \
	VFMADD213PS  Z26, x, p    \
	VFMADD213PS  Z25, x, p    \
	VFMADD213PS  Z24, x, p    \
	VFMADD213PS  Z23, x, p    \
	VMULPS       x, x, r      \
	VADDPS       Z22, x, x    \
	VFMADD231PS  r, p, x      \
	VSCALEFPS    n, x, x

// r = 1/x by one Newton step on a 14-bit estimate; clobbers t.
#define RECIPROCAL(x, r, t) \
	VRCP14PS     x, r    \
	VMOVAPS      Z22, t  \
	VFNMADD231PS r, x, t \
	VFMADD231PS  t, r, r

// The low lane of x = the sum of all 16 lanes of z; y and x are z's lower parts. Clobbers t.
#define LANESUM(z, y, x, t, tx) \
	VEXTRACTF64X4 $1, z, t     \
	VADDPS        t, y, y      \
	VEXTRACTF128  $1, y, tx    \
	VADDPS        tx, x, x     \
	VPERMILPS     $14, x, tx   \
	VADDPS        tx, x, x     \
	VPERMILPS     $1, x, tx    \
	VADDSS        tx, x, x

// K1 = the lowest CX lanes, 0 < CX < 16.
#define TAILMASK \
	MOVL  $1, R10  \
	SHLL  CX, R10  \
	DECL  R10      \
	KMOVW R10, K1

// func addAVX512(y, a, b *float32, n int, alpha, beta float32)
TEXT ·addAVX512(SB), NOSPLIT, $0-40
	MOVQ y+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), BX
	MOVQ n+24(FP), CX
	VBROADCASTSS alpha+32(FP), Z16
	VBROADCASTSS beta+36(FP), Z17
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMULPS (SI)(AX*1), Z16, Z0
	VFMADD231PS (BX)(AX*1), Z17, Z0
	VMOVUPS Z0, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z0
	VMOVUPS.Z (BX)(AX*1), K1, Z1
	VMULPS Z0, Z16, Z0
	VFMADD231PS Z1, Z17, Z0
	VMOVUPS Z0, K1, (DI)(AX*1)
done:
	VZEROUPPER
	RET

// func scaleAVX512(y, x *float32, n int, alpha float32)
TEXT ·scaleAVX512(SB), NOSPLIT, $0-28
	MOVQ y+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS alpha+24(FP), Z16
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMULPS (SI)(AX*1), Z16, Z0
	VMOVUPS Z0, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z0
	VMULPS Z0, Z16, Z0
	VMOVUPS Z0, K1, (DI)(AX*1)
done:
	VZEROUPPER
	RET

// func dotAVX512(a, b *float32, n int) float32
TEXT ·dotAVX512(SB), NOSPLIT, $0-28
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), BX
	MOVQ n+16(FP), CX
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	XORQ AX, AX
	SUBQ $32, CX
	JLT  single
pair:
	VMOVUPS (SI)(AX*1), Z2
	VMOVUPS 64(SI)(AX*1), Z3
	VFMADD231PS (BX)(AX*1), Z2, Z0
	VFMADD231PS 64(BX)(AX*1), Z3, Z1
	ADDQ $128, AX
	SUBQ $32, CX
	JGE  pair
single:
	ADDQ $32, CX
	CMPQ CX, $16
	JLT  tail
	VMOVUPS (SI)(AX*1), Z2
	VFMADD231PS (BX)(AX*1), Z2, Z0
	ADDQ $64, AX
	SUBQ $16, CX
tail:
	TESTQ CX, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z2
	VMOVUPS.Z (BX)(AX*1), K1, Z3
	VFMADD231PS Z3, Z2, Z1
done:
	VADDPS Z1, Z0, Z0
	LANESUM(Z0, Y0, X0, Y1, X1)
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func sumAVX512(x *float32, n int) float32
TEXT ·sumAVX512(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VPXORD Z0, Z0, Z0
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VADDPS (SI)(AX*1), Z0, Z0
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z1
	VADDPS Z1, Z0, Z0
done:
	LANESUM(Z0, Y0, X0, Y1, X1)
	VMOVSS X0, ret+16(FP)
	VZEROUPPER
	RET

// func maxAVX512(x *float32, n int) float32
TEXT ·maxAVX512(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS (SI), Z0
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMAXPS (SI)(AX*1), Z0, Z0
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z1
	VMAXPS Z1, Z0, K1, Z0
done:
	VEXTRACTF64X4 $1, Z0, Y1
	VMAXPS Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VMAXPS X1, X0, X0
	VPERMILPS $14, X0, X1
	VMAXPS X1, X0, X0
	VPERMILPS $1, X0, X1
	VMAXPS X1, X0, X0
	VMOVSS X0, ret+16(FP)
	VZEROUPPER
	RET

// func expAVX512(y, x *float32, n int, scale, shift float32) float32
TEXT ·expAVX512(SB), NOSPLIT, $0-36
	MOVQ y+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	EXPCONSTANTS
	VBROADCASTSS scale+24(FP), Z16
	VBROADCASTSS shift+28(FP), Z17
	VPXORD Z8, Z8, Z8
	XORQ AX, AX
	SUBQ $32, CX
	JLT  single
pair:
	VMOVUPS (SI)(AX*1), Z0
	VMOVUPS 64(SI)(AX*1), Z4
	VFMSUB213PS Z17, Z16, Z0
	VFMSUB213PS Z17, Z16, Z4
	EXP(Z0, Z1, Z2, Z3)
	EXP(Z4, Z5, Z6, Z7)
	VMOVUPS Z0, (DI)(AX*1)
	VMOVUPS Z4, 64(DI)(AX*1)
	VADDPS Z0, Z8, Z8
	VADDPS Z4, Z8, Z8
	ADDQ $128, AX
	SUBQ $32, CX
	JGE  pair
single:
	ADDQ $32, CX
	CMPQ CX, $16
	JLT  tail
	VMOVUPS (SI)(AX*1), Z0
	VFMSUB213PS Z17, Z16, Z0
	EXP(Z0, Z1, Z2, Z3)
	VMOVUPS Z0, (DI)(AX*1)
	VADDPS Z0, Z8, Z8
	ADDQ $64, AX
	SUBQ $16, CX
tail:
	TESTQ CX, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z0
	VFMSUB213PS Z17, Z16, Z0
	EXP(Z0, Z1, Z2, Z3)
	VMOVUPS Z0, K1, (DI)(AX*1)
	VADDPS Z0, Z8, K1, Z8
done:
	LANESUM(Z8, Y8, X8, Y1, X1)
	VMOVSS X8, ret+32(FP)
	VZEROUPPER
	RET

#define GELUCONSTANTS \
	VBROADCASTSS k<>+48(SB), Z19 \
	VBROADCASTSS k<>+52(SB), Z18

// s = 1/(1+exp(-2u)) of x, xx = x²; clobbers e, t1, t2.
#define GELUGATE(x, xx, s, e, t1, t2) \
	VMULPS      x, x, xx        \
	VMOVAPS     xx, e           \
	VFMADD213PS Z19, Z18, e     \
	VMULPS      x, e, e         \
	EXP(e, s, t1, t2)           \
	VADDPS      Z22, e, e       \
	RECIPROCAL(e, s, t1)

// func geluAVX512(y, x *float32, n int)
TEXT ·geluAVX512(SB), NOSPLIT, $0-24
	MOVQ y+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	EXPCONSTANTS
	GELUCONSTANTS
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMOVUPS (SI)(AX*1), Z8
	GELUGATE(Z8, Z9, Z1, Z0, Z2, Z3)
	VMULPS  Z8, Z1, Z1
	VMOVUPS Z1, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z8
	GELUGATE(Z8, Z9, Z1, Z0, Z2, Z3)
	VMULPS  Z8, Z1, Z1
	VMOVUPS Z1, K1, (DI)(AX*1)
done:
	VZEROUPPER
	RET

// d = dy·(s + y(1-s)·2u'), y = x·s, from x in Z8 and dy in d; clobbers Z0-Z5, Z9.
#define GELUGRAD(d, y) \
	GELUGATE(Z8, Z9, Z1, Z0, Z2, Z3) \
	VMULPS  Z8, Z1, y           \
	VFMADD213PS Z17, Z16, Z9    \
	VSUBPS  Z1, Z22, Z5         \
	VMULPS  Z5, y, Z5           \
	VFMADD231PS Z9, Z5, Z1      \
	VMULPS  Z1, d, d

// func geluBackwardAVX512(dx, y, dy, x *float32, n int)
TEXT ·geluBackwardAVX512(SB), NOSPLIT, $0-40
	MOVQ dx+0(FP), DI
	MOVQ y+8(FP), BX
	MOVQ dy+16(FP), DX
	MOVQ x+24(FP), SI
	MOVQ n+32(FP), CX
	EXPCONSTANTS
	GELUCONSTANTS
	VBROADCASTSS k<>+56(SB), Z17
	VBROADCASTSS k<>+60(SB), Z16
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMOVUPS (SI)(AX*1), Z8
	VMOVUPS (DX)(AX*1), Z10
	GELUGRAD(Z10, Z4)
	VMOVUPS Z4, (BX)(AX*1)
	VMOVUPS Z10, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z8
	VMOVUPS.Z (DX)(AX*1), K1, Z10
	GELUGRAD(Z10, Z4)
	VMOVUPS Z4, K1, (BX)(AX*1)
	VMOVUPS Z10, K1, (DI)(AX*1)
done:
	VZEROUPPER
	RET

// s = 1/(1+exp(-g)); clobbers e, t1, t2.
#define SIGMOID(g, s, e, t1, t2) \
	VPXORD e, e, e       \
	VSUBPS g, e, e       \
	EXP(e, s, t1, t2)    \
	VADDPS Z22, e, e     \
	RECIPROCAL(e, s, t1)

// func swigluAVX512(y, g, u *float32, n int)
TEXT ·swigluAVX512(SB), NOSPLIT, $0-32
	MOVQ y+0(FP), DI
	MOVQ g_+8(FP), SI
	MOVQ u+16(FP), BX
	MOVQ n+24(FP), CX
	EXPCONSTANTS
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMOVUPS (SI)(AX*1), Z8
	SIGMOID(Z8, Z1, Z0, Z2, Z3)
	VMULPS Z8, Z1, Z1
	VMULPS (BX)(AX*1), Z1, Z1
	VMOVUPS Z1, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z8
	VMOVUPS.Z (BX)(AX*1), K1, Z9
	SIGMOID(Z8, Z1, Z0, Z2, Z3)
	VMULPS Z8, Z1, Z1
	VMULPS Z9, Z1, Z1
	VMOVUPS Z1, K1, (DI)(AX*1)
done:
	VZEROUPPER
	RET

// From g in Z8, u in Z9, dy in Z10: y in Z4, dg in Z5, du in Z6. Clobbers Z0-Z3.
#define SWIGLUGRAD \
	SIGMOID(Z8, Z1, Z0, Z2, Z3) \
	VMULPS Z8, Z1, Z2           \
	VMULPS Z9, Z2, Z4           \
	VMULPS Z10, Z2, Z6          \
	VSUBPS Z1, Z22, Z3          \
	VFMADD213PS Z1, Z2, Z3      \
	VMULPS Z9, Z10, Z5          \
	VMULPS Z3, Z5, Z5

// func swigluBackwardAVX512(dg, du, y, dy, g, u *float32, n int)
TEXT ·swigluBackwardAVX512(SB), NOSPLIT, $0-56
	MOVQ dg+0(FP), DI
	MOVQ du+8(FP), R8
	MOVQ y+16(FP), R9
	MOVQ dy+24(FP), DX
	MOVQ g_+32(FP), SI
	MOVQ u+40(FP), BX
	MOVQ n+48(FP), CX
	EXPCONSTANTS
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMOVUPS (SI)(AX*1), Z8
	VMOVUPS (BX)(AX*1), Z9
	VMOVUPS (DX)(AX*1), Z10
	SWIGLUGRAD
	VMOVUPS Z4, (R9)(AX*1)
	VMOVUPS Z5, (DI)(AX*1)
	VMOVUPS Z6, (R8)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z8
	VMOVUPS.Z (BX)(AX*1), K1, Z9
	VMOVUPS.Z (DX)(AX*1), K1, Z10
	SWIGLUGRAD
	VMOVUPS Z4, K1, (R9)(AX*1)
	VMOVUPS Z5, K1, (DI)(AX*1)
	VMOVUPS Z6, K1, (R8)(AX*1)
done:
	VZEROUPPER
	RET

// func softmaxBackwardAVX512(dx, p, dp *float32, n int, delta, scale float32)
TEXT ·softmaxBackwardAVX512(SB), NOSPLIT, $0-40
	MOVQ dx+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ dp+16(FP), BX
	MOVQ n+24(FP), CX
	VBROADCASTSS delta+32(FP), Z16
	VBROADCASTSS scale+36(FP), Z17
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMOVUPS (BX)(AX*1), Z0
	VSUBPS Z16, Z0, Z0
	VMULPS Z17, Z0, Z0
	VMULPS (SI)(AX*1), Z0, Z0
	VMOVUPS Z0, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (BX)(AX*1), K1, Z0
	VMOVUPS.Z (SI)(AX*1), K1, Z1
	VSUBPS Z16, Z0, Z0
	VMULPS Z17, Z0, Z0
	VMULPS Z1, Z0, Z0
	VMOVUPS Z0, K1, (DI)(AX*1)
done:
	VZEROUPPER
	RET

// func squaresAVX512(x *float32, n int, mean float32) float32: Σ (x − mean)²
TEXT ·squaresAVX512(SB), NOSPLIT, $0-28
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS mean+16(FP), Z16
	VPXORD Z0, Z0, Z0
	XORQ AX, AX
	SUBQ $16, CX
	JLT  tail
loop:
	VMOVUPS (SI)(AX*1), Z1
	VSUBPS Z16, Z1, Z1
	VFMADD231PS Z1, Z1, Z0
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z1
	VSUBPS.Z Z16, Z1, K1, Z1
	VFMADD231PS Z1, Z1, Z0
done:
	LANESUM(Z0, Y0, X0, Y1, X1)
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func normAVX512(y, x, gain, bias *float32, n int, mean, rstd float32): bias may be nil
TEXT ·normAVX512(SB), NOSPLIT, $0-48
	MOVQ y+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ gain+16(FP), BX
	MOVQ bias+24(FP), DX
	MOVQ n+32(FP), CX
	VBROADCASTSS mean+40(FP), Z16
	VBROADCASTSS rstd+44(FP), Z17
	XORQ AX, AX
	TESTQ DX, DX
	JZ   plain
	SUBQ $16, CX
	JLT  tail
loop:
	VMOVUPS (SI)(AX*1), Z0
	VSUBPS Z16, Z0, Z0
	VMULPS Z17, Z0, Z0
	VMOVUPS (BX)(AX*1), Z1
	VFMADD213PS (DX)(AX*1), Z1, Z0
	VMOVUPS Z0, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  loop
tail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z0
	VMOVUPS.Z (BX)(AX*1), K1, Z1
	VMOVUPS.Z (DX)(AX*1), K1, Z2
	VSUBPS Z16, Z0, Z0
	VMULPS Z17, Z0, Z0
	VFMADD213PS Z2, Z1, Z0
	VMOVUPS Z0, K1, (DI)(AX*1)
	JMP  done
plain:
	SUBQ $16, CX
	JLT  plaintail
plainloop:
	VMOVUPS (SI)(AX*1), Z0
	VSUBPS Z16, Z0, Z0
	VMULPS Z17, Z0, Z0
	VMULPS (BX)(AX*1), Z0, Z0
	VMOVUPS Z0, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JGE  plainloop
plaintail:
	ADDQ $16, CX
	JZ   done
	TAILMASK
	VMOVUPS.Z (SI)(AX*1), K1, Z0
	VMOVUPS.Z (BX)(AX*1), K1, Z1
	VSUBPS Z16, Z0, Z0
	VMULPS Z17, Z0, Z0
	VMULPS Z1, Z0, Z0
	VMOVUPS Z0, K1, (DI)(AX*1)
done:
	VZEROUPPER
	RET

// func normSumsAVX512(dgain, dbias, dy, x, gain *float32, n int, mean, rstd float32) (sg, sgh float32)
//
// With h = (x − mean)·rstd and g = dy·gain: sg = Σ g, sgh = Σ g·h; dgain += dy·h and dbias += dy unless nil.
TEXT ·normSumsAVX512(SB), NOSPLIT, $0-64
	MOVQ dgain+0(FP), R8
	MOVQ dbias+8(FP), R9
	MOVQ dy+16(FP), SI
	MOVQ x+24(FP), BX
	MOVQ gain+32(FP), DX
	MOVQ n+40(FP), CX
	VBROADCASTSS mean+48(FP), Z16
	VBROADCASTSS rstd+52(FP), Z17
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	KXNORW K1, K1, K1
	XORQ AX, AX
next:
	CMPQ CX, $16
	JGE  body
	TESTQ CX, CX
	JZ   done
	TAILMASK
	MOVQ $16, CX // the last
body:
	VMOVUPS.Z (SI)(AX*1), K1, Z2  // dy
	VMOVUPS.Z (BX)(AX*1), K1, Z3
	VSUBPS Z16, Z3, Z3
	VMULPS Z17, Z3, Z3            // h
	VMOVUPS.Z (DX)(AX*1), K1, Z4
	TESTQ R8, R8
	JZ   nogain
	VMOVUPS.Z (R8)(AX*1), K1, Z5
	VFMADD231PS Z3, Z2, Z5
	VMOVUPS Z5, K1, (R8)(AX*1)
nogain:
	TESTQ R9, R9
	JZ   nobias
	VMOVUPS.Z (R9)(AX*1), K1, Z5
	VADDPS Z2, Z5, Z5
	VMOVUPS Z5, K1, (R9)(AX*1)
nobias:
	VMULPS Z4, Z2, Z2             // g, 0 beyond the end
	VADDPS Z2, Z0, Z0
	VFMADD231PS Z3, Z2, Z1
	ADDQ $64, AX
	SUBQ $16, CX
	JNZ  next
done:
	LANESUM(Z0, Y0, X0, Y6, X6)
	LANESUM(Z1, Y1, X1, Y6, X6)
	VMOVSS X0, sg+56(FP)
	VMOVSS X1, sgh+60(FP)
	VZEROUPPER
	RET

// func normInputAVX512(dx, dy, x, gain *float32, n int, mean, rstd, mg, mgh float32, accumulate int)
//
// dx (+)= rstd·(dy·gain − mg − h·mgh)
TEXT ·normInputAVX512(SB), NOSPLIT, $0-64
	MOVQ dx+0(FP), DI
	MOVQ dy+8(FP), SI
	MOVQ x+16(FP), BX
	MOVQ gain+24(FP), DX
	MOVQ n+32(FP), CX
	VBROADCASTSS mean+40(FP), Z16
	VBROADCASTSS rstd+44(FP), Z17
	VBROADCASTSS mg+48(FP), Z18
	VBROADCASTSS mgh+52(FP), Z19
	MOVQ accumulate+56(FP), R8
	KXNORW K1, K1, K1
	XORQ AX, AX
next:
	CMPQ CX, $16
	JGE  body
	TESTQ CX, CX
	JZ   done
	TAILMASK
	MOVQ $16, CX // the last
body:
	VMOVUPS.Z (BX)(AX*1), K1, Z3
	VSUBPS Z16, Z3, Z3
	VMULPS Z17, Z3, Z3
	VMOVUPS.Z (SI)(AX*1), K1, Z2
	VMOVUPS.Z (DX)(AX*1), K1, Z4
	VMULPS Z4, Z2, Z2
	VSUBPS Z18, Z2, Z2
	VFNMADD231PS Z3, Z19, Z2
	VMULPS Z17, Z2, Z2
	TESTQ R8, R8
	JZ   store
	VMOVUPS.Z (DI)(AX*1), K1, Z5
	VADDPS Z5, Z2, Z2
store:
	VMOVUPS Z2, K1, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JNZ  next
done:
	VZEROUPPER
	RET

// func rotateAVX512(a, b, c, s *float32, n int)
TEXT ·rotateAVX512(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), DI
	MOVQ b+8(FP), SI
	MOVQ c+16(FP), BX
	MOVQ s+24(FP), DX
	MOVQ n+32(FP), CX
	KXNORW K1, K1, K1
	XORQ AX, AX
next:
	CMPQ CX, $16
	JGE  body
	TESTQ CX, CX
	JZ   done
	TAILMASK
	MOVQ $16, CX // the last
body:
	VMOVUPS.Z (DI)(AX*1), K1, Z0
	VMOVUPS.Z (SI)(AX*1), K1, Z1
	VMOVUPS.Z (BX)(AX*1), K1, Z2
	VMOVUPS.Z (DX)(AX*1), K1, Z3
	VMULPS Z0, Z2, Z4
	VFNMADD231PS Z1, Z3, Z4
	VMULPS Z0, Z3, Z5
	VFMADD231PS Z1, Z2, Z5
	VMOVUPS Z4, K1, (DI)(AX*1)
	VMOVUPS Z5, K1, (SI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JNZ  next
done:
	VZEROUPPER
	RET

// func adamwAVX512(x, m, v, g *float32, n int, p *AdamW)
TEXT ·adamwAVX512(SB), NOSPLIT, $0-48
	MOVQ x+0(FP), DI
	MOVQ m+8(FP), SI
	MOVQ v+16(FP), BX
	MOVQ g_+24(FP), DX
	MOVQ n+32(FP), CX
	MOVQ p+40(FP), R8
	VBROADCASTSS 0(R8), Z16   // rate
	VBROADCASTSS 4(R8), Z17   // decay
	VBROADCASTSS 8(R8), Z18   // beta1
	VBROADCASTSS 12(R8), Z19  // beta2
	VBROADCASTSS 16(R8), Z20  // c1
	VBROADCASTSS 20(R8), Z21  // c2
	VBROADCASTSS 24(R8), Z22  // eps
	VBROADCASTSS 28(R8), Z23  // factor
	VBROADCASTSS k<>+36(SB), Z24
	VSUBPS Z18, Z24, Z25      // 1 - beta1
	VSUBPS Z19, Z24, Z26      // 1 - beta2
	KXNORW K1, K1, K1
	XORQ AX, AX
next:
	CMPQ CX, $16
	JGE  body
	TESTQ CX, CX
	JZ   done
	TAILMASK
	MOVQ $16, CX // the last
body:
	VMOVUPS.Z (DX)(AX*1), K1, Z0
	VMULPS Z23, Z0, Z0        // g
	VMOVUPS.Z (SI)(AX*1), K1, Z1
	VMULPS Z18, Z1, Z1
	VFMADD231PS Z25, Z0, Z1   // m
	VMOVUPS.Z (BX)(AX*1), K1, Z2
	VMULPS Z19, Z2, Z2
	VMULPS Z0, Z0, Z0
	VFMADD231PS Z26, Z0, Z2   // v
	VMOVUPS Z1, K1, (SI)(AX*1)
	VMOVUPS Z2, K1, (BX)(AX*1)
	VMULPS Z20, Z1, Z1
	VMULPS Z21, Z2, Z2
	VSQRTPS Z2, Z2
	VADDPS Z22, Z2, Z2
	VDIVPS Z2, Z1, Z1
	VMOVUPS.Z (DI)(AX*1), K1, Z3
	VFMADD231PS Z17, Z3, Z1   // + decay·x
	VFNMADD231PS Z16, Z1, Z3
	VMOVUPS Z3, K1, (DI)(AX*1)
	ADDQ $64, AX
	SUBQ $16, CX
	JNZ  next
done:
	VZEROUPPER
	RET
