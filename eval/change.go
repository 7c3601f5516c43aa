package eval

import (
	"math"

	"coil/graph"
	"coil/run"
)

// change records how far each loop moves the residual stream, as sums of squares over the positions that count.
type change struct {
	r    *graph.Recorder
	mask graph.Tensor // as wide as the stream: 1 in rows that count, 0 in others
	sums graph.Tensor // for each recorded loop, the sums for change and for state
}

// newChange prepares for a number of loops. counted is 1 for positions that count and 0 for others.
func newChange(r *graph.Recorder, counted graph.Index, width, loops int) *change {
	table := make([]float32, 2*width)
	for i := range width {
		table[width+i] = 1
	}
	c := &change{r: r, mask: r.Temporary(counted.Len, width), sums: r.Accumulator(1, 2*loops)}
	r.Record(&graph.Embedding{Table: r.Constant(2, width, table), Index: counted, Y: c.mask})
	r.Result(c.sums)
	return c
}

// record records the change from before to after as number i.
func (c *change) record(i int, before, after graph.Tensor) {
	moved := c.r.Temporary(after.Rows, after.Cols)
	c.r.Record(&graph.Add{A: after, B: before, Y: moved, Alpha: 1, Beta: -1})
	c.squares(moved, 2*i)
	c.squares(before, 2*i+1)
}

// squares adds the sum of squares of the rows of x that count to column i of the sums. The slope of ReLU at the mask is
// what sets the other rows to 0.
func (c *change) squares(x graph.Tensor, i int) {
	counted := c.r.Temporary(x.Rows, x.Cols)
	c.r.Record(&graph.ActivateBackward{Activation: graph.ReLU, X: c.mask, DY: x, DX: counted})
	c.r.Record(&graph.Sum{X: counted, Y: c.sums.Columns(i, i+1), Alpha: 1, Squares: true, Accumulate: true})
}

// squares are the sums of squares that a change is the ratio of.
type squares struct{ moved, state float64 }

func (s squares) change() run.Number { return run.Number(math.Sqrt(s.moved / s.state)) }
