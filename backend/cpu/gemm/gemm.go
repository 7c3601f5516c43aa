// Package gemm multiplies float32 matrices on one core: C (+)= op(A)·op(B).
//
// After Goto and van de Geijn (ACM TOMS 34, 2008) and BLIS (Van Zee and van de Geijn, ACM TOMS 41, 2015): B is packed
// into panels as wide as the register tile, and a micro-kernel runs over blocks of k that stay in the cache. A is read
// in place through two strides. B that is used often is packed once, with [Kernel.Pack].
package gemm

import (
	"fmt"
	"strings"
	"unsafe"
)

// microKernel computes a whole tile; strides are in bytes. See gemm_amd64.s.
type microKernel func(k int, a *float32, ars, acs int, b *float32, bcs int, c *float32, ldc int, acc int)

// packKernel copies k rows of np·w floats, a stride of ss bytes apart, to np panels of [k][w], ps bytes apart.
type packKernel func(dst *float32, ps int, src *float32, ss, k, np int)

// A Kernel is a micro-kernel with its tile of mr×nr and its block of kc.
type Kernel struct {
	Name      string
	mr, nr    int
	kc        int
	micro     microKernel
	small     microKernel // the same tile with fewer rows, for remainders; may be nil
	smallRows int
	packMR    packKernel
	packNR    packKernel
	transpose func(dst *float32, ds int, src *float32, ss int) // an 8x8 block; may be nil
}

// Kernels lists the kernels that run on this processor, best first; the last is portable Go.
func Kernels() []*Kernel { return append(native(), &portable) }

// Choose returns the kernel with that name, or the best one for "".
func Choose(name string) (*Kernel, error) {
	ks := Kernels()
	if name == "" {
		return ks[0], nil
	}
	var names []string
	for _, k := range ks {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return nil, fmt.Errorf("no %q kernels on this processor; it has %s", name, strings.Join(names, ", "))
}

// Rows is the number of rows that a caller should multiply at a time, so that they and their results stay in the cache.
func (kn *Kernel) Rows() int { return max(1, 112/kn.mr) * kn.mr }

// Scratch is the workspace of one worker. It grows where a call needs more than it has.
type Scratch struct{ a, b, tile []float32 }

// Need is how much scratch a call takes, in floats.
type Need struct{ a, b, tile int }

// Max is enough for both.
func (n Need) Max(o Need) Need { return Need{max(n.a, o.a), max(n.b, o.b), max(n.tile, o.tile)} }

// Len is the floats in all.
func (n Need) Len() int { return n.a + n.b + n.tile + 3*16 }

// NeedMul is what Mul, MulPanel and MulPanelT take with an inner size of k.
func (kn *Kernel) NeedMul(k int) Need { return Need{a: kn.mr * k, tile: kn.mr * kn.nr} }

// NeedTN is what MulTN takes.
func (kn *Kernel) NeedTN(m, n, k int) Need {
	_, size := kn.blocks(k)
	return Need{(m + kn.mr - 1) / kn.mr * kn.mr * size, (n + kn.nr - 1) / kn.nr * kn.nr * size, kn.mr * kn.nr}
}

// NewScratch takes memory for n at once.
func NewScratch(n Need) Scratch {
	return Scratch{make([]float32, n.a+16), make([]float32, n.b+16), make([]float32, n.tile+16)}
}

// grow returns n floats that begin on a cache line.
func grow(p *[]float32, n int) []float32 {
	if cap(*p) < n+16 {
		*p = make([]float32, n+16)
	}
	s := (*p)[:cap(*p)]
	off := int((64-uintptr(unsafe.Pointer(&s[0]))&63)&63) / 4
	return s[off : off+n]
}

// blocks cuts k into equal blocks of at most kc, each a multiple of 8.
func (kn *Kernel) blocks(k int) (count, size int) {
	count = (k + kn.kc - 1) / kn.kc
	size = ((k+count-1)/count + 7) &^ 7
	return (k + size - 1) / size, size
}

// Packed is op(B)[k,n] in panels.
type Packed struct {
	n, k         int
	panels       int
	blocks, size int
	data         []float32
}

// PackedLen is the number of floats that Pack takes for op(B)[k,n].
func (kn *Kernel) PackedLen(k, n int) int {
	blocks, size := kn.blocks(k)
	return (n + kn.nr - 1) / kn.nr * kn.nr * blocks * size
}

// Pack packs op(B)[k,n] into memory of PackedLen floats; B is [n,k] if transposed.
func (kn *Kernel) Pack(memory []float32, trans bool, k, n int, b []float32, ldb int) Packed {
	nr := kn.nr
	p := Packed{n: n, k: k, panels: (n + nr - 1) / nr}
	p.blocks, p.size = kn.blocks(k)
	p.data = memory[:p.panels*nr*p.blocks*p.size]
	for kb := range p.blocks {
		kk := min(p.size, k-kb*p.size)
		if !trans {
			pack(kn.packNR, nr, p.data[kb*p.panels*p.size*nr:], b, ldb, 0, n, kb*p.size, kk, p.size)
			continue
		}
		for q := range p.panels {
			kn.packTransposed(p.panel(nr, kb, q), b, ldb, kb*p.size, kk, q*nr, min(nr, n-q*nr))
		}
	}
	return p
}

func (p Packed) panel(nr, kb, q int) []float32 {
	return p.data[(kb*p.panels+q)*p.size*nr:][:p.size*nr]
}

// Mul is C[m,n] (+)= A[m,k]·B with B packed.
func (kn *Kernel) Mul(s *Scratch, m int, a []float32, lda int, p Packed, c []float32, ldc int, accumulate bool) {
	mc := kn.Rows()
	for i := 0; i < m; i += mc {
		for kb := range p.blocks {
			for q := range p.panels {
				kn.rows(s, a, lda, i, min(m, i+mc), kb*p.size, min(p.size, p.k-kb*p.size), p.panel(kn.nr, kb, q),
					q*kn.nr, min(kn.nr, p.n-q*kn.nr), c, ldc, accumulate || kb > 0)
			}
		}
	}
}

// MulTN is C[m,n] (+)= Aᵀ·B with A[k,m] and B[k,n]: the gradient of a weight, summed over k tokens.
func (kn *Kernel) MulTN(s *Scratch, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, accumulate bool) {
	mr, nr := kn.mr, kn.nr
	mp, np := (m+mr-1)/mr, (n+nr-1)/nr
	blocks, size := kn.blocks(k)
	ap, bp := grow(&s.a, mp*mr*size), grow(&s.b, np*nr*size)
	for kb := range blocks {
		k0 := kb * size
		kk := min(size, k-k0)
		pack(kn.packMR, mr, ap, a, lda, 0, m, k0, kk, size)
		pack(kn.packNR, nr, bp, b, ldb, 0, n, k0, kk, size)
		for p := range np {
			for q := range mp {
				kn.tile(s, kk, &ap[q*mr*size], 4, mr*4, bp[p*nr*size:], c, ldc, q*mr, min(mr, m-q*mr), p*nr, min(nr, n-p*nr),
					accumulate || kb > 0)
			}
		}
	}
}

// PanelLen is the number of floats that Panels and PanelsT take for B[k,n] with k in one block.
func (kn *Kernel) PanelLen(k, n int) int { return (n + kn.nr - 1) / kn.nr * kn.nr * k }

// PanelWidth is the number of columns of a panel.
func (kn *Kernel) PanelWidth() int { return kn.nr }

// TileRows is the number of rows of a tile.
func (kn *Kernel) TileRows() int { return kn.mr }

// Panels packs B[k,n] as one block: panel q holds columns q·nr.. as [k][nr].
func (kn *Kernel) Panels(dst, b []float32, ldb, k, n int) {
	pack(kn.packNR, kn.nr, dst, b, ldb, 0, n, 0, k, k)
}

// PanelsT packs op(B)[k,n] from B[n,k], as Panels does.
func (kn *Kernel) PanelsT(dst, b []float32, ldb, k, n int) {
	for q := 0; q*kn.nr < n; q++ {
		kn.packTransposed(dst[q*k*kn.nr:], b, ldb, 0, k, q*kn.nr, min(kn.nr, n-q*kn.nr))
	}
}

// MulPanel is C[i0:i1, 0:w] (+)= A[i0:i1, 0:k]·panel, for one panel of Panels or PanelsT and w of its columns.
func (kn *Kernel) MulPanel(s *Scratch, a []float32, lda, i0, i1, k int, panel []float32, w int, c []float32, ldc int, accumulate bool) {
	kn.rows(s, a, lda, i0, i1, 0, k, panel, 0, w, c, ldc, accumulate)
}

// MulPanelT is C[0:m, 0:w] (+)= A[0:k, 0:m]ᵀ·panel.
func (kn *Kernel) MulPanelT(s *Scratch, a []float32, lda, m, k int, panel []float32, w int, c []float32, ldc int, accumulate bool) {
	mr := kn.mr
	for i := 0; i < m; i += mr {
		h := min(mr, m-i)
		p, stride := &a[i], lda*4
		if h < mr { // the kernel reads mr columns: copy the last ones, so that it stays within A
			ap := grow(&s.a, mr*k)
			for r := range k {
				d := ap[r*mr : r*mr+mr]
				clear(d[copy(d[:h], a[r*lda+i:r*lda+i+h]):])
			}
			p, stride = &ap[0], mr*4
		}
		kn.tile(s, k, p, 4, stride, panel, c, ldc, i, h, 0, w, accumulate)
	}
}

// rows multiplies rows [i0,i1) of A, columns [k0,k0+kc), with one panel into columns [j0,j0+w) of C.
func (kn *Kernel) rows(s *Scratch, a []float32, lda, i0, i1, k0, kc int, panel []float32, j0, w int, c []float32, ldc int, accumulate bool) {
	mr := kn.mr
	for i := i0; i < i1; i += mr {
		h := min(mr, i1-i)
		p, stride := &a[i*lda+k0], lda*4
		if h < mr { // the kernel reads mr rows
			ap := grow(&s.a, mr*kc)
			for r := range h {
				copy(ap[r*kc:r*kc+kc], a[(i+r)*lda+k0:])
			}
			clear(ap[h*kc:])
			p, stride = &ap[0], kc*4
		}
		kn.tile(s, kc, p, stride, 4, panel, c, ldc, i, h, j0, w, accumulate)
	}
}

// tile computes h×w of one tile of C at (i,j); A must have mr rows to read.
func (kn *Kernel) tile(s *Scratch, k int, a *float32, ars, acs int, panel []float32, c []float32, ldc, i, h, j, w int, accumulate bool) {
	mr, nr := kn.mr, kn.nr
	acc := 0
	if accumulate {
		acc = 1
	}
	if h == mr && w == nr {
		kn.micro(k, a, ars, acs, &panel[0], nr*4, &c[i*ldc+j], ldc*4, acc)
		return
	}
	micro, rows := kn.micro, mr
	if kn.small != nil && h <= kn.smallRows {
		micro, rows = kn.small, kn.smallRows
	}
	t := grow(&s.tile, rows*nr)
	micro(k, a, ars, acs, &panel[0], nr*4, &t[0], nr*4, 0)
	for r := range h {
		d, src := c[(i+r)*ldc+j:(i+r)*ldc+j+w], t[r*nr:r*nr+w]
		if accumulate {
			for x := range d {
				d[x] += src[x]
			}
		} else {
			copy(d, src)
		}
	}
}

// pack copies x[k0:k0+kc, c0:c1] to panels of w columns, each [kc][w] and size·w apart, the last one padded with zeros.
// It reads row by row, for the prefetcher's sake.
func pack(f packKernel, w int, dst, x []float32, ld, c0, c1, k0, kc, size int) {
	np, i := (c1-c0)/w, 0
	if f != nil && np > 0 {
		_, _ = dst[np*w*size-1], x[(k0+kc-1)*ld+c0+np*w-1]
		f(&dst[0], w*size*4, &x[k0*ld+c0], ld*4, kc, np)
		i = np
	}
	for ; c0+i*w < c1; i++ {
		n := min(w, c1-c0-i*w)
		for k := range kc {
			d := dst[i*w*size+k*w:][:w]
			clear(d[copy(d[:n], x[(k0+k)*ld+c0+i*w:]):])
		}
	}
}

// packTransposed packs rows [j0,j0+w) and columns [k0,k0+kc) of b as one panel dst[kc][nr], padded with zeros.
func (kn *Kernel) packTransposed(dst, b []float32, ldb, k0, kc, j0, w int) {
	nr, j := kn.nr, 0
	if kn.transpose != nil {
		kc8 := kc &^ 7
		for ; j+8 <= w; j += 8 {
			base := (j0+j)*ldb + k0
			for k := 0; k < kc8; k += 8 {
				kn.transpose(&dst[k*nr+j], nr*4, &b[base+k], ldb*4)
			}
			for k := kc8; k < kc; k++ {
				for jj := range 8 {
					dst[k*nr+j+jj] = b[base+jj*ldb+k]
				}
			}
		}
	}
	for ; j < nr; j++ {
		if j >= w {
			for k := range kc {
				dst[k*nr+j] = 0
			}
			continue
		}
		row := b[(j0+j)*ldb+k0:][:kc]
		for k, x := range row {
			dst[k*nr+j] = x
		}
	}
}
