package graph

import "fmt"

// Attention is causal multi-head attention. QKV[n,3d] holds queries, keys and values side by side, each of H heads of
// width w = d/H; the n rows are sequences of Length positions one after the other. For each sequence and head:
//
//	S = Q·Kᵀ/√w,   P = softmax of each row i of S over the columns j ≤ i,   Out = P·V
//
// (Vaswani et al., arXiv 1706.03762). LogSum[n,H], if given, receives log Σ_j exp(S_ij) of each row and head. No
// [H, Length, Length] is stored.
type Attention struct {
	QKV, Out, LogSum Tensor
	Heads, Length    int
}

func (o *Attention) Name() string { return "attention" }

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
	return firstError(checkHeads(o.Out, o.Heads, o.Length),
		want("QKV", o.QKV, o.Out.Rows, 3*o.Out.Cols),
		wantIf("LogSum", o.LogSum, o.Out.Rows, o.Heads), wantDense("LogSum", o.LogSum))
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
//	DV = Pᵀ·DOut,  DP = DOut·Vᵀ,  δ_i = Σ DOut_i ∘ Out_i,  DS = P ∘ (DP − δ),  DQ = DS·K/√w,  DK = DSᵀ·Q/√w
//
// (Dao et al., arXiv 2205.14135). DQKV must not overlap any operand.
type AttentionBackward struct {
	QKV, Out, LogSum, DOut Tensor
	DQKV                   Tensor
	Heads, Length          int
}

func (o *AttentionBackward) Name() string { return "attention backward" }

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
	n, d := o.Out.Rows, o.Out.Cols
	if o.DQKV.overlaps(o.QKV) || o.DQKV.overlaps(o.Out) || o.DQKV.overlaps(o.DOut) {
		return fmt.Errorf("DQKV overlaps an operand")
	}
	return firstError(checkHeads(o.Out, o.Heads, o.Length),
		want("QKV", o.QKV, n, 3*d), want("DOut", o.DOut, n, d), want("DQKV", o.DQKV, n, 3*d),
		want("LogSum", o.LogSum, n, o.Heads), wantDense("LogSum", o.LogSum))
}
