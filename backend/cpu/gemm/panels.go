package gemm

// PanelLen is the number of floats that Panels and PanelsT take for B[k,n] with k in one block.
func (kn *Kernel) PanelLen(k, n int) int { return (n + kn.nr - 1) / kn.nr * kn.nr * k }

// PanelWidth is the number of columns of a panel.
func (kn *Kernel) PanelWidth() int { return kn.nr }

// TileRows is the number of rows of a tile.
func (kn *Kernel) TileRows() int { return kn.mr }

// Panels packs B[k,n] as one block: panel q holds columns q·nr.. as [k][nr].
func (kn *Kernel) Panels(dst, b []float32, ldb, k, n int) {
	kn.packPanels(dst, b, ldb, k, n, k)
}

// PanelsT packs op(B)[k,n] from B[n,k], as Panels does.
func (kn *Kernel) PanelsT(dst, b []float32, ldb, k, n int) {
	for q := 0; q*kn.nr < n; q++ {
		kn.packTransposed(dst[q*k*kn.nr:], b, ldb, 0, k, q*kn.nr, min(kn.nr, n-q*kn.nr))
	}
}

// InPlace reports whether w columns of a matrix can be a panel where they are.
func (kn *Kernel) InPlace(w int) bool { return w%kn.lanes == 0 }

// MulPanel is C[i0:i1, 0:w] (+)= A[i0:i1, 0:k]·panel, for w columns of a panel of Panels or PanelsT, whose rows are PanelWidth apart, or of a
// matrix, if they are [Kernel.InPlace].
func (kn *Kernel) MulPanel(s *Scratch, a []float32, lda, i0, i1, k int, panel []float32, ldp, w int, c []float32, ldc int, accumulate bool) {
	if i0 < i1 {
		c = c[i0*ldc:]
		kn.mulRows(s, k, a[i0*lda:], lda, i1-i0, panel, ldp, 0, c, ldc, w, old(accumulate, c, ldc))
	}
}

// MulPanelT is C[0:m, 0:w] (+)= A[0:k, 0:m]ᵀ·panel.
func (kn *Kernel) MulPanelT(s *Scratch, a []float32, lda, m, k int, panel []float32, ldp, w int, c []float32, ldc int, accumulate bool) {
	rows := kn.cut(m)
	for _, r := range rows.runs() {
		if r.tiles > 0 {
			d := c[r.first*ldc:]
			kn.tile(s, k, &a[r.first], 4, lda*4, step{a: r.height}, panel, ldp, d, ldc, r.tiles, r.height, w, old(accumulate, d, ldc))
		}
	}
}

// MulRising is C[0:m, 0:w] (+)= A[0:k+m, 0:m]ᵀ·panel by tiles of some columns of A. What is more than k rows below the first row of a tile's
// diagonal is left out: the first tile has k+tile terms, each one after it tile more.
func (kn *Kernel) MulRising(s *Scratch, a []float32, lda, m, k, tile int, panel []float32, ldp, w int, c []float32, ldc int, accumulate bool) {
	whole, rest := m/tile, m%tile
	if whole > 0 {
		_ = a[(k+whole*tile-1)*lda+whole*tile-1]
		kn.tile(s, k+tile, &a[0], 4, lda*4, step{a: tile, k: tile}, panel, ldp, c, ldc, whole, tile, w, old(accumulate, c, ldc))
	}
	if rest > 0 {
		at := whole * tile
		_ = a[(k+m-1)*lda+m-1]
		c = c[at*ldc:]
		kn.tile(s, k+m, &a[at], 4, lda*4, step{}, panel, ldp, c, ldc, 1, rest, w, old(accumulate, c, ldc))
	}
}

// MulFalling is C[0:m, 0:w] (+)= A[0:m, 0:k]·panel by tiles of some rows of A, k at least m. What is before the first column of a tile's
// diagonal is left out: the first tile has k terms, each one after it tile fewer.
func (kn *Kernel) MulFalling(s *Scratch, a []float32, lda, m, k, tile int, panel []float32, ldp, w int, c []float32, ldc int, accumulate bool) {
	whole, rest := m/tile, m%tile
	_ = a[(m-1)*lda+k-1]
	if whole > 0 {
		kn.tile(s, k, &a[0], lda*4, 4, step{a: tile*lda + tile, k: -tile, b: tile}, panel, ldp, c, ldc, whole, tile, w, old(accumulate, c, ldc))
	}
	if rest > 0 {
		at := whole * tile
		c = c[at*ldc:]
		kn.tile(s, k-at, &a[at*lda+at], lda*4, 4, step{}, panel[at*ldp:], ldp, c, ldc, 1, rest, w, old(accumulate, c, ldc))
	}
}
