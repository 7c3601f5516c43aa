package gemm

import "unsafe"

// at returns p[bytes/4].
func at(p *float32, bytes int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), bytes)) }

// micro4x4 is the micro-kernel in Go: a tile of 4x4.
func micro4x4(k int, a *float32, ars, acs int, b *float32, bcs int, c *float32, ldc int, acc int) {
	var t [4][4]float32
	for ; k > 0; k-- {
		r := (*[4]float32)(unsafe.Pointer(b))
		b0, b1, b2, b3 := r[0], r[1], r[2], r[3]
		for i := range 4 {
			x := *at(a, i*ars)
			t[i][0] += x * b0
			t[i][1] += x * b1
			t[i][2] += x * b2
			t[i][3] += x * b3
		}
		if k > 1 {
			a, b = at(a, acs), at(b, bcs)
		}
	}
	for i := range 4 {
		r := (*[4]float32)(unsafe.Pointer(at(c, i*ldc)))
		if acc != 0 {
			for j := range 4 {
				r[j] += t[i][j]
			}
		} else {
			*r = t[i]
		}
	}
}

var portable = Kernel{Name: "portable", mr: 4, nr: 4, kc: 256, micro: micro4x4}
