package graph

import "fmt"

// Space says where a tensor lives and how long.
type Space uint8

const (
	// Parameter is a Buffer: it outlives the program.
	Parameter Space = iota + 1
	// State is a Buffer in which each group of the batch has its own part. Like a parameter, it outlives the program and
	// programs share it; unlike one, the body may write it. Keys and values of earlier positions are state.
	State
	// Constant is fixed when it is recorded.
	Constant
	// Accumulator is zero at the start of a step; the contributions of the groups are summed before the update runs.
	Accumulator
	// Input and Output hold a part for each group of the batch.
	Input
	Output
	// Temporary lives from the first operation that writes it to the last that reads it.
	Temporary
)

func (s Space) String() string {
	return [...]string{"none", "parameter", "state", "constant", "accumulator", "input", "output", "temporary"}[s]
}

// A Buffer is a device's memory for n float32.
type Buffer interface {
	Len() int
	// Write copies src to the buffer, from offset on.
	Write(offset int, src []float32) error
	// Read copies the buffer, from offset on, to dst, after every step in flight has ended.
	Read(offset int, dst []float32) error
	Free()
}

// Storage is a block of values that tensors view.
type Storage struct {
	Space  Space
	Len    int       // values; of one group for Input, Output and State
	Buffer Buffer    // Parameter and State
	Data   []float32 // Constant
	Update bool      // a Temporary of the update
	Number int       // which input or output, in the order of recording

	written bool
}

// Tensor is a matrix of float32 in a storage: element (i, j) is at Offset + i·Stride + j. The zero Tensor is missing.
type Tensor struct {
	Storage int // number of the storage in its recorder, from 1; 0 if missing
	Offset  int
	Rows    int
	Cols    int
	Stride  int
}

// Exists reports whether t is a tensor at all: optional operands are the zero Tensor when not wanted.
func (t Tensor) Exists() bool { return t.Storage != 0 }

// Size is Rows·Cols.
func (t Tensor) Size() int { return t.Rows * t.Cols }

// Dense reports whether the rows follow each other without a gap.
func (t Tensor) Dense() bool { return t.Stride == t.Cols || t.Rows <= 1 }

// Slice views rows [r0, r1) and columns [c0, c1).
func (t Tensor) Slice(r0, r1, c0, c1 int) Tensor {
	if r0 < 0 || r1 < r0 || r1 > t.Rows || c0 < 0 || c1 < c0 || c1 > t.Cols {
		panic("graph: slice out of range")
	}
	t.Offset += r0*t.Stride + c0
	t.Rows, t.Cols = r1-r0, c1-c0
	return t
}

// RowRange views rows [r0, r1).
func (t Tensor) RowRange(r0, r1 int) Tensor { return t.Slice(r0, r1, 0, t.Cols) }

// Columns views columns [c0, c1).
func (t Tensor) Columns(c0, c1 int) Tensor { return t.Slice(0, t.Rows, c0, c1) }

// Flat views a dense tensor as one row.
func (t Tensor) Flat() Tensor { return t.Reshape(1, t.Size()) }

// Reshape views a dense tensor as rows of another length.
func (t Tensor) Reshape(rows, cols int) Tensor {
	if !t.Dense() || rows*cols != t.Size() {
		panic("graph: a tensor does not have that shape without gaps")
	}
	t.Rows, t.Cols, t.Stride = rows, cols, cols
	return t
}

// span is the number of values from the first to the last element.
func (t Tensor) span() int {
	if t.Size() == 0 {
		return 0
	}
	return (t.Rows-1)*t.Stride + t.Cols
}

// Shape is the shape in words: "[2,3]".
func (t Tensor) Shape() string {
	if !t.Exists() {
		return "none"
	}
	return fmt.Sprintf("[%d,%d]", t.Rows, t.Cols)
}

// overlaps reports whether two views can share an element.
func (t Tensor) overlaps(o Tensor) bool {
	if t.Storage != o.Storage || !t.Exists() {
		return false
	}
	if t.Offset+t.span() <= o.Offset || o.Offset+o.span() <= t.Offset {
		return false
	}
	if t.Stride == o.Stride && t.Stride > 0 { // disjoint columns of one matrix
		tc, oc := t.Offset%t.Stride, o.Offset%o.Stride
		if tc+t.Cols <= t.Stride && oc+o.Cols <= o.Stride && (tc+t.Cols <= oc || oc+o.Cols <= tc) {
			return false
		}
	}
	return true
}

// Index is a list of int32, such as token ids or targets. The zero Index is missing.
type Index struct {
	Storage int
	Offset  int
	Len     int
}

// Exists reports whether x is an index at all.
func (x Index) Exists() bool { return x.Storage != 0 }

// Range views elements [lo, hi).
func (x Index) Range(lo, hi int) Index {
	if lo < 0 || hi < lo || hi > x.Len {
		panic("graph: index range")
	}
	return Index{x.Storage, x.Offset + lo, hi - lo}
}

// Scalar is a number that is given for each step. The zero Scalar is the number 1.
type Scalar int
