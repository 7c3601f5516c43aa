package metal

import (
	"fmt"

	"coil/graph"
	"coil/shaders"
)

// factor is an operand of a product or of a batch of products: matrix z of a batch lies z/inner·outer + z%inner·step
// elements after the first one. The zero factor is missing.
type factor struct {
	arg
	stride      int
	outer, step int
	vec4        bool // can be touched four elements at a time
}

// factor is a tensor as an operand of a product.
func (l *lowering) factor(t graph.Tensor, a access) factor {
	if !t.Exists() {
		return factor{}
	}
	return factor{arg: l.tensor(t, a), stride: t.Stride, vec4: l.vec4(t)}
}

func (f factor) exists() bool { return f.region != 0 }

// repeated says how far apart the matrices of a batch lie.
func (f factor) repeated(outer, step int) factor {
	f.outer, f.step = outer, step
	f.vec4 = f.vec4 && outer%4 == 0 && step%4 == 0
	return f
}

// triangle says which matrix of a product is lower triangular; shaders/matmul.metal has the same numbers.
type triangle uint32

const (
	full   triangle = iota
	lowerC          // only the tiles of C that touch the triangle are wanted
	lowerA          // op(A) is lower triangular
	upperA          // op(A) is upper triangular
)

// slope is the function by whose slope a product is multiplied; shaders/matmul.metal has the same numbers.
type slope uint32

const (
	noSlope slope = iota
	ofActivation
	ofSwiGLU
)

// product is C = f(op(A)·op(B) + bias) + residual, or a batch of them. What else may happen to C comes from the operation
// after it: see fuse.
type product struct {
	m, n, k        int
	transA, transB bool
	a, b, c        factor

	batch, inner int // matrices, and how many of them follow each other at a step
	part         int // of the inner size that matrix z of the batch takes from z·part on; 0: all
	triangle     triangle
	padded       bool // C has room for whole tiles

	accumulate          bool
	bias, pre, residual factor
	activation          graph.Activation
	sums                factor

	extra        factor // cosines and sines of heads that are turned, or what a function was taken of
	head, turned int    // columns of a head, and of all heads, that are turned
	length       int    // of a sequence
	slope        slope
	rounded      bool // to bfloat, before C is turned or multiplied by a slope
}

// layout is "nn", "nt" or "tn".
func (p *product) layout() string {
	name := []byte("nn")
	if p.transA {
		name[0] = 't'
	}
	if p.transB {
		name[1] = 't'
	}
	return string(name)
}

// finish is the constants of how C gets its values, in all kernels.
func (p *product) finish() []Constant {
	vec4 := p.c.vec4
	for _, f := range []factor{p.bias, p.pre, p.residual, p.extra} {
		vec4 = vec4 && (f.vec4 || !f.exists())
	}
	return []Constant{boolConstant(3, vec4), boolConstant(6, p.accumulate), boolConstant(7, p.bias.exists()),
		boolConstant(8, p.pre.exists()), boolConstant(9, p.residual.exists()), uintConstant(10, uint32(p.activation)),
		boolConstant(11, p.sums.exists()), uintConstant(14, uint32(p.head)), uintConstant(15, uint32(p.slope)),
		boolConstant(16, p.rounded)}
}

// columns is how many elements a thread takes at once when it finishes C.
func columns(finish []Constant) int { return 1 + 3*int(finish[0].Bits) }

// plain reports whether C is float and only the product.
func (p *product) plain() bool {
	return p.activation == graph.Identity && !p.accumulate && !p.bias.exists() && !p.residual.exists() && !p.extra.exists() && !p.c.bf16
}

// ends is the Epilogue of the shader.
type ends struct{ PreStride, ResidualStride, ExtraStride, Turned, Length uint32 }

func (p *product) ends() ends {
	return ends{uint32(p.pre.stride), uint32(p.residual.stride), uint32(p.extra.stride), uint32(p.turned), uint32(p.length)}
}

func (l *lowering) matmul(o *graph.Matmul) {
	m, n, k := o.Shape()
	to := writes
	if o.Accumulate {
		to |= reads
	}
	p := &product{m: m, n: n, k: k, transA: o.TransA, transB: o.TransB, batch: 1, inner: 1,
		a: l.factor(o.A, reads), b: l.factor(o.B, reads), c: l.factor(o.C, to), accumulate: o.Accumulate,
		bias: l.factor(o.Bias, reads), pre: l.factor(o.Pre, writes), residual: l.factor(o.Residual, reads),
		activation: o.Activation, sums: l.factor(o.Sums, reads|writes)}
	cut := l.chip.cut(m, n, k, 1)
	l.fuse(o, p, cut)
	if cut.parts == 1 {
		l.multiply(p, cut.tile)
		return
	}
	width := ceil(n, cut.tile) * cut.tile
	plane := ceil(m, cut.tile) * cut.tile * width
	room := cut.parts * plane
	if o.Sums.Exists() {
		room += cut.parts * width
	}
	later := o.Accumulate && l.with == nil && l.canWait(o.C) && (!o.Sums.Exists() || l.canWait(o.Sums))
	take := l.temporary
	if later {
		take = l.partials
	}
	products, sums := take(room), l.none()
	if o.Sums.Exists() {
		sums = products.after(cut.parts * plane)
		products.length -= sums.length
	}
	q := &product{m: m, n: n, k: k, transA: o.TransA, transB: o.TransB, batch: cut.parts, inner: 1, part: cut.depth,
		a: p.a.along(o.TransA, cut.depth), b: p.b.along(!o.TransB, cut.depth),
		c: factor{arg: products.written(), stride: width, outer: plane}, padded: true}
	if o.Sums.Exists() {
		q.sums = factor{arg: sums.written()}
	}
	l.multiply(q, cut.tile)
	if later {
		l.addPartials(partial{o.C, products, cut.parts, plane, width}, partial{o.Sums, sums, cut.parts, width, width})
		return
	}

	finish := p.finish()
	rows := m
	if o.Sums.Exists() {
		rows++
	}
	l.add(launch{
		file: "matmul", kernel: "matmul_parts", constants: finish,
		args: append([]arg{products.read(), sums.read()}, l.finished(p)...),
		params: struct {
			M, N, Parts, Width, Plane, CStride uint32
			Ends                               ends
		}{uint32(m), uint32(n), uint32(cut.parts), uint32(width), uint32(plane), uint32(p.c.stride), p.ends()},
		groups: [3]int{ceil(ceil(n, columns(finish)), 32), ceil(rows, 4)}, threads: [3]int{32, 4}, grid: true,
	})
}

// finished is C and the other operands of the end of a product.
func (l *lowering) finished(p *product) []arg {
	args := []arg{p.c.arg}
	for _, f := range []factor{p.bias, p.pre, p.residual, p.sums, p.extra} {
		if f.exists() {
			args = append(args, f.arg)
		} else {
			args = append(args, l.none())
		}
	}
	return args
}

// along makes a batch of the parts of an operand, each of depth positions of the inner size, which runs down the rows or
// along them.
func (f factor) along(down bool, depth int) factor {
	if f.outer = depth; down {
		f.outer *= f.stride
	}
	return f
}

// stripTiles is about how many tiles wide a strip of C is. Threadgroups that run at the same time make a block of C then
// and share what they read of A and B, instead of a long row.
const stripTiles = 16

// multiply launches a product in tiles of tile rows and columns.
func (l *lowering) multiply(p *product, tile int) {
	tm, tn := ceil(p.m, tile), ceil(p.n, tile)
	strips := max(1, (tn+stripTiles/2)/stripTiles)
	u := func(n int) uint32 { return uint32(n) }
	flops := 2 * int64(p.m) * int64(p.n) * int64(p.k)
	if p.part == 0 {
		flops *= int64(p.batch)
	}
	if p.triangle != full {
		flops /= 2
	}
	file, kernel, threads := "matmul", fmt.Sprintf("matmul_%s_%d", p.layout(), tile), 128
	switch {
	case l.usesTensors(p, tile):
		file, kernel = shaders.Tensors, "tensor_"+p.layout()
	case l.uses(matmulSubject, matmulPlain):
		kernel, threads = fmt.Sprintf("plain_%s_%d", p.layout(), tile), 64
	case p.a.bf16 && p.b.bf16:
		kernel += "_bfloat"
	}
	l.add(launch{
		file: file, kernel: kernel,
		constants: append([]Constant{boolConstant(0, p.k%innerDepth == 0), boolConstant(1, p.a.vec4), boolConstant(2, p.b.vec4),
			boolConstant(4, p.plain()), boolConstant(5, p.padded), boolConstant(12, p.part > 0), uintConstant(13, uint32(p.triangle))},
			p.finish()...),
		args: append([]arg{p.a.arg, p.b.arg}, l.finished(p)...),
		params: struct {
			M, N, K, TilesM, TilesN, Strip, Inner          uint32
			AStride, AOuter, AStep, BStride, BOuter, BStep uint32
			CStride, COuter, CStep, Part                   uint32
			Ends                                           ends
		}{
			u(p.m), u(p.n), u(p.k), u(tm), u(tn), u(ceil(tn, strips)), u(p.inner),
			u(p.a.stride), u(p.a.outer), u(p.a.step), u(p.b.stride), u(p.b.outer), u(p.b.step),
			u(p.c.stride), u(p.c.outer), u(p.c.step), u(p.part), p.ends(),
		},
		groups: [3]int{tm * tn, 1, p.batch}, threads: one(threads), flops: flops,
		retraffic: int64(strips-1) * int64(p.a.traffic), // other operands that are read twice come from caches
	})
}

// cut is how a product is divided among threadgroups.
type cut struct {
	tile  int // rows and columns of C that a threadgroup makes: 64 or 32
	parts int // of the inner size; more than one are added up by a second launch
	depth int // of a part
}

// The numbers of the model below are estimates from the published rates of these GPUs; no result depends on them.
const (
	innerDepth = 16 // kDepth in shaders/matmul.metal

	// A core with fewer threadgroups than this waits for memory most of the time: one more costs nothing.
	coreGroups = 3
	// Starting a tile and storing it takes as long as multiplying so deep.
	tileDepth = 32
	// A second launch takes as long as this number of multiplications of a core, some 2 µs.
	launchCost = 250_000
	// Writing and reading an element takes a core as long as this number of multiplications.
	elementCost = 120
	// Shorter parts would be mostly overhead, and more of them too much scratch. Nor may the parts of C, written and read
	// once, be more than half of what A and B are.
	leastPart, mostParts, mostPartFloats = 128, 32, 1 << 24
	// A chip that is not known counts as the smallest.
	fewestCores = 8
)

// tilesOf are the tiles of the variant of products that is used.
func tilesOf(v Variants) []int {
	if v.of(matmulSubject) == matmulPlain {
		return []int{32}
	}
	return []int{64, 32}
}

// cut chooses the way that takes the least time, counted in multiplications of a core: the threadgroups of the core with
// most of them, one after the other, and for parts the second launch and its memory. A tile of 32 is loaded twice as often
// for a multiplication as one of 64, and about 2/3 as fast.
func (c chip) cut(m, n, k, batch int) cut {
	cores := c.cores
	if cores == 0 {
		cores = fewestCores
	}
	var best cut
	least := -1
	for _, tile := range c.tiles {
		tiles := ceil(m, tile) * ceil(n, tile) * batch
		area := tile * tile
		effort := area
		if tile == 32 {
			effort = area * 3 / 2
		}
		for wanted := 1; wanted <= mostParts; wanted *= 2 {
			depth := ceil(ceil(k, wanted), innerDepth) * innerDepth
			parts := ceil(k, depth)
			if parts > 1 && (batch > 1 || depth < leastPart || parts*tiles*area > mostPartFloats || 4*parts*m*n > (m+n)*k) {
				break
			}
			cost := max(coreGroups, ceil(tiles*parts, cores)) * effort * (depth + tileDepth)
			if parts > 1 {
				cost += launchCost + parts*m*n*elementCost/cores
			}
			if least < 0 || cost < least {
				least, best = cost, cut{tile, parts, depth}
			}
		}
	}
	return best
}

func ceil(n, by int) int { return (n + by - 1) / by }
