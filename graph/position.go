package graph

import "fmt"

// Rotary turns each pair (x_j, x_{j+w/2}) of each head of width w in place by the angle t·Base^(−2j/w), where t is the
// row's position in its sequence, counted from 0 (Su et al., arXiv 2104.09864). Inverse turns back, which is also the
// gradient. X holds whole heads: queries and keys side by side are turned in one call.
type Rotary struct {
	X       Tensor
	Width   int // of a head
	Length  int // positions of a sequence
	Base    float64
	Inverse bool
}

func (o *Rotary) Name() string { return "rotary" }

func (o *Rotary) describe(f *Facts) {
	f.Kind = KindElementwise
	f.update(o.X)
}

func (o *Rotary) check() error {
	if o.Width < 2 || o.Width%2 != 0 {
		return fmt.Errorf("heads of width %d: rotary positions need an even width", o.Width)
	}
	if !(o.Base > 1) {
		return fmt.Errorf("base is %g, want more than 1", o.Base)
	}
	return checkHeads(o.X, o.X.Cols/o.Width, o.Length)
}

// Embedding is Y[i,:] = Table[Index[i],:], plus Positions[i mod Length,:] if Positions[Length,d] is given. An index
// outside the table is an error of the run.
type Embedding struct {
	Table     Tensor
	Index     Index
	Positions Tensor
	Y         Tensor
}

func (o *Embedding) Name() string { return "embedding" }

func (o *Embedding) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.Table, o.Positions)
	f.Indices = append(f.Indices, o.Index)
	f.write(o.Y)
}

func (o *Embedding) check() error {
	return firstError(checkEmbedding(o.Index, o.Positions, o.Y),
		want("Y", o.Y, o.Index.Len, o.Table.Cols), wantIf("positions", o.Positions, o.Positions.Rows, o.Table.Cols))
}

func checkEmbedding(x Index, positions, y Tensor) error {
	if x.Storage == 0 {
		return fmt.Errorf("no index")
	}
	if positions.Exists() && y.Rows%positions.Rows != 0 {
		return fmt.Errorf("%d rows are not whole sequences of %d positions", y.Rows, positions.Rows)
	}
	return nil
}

// EmbeddingBackward is DTable[Index[i],:] += DY[i,:] and DPositions[i mod Length,:] += DY[i,:], in the order of i.
// Either may be missing.
type EmbeddingBackward struct {
	Index              Index
	DY                 Tensor
	DTable, DPositions Tensor
}

func (o *EmbeddingBackward) Name() string { return "embedding backward" }

func (o *EmbeddingBackward) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.DY)
	f.Indices = append(f.Indices, o.Index)
	f.update(o.DTable, o.DPositions)
	f.exact(o.DTable, o.DPositions)
}

func (o *EmbeddingBackward) check() error {
	d := o.DY.Cols
	return firstError(checkEmbedding(o.Index, o.DPositions, o.DY),
		want("DY", o.DY, o.Index.Len, d), wantIf("DTable", o.DTable, o.DTable.Rows, d),
		wantIf("DPositions", o.DPositions, o.DPositions.Rows, d))
}
