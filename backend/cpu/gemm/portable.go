package gemm

import "unsafe"

var portable = Kernel{Name: "portable", lanes: 4, mr: 4, nr: 4, kc: 256,
	tiles: [][]microKernel{{tileOf(1, sumsOf(1)), tileOf(2, sumsOf(2)), tileOf(3, sumsOf(3)), tileOf(4, sums4)}}}

// row is the four floats of x from byte offset on.
func row(x *float32, offset int) *[4]float32 {
	return (*[4]float32)(unsafe.Add(unsafe.Pointer(x), offset))
}

// element is the float of x at the byte offset.
func element(x *float32, offset int) float32 {
	return *(*float32)(unsafe.Add(unsafe.Pointer(x), offset))
}

// sums are those of a tile.
type sums [4][4]float32

// tileOf is the micro-kernel for a number of rows: add computes the sums of a tile.
func tileOf(rows int, add func(s *sums, k int, a *float32, ars, acs int, b *float32, bs int)) microKernel {
	return func(k int, a *float32, ars, acs int, b *float32, bs int, c *float32, ldc, _ int, d *float32, ldd int, bias *float32, tiles, step, kstep, bstep, _ int) {
		for t := range tiles {
			var s sums
			add(&s, k+t*kstep, &row(a, t*step)[0], ars, acs, &row(b, t*bstep)[0], bs)
			for i := range rows {
				x, at := &s[i], t*rows+i
				if bias != nil {
					for j, v := range row(bias, 0) {
						x[j] += v
					}
				}
				if d != nil {
					for j, v := range row(d, at*ldd) {
						x[j] += v
					}
				}
				*row(c, at*ldc) = *x
			}
		}
	}
}

func sums4(s *sums, k int, a *float32, ars, acs int, b *float32, bs int) {
	var s0, s1, s2, s3 [4]float32
	for p := range k {
		r, at := row(b, p*bs), p*acs
		b0, b1, b2, b3 := r[0], r[1], r[2], r[3]
		x := element(a, at)
		s0[0] += x * b0
		s0[1] += x * b1
		s0[2] += x * b2
		s0[3] += x * b3
		x = element(a, at+ars)
		s1[0] += x * b0
		s1[1] += x * b1
		s1[2] += x * b2
		s1[3] += x * b3
		x = element(a, at+2*ars)
		s2[0] += x * b0
		s2[1] += x * b1
		s2[2] += x * b2
		s2[3] += x * b3
		x = element(a, at+3*ars)
		s3[0] += x * b0
		s3[1] += x * b1
		s3[2] += x * b2
		s3[3] += x * b3
	}
	*s = sums{s0, s1, s2, s3}
}

// sumsOf computes the sums of fewer rows.
func sumsOf(rows int) func(s *sums, k int, a *float32, ars, acs int, b *float32, bs int) {
	return func(s *sums, k int, a *float32, ars, acs int, b *float32, bs int) {
		for i := range rows {
			x := &s[i]
			for p := range k {
				r, v := row(b, p*bs), element(a, i*ars+p*acs)
				x[0] += v * r[0]
				x[1] += v * r[1]
				x[2] += v * r[2]
				x[3] += v * r[3]
			}
		}
	}
}
