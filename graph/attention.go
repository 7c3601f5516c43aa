package graph

import (
	"fmt"
	"math"
)

// HeadLayout is where the heads of attention lie in the columns of QKV: first those of the queries, then those of the keys, then
// those of the values. Heads/KVHeads heads of queries in a row share a head of keys and values (Ainslie et al., arXiv 2305.13245).
type HeadLayout struct {
	Heads, KVHeads int
	Width          int // columns of a head
}

// layoutOf is the layout of operands with Out[n,Heads·w]; kvHeads of 0 are as many as heads.
func layoutOf(out Tensor, heads, kvHeads int) HeadLayout {
	h := HeadLayout{Heads: heads, KVHeads: kvHeads}
	if kvHeads == 0 {
		h.KVHeads = heads
	}
	if heads > 0 {
		h.Width = out.Cols / heads
	}
	return h
}

// Shared is the number of heads of queries that share a head of keys and values.
func (h HeadLayout) Shared() int { return h.Heads / h.KVHeads }

// Columns is the number of columns of QKV.
func (h HeadLayout) Columns() int { return (h.Heads + 2*h.KVHeads) * h.Width }

// Keys is the first column of the keys.
func (h HeadLayout) Keys() int { return h.Heads * h.Width }

// Values is the first column of the values.
func (h HeadLayout) Values() int { return (h.Heads + h.KVHeads) * h.Width }

// KVColumn is where the keys and values of a head of queries begin among the keys, and among the values.
func (h HeadLayout) KVColumn(head int) int { return head / h.Shared() * h.Width }

// scale is the factor of scores: the given one, or 1/√w for 0.
func (h HeadLayout) scale(given float32) float32 {
	if given != 0 {
		return given
	}
	return float32(1 / math.Sqrt(float64(h.Width)))
}

// check returns an error if the heads, or sequences of length positions, don't fit operands with Out.
func (h HeadLayout) check(out Tensor, length int) error {
	if err := checkHeads(out, h.Heads, length); err != nil {
		return err
	}
	if h.KVHeads < 1 || h.Heads%h.KVHeads != 0 {
		return fmt.Errorf("%d heads of keys and values do not divide %d heads", h.KVHeads, h.Heads)
	}
	return nil
}

// Attention is causal multi-head attention. QKV holds the queries of H heads of width w, the keys and the values of G heads (see
// [HeadLayout]); its n rows are sequences of Length positions one after the other. For each sequence and head, with the keys K
// and values V that the head shares with others if G < H:
//
//	S = c·Q·Kᵀ,   P = softmax of each row i of S over the columns j ≤ i,   Out = P·V
//
// (Vaswani et al., arXiv 1706.03762), where c is Scale. Out is [n,H·w]. LogSum[n,H], if given, receives log Σ_j exp(S_ij) of each
// row and head. No [H, Length, Length] is stored.
type Attention struct {
	QKV, Out, LogSum Tensor
	Heads, Length    int
	KVHeads          int     // G; 0: H
	Scale            float32 // 0: 1/√w
}

func (o *Attention) Name() string { return "attention" }

// Layout is where the heads lie.
func (o *Attention) Layout() HeadLayout { return layoutOf(o.Out, o.Heads, o.KVHeads) }

// Factor is the factor of the scores.
func (o *Attention) Factor() float32 { return o.Layout().scale(o.Scale) }

func (o *Attention) describe(f *Facts) {
	f.Kind = KindAttention
	f.read(o.QKV)
	f.write(o.Out, o.LogSum)
	f.exact(o.LogSum)
	if oddHeads(o.Out, o.Heads) {
		f.exact(o.QKV, o.Out)
	}
	f.FLOPs = 4 * int64(o.Length) * int64(o.Out.Size())
}

func (o *Attention) check() error {
	h := o.Layout()
	return firstError(h.check(o.Out, o.Length), checkScale(o.Scale), want("QKV", o.QKV, o.Out.Rows, h.Columns()),
		wantIf("LogSum", o.LogSum, o.Out.Rows, o.Heads), wantDense("LogSum", o.LogSum))
}

func checkScale(scale float32) error {
	if !(scale >= 0 && scale <= math.MaxFloat32) {
		return fmt.Errorf("the scale is %g", scale)
	}
	return nil
}

func checkHeads(x Tensor, heads, length int) error {
	if heads < 1 || x.Cols%heads != 0 {
		return fmt.Errorf("%d heads do not divide a width of %d", heads, x.Cols)
	}
	if length < 1 || x.Rows%length != 0 {
		return fmt.Errorf("%d rows are not whole sequences of %d positions", x.Rows, length)
	}
	return nil
}

// oddHeads reports whether heads start at odd elements. Their operands stay float32: in a type of half the size, they would
// not start at a multiple of four bytes, as devices require.
func oddHeads(out Tensor, heads int) bool { return heads > 0 && out.Cols/heads%2 != 0 }

// AttentionBackward is the gradient of Attention, from its input, result and LogSum. With P = exp(S − LogSum):
//
//	DV = Pᵀ·DOut,  DP = DOut·Vᵀ,  δ_i = Σ DOut_i ∘ Out_i,  DS = P ∘ (DP − δ),  DQ = c·DS·K,  DK = c·DSᵀ·Q
//
// (Dao et al., arXiv 2205.14135). DK and DV are sums over the heads that share them. DQKV must not overlap any operand.
type AttentionBackward struct {
	QKV, Out, LogSum, DOut Tensor
	DQKV                   Tensor
	Heads, Length          int
	KVHeads                int     // as in Attention
	Scale                  float32 // as in Attention
}

func (o *AttentionBackward) Name() string { return "attention backward" }

// Layout is where the heads lie.
func (o *AttentionBackward) Layout() HeadLayout { return layoutOf(o.Out, o.Heads, o.KVHeads) }

// Factor is the factor of the scores.
func (o *AttentionBackward) Factor() float32 { return o.Layout().scale(o.Scale) }

func (o *AttentionBackward) describe(f *Facts) {
	f.Kind = KindAttention
	f.read(o.QKV, o.Out, o.LogSum, o.DOut)
	f.write(o.DQKV)
	f.exact(o.LogSum)
	if oddHeads(o.Out, o.Heads) {
		f.exact(o.QKV, o.Out, o.DOut, o.DQKV)
	}
	f.FLOPs = 8 * int64(o.Length) * int64(o.Out.Size())
}

func (o *AttentionBackward) check() error {
	n, h := o.Out.Rows, o.Layout()
	if o.DQKV.overlaps(o.QKV) || o.DQKV.overlaps(o.Out) || o.DQKV.overlaps(o.DOut) {
		return fmt.Errorf("DQKV overlaps an operand")
	}
	return firstError(h.check(o.Out, o.Length), checkScale(o.Scale),
		want("QKV", o.QKV, n, h.Columns()), want("DOut", o.DOut, n, o.Out.Cols), want("DQKV", o.DQKV, n, h.Columns()),
		want("LogSum", o.LogSum, n, o.Heads), wantDense("LogSum", o.LogSum))
}

// HardAttention is Attention that puts all weight on one position: with S = Q·Kᵀ,
//
//	Chosen[i,h] = the largest j ≤ i at which S_ij is the largest of its row up to i,   Out_i = V_Chosen[i,h]
//
// so that of equal scores the newest counts. NaN is no largest score; a row of nothing else chooses position 0. Positions count
// from 0 in each sequence. Chosen[n,H] may be missing. Length is at most 2²⁴, as far as float32 counts.
type HardAttention struct {
	QKV, Out, Chosen Tensor
	Heads, Length    int
	KVHeads          int // as in Attention
}

func (o *HardAttention) Name() string { return "hard attention" }

// Layout is where the heads lie.
func (o *HardAttention) Layout() HeadLayout { return layoutOf(o.Out, o.Heads, o.KVHeads) }

func (o *HardAttention) describe(f *Facts) {
	f.Kind = KindAttention
	f.read(o.QKV)
	f.write(o.Out, o.Chosen)
	f.exact(o.Chosen)
	if oddHeads(o.Out, o.Heads) {
		f.exact(o.QKV, o.Out)
	}
	f.FLOPs = 4 * int64(o.Length) * int64(o.Out.Size())
}

func (o *HardAttention) check() error {
	h := o.Layout()
	return firstError(h.check(o.Out, o.Length), checkCounted(o.Length), want("QKV", o.QKV, o.Out.Rows, h.Columns()),
		wantIf("Chosen", o.Chosen, o.Out.Rows, o.Heads), wantDense("Chosen", o.Chosen))
}

// checkCounted returns an error if float32 can't count the positions.
func checkCounted(positions int) error {
	if positions > 1<<24 {
		return fmt.Errorf("hard attention over %d positions, want at most %d", positions, 1<<24)
	}
	return nil
}

// HardAttentionBackward is the gradient of HardAttention where it has one, for the values of the chosen positions:
//
//	DV_j = Σ_{h, i: Chosen[i,h] = j} DOut_i,   DQ = 0,   DK = 0
//
// with the sum over the heads that share the values. A small change of scores leaves the choice as it is, so the gradient of
// queries and keys is 0.
type HardAttentionBackward struct {
	Chosen, DOut, DQKV Tensor
	Heads, Length      int
	KVHeads            int // as in Attention
}

func (o *HardAttentionBackward) Name() string { return "hard attention backward" }

// Layout is where the heads lie.
func (o *HardAttentionBackward) Layout() HeadLayout { return layoutOf(o.DOut, o.Heads, o.KVHeads) }

func (o *HardAttentionBackward) describe(f *Facts) {
	f.Kind = KindAttention
	f.read(o.Chosen, o.DOut)
	f.write(o.DQKV)
	f.exact(o.Chosen)
	if oddHeads(o.DOut, o.Heads) {
		f.exact(o.DOut, o.DQKV)
	}
	f.FLOPs = 8 * int64(o.Length) * int64(o.DOut.Size())
}

func (o *HardAttentionBackward) check() error {
	n, h := o.DOut.Rows, o.Layout()
	if o.DQKV.overlaps(o.DOut) {
		return fmt.Errorf("DQKV overlaps DOut")
	}
	return firstError(h.check(o.DOut, o.Length), checkCounted(o.Length), want("DQKV", o.DQKV, n, h.Columns()),
		want("Chosen", o.Chosen, n, o.Heads), wantDense("Chosen", o.Chosen))
}
