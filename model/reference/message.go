package reference

import "math"

// unit is u/√(mean(u²) + ε), and the map from its gradient to that of u.
func unit(u []float64) ([]float64, func(d []float64) []float64) {
	n := float64(len(u))
	var squares float64
	for _, v := range u {
		squares += v * v
	}
	r := math.Sqrt(squares/n + eps)
	y := make([]float64, len(u))
	for i, v := range u {
		y[i] = v / r
	}
	return y, func(d []float64) []float64 {
		var along float64
		for i, v := range u {
			along += d[i] * v
		}
		du := make([]float64, len(u))
		for i, v := range u {
			du[i] = d[i]/r - v*along/(n*r*r*r)
		}
		return du
	}
}

// mix is Σ_j weights_j·xs_j.
func mix(weights []float64, xs Matrix) []float64 {
	y := make([]float64, len(xs[0]))
	for j, w := range weights {
		for c, v := range xs[j] {
			y[c] += w * v
		}
	}
	return y
}

func dotOf(a, b []float64) float64 {
	var s float64
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

// addTo is y += c·x.
func addTo(y, x []float64, c float64) {
	for i, v := range x {
		y[i] += c * v
	}
}

// received is x mixed with message number k of a layer from the states of the loop before, as conventions.md has it. Its gradient
// maps that of the result to that of x, and adds to those of the states.
func (p *pass) received(x Matrix, layer, kind string, k int, before, dbefore []Matrix) (Matrix, Back) {
	name := layer + ".message."
	q := p.weights[name+"queries"][k]
	down, up := p.weights[name+kind+".down.weight"], p.weights[name+kind+".up.weight"]
	d := len(q)
	y := Zeros(len(x), d)
	backs := make([]func(dh []float64) []float64, len(x))
	for i := range x {
		var states Matrix
		var backStates []func([]float64) []float64
		var scores []float64
		for _, s := range before {
			hat, back := unit(s[i])
			states, backStates = append(states, hat), append(backStates, back)
			scores = append(scores, dotOf(q, hat)/math.Sqrt(float64(d)))
		}
		weights := softmax(scores)
		m := mix(weights, states)
		xHat, backX := unit(x[i])
		mHat, backM := unit(m)
		in := append(append([]float64{}, xHat...), mHat...)
		z := mul(Matrix{in}, down)[0]
		gates := mul(Matrix{z}, up)[0]
		for c := range d {
			y[i][c] = (1-math.Tanh(gates[c]))*x[i][c] + math.Tanh(gates[d+c])*m[c]
		}
		backs[i] = func(dh []float64) []float64 {
			dx, dm, dgates := make([]float64, d), make([]float64, d), make([]float64, 2*d)
			for c, g := range dh {
				forget, hear := math.Tanh(gates[c]), math.Tanh(gates[d+c])
				dx[c], dm[c] = g*(1-forget), g*hear
				dgates[c], dgates[d+c] = -g*x[i][c]*(1-forget*forget), g*m[c]*(1-hear*hear)
			}
			dz := mul(Matrix{dgates}, transpose(up))[0]
			accumulate(p.gradient[name+kind+".up.weight"], mul(transpose(Matrix{z}), Matrix{dgates}))
			din := mul(Matrix{dz}, transpose(down))[0]
			accumulate(p.gradient[name+kind+".down.weight"], mul(transpose(Matrix{in}), Matrix{dz}))
			addTo(dx, backX(din[:d]), 1)
			addTo(dm, backM(din[d:]), 1)
			dweights := make([]float64, len(weights))
			for j := range weights {
				dweights[j] = dotOf(dm, states[j])
			}
			mean := dotOf(weights, dweights)
			for j, w := range weights {
				dscore := w * (dweights[j] - mean) / math.Sqrt(float64(d))
				dstate := make([]float64, d)
				addTo(dstate, dm, w)
				addTo(dstate, q, dscore)
				addTo(p.gradient[name+"queries"][k], states[j], dscore)
				addTo(dbefore[j][i], backStates[j](dstate), 1)
			}
			return dx
		}
	}
	return y, func(dy Matrix) Matrix {
		dx := Zeros(len(x), d)
		for i := range dx {
			dx[i] = backs[i](dy[i])
		}
		return dx
	}
}

// restart is a loop that begins with the input, and hears of the states of the loop before, if there was one. It returns the
// states that it went through; its gradient maps those of these to that of the input, and adds to those of the states before.
func (p *pass) restart(t int, input Matrix, before, dbefore []Matrix) ([]Matrix, func(d []Matrix) (dinput Matrix)) {
	first := 0
	for _, size := range p.Sizes[:p.Looped] {
		first += size
	}
	x := p.number(t, input)
	went := []Matrix{x}
	var backs []Back
	for i := range p.Sizes[p.Looped] {
		y, back := p.hearingLayer(x, first+i, before, dbefore)
		if backNorm := back; p.Config.LoopNorm && i == p.Sizes[p.Looped]-1 {
			normed, backLast := p.norm(y, "loop_norm")
			y, back = normed, func(d Matrix) Matrix { return backNorm(backLast(d)) }
		}
		x = y
		went, backs = append(went, x), append(backs, back)
	}
	return went, func(d []Matrix) Matrix {
		dx := d[len(backs)]
		for i := len(backs) - 1; i >= 0; i-- {
			dx = sum(d[i], backs[i](dx))
		}
		p.backNumber(t, dx)
		return dx
	}
}

// restarts runs the loops from … to−1, each beginning with the input; before are the states that the loop before them went through.
// It returns the states after each loop, and those that the last went through.
func (p *pass) restarts(from, to int, before []Matrix, input Matrix) ([]Matrix, []Matrix, func(dstates []Matrix) Matrix) {
	var states []Matrix
	var backs []func(d []Matrix) Matrix
	var dwent [][]Matrix // of each loop, of the states that it went through
	zeros := func() []Matrix {
		var z []Matrix
		for range p.Sizes[p.Looped] + 1 {
			z = append(z, Zeros(len(input), len(input[0])))
		}
		return z
	}
	dbefore := zeros() // constant
	for t := from; t < to; t++ {
		went, back := p.restart(t, input, before, dbefore)
		before, dbefore = went, zeros()
		states, backs, dwent = append(states, went[len(went)-1]), append(backs, back), append(dwent, dbefore)
	}
	return states, before, func(dstates []Matrix) Matrix {
		var dinput Matrix
		for i := len(backs) - 1; i >= 0; i-- {
			d := dwent[i]
			last := len(d) - 1
			d[last] = sum(d[last], dstates[i])
			dinput = sum(dinput, backs[i](d))
		}
		return dinput
	}
}
