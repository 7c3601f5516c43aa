package graph

import "fmt"

// Rotary turns each pair (x_j, x_{j+w/2}) of each head of width w in place by the angle t·Base^(−2j/w), where t is the
// row's position in its sequence, counted from 0 (Su et al., arXiv 2104.09864). Inverse turns back, which is also the
// gradient. X holds whole heads: queries and keys side by side are turned in one call.
//
// Rows are sequences of Length positions. With At, row i of sequence s has position At[s] + i, and Context says how many
// positions there are: At[s] + Length is at most that.
type Rotary struct {
	X       Tensor
	At      Index // of each sequence
	Width   int   // of a head
	Length  int   // positions of a sequence
	Context int   // positions that there are; 0: Length
	Base    float64
	Inverse bool
}

// Positions is how many positions there are.
func (o *Rotary) Positions() int { return max(o.Context, o.Length) }

func (o *Rotary) Name() string { return "rotary" }

func (o *Rotary) describe(f *Facts) {
	f.Kind = KindElementwise
	f.update(o.X)
	f.start(o.At, o.Length, o.Positions())
}

func (o *Rotary) check() error {
	if o.Width < 2 || o.Width%2 != 0 {
		return fmt.Errorf("heads of width %d: rotary positions need an even width", o.Width)
	}
	if !(o.Base > 1) {
		return fmt.Errorf("base is %g, want more than 1", o.Base)
	}
	if o.Context != 0 && o.Context < o.Length {
		return fmt.Errorf("sequences of %d positions of the %d that there are", o.Length, o.Context)
	}
	return firstError(checkHeads(o.X, o.X.Cols/o.Width, o.Length), checkStart(o.At, o.X, o.Length))
}

// checkStart returns an error unless at, if given, has a position for each sequence of length rows of x.
func checkStart(at Index, x Tensor, length int) error {
	if at.Exists() && length > 0 && at.Len != x.Rows/length {
		return fmt.Errorf("the %d sequences begin at %d positions", x.Rows/length, at.Len)
	}
	return nil
}

// Embedding is Y[i,:] = Table[Index[i],:], plus Positions[i mod Length,:] if Positions[Length,d] is given. An index
// outside the table is an error of the run.
//
// With At, the rows are a sequence for each of its values, and row i of sequence s has position At[s] + i: Positions has as
// many rows as there are positions.
type Embedding struct {
	Table     Tensor
	Index     Index
	Positions Tensor
	At        Index // of each sequence
	Y         Tensor
}

// Length is the number of positions of a sequence; that of all rows if they have none.
func (o *Embedding) Length() int {
	switch {
	case o.At.Len > 0:
		return o.Index.Len / o.At.Len
	case o.Positions.Exists():
		return o.Positions.Rows
	}
	return o.Index.Len
}

func (o *Embedding) Name() string { return "embedding" }

func (o *Embedding) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.Table, o.Positions)
	f.index(o.Index)
	f.start(o.At, o.Length(), o.Positions.Rows)
	f.write(o.Y)
}

func (o *Embedding) check() error {
	var err error
	switch {
	case !o.At.Exists():
		err = checkEmbedding(o.Index, o.Positions, o.Y)
	case !o.Positions.Exists():
		err = fmt.Errorf("sequences begin at positions that have no values")
	case o.At.Len < 1 || o.Index.Len%o.At.Len != 0:
		err = fmt.Errorf("%d rows are not %d sequences", o.Index.Len, o.At.Len)
	case o.Length() > o.Positions.Rows:
		err = fmt.Errorf("sequences of %d positions of the %d that there are", o.Length(), o.Positions.Rows)
	}
	return firstError(err, checkEmbedding(o.Index, Tensor{}, o.Y),
		want("Y", o.Y, o.Index.Len, o.Table.Cols), wantIf("positions", o.Positions, o.Positions.Rows, o.Table.Cols))
}

func checkEmbedding(x Index, positions, y Tensor) error {
	if !x.Exists() {
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
	f.index(o.Index)
	f.update(o.DTable, o.DPositions)
	f.exact(o.DTable, o.DPositions)
}

func (o *EmbeddingBackward) check() error {
	d := o.DY.Cols
	return firstError(checkEmbedding(o.Index, o.DPositions, o.DY),
		want("DY", o.DY, o.Index.Len, d), wantIf("DTable", o.DTable, o.DTable.Rows, d),
		wantIf("DPositions", o.DPositions, o.DPositions.Rows, d))
}
