package metal

import "coil/graph"

// BFloats says which storages a backend with Options.BFloat16 keeps in bfloat: the temporaries of the group part. Those stay
// in float that carry statistics, losses and single numbers, and those of which a view begins at an odd element: a binding
// begins at a multiple of four bytes.
func BFloats(r *graph.Recorder) []bool {
	is := make([]bool, len(r.Storages()))
	for i, s := range r.Storages() {
		is[i] = s.Space == graph.Temporary && !s.Step && s.Len > 1
	}
	for _, op := range r.Group() {
		reads, writes, _ := graph.Operands(op)
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
func exact(op graph.Op) []graph.Tensor {
	switch o := op.(type) {
	case *graph.LayerNorm:
		return []graph.Tensor{o.Stats}
	case *graph.LayerNormBackward:
		return []graph.Tensor{o.Stats, o.DGain, o.DBias}
	case *graph.Attention:
		if oddHeads(o.Out, o.Heads) {
			return []graph.Tensor{o.LogSum, o.QKV, o.Out}
		}
		return []graph.Tensor{o.LogSum}
	case *graph.AttentionBackward:
		if oddHeads(o.Out, o.Heads) {
			return []graph.Tensor{o.LogSum, o.QKV, o.Out, o.DOut, o.DQKV}
		}
		return []graph.Tensor{o.LogSum}
	case *graph.CrossEntropy:
		return []graph.Tensor{o.RowWeights, o.Loss, o.Correct}
	case *graph.Exit:
		return []graph.Tensor{o.Z, o.P}
	case *graph.ExitLoss:
		return []graph.Tensor{o.Z, o.P, o.Losses, o.Loss, o.Entropy, o.DZ}
	case *graph.Sum:
		return []graph.Tensor{o.Y}
	case *graph.ColumnSums:
		return []graph.Tensor{o.Y}
	case *graph.Cosine:
		return []graph.Tensor{o.Y, o.Norms}
	case *graph.CosineBackward:
		return []graph.Tensor{o.Norms, o.DA, o.DB}
	case *graph.EmbeddingBackward:
		return []graph.Tensor{o.DTable, o.DPositions}
	case *graph.ClipFactor:
		return []graph.Tensor{o.Squares, o.Norm, o.Factor}
	case *graph.AdamW:
		return []graph.Tensor{o.X, o.M, o.V, o.Factor}
	case *graph.Adafactor:
		return []graph.Tensor{o.X, o.RowV, o.ColV, o.Factor}
	case *graph.Average:
		return []graph.Tensor{o.X, o.Mean, o.Factor}
	}
	return nil
}

// oddHeads reports whether heads begin at odd elements.
func oddHeads(out graph.Tensor, heads int) bool { return out.Cols/heads%2 != 0 }
