package metal

import "coil/graph"

// The gradients of rate and step are added up from partial sums, each over at least decayBlock rows, and at most decayBlocks of
// them.
const (
	decayBlocks = 64
	decayBlock  = 8
)

func (l *lowering) decay(o *graph.Decay) {
	x, u, y := o.X, o.U, o.Y
	n := launch{file: "decay", kernel: "decay_forward", grid: true,
		args:   []arg{l.in(x), l.in(u), l.in(o.Rate), l.in(o.Step), l.out(y)},
		params: struct{ Rows, Cols, X, U, Y uint32 }{uint32(x.Rows), uint32(x.Cols), stride(x), stride(u), stride(y)},
	}
	n.groups, n.threads = over(x.Rows, x.Cols, false)
	l.add(n)
}

func (l *lowering) decayBackward(o *graph.DecayBackward) {
	x, u, dy, dx, du := o.X, o.U, o.DY, o.DX, o.DU
	block := max(decayBlock, ceil(x.Rows, decayBlocks))
	blocks := ceil(x.Rows, block)
	sums := l.partials(blocks * 2 * x.Cols)
	n := launch{file: "decay", kernel: "decay_backward", grid: true,
		args: []arg{l.in(x), l.in(u), l.in(o.Rate), l.in(o.Step), l.in(dy), l.out(dx), l.out(du), sums.written()},
		params: struct{ Rows, Cols, Block, Blocks, X, U, DY, DX, DU uint32 }{uint32(x.Rows), uint32(x.Cols), uint32(block), uint32(blocks),
			stride(x), stride(u), stride(dy), stride(dx), stride(du)},
	}
	n.groups, n.threads = over(blocks, x.Cols, false)
	l.add(n)
	l.addPartials(partial{o.DRate, sums, blocks, 2 * x.Cols, x.Cols}, partial{o.DStep, sums.after(x.Cols), blocks, 2 * x.Cols, x.Cols})
}
