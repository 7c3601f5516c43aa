package graph

// FLOPs is the number of floating point operations of op in matmuls, a multiplication and an addition being two. As is
// usual, attention counts the whole square of scores, of which the upper half need not be computed: 4·T·d for each row
// forward, twice as much backward.
func FLOPs(op Op) int64 {
	switch o := op.(type) {
	case *Matmul:
		m, n, k := o.Shape()
		return 2 * int64(m) * int64(n) * int64(k)
	case *Attention:
		return 4 * int64(o.Length) * int64(o.Out.Cols) * int64(o.Out.Rows)
	case *AttentionBackward:
		return 8 * int64(o.Length) * int64(o.Out.Cols) * int64(o.Out.Rows)
	}
	return 0
}
