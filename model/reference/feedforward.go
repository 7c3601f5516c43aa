package reference

import "math"

// feedforward is f(x·in)·out, or for swiglu (silu(gate) ∘ up)·out with [gate, up] = x·in.
func (p *pass) feedforward(x Matrix, name string) (Matrix, Back) {
	in, backIn := p.linear(x, name+".in")
	f, slope := gelu, geluSlope
	switch p.Config.Activation {
	case "relu":
		f, slope = relu, reluSlope
	case "swiglu":
		f, slope = silu, siluSlope
	}
	gated := p.Config.Activation == "swiglu"
	n := len(in[0])
	if gated {
		n /= 2
	}
	hidden := Zeros(len(x), n)
	for i := range hidden {
		for j := range hidden[i] {
			hidden[i][j] = f(in[i][j])
			if gated {
				hidden[i][j] *= in[i][n+j]
			}
		}
	}
	y, backOut := p.linear(hidden, name+".out")
	return y, func(dy Matrix) Matrix {
		dhidden, din := backOut(dy), Zeros(len(in), len(in[0]))
		for i := range dhidden {
			for j, d := range dhidden[i] {
				din[i][j] = d * slope(in[i][j])
				if gated {
					din[i][j] *= in[i][n+j]
					din[i][n+j] = d * f(in[i][j])
				}
			}
		}
		return backIn(din)
	}
}

// gelu is ½x(1 + tanh u) with u = √(2/π)·(x + 0.044715·x³).
func gelu(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func geluSlope(x float64) float64 {
	tanh := math.Tanh(math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x))
	return (1+tanh)/2 + x/2*(1-tanh*tanh)*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
}

func relu(x float64) float64 { return max(x, 0) }

func reluSlope(x float64) float64 {
	if x > 0 {
		return 1
	}
	return 0
}

func silu(x float64) float64 { return x / (1 + math.Exp(-x)) }

func siluSlope(x float64) float64 {
	s := 1 / (1 + math.Exp(-x))
	return s + x*s*(1-s)
}
