package reference

import "math"

// embed looks up each token's vector and adds the position's.
func (p *pass) embed(tokens []int) (Matrix, func(dx Matrix)) {
	table := p.weights["embedding.weight"]
	positions, learned := p.weights["positions.weight"]
	width := len(table[0])
	x := Zeros(len(tokens), width)
	for t, token := range tokens {
		for j := range x[t] {
			x[t][j] = table[token][j]
			switch {
			case learned:
				x[t][j] += positions[t][j]
			case p.Config.Positions == "sinusoidal":
				x[t][j] += sinusoid(t, j, width)
			}
		}
	}
	return x, func(dx Matrix) {
		for t, token := range tokens {
			for j, d := range dx[t] {
				p.gradient["embedding.weight"][token][j] += d
				if learned {
					p.gradient["positions.weight"][t][j] += d
				}
			}
		}
	}
}

// sinusoid is a tenth of sin(t/10000^(2i/d)) in column 2i, of the cosine in column 2i+1.
func sinusoid(t, column, width int) float64 {
	angle := float64(t) / math.Pow(10000, float64(column/2*2)/float64(width))
	if column%2 == 0 {
		return math.Sin(angle) / 10
	}
	return math.Cos(angle) / 10
}

// rotate turns the pair (x_j, x_{j+w/2}) of each head of width w in columns [from, to) by sign·t·base^(−2j/w).
func rotate(x Matrix, from, to, w int, base, sign float64) {
	for t := range x {
		for head := from; head < to; head += w {
			for j := range w / 2 {
				angle := sign * float64(t) * math.Pow(base, -2*float64(j)/float64(w))
				sin, cos := math.Sincos(angle)
				a, b := x[t][head+j], x[t][head+j+w/2]
				x[t][head+j] = a*cos - b*sin
				x[t][head+j+w/2] = a*sin + b*cos
			}
		}
	}
}
