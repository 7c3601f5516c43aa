package gemm

import "unsafe"

var portable = Kernel{Name: "portable", lanes: 4, mr: 4, nr: 4, kc: 256,
	tiles: [][]microKernel{{tileOf(1), tileOf(2), tileOf(3), tile4x4}}}

// row is the four floats of x from byte offset on.
func row(x *float32, offset int) *[4]float32 {
	return (*[4]float32)(unsafe.Add(unsafe.Pointer(x), offset))
}

// element is the float of x at the byte offset.
func element(x *float32, offset int) float32 {
	return *(*float32)(unsafe.Add(unsafe.Pointer(x), offset))
}

// tile4x4 is the micro-kernel in Go.
func tile4x4(k int, a *float32, ars, acs int, b, c *float32, ldc, _, acc int) {
	var s0, s1, s2, s3 [4]float32
	for p := range k {
		r, at := row(b, p*16), p*acs
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
	for i, s := range [...]*[4]float32{&s0, &s1, &s2, &s3} {
		put(row(c, i*ldc), s, acc)
	}
}

// tileOf is the micro-kernel for fewer rows.
func tileOf(rows int) microKernel {
	return func(k int, a *float32, ars, acs int, b, c *float32, ldc, _, acc int) {
		for i := range rows {
			var s [4]float32
			for p := range k {
				r, x := row(b, p*16), element(a, i*ars+p*acs)
				s[0] += x * r[0]
				s[1] += x * r[1]
				s[2] += x * r[2]
				s[3] += x * r[3]
			}
			put(row(c, i*ldc), &s, acc)
		}
	}
}

func put(c, s *[4]float32, acc int) {
	if acc == 0 {
		*c = *s
		return
	}
	for j := range c {
		c[j] += s[j]
	}
}
