package metal

import "coil/backend"

// BFloats says which storages a backend with Options.BFloat16 keeps in bfloat: the temporaries of the group part. Those stay
// in float that carry statistics, losses and single numbers, and those of which a view begins at an odd element: a binding
// begins at a multiple of four bytes.
func BFloats(r *backend.Recorder) []bool {
	is := make([]bool, len(r.Storages()))
	for i, s := range r.Storages() {
		is[i] = s.Space == backend.Temporary && !s.Step && s.Len > 1
	}
	for _, op := range r.Group() {
		reads, writes, _ := backend.Operands(op)
		for _, t := range append(reads, writes...) {
			if t.Offset%2 != 0 {
				is[t.Storage-1] = false
			}
		}
		for _, t := range exact(op) {
			if t.Exists() {
				is[t.Storage-1] = false
			}
		}
	}
	return is
}

// exact are the operands that kernels read and write as float whatever the precision.
func exact(op backend.Op) []backend.Tensor {
	switch o := op.(type) {
	case *backend.LayerNorm:
		return []backend.Tensor{o.Stats}
	case *backend.LayerNormBackward:
		return []backend.Tensor{o.Stats, o.DGain, o.DBias}
	case *backend.Attention:
		if oddHeads(o.Out, o.Heads) {
			return []backend.Tensor{o.LogSum, o.QKV, o.Out}
		}
		return []backend.Tensor{o.LogSum}
	case *backend.AttentionBackward:
		if oddHeads(o.Out, o.Heads) {
			return []backend.Tensor{o.LogSum, o.QKV, o.Out, o.DOut, o.DQKV}
		}
		return []backend.Tensor{o.LogSum}
	case *backend.CrossEntropy:
		return []backend.Tensor{o.RowWeights, o.Loss, o.Correct}
	case *backend.Exit:
		return []backend.Tensor{o.Z, o.P}
	case *backend.ExitLoss:
		return []backend.Tensor{o.Z, o.P, o.Losses, o.Loss, o.Entropy, o.DZ}
	case *backend.Sum:
		return []backend.Tensor{o.Y}
	case *backend.ColumnSums:
		return []backend.Tensor{o.Y}
	case *backend.Cosine:
		return []backend.Tensor{o.Y, o.Norms}
	case *backend.CosineBackward:
		return []backend.Tensor{o.Norms, o.DA, o.DB}
	case *backend.EmbeddingBackward:
		return []backend.Tensor{o.DTable, o.DPositions}
	case *backend.ClipFactor:
		return []backend.Tensor{o.Squares, o.Norm, o.Factor}
	case *backend.AdamW:
		return []backend.Tensor{o.X, o.M, o.V, o.Factor}
	case *backend.Adafactor:
		return []backend.Tensor{o.X, o.RowV, o.ColV, o.Factor}
	case *backend.Average:
		return []backend.Tensor{o.X, o.Mean, o.Factor}
	}
	return nil
}

// oddHeads reports whether heads begin at odd elements.
func oddHeads(out backend.Tensor, heads int) bool { return out.Cols/heads%2 != 0 }
