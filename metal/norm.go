package metal

import (
	"fmt"

	"coil/graph"
)

// A row of up to narrow columns is the work of one SIMD-group, and normSimds of them make a threadgroup; where SIMD-groups
// can't add up what they have, each row is the work of a threadgroup.
const (
	narrow    = 128
	normSimds = 8
)

// widest is the longest row of a norm: 512 threads hold 8 vectors of 4 columns each.
const widest = 512 * 8 * 4

// The gradients of gain and bias are added up from partial sums. There are at most normBlocks of them, enough threadgroups to
// fill a large GPU, and each covers at least normBlock rows, so that it moves fewer bytes than its rows do.
const (
	normBlocks = 256
	normBlock  = 8
)

// team is who works on a row.
type rowGroup struct {
	whole   bool // a threadgroup, not a line of 32 threads
	threads int  // of the threadgroup
	rows    int  // of the threadgroup at a time
	held    int  // vectors of four columns that a thread holds
}

// byLines reports whether lines of 32 threads can add up what they have, so that several rows can be the work of one
// threadgroup.
func (l *lowering) byLines() bool { return l.uses(sumsSubject, sumsSIMD) }

// normTeam is the team of a kernel for rows of cols columns: each thread takes as few vectors as the largest threadgroup of
// the kernel allows.
func (l *lowering) normRowGroup(name string, cols int) rowGroup {
	if cols <= narrow && l.byLines() {
		threads := l.threads(name+"_1", simdWidth*normSimds)
		return rowGroup{threads: threads, rows: threads / simdWidth, held: 1}
	}
	t := rowGroup{whole: true, rows: 1}
	for _, x := range []struct{ held, cols int }{{1, 512}, {2, 4096}, {8, widest}} {
		t.held, t.threads = x.held, ceil(cols, 4*simdWidth*x.held)*simdWidth
		if cols <= x.cols && t.threads <= l.threads(t.kernel(name), t.threads) {
			break
		}
	}
	return t
}

func (t rowGroup) kernel(name string) string { return fmt.Sprintf("%s_%d", name, t.held) }

func (l *lowering) checkWidth(cols int) {
	if cols > widest {
		l.fail(fmt.Errorf("metal: %s of rows of %d columns; the kernels take %d", l.op.Name(), cols, widest))
	}
}

func (l *lowering) norm(o *graph.LayerNorm) {
	x, y, parts := o.X, o.Y, max(o.Parts, 1)
	cols := x.Cols / parts
	l.checkWidth(cols)
	t := l.normRowGroup("norm_forward", cols)
	l.add(launch{
		file: "norm", kernel: t.kernel("norm_forward"),
		constants: []Constant{boolConstant(0, t.whole), boolConstant(1, l.vec4(x, o.Gain, o.Bias, y)), boolConstant(2, o.RMS),
			boolConstant(3, o.Bias.Exists()), boolConstant(4, o.Stats.Exists()), boolConstant(8, parts > 1)},
		args: []arg{l.in(x), l.in(o.Gain), l.in(o.Bias), l.out(y), l.out(o.Stats)},
		params: struct {
			Rows, Cols, Parts, X, Y uint32
			Eps                     float32
		}{uint32(x.Rows * parts), uint32(cols), uint32(parts), stride(x), stride(y), o.Eps},
		groups: one(ceil(x.Rows*parts, t.rows)), threads: one(t.threads),
	})
}

func (l *lowering) normBackward(o *graph.LayerNormBackward) {
	x, parts := o.X, max(o.Parts, 1)
	rows, cols := x.Rows*parts, x.Cols/parts
	l.checkWidth(cols)
	t := l.normRowGroup("norm_backward", cols)
	withSums := o.DGain.Exists() || o.DBias.Exists()
	block := t.rows
	if withSums {
		block = ceil(max(normBlock, ceil(rows, normBlocks)), t.rows) * t.rows
	}
	blocks, width := ceil(rows, block), ceil(cols, 4)
	sums := l.none()
	if withSums {
		sums = l.partials(blocks * 2 * width * 4)
	}
	l.add(launch{
		file: "norm", kernel: t.kernel("norm_backward"),
		constants: []Constant{boolConstant(0, t.whole), boolConstant(1, l.vec4(x, o.Gain, o.DY, o.DX, o.Y, o.Bias)), boolConstant(2, o.RMS),
			boolConstant(3, o.Bias.Exists()), boolConstant(5, o.Y.Exists()), boolConstant(6, withSums), boolConstant(7, o.Accumulate),
			boolConstant(8, parts > 1)},
		args: []arg{l.in(x), l.in(o.Gain), l.in(o.Stats), l.in(o.DY), l.outIf(o.Accumulate, o.DX), sums.written(), l.out(o.Y), l.in(o.Bias)},
		params: struct{ Rows, Cols, Parts, X, DY, DX, Y, Block, Width uint32 }{
			uint32(rows), uint32(cols), uint32(parts), stride(x), stride(o.DY), stride(o.DX), stride(o.Y), uint32(block), uint32(width)},
		groups: one(blocks), threads: one(t.threads),
	})
	if withSums {
		l.addPartials(partial{o.DGain, sums, blocks, 8 * width, 4 * width},
			partial{o.DBias, sums.after(4 * width), blocks, 8 * width, 4 * width})
	}
}
