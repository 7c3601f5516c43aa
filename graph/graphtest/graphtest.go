// Package graphtest has examples of every operation, for tests.
package graphtest

import "coil/graph"

// Tensor is zeros in a temporary with a row and a column more.
func Tensor(r *graph.Recorder, rows, cols int) graph.Tensor {
	whole := r.Temporary(rows+1, cols+1)
	r.Record(&graph.Fill{Y: whole})
	whole.Rows, whole.Cols, whole.Stride = rows, cols, cols
	return whole
}

// Index is a part of an input with a value more.
func Index(r *graph.Recorder, n int) graph.Index { return r.Input(n+1).Range(0, n) }

// Examples returns at least one of every operation, with all operands that it may have, not recorded yet.
func Examples(r *graph.Recorder) []graph.Op {
	m := func(rows, cols int) graph.Tensor { return Tensor(r, rows, cols) }
	one := func() graph.Tensor { return m(1, 1) }
	index := func(n int) graph.Index { return Index(r, n) }
	return []graph.Op{
		&graph.Matmul{A: m(3, 4), B: m(4, 5), C: m(3, 5), Bias: m(1, 5), Activation: graph.GELU, Pre: m(3, 5), Residual: m(3, 5)},
		&graph.Matmul{A: m(4, 3), B: m(4, 5), C: m(3, 5), TransA: true},
		&graph.Matmul{A: m(3, 4), B: m(5, 4), C: m(3, 5), TransB: true, Accumulate: true},
		&graph.Activate{X: m(2, 3), Y: m(2, 3)},
		&graph.ActivateBackward{X: m(2, 3), DY: m(2, 3), DX: m(2, 3), Y: m(2, 3)},
		&graph.SwiGLU{X: m(2, 6), Y: m(2, 3)},
		&graph.SwiGLUBackward{X: m(2, 6), DY: m(2, 3), DX: m(2, 6), Y: m(2, 3)},
		&graph.SoftCap{X: m(2, 3), Y: m(2, 3), Cap: 2},
		&graph.SoftCapBackward{Y: m(2, 3), DY: m(2, 3), DX: m(2, 3), Cap: 2},
		&graph.Decay{X: m(2, 3), U: m(2, 3), Rate: m(1, 3), Step: m(1, 3), Y: m(2, 3)},
		&graph.DecayBackward{X: m(2, 3), U: m(2, 3), Rate: m(1, 3), Step: m(1, 3), DY: m(2, 3), DX: m(2, 3), DU: m(2, 3), DRate: m(1, 3), DStep: m(1, 3)},
		&graph.Weigh{X: m(2, 6), W: m(2, 3), Residual: m(2, 6), Y: m(2, 6), Alpha: 2},
		&graph.Weigh{X: m(2, 2), W: m(2, 3), Residual: m(2, 6), Y: m(2, 6), Alpha: 2},
		&graph.Weigh{X: m(2, 6), W: m(2, 3), Residual: m(2, 2), Y: m(2, 2), Alpha: 2},
		&graph.Dots{A: m(2, 6), B: m(2, 2), Y: m(2, 3), Alpha: 2},
		&graph.Softmax{X: m(2, 3), Y: m(2, 3), Scale: 2},
		&graph.SoftmaxBackward{Y: m(2, 3), DY: m(2, 3), DX: m(2, 3), Scale: 2},
		&graph.LayerNorm{X: m(2, 6), Gain: m(1, 3), Y: m(2, 6), Stats: m(2, 4), Parts: 2, RMS: true},
		&graph.LayerNormBackward{X: m(2, 6), Gain: m(1, 3), Stats: m(2, 4), DY: m(2, 6), DX: m(2, 6), DGain: m(1, 3), Parts: 2, RMS: true},
		&graph.LayerNorm{X: m(2, 3), Gain: m(1, 3), Bias: m(1, 3), Y: m(2, 3), Stats: m(2, 2)},
		&graph.LayerNorm{X: m(2, 3), Gain: m(1, 3), Y: m(2, 3), Stats: m(2, 2), RMS: true},
		&graph.LayerNormBackward{X: m(2, 3), Gain: m(1, 3), Stats: m(2, 2), DY: m(2, 3), DX: m(2, 3), DGain: m(1, 3), DBias: m(1, 3)},
		&graph.LayerNormBackward{X: m(2, 3), Gain: m(1, 3), Stats: m(2, 2), DY: m(2, 3), DX: m(2, 3), DGain: m(1, 3), RMS: true},
		&graph.Attention{QKV: m(6, 12), Out: m(6, 4), LogSum: m(6, 2), Heads: 2, Length: 3},
		&graph.AttentionBackward{QKV: m(6, 12), Out: m(6, 4), LogSum: m(6, 2), DOut: m(6, 4), DQKV: m(6, 12), Heads: 2, Length: 3},
		&graph.Attention{QKV: m(6, 8), Out: m(6, 4), LogSum: m(6, 2), Heads: 2, KVHeads: 1, Length: 3, Scale: 0.5},
		&graph.AttentionBackward{QKV: m(6, 8), Out: m(6, 4), LogSum: m(6, 2), DOut: m(6, 4), DQKV: m(6, 8), Heads: 2, KVHeads: 1, Length: 3, Scale: 0.5},
		&graph.HardAttention{QKV: m(6, 8), Out: m(6, 4), Chosen: m(6, 2), Heads: 2, KVHeads: 1, Length: 3},
		&graph.HardAttentionBackward{Chosen: m(6, 2), DOut: m(6, 4), DQKV: m(6, 8), Heads: 2, KVHeads: 1, Length: 3},
		&graph.CachedAttention{QKV: m(6, 8), Keys: m(10, 2), Values: m(10, 2), Out: m(6, 4), At: index(2), Heads: 2, KVHeads: 1, Length: 3, Hard: true},
		&graph.CachedAttention{QKV: m(6, 12), Keys: m(10, 4), Values: m(10, 4), Out: m(6, 4), At: index(2), Heads: 2, Length: 3},
		&graph.Rotary{X: m(6, 8), Width: 4, Length: 3, Base: 10},
		&graph.Rotary{X: m(6, 8), At: index(2), Width: 4, Length: 3, Context: 5, Base: 10},
		&graph.Embedding{Table: m(7, 3), Index: index(6), Positions: m(3, 3), Y: m(6, 3)},
		&graph.Embedding{Table: m(7, 3), Index: index(6), Positions: m(4, 3), At: index(3), Y: m(6, 3)},
		&graph.EmbeddingBackward{Index: index(6), DY: m(6, 3), DTable: m(7, 3), DPositions: m(3, 3)},
		&graph.CrossEntropy{Logits: m(4, 3), Targets: index(4), RowWeights: m(4, 1), Loss: m(4, 1), Correct: m(4, 1), DLogits: m(4, 3), Scale: r.Scalar()},
		&graph.Exit{Z: m(8, 1), P: m(8, 1), Targets: index(4)},
		&graph.ExitLoss{Z: m(8, 1), P: m(8, 1), Losses: m(8, 1), Targets: index(4), Loss: m(4, 1), Entropy: m(4, 1), DZ: m(8, 1), Scale: r.Scalar()},
		&graph.Fill{Y: m(2, 3)},
		&graph.Add{A: m(2, 3), B: m(2, 3), Y: m(2, 3)},
		&graph.Add{A: m(4, 3), B: m(1, 3), Y: m(4, 3)},
		&graph.ColumnSums{X: m(2, 3), Y: m(1, 3)},
		&graph.Sum{X: m(2, 3), Y: one()},
		&graph.Sum{X: m(2, 3), Y: one(), Squares: true},
		&graph.Cosine{A: m(2, 3), B: m(2, 3), Y: one(), Norms: m(1, 3)},
		&graph.CosineBackward{A: m(2, 3), B: m(2, 3), Norms: m(1, 3), DA: m(2, 3), DB: m(2, 3)},
		&graph.ClipFactor{Squares: one(), Norm: one(), Factor: one()},
		&graph.AdamW{X: m(2, 3), Grad: m(2, 3), M: m(2, 3), V: m(2, 3), Factor: one(), Rate: r.Scalar(), BiasCorrection1: r.Scalar(), BiasCorrection2: r.Scalar(), Beta1: 0.9, Beta2: 0.9},
		&graph.Adafactor{X: m(2, 3), Grad: m(2, 3), RowV: m(1, 2), ColV: m(1, 3), Factor: one(), Rate: r.Scalar(), Beta: r.Scalar(), Clip: 1},
		&graph.Adafactor{X: m(1, 3), Grad: m(1, 3), ColV: m(1, 3), Factor: one(), Rate: r.Scalar(), Beta: r.Scalar(), Clip: 1},
		&graph.EMA{X: m(2, 3), Mean: m(2, 3), Factor: one(), Decay: r.Scalar()},
		&graph.Nesterov{Grad: m(2, 3), M: m(2, 3), By: one(), U: m(2, 3), Beta: 0.9},
		&graph.Normalize{X: m(2, 3), Squares: one(), Y: m(2, 3), Slack: 1, Eps: 1e-7},
		&graph.Quadratic{A: m(3, 3), Square: m(3, 3), Y: m(3, 3)},
		&graph.NeuronScale{X: m(2, 3), V: m(1, 3), Stats: m(3, 3), Beta: 0.9, Eps: 1e-8},
		&graph.Muon{X: m(2, 3), M: m(2, 3), O: m(2, 3), Grad: m(2, 3), Factor: one(), Columns: m(1, 3), Squares: one(), Rate: r.Scalar(), Beta: 0.9},
	}
}
