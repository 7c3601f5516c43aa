package cpu

import (
	"testing"

	"coil/graph"
)

// TestGappedRows: temporaries have gaps behind rows of a multiple of 512 floats, unless an operation sees them otherwise, or must not see gaps.
func TestGappedRows(t *testing.T) {
	b, err := New(Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r := graph.NewRecorder(1, 1)
	temporary := func(rows, cols int) graph.Tensor {
		x := r.Temporary(rows, cols)
		r.Record(&graph.Fill{Y: x})
		return x
	}
	want := map[graph.Tensor]int{}
	for _, c := range []struct{ rows, cols, want int }{{3, 512, 512}, {2, 1536, 1536}, {3, 256, 0}, {3, 520, 0}, {1, 512, 0}} {
		want[temporary(c.rows, c.cols)] = c.want
	}
	parts, reshaped, logSum := temporary(4, 1024), temporary(4, 512), temporary(4, 512)
	r.Record(&graph.Fill{Y: parts.Slice(1, 3, 1000, 1024)})
	r.Record(&graph.Fill{Y: reshaped.Reshape(2, 1024)})
	r.Record(&graph.Attention{QKV: temporary(4, 1536), Out: temporary(4, 512), LogSum: logSum, Heads: 512, Length: 4})
	want[parts], want[reshaped], want[logSum] = 1024, 0, 0
	r.BeginUpdate()
	want[temporary(4, 512)] = 0
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	l, err := b.layout(r, 1)
	if err != nil {
		t.Fatal(err)
	}
	lw := lowering{p: l.program}
	for x, row := range want {
		if got := l.rows[x.Storage-1]; got != row {
			t.Errorf("storage %d, %s: gaps behind rows of %d, want %d", x.Storage, x.Shape(), got, row)
		}
	}
	if m := lw.matrix(parts.Slice(1, 3, 1000, 1024)); m.offset-l.offsets[parts.Storage-1] != 1040+1000 || m.stride != 1040 {
		t.Errorf("row 1, column 1000 is at %d with a stride of %d, want 2040 and 1040", m.offset-l.offsets[parts.Storage-1], m.stride)
	}
}

// PutGaps makes c put gaps behind the rows of all temporaries that can have them.
func PutGaps(c *CPU) { c.crowdedRow = 1 }
