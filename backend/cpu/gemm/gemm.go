// Package gemm multiplies float32 matrices on one core: C (+)= op(A)·op(B).
//
// After Goto and van de Geijn (ACM TOMS 34, 2008) and BLIS (Van Zee and van de Geijn, ACM TOMS 41, 2015): B is packed
// into panels as wide as the register tile, and a micro-kernel runs over blocks of k that stay in the cache. A is read
// in place through two strides. B that is used often is packed once, with [Kernel.Pack].
package gemm

//go:generate go run ./generate

import (
	"fmt"
	"math"
	"strings"
	"unsafe"
)

// microKernel computes tiles of C: see generate/main.go.
type microKernel func(k int, a *float32, ars, acs int, b *float32, bs int, c *float32, ldc, cols int, d *float32, ldd int, bias *float32, tiles, step, kstep, bstep, ahead int)

// firstKernel computes a tile of C from a panel's width of B, which it packs for the tiles after it: see generate/main.go.
type firstKernel func(k int, a *float32, as int, b *float32, bs int, panel, sums, c *float32, ldc, add int)

// packKernel copies k rows, ss bytes apart, of np·width floats to np panels, ps bytes apart.
type packKernel func(dst *float32, ps int, src *float32, ss, k, np, width int)

// A Kernel is a set of micro-kernels with tiles of up to mr×nr, and a block of kc.
type Kernel struct {
	Name      string
	lanes     int // floats in a vector
	mr, nr    int
	kc        int
	masks     bool // the micro-kernels write any number of columns, not only whole vectors
	tiles     [][]microKernel
	first     []firstKernel                                    // by rows, from 1; may be nil
	packA     packKernel                                       // panels of [k][width], width up to mr; may be nil
	packB     packKernel                                       // panels of [k][nr] with width columns; may be nil
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

// Len is the floats in all, each part to the end of a cache line.
func (n Need) Len() int { return (n.a+15)/16*16 + (n.b+15)/16*16 + (n.tile+15)/16*16 }

// NeedMul is what Mul, MulPanel and MulPanelT take.
func (kn *Kernel) NeedMul() Need { return Need{tile: kn.mr * kn.nr} }

// NeedTN is the workspace of MulTN.
func (kn *Kernel) NeedTN(m, n, k int) Need {
	_, size := kn.blocks(k)
	packed := 0
	if kn.packs(math.MaxInt, n) {
		packed = min(m, kn.partRows(size)) * size
	}
	return Need{packed, (n + kn.nr - 1) / kn.nr * kn.nr * size, kn.mr * kn.nr}
}

// Cut is scratch in memory of Len floats.
func (n Need) Cut(memory []float32) Scratch {
	take := func(size int) []float32 {
		part := memory[:size:size]
		memory = memory[(size+15)/16*16:]
		return part
	}
	return Scratch{take(n.a), take(n.b), take(n.tile)}
}

// Aligned returns n floats that start at a cache line; they need 16 floats more.
func Aligned(n int) []float32 {
	s := make([]float32, n+16)
	off := int((64-uintptr(unsafe.Pointer(&s[0]))&63)&63) / 4
	return s[off : off+n : off+n]
}

// grow returns n floats of *p, which it replaces if it is shorter.
func grow(p *[]float32, n int) []float32 {
	if len(*p) < n {
		*p = Aligned(n)
	}
	return (*p)[:n]
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
			kn.packPanels(p.data[kb*p.panels*p.size*nr:], b[kb*p.size*ldb:], ldb, kk, n, p.size)
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

// next is from a panel to the one after it: the next in memory, or from the last to the first, if all are used again.
func (p Packed) next(nr, kb, q int, again bool) int {
	switch n := kb*p.panels + q; {
	case n < p.blocks*p.panels-1:
		return p.size * nr
	case again:
		return -n * p.size * nr
	}
	return 0
}

// Plus is what is added to a product: rows of D, ld apart, and a bias to each row. Both may be nil.
type Plus struct {
	D    []float32
	LD   int
	Bias []float32
}

// Mul is C[m,n] (+)= A[m,k]·B with B packed.
func (kn *Kernel) Mul(s *Scratch, m int, a []float32, lda int, p Packed, c []float32, ldc int, accumulate bool) {
	mc := kn.Rows()
	for i := 0; i < m; i += mc {
		for kb := range p.blocks {
			for q := range p.panels {
				to := c[i*ldc+q*kn.nr:]
				kn.mulRows(s, min(p.size, p.k-kb*p.size), a[i*lda+kb*p.size:], lda, min(mc, m-i), p.panel(kn.nr, kb, q), kn.nr, p.next(kn.nr, kb, q, i+mc < m),
					to, ldc, min(kn.nr, p.n-q*kn.nr), old(accumulate || kb > 0, to, ldc))
			}
		}
	}
}

// OneBlock reports whether all k are one block, as [Kernel.MulPlus] needs.
func (kn *Kernel) OneBlock(k int) bool { return k <= kn.kc }

// MulPlus is C[m,n] = D + (A[m,k]·B + bias) with B packed in one block.
func (kn *Kernel) MulPlus(s *Scratch, m int, a []float32, lda int, p Packed, c []float32, ldc int, plus Plus) {
	mc := kn.Rows()
	for i := 0; i < m; i += mc {
		for q := range p.panels {
			j := q * kn.nr
			rows, w := min(mc, m-i), min(kn.nr, p.n-j)
			kn.mulRows(s, p.k, a[i*lda:], lda, rows, p.panel(kn.nr, 0, q), kn.nr, p.next(kn.nr, 0, q, i+mc < m), c[i*ldc+j:], ldc, w, plus.at(i, rows, j, w))
		}
	}
}

// addend is what is added to a product from some row and column on, D and bias of [Plus].
type addend struct {
	d    *float32
	ld   int
	bias *float32
}

// at is what is added to some rows from number i on, in w columns from number j on.
func (p *Plus) at(i, rows, j, w int) addend {
	x := addend{ld: p.LD}
	if p.D != nil {
		d := p.D[i*p.LD+j:]
		_ = d[(rows-1)*p.LD+w-1]
		x.d = &d[0]
	}
	if p.Bias != nil {
		x.bias = &p.Bias[j:][:w][0]
	}
	return x
}

// old is C as the addend, from its first element on, if a product is added to it.
func old(add bool, c []float32, ldc int) addend {
	if add {
		return addend{d: &c[0], ld: ldc}
	}
	return addend{}
}

// Sums is where a product adds the sums of B's columns, unless To is nil, and the kernel that adds count rows of x to them, in their order,
// where a kernel of the product doesn't.
type Sums struct {
	To  []float32
	Add func(sums, x []float32, stride, count int)
}

// MulTN is C[m,n] (+)= Aᵀ·B with A[k,m] and B[k,n]: the gradient of a weight, summed over k tokens. The sums of B's columns are the gradient
// of a bias.
func (kn *Kernel) MulTN(s *Scratch, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, accumulate bool, sums Sums) {
	np := (n + kn.nr - 1) / kn.nr
	blocks, size := kn.blocks(k)
	bp := grow(&s.b, np*kn.nr*size)
	rows := kn.cutTN(m)
	for kb := range blocks {
		k0 := kb * size
		left := leftBlock{a[k0*lda:], 1, lda, kn.packs(lda, n)}
		kn.mulBlock(s, rows, left, rightBlock{bp, b[k0*ldb:], ldb}, n, min(size, k-k0), size, c, ldc, accumulate || kb > 0, sums)
	}
}

// packs reports whether MulTN packs A with rows of lda floats, which makes a tile's part of them contiguous. Without it, a tile takes
// one or two lines of the cache from each row. That costs less where rows are short, where C has few columns to repay the packing, or
// where tiles are so high that they need most of these lines.
func (kn *Kernel) packs(lda, n int) bool { return lda > 256 && n >= 512 && kn.mr < 8 }

// leftBlock is a block of the left operand of MulTN: column i begins at i·step, and its next element is ld behind it, or, if ld is 0,
// as far as its tile is high. It is packed part by part if pack is set.
type leftBlock struct {
	data     []float32
	step, ld int
	pack     bool
}

// partFloats is about how many floats of a block of the left operand all panels of B are multiplied with in turn, few enough for a core's
// cache.
const partFloats = 1 << 15

// partRows is how many rows of C such a part has at most.
func (kn *Kernel) partRows(size int) int { return max(kn.mr, partFloats/size) }

// rightBlock is a block of the right operand of MulTN: its panels as packPanels packs them, or, if from isn't nil, room for them and the
// rows of B, ld apart, which have yet to be packed.
type rightBlock struct {
	panels, from []float32
	ld           int
}

// mulBlock is C (+)= Aᵀ·B for one block of kk rows of both, part by part of the rows of C. The first part packs B. It is of the lower
// tiles: those have a kernel that does so on the way, unless they are as high as tiles can be.
func (kn *Kernel) mulBlock(s *Scratch, rows cut, a leftBlock, b rightBlock, n, kk, size int, c []float32, ldc int, accumulate bool, sums Sums) {
	runs := rows.runs()
	for i := len(runs) - 1; i >= 0; i-- {
		for r := runs[i]; r.tiles > 0; {
			part := run{r.first, min(r.tiles, kn.partRows(size)/r.height), r.height}
			kn.mulPart(s, part, a, b, n, kk, size, c[part.first*ldc:], ldc, accumulate, sums)
			b.from = nil
			r.first += part.tiles * r.height
			r.tiles -= part.tiles
		}
	}
}

// mulPart is C (+)= Aᵀ·B for the tiles of a run, C from its first row on.
func (kn *Kernel) mulPart(s *Scratch, r run, a leftBlock, b rightBlock, n, kk, size int, c []float32, ldc int, accumulate bool, sums Sums) {
	nr := kn.nr
	a.data = a.data[r.first*a.step:]
	if a.pack {
		packed := grow(&s.a, r.tiles*r.height*size)
		kn.packRows(packed, a.data, a.ld, kk, size, r.tiles, r.height)
		a = leftBlock{data: packed, step: size}
	}
	ld := a.ld
	if ld == 0 {
		ld = r.height
	}
	next := r.height * a.step // of A, from a tile to the next
	_ = a.data[(r.tiles-1)*next+(kk-1)*ld+r.height-1]
	for p := 0; p*nr < n; p++ {
		w, panel := min(nr, n-p*nr), b.panels[p*nr*size:]
		left, to, tiles := a.data, c[p*nr:], r.tiles
		if b.from != nil {
			from := b.from[p*nr:]
			if w == nr && r.height <= len(kn.first) {
				kn.firstTile(r.height, left, ld, from, b.ld, panel, kk, to, ldc, accumulate, sums.from(p*nr, w))
				if tiles--; tiles == 0 {
					continue
				}
				left, to = left[next:], to[r.height*ldc:]
			} else {
				kn.packPanels(panel, from, b.ld, kk, w, size)
				if sums.To != nil {
					sums.Add(sums.from(p*nr, w), panel, nr, kk)
				}
			}
		}
		after := 0
		if b.from == nil && (p+1)*nr < n {
			after = nr * size
		}
		kn.tile(s, kk, &left[0], 4, ld*4, step{a: next, panel: after}, panel, nr, to, ldc, tiles, r.height, w, old(accumulate, to, ldc))
	}
}

// firstTile computes a tile of h rows of C, and packs the panel of B on the way. A must have what it needs.
func (kn *Kernel) firstTile(h int, a []float32, lda int, b []float32, ldb int, panel []float32, kk int, c []float32, ldc int, accumulate bool, sums []float32) {
	nr, add := kn.nr, 0
	if accumulate {
		add = 1
	}
	_, _, _ = b[(kk-1)*ldb+nr-1], panel[kk*nr-1], c[(h-1)*ldc+nr-1]
	kn.first[h-1](kk, &a[0], lda*4, &b[0], ldb*4, &panel[0], unsafe.SliceData(sums), &c[0], ldc*4, add)
}

// from is the sums of w columns from number j on, or nil.
func (s Sums) from(j, w int) []float32 {
	if s.To == nil {
		return nil
	}
	return s.To[j:][:w]
}

// PackedT is A[k,m] as the left operand of [Kernel.MulPackedTN].
type PackedT struct {
	rows         cut
	m, k         int
	blocks, size int
	data         []float32
}

// PackedTLen is the number of floats that PackT takes for A[k,m].
func (kn *Kernel) PackedTLen(k, m int) int {
	blocks, size := kn.blocks(k)
	return blocks * size * m
}

// PackT packs A[k,m] into memory of PackedTLen floats.
func (kn *Kernel) PackT(memory []float32, k, m int, a []float32, lda int) PackedT {
	p := PackedT{rows: kn.cut(m), m: m, k: k}
	p.blocks, p.size = kn.blocks(k)
	p.data = memory[:p.blocks*p.size*m]
	for kb := range p.blocks {
		to, from := p.data[kb*p.size*m:], a[kb*p.size*lda:]
		for _, r := range p.rows.runs() {
			if r.tiles > 0 {
				kn.packRows(to[r.first*p.size:], from[r.first:], lda, min(p.size, k-kb*p.size), p.size, r.tiles, r.height)
			}
		}
	}
	return p
}

// MulPackedTN is MulTN with both operands packed.
func (kn *Kernel) MulPackedTN(s *Scratch, a PackedT, b Packed, c []float32, ldc int, accumulate bool) {
	for kb := range a.blocks {
		kn.mulBlock(s, a.rows, leftBlock{data: a.data[kb*a.size*a.m:], step: a.size}, rightBlock{panels: b.data[kb*b.panels*b.size*kn.nr:]}, b.n, min(a.size, a.k-kb*a.size), a.size,
			c, ldc, accumulate || kb > 0, Sums{})
	}
}

// mulRows is C[0:m, 0:w] = A[0:m, 0:k]·panel, and what is added to it.
func (kn *Kernel) mulRows(s *Scratch, k int, a []float32, lda, m int, panel []float32, ldp, next int, c []float32, ldc, w int, plus addend) {
	rows := kn.cut(m)
	_ = a[(m-1)*lda+k-1]
	if n := rows.taller; n > 0 {
		h := rows.height + 1
		kn.tile(s, k, &a[0], lda*4, 4, step{a: h * lda, panel: next}, panel, ldp, c, ldc, n, h, w, plus)
		a, c = a[n*h*lda:], c[n*h*ldc:]
		if plus.d != nil {
			plus.d = (*float32)(unsafe.Add(unsafe.Pointer(plus.d), n*h*plus.ld*4))
		}
	}
	kn.tile(s, k, &a[0], lda*4, 4, step{a: rows.height * lda, panel: next}, panel, ldp, c, ldc, rows.count-rows.taller, rows.height, w, plus)
}

// cut is n rows in as few tiles as there need be, all of nearly one height.
type cut struct{ count, height, taller int }

func (kn *Kernel) cut(n int) cut {
	if n <= kn.mr {
		return cut{min(n, 1), n, 0}
	}
	mr := uint32(kn.mr) // short divisions are much faster than long ones
	return cutInto((uint32(n)+mr-1)/mr, uint32(n))
}

func cutInto(count, rows uint32) cut { return cut{int(count), int(rows / count), int(rows % count)} }

// cutTN is the cut of MulTN: where all tiles would be of full height, one tile more makes some of them a row lower, which can be first tiles.
func (kn *Kernel) cutTN(m int) cut {
	c := kn.cut(m)
	if more := c.count + 1; c.height == kn.mr && m/more == len(kn.first) {
		return cutInto(uint32(more), uint32(m))
	}
	return c
}

// run is tiles of one height, below each other.
type run struct{ first, tiles, height int }

// runs are the tiles of the cut: those that are one row taller, and the others.
func (c cut) runs() [2]run {
	return [2]run{{0, c.taller, c.height + 1}, {c.taller * (c.height + 1), c.count - c.taller, c.height}}
}

// step is from a tile to the next: floats of A, terms of the sums, and rows of the panel; and from the panel to the one that comes after
// all tiles, floats, or 0.
type step struct{ a, k, b, panel int }

// tile computes the first w columns of tiles of h rows of c, one below the other; A must have what each needs.
func (kn *Kernel) tile(s *Scratch, k int, a *float32, ars, acs int, next step, panel []float32, ldp int, c []float32, ldc, tiles, h, w int, plus addend) {
	v := (w + kn.lanes - 1) / kn.lanes
	micro := kn.tiles[v-1][h-1]
	rows := tiles * h
	_, _ = c[(rows-1)*ldc+w-1], panel[(k-1+(tiles-1)*max(next.k+next.b, 0))*ldp+v*kn.lanes-1]
	if kn.masks || w == v*kn.lanes {
		micro(k, a, ars, acs, &panel[0], ldp*4, &c[0], ldc*4, w, plus.d, plus.ld*4, plus.bias, tiles, next.a*4, next.k, next.b*ldp*4, next.panel*4)
		return
	}
	wide := v * kn.lanes
	t := grow(&s.tile, h*wide)
	for i := range tiles {
		micro(k+i*next.k, (*float32)(unsafe.Add(unsafe.Pointer(a), i*next.a*4)), ars, acs, &panel[i*next.b*ldp], ldp*4, &t[0], wide*4, wide, nil, 0, nil, 1, 0, 0, 0, 0)
		for r := range h {
			dst, src := c[(i*h+r)*ldc:][:w], t[r*wide:][:w]
			if plus.bias != nil {
				for x, b := range unsafe.Slice(plus.bias, w) {
					src[x] += b
				}
			}
			if plus.d != nil {
				for x, d := range unsafe.Slice(plus.d, (rows-1)*plus.ld+w)[(i*h+r)*plus.ld:][:w] {
					src[x] += d
				}
			}
			copy(dst, src)
		}
	}
}

// packPanels copies x[0:k, 0:n] to panels of nr columns, each [k][nr] and size·nr apart, the last one padded with zeros.
func (kn *Kernel) packPanels(dst, x []float32, ld, k, n, size int) {
	nr := kn.nr
	whole := n / nr
	if kn.packB != nil {
		_ = x[(k-1)*ld+n-1]
		if whole > 0 {
			_ = dst[((whole-1)*size+k)*nr-1]
			kn.packB(&dst[0], nr*size*4, &x[0], ld*4, k, whole, nr)
		}
		if whole*nr < n {
			_ = dst[(whole*size+k)*nr-1]
			kn.packB(&dst[whole*nr*size], 0, &x[whole*nr], ld*4, k, 1, n-whole*nr)
		}
		return
	}
	for p := 0; p*nr < n; p++ {
		w := min(nr, n-p*nr)
		for r := range k {
			d := dst[(p*size+r)*nr:][:nr]
			clear(d[copy(d[:w], x[r*ld+p*nr:]):])
		}
	}
}

// packRows copies x[0:k, 0:tiles·h] to a panel for each tile of h rows of C, [k][h] and size·h apart.
func (kn *Kernel) packRows(dst, x []float32, ld, k, size, tiles, h int) {
	_, _ = dst[((tiles-1)*size+k)*h-1], x[(k-1)*ld+tiles*h-1]
	if kn.packA != nil {
		kn.packA(&dst[0], h*size*4, &x[0], ld*4, k, tiles, h)
		return
	}
	for q := range tiles {
		for r := range k {
			copy(dst[(q*size+r)*h:][:h], x[r*ld+q*h:])
		}
	}
}

// packTransposed packs rows [j0,j0+w) and columns [k0,k0+kc) of b as one panel dst[kc][nr], padded with zeros up to whole vectors.
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
	for ; j < w; j++ {
		row := b[(j0+j)*ldb+k0:][:kc]
		for k, x := range row {
			dst[k*nr+j] = x
		}
	}
	if wide := (w + kn.lanes - 1) / kn.lanes * kn.lanes; w < wide {
		for k := range kc {
			clear(dst[k*nr:][w:wide])
		}
	}
}
