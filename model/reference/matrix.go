package reference

// Matrix is rows of numbers; a vector is one row.
type Matrix [][]float64

// Parameters are weights, or their gradients, by name.
type Parameters map[string]Matrix

// Back maps the gradient of a part's result to that of its input, and adds those of its weights to the gradients of the pass.
type Back func(dy Matrix) (dx Matrix)

// Zeros is a matrix of zeros.
func Zeros(rows, cols int) Matrix {
	m := make(Matrix, rows)
	for i := range m {
		m[i] = make([]float64, cols)
	}
	return m
}

// Zeros returns zeros with the same names and shapes.
func (p Parameters) Zeros() Parameters {
	z := Parameters{}
	for name, m := range p {
		z[name] = Zeros(len(m), len(m[0]))
	}
	return z
}

// sum is a + b; nil counts as zero.
func sum(a, b Matrix) Matrix {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	y := Zeros(len(a), len(a[0]))
	for i := range y {
		for j := range y[i] {
			y[i][j] = a[i][j] + b[i][j]
		}
	}
	return y
}

// times is c·a.
func times(a Matrix, c float64) Matrix {
	y := Zeros(len(a), len(a[0]))
	for i := range y {
		for j := range y[i] {
			y[i][j] = c * a[i][j]
		}
	}
	return y
}

// mul is a·b.
func mul(a, b Matrix) Matrix {
	y := Zeros(len(a), len(b[0]))
	for i := range y {
		for k := range b {
			for j := range y[i] {
				y[i][j] += a[i][k] * b[k][j]
			}
		}
	}
	return y
}

func transpose(a Matrix) Matrix {
	y := Zeros(len(a[0]), len(a))
	for i := range a {
		for j := range a[i] {
			y[j][i] = a[i][j]
		}
	}
	return y
}

// accumulate is y += a.
func accumulate(y, a Matrix) {
	for i := range y {
		for j := range y[i] {
			y[i][j] += a[i][j]
		}
	}
}

// linear is x·w + b, or x·w for a layer without bias.
func (p *pass) linear(x Matrix, name string) (Matrix, Back) {
	w := p.weights[name+".weight"]
	y := mul(x, w)
	bias, biased := p.weights[name+".bias"]
	if biased {
		for i := range y {
			for j := range y[i] {
				y[i][j] += bias[0][j]
			}
		}
	}
	return y, func(dy Matrix) Matrix {
		accumulate(p.gradient[name+".weight"], mul(transpose(x), dy))
		if biased {
			for i := range dy {
				accumulate(p.gradient[name+".bias"], dy[i:i+1])
			}
		}
		return mul(dy, transpose(w))
	}
}
