package reference

import "math"

// attention is the causal self-attention of x, with its two linear layers.
func (p *pass) attention(x Matrix, name string) (Matrix, Back) {
	d := len(x[0])
	w := d / p.Config.Heads
	rotary := p.Config.Positions == "rotary"
	qkv, backQKV := p.linear(x, name+".qkv")
	if rotary {
		rotate(qkv, 0, 2*d, w, p.Config.RotaryBase, 1)
	}
	mixed := Zeros(len(x), d)
	backHead := make([]func(dmixed, dqkv Matrix), p.Config.Heads)
	for h := range backHead {
		backHead[h] = attend(qkv, mixed, h*w, d+h*w, 2*d+h*w, w)
	}
	y, backOut := p.linear(mixed, name+".out")
	return y, func(dy Matrix) Matrix {
		dmixed, dqkv := backOut(dy), Zeros(len(x), 3*d)
		for _, back := range backHead {
			back(dmixed, dqkv)
		}
		if rotary {
			rotate(dqkv, 0, 2*d, w, p.Config.RotaryBase, -1)
		}
		return backQKV(dqkv)
	}
}

// attend is one head, whose queries, keys and values start at columns q, k and v of qkv. Each position takes the mean of the
// values up to its own, weighted by the softmax of its query's products with their keys, divided by √w. The result goes to
// columns [q, q+w) of mixed.
func attend(qkv, mixed Matrix, q, k, v, w int) func(dmixed, dqkv Matrix) {
	scale := 1 / math.Sqrt(float64(w))
	weights := make(Matrix, len(qkv))
	for i := range qkv {
		scores := make([]float64, i+1)
		for j := range scores {
			for c := range w {
				scores[j] += scale * qkv[i][q+c] * qkv[j][k+c]
			}
		}
		weights[i] = softmax(scores)
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
