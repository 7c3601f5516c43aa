package graph

import "fmt"

// CachedAttention is causal multi-head attention of new positions of sequences to them and to those that came before, whose
// keys and values are in a cache. QKV holds queries, keys and values of the new positions as in [Attention]; the n rows are
// sequences of Length positions one after the other. Keys and Values are the cache, with [Context,G·w] of each sequence one after
// the other. With p = At[s] for sequence s, or 0 without At, for each head:
//
//	Keys[p+i] = K_i,   Values[p+i] = V_i     for i < Length
//	S_ij = c·Q_i·Keys_j,   P = softmax of each row i of S over the columns j ≤ p+i,   Out = P·Values
//
// With Hard, Out_i = Values_j with the largest j ≤ p+i at which S_ij is the largest: see [HardAttention].
//
// Rows of the cache after p + Length are neither read nor written. p + Length is at most Context.
type CachedAttention struct {
	QKV, Keys, Values, Out Tensor
	At                     Index // of each sequence
	Heads, Length          int
	KVHeads                int     // as in Attention
	Scale                  float32 // as in Attention; 0 with Hard
	Hard                   bool
}

// Layout is where the heads lie; the cache has those of keys and values.
func (o *CachedAttention) Layout() HeadLayout { return layoutOf(o.Out, o.Heads, o.KVHeads) }

// Factor is the factor of the scores.
func (o *CachedAttention) Factor() float32 { return o.Layout().scale(o.Scale) }

func (o *CachedAttention) Name() string { return "cached attention" }

// Context is the number of positions of a sequence that the cache has room for.
func (o *CachedAttention) Context() int {
	if o.Length < 1 || o.Out.Rows < o.Length {
		return 0
	}
	return o.Keys.Rows / (o.Out.Rows / o.Length)
}

func (o *CachedAttention) describe(f *Facts) {
	f.Kind = KindAttention
	f.read(o.QKV)
	f.update(o.Keys, o.Values)
	f.write(o.Out)
	f.start(o.At, o.Length, o.Context())
	f.exact(o.Keys, o.Values)
	f.Appends = true
	f.FLOPs = 4 * int64(o.Context()) * int64(o.Out.Size())
}

func (o *CachedAttention) check() error {
	h := o.Layout()
	if err := firstError(wantAny("Out", o.Out), h.check(o.Out, o.Length), checkScale(o.Scale)); err != nil {
		return err
	}
	n, d := o.Out.Rows, h.KVHeads*h.Width
	sequences := n / o.Length
	switch {
	case o.Keys.Rows%sequences != 0:
		return fmt.Errorf("a cache of %d rows for %d sequences", o.Keys.Rows, sequences)
	case o.Context() < o.Length:
		return fmt.Errorf("sequences of %d positions with a cache of %d", o.Length, o.Context())
	case o.Keys.overlaps(o.Values) || o.Out.overlaps(o.Keys) || o.Out.overlaps(o.Values):
		return fmt.Errorf("keys, values and output overlap")
	case o.QKV.overlaps(o.Out) || o.QKV.overlaps(o.Keys) || o.QKV.overlaps(o.Values):
		return fmt.Errorf("QKV overlaps an output")
	case o.Hard && o.Scale != 0:
		return fmt.Errorf("hard attention has no scale")
	case o.Hard:
		if err := checkCounted(o.Context()); err != nil {
			return err
		}
	}
	return firstError(checkStart(o.At, o.Out, o.Length), want("QKV", o.QKV, n, h.Columns()),
		want("keys", o.Keys, o.Keys.Rows, d), want("values", o.Values, o.Keys.Rows, d))
}
