package cpu

import "coil/graph"

// Caches place lines that lie a multiple of 4 KiB apart in one set, and a set of a core's first cache holds 8 or 12. Where a matrix has such
// rows, or rows half as long, the rows of a tile drive each other out. So behind such rows of temporaries there is a gap.
const (
	crowdedRow = 512 // the usual [CPU.crowdedRow]
	rowGap     = 16  // floats: a cache line
)

// gappedRows returns the length of the rows of each storage whose rows have gaps behind them, and 0 for others: a temporary of the body has them
// if all operations see rows of one crowded length and take gaps.
func (c *CPU) gappedRows(r *graph.Recorder, hs heads) []int {
	rows, never := make([]int, len(r.Storages())), make([]bool, len(r.Storages()))
	for _, op := range r.Body() {
		f := graph.Describe(op)
		for _, t := range append(f.Reads, f.Writes...) {
			s := t.Storage - 1
			if rows[s] == 0 {
				rows[s] = t.Stride
			}
			if t.Stride != rows[s] || t.Stride < 1 || t.Stride%c.crowdedRow != 0 || t.Offset%t.Stride+t.Cols > t.Stride {
				never[s] = true
			}
		}
		for _, t := range f.Exact { // some of these must not have gaps
			never[t.Storage-1] = true
		}
	}
	for _, h := range hs {
		for _, s := range h.private {
			never[s] = true
		}
	}
	for i, s := range r.Storages() {
		if never[i] || s.Space != graph.Temporary || s.Update || s.Len <= rows[i] {
			rows[i] = 0
		}
	}
	return rows
}

// withGaps is the room that n floats of a storage take, or where the n-th lies, if its rows have gaps.
func (p *program) withGaps(storage, n int) int {
	if row := p.rows[storage]; row > 0 {
		n += n / row * rowGap
	}
	return n
}
