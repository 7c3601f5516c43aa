package reference

import "math"

// columns are where the keys and the values begin in the columns of queries, keys and values, and where they end.
func (m *Model) columns() (keys, values, end int) {
	kvHeads, w := m.Config.KVHeads, m.Config.HeadWidth
	if kvHeads == 0 {
		kvHeads = m.Config.Heads
	}
	if w == 0 {
		w = m.Config.Width / m.Config.Heads
	}
	keys = m.Config.Heads * w
	return keys, keys + kvHeads*w, keys + 2*kvHeads*w
}

// attention is causal self-attention, with its two linear layers. Queries are made of the first of hs, keys of the second and values
// of the third, or all of the only one.
func (p *pass) attention(hs []Matrix, name string) (Matrix, func(dy Matrix) []Matrix) {
	heads := p.Config.Heads
	keys, values, end := p.columns()
	w := keys / heads
	kvHeads := (end - values) / w
	rotary := p.Config.Positions == "rotary"
	from := []int{0, end}
	if len(hs) > 1 {
		from = []int{0, keys, values, end}
	}
	qkv := Zeros(len(hs[0]), end)
	var backQKV []Back
	for i, h := range hs {
		all, back := p.linear(h, name+".qkv")
		copyColumns(qkv, all, from[i], from[i+1])
		backQKV = append(backQKV, back)
	}
	backNorm := func(d Matrix) Matrix { return d }
	if p.Config.QKNorm {
		qkv, backNorm = p.headNorms(qkv, name, w, heads, kvHeads)
	}
	if rotary {
		rotate(qkv, 0, values, w, p.Config.RotaryBase, 1)
	}
	mixed := Zeros(len(qkv), heads*w)
	backHead := make([]func(dmixed, dqkv Matrix), heads)
	for h := range backHead {
		shared := h * kvHeads / heads
		backHead[h] = p.attend(qkv, mixed, h*w, keys+shared*w, values+shared*w, w)
	}
	y, backOut := p.linear(mixed, name+".out")
	return y, func(dy Matrix) []Matrix {
		dmixed, dqkv := backOut(dy), Zeros(len(qkv), end)
		for _, back := range backHead {
			back(dmixed, dqkv)
		}
		if rotary {
			rotate(dqkv, 0, values, w, p.Config.RotaryBase, -1)
		}
		dqkv = backNorm(dqkv)
		var dhs []Matrix
		for i, back := range backQKV {
			own := Zeros(len(dqkv), end)
			copyColumns(own, dqkv, from[i], from[i+1])
			dhs = append(dhs, back(own))
		}
		return dhs
	}
}

// copyColumns copies columns [lo, hi).
func copyColumns(to, from Matrix, lo, hi int) {
	for i := range to {
		copy(to[i][lo:hi], from[i][lo:hi])
	}
}

// headNorms is the rmsnorm of each head of the queries and of the keys, which begin in the first column, with gains of their own.
func (p *pass) headNorms(qkv Matrix, name string, w, heads, kvHeads int) (Matrix, Back) {
	y := times(qkv, 1)
	n := float64(w)
	gain := func(h int) string {
		if h < heads {
			return name + ".q_norm.gain"
		}
		return name + ".k_norm.gain"
	}
	root := func(x []float64) float64 {
		var squares float64
		for _, v := range x {
			squares += v * v
		}
		return math.Sqrt(squares/n + eps)
	}
	for i := range y {
		for h := range heads + kvHeads {
			x := qkv[i][h*w : (h+1)*w]
			for c, v := range x {
				y[i][h*w+c] = v / root(x) * p.weights[gain(h)][0][c]
			}
		}
	}
	return y, func(dy Matrix) Matrix {
		d := times(dy, 1)
		for i := range d {
			for h := range heads + kvHeads {
				x, g := qkv[i][h*w:(h+1)*w], p.weights[gain(h)][0]
				r := root(x)
				var along float64
				for c, v := range x {
					p.gradient[gain(h)][0][c] += dy[i][h*w+c] * v / r
					along += dy[i][h*w+c] * g[c] * v
				}
				for c, v := range x {
					d[i][h*w+c] = dy[i][h*w+c]*g[c]/r - v*along/(n*r*r*r)
				}
			}
		}
		return d
	}
}

// attend is one head, whose queries, keys and values start at columns q, k and v of qkv. Each position takes the mean of the
// values up to its own, weighted by the softmax of its query's products with their keys, times the scale; or with hard attention the
// value of the largest product, of equal ones the last. The result goes to columns [q, q+w) of mixed.
func (p *pass) attend(qkv, mixed Matrix, q, k, v, w int) func(dmixed, dqkv Matrix) {
	scale := p.Config.AttentionScale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(w))
	}
	hard := p.Config.Attention == "hard"
	weights := make(Matrix, len(qkv))
	for i := range qkv {
		scores := make([]float64, i+1)
		for j := range scores {
			for c := range w {
				scores[j] += scale * qkv[i][q+c] * qkv[j][k+c]
			}
		}
		if hard {
			weights[i] = hardmax(scores)
		} else {
			weights[i] = softmax(scores)
		}
		for j, a := range weights[i] {
			for c := range w {
				mixed[i][q+c] += a * qkv[j][v+c]
			}
		}
	}
	return func(dmixed, dqkv Matrix) {
		for i, row := range weights {
			dweights := make([]float64, i+1)
			for j, a := range row {
				for c := range w {
					dqkv[j][v+c] += a * dmixed[i][q+c]
					dweights[j] += dmixed[i][q+c] * qkv[j][v+c]
				}
			}
			if hard { // a small change of the scores changes no weight
				continue
			}
			var mean float64
			for j, a := range row {
				mean += a * dweights[j]
			}
			for j, a := range row {
				dscore := a * (dweights[j] - mean)
				for c := range w {
					dqkv[i][q+c] += scale * dscore * qkv[j][k+c]
					dqkv[j][k+c] += scale * dscore * qkv[i][q+c]
				}
			}
		}
	}
}

// hardmax is 1 for the largest, of equal ones for the last.
func hardmax(x []float64) []float64 {
	best := 0
	for i, v := range x {
		if v >= x[best] {
			best = i
		}
	}
	y := make([]float64, len(x))
	y[best] = 1
	return y
}

func softmax(x []float64) []float64 {
	largest, total := math.Inf(-1), 0.0
	for _, v := range x {
		largest = max(largest, v)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Exp(v - largest)
		total += y[i]
	}
	for i := range y {
		y[i] /= total
	}
	return y
}
