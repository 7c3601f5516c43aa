package reference

import "math"

// streamWeights are size·σ(α·(z·W) + b) for one position in loop t. Its gradient maps that of the weights to that of z.
func (p *pass) streamWeights(z []float64, purpose string, t int, size float64) ([]float64, func(d []float64) []float64) {
	name := "hyper_connections." + purpose
	alphas, biases := p.weights[name+".scale"], p.weights[name+".bias"]
	t = min(t, len(alphas)-1)
	w := p.weights[name+".weight"][t*len(z) : (t+1)*len(z)]
	u := mul(Matrix{z}, w)[0]
	y := make([]float64, len(u))
	for s := range u {
		y[s] = size / (1 + math.Exp(-(alphas[t][0]*u[s] + biases[t][s])))
	}
	return y, func(d []float64) []float64 {
		du := make([]float64, len(u))
		for s := range u {
			slope := d[s] * y[s] * (1 - y[s]/size)
			p.gradient[name+".bias"][t][s] += slope
			p.gradient[name+".scale"][t][0] += slope * u[s]
			du[s] = slope * alphas[t][0]
		}
		accumulate(p.gradient[name+".weight"][t*len(z):(t+1)*len(z)], mul(transpose(Matrix{z}), Matrix{du}))
		return mul(Matrix{du}, transpose(w))[0]
	}
}

// streams runs the loops from … to−1 with streams, which begin as copies of the input, and returns their mean after each loop.
func (p *pass) streams(to int, input Matrix) ([]Matrix, func(dstates []Matrix) Matrix) {
	n, d := p.Config.Streams, len(input[0])
	ys := make([]Matrix, len(input)) // the streams of each position
	for i := range ys {
		for range n {
			ys[i] = append(ys[i], append([]float64{}, input[i]...))
		}
	}
	var states []Matrix
	var backs []func(dys []Matrix) []Matrix
	for t := range to {
		next, back := p.stream(t, ys)
		ys = next
		mean := Zeros(len(input), d)
		for i := range mean {
			for _, y := range ys[i] {
				addTo(mean[i], y, 1/float64(n))
			}
		}
		states, backs = append(states, mean), append(backs, back)
	}
	return states, func(dstates []Matrix) Matrix {
		dys := make([]Matrix, len(input))
		for i := range dys {
			dys[i] = Zeros(n, d)
		}
		for t := len(backs) - 1; t >= 0; t-- {
			if dstates[t] != nil {
				for i := range dys {
					for s := range dys[i] {
						addTo(dys[i][s], dstates[t][i], 1/float64(n))
					}
				}
			}
			dys = backs[t](dys)
		}
		dinput := Zeros(len(input), d)
		for i := range dinput {
			for _, dy := range dys[i] {
				addTo(dinput[i], dy, 1)
			}
		}
		return dinput
	}
}

// stream is loop t.
func (p *pass) stream(t int, ys []Matrix) ([]Matrix, func(dys []Matrix) []Matrix) {
	n, d := len(ys[0]), len(ys[0][0])
	type position struct {
		read, keep, write             []float64
		backRead, backKeep, backWrite func([]float64) []float64
		backZ                         func([]float64) []float64
	}
	at := make([]position, len(ys))
	x := Zeros(len(ys), d)
	for i := range ys {
		var flat []float64
		for _, y := range ys[i] {
			flat = append(flat, y...)
		}
		a := &at[i]
		z, back := unit(flat)
		a.backZ = back
		a.read, a.backRead = p.streamWeights(z, "read", t, 1)
		a.keep, a.backKeep = p.streamWeights(z, "keep", t, 1)
		a.write, a.backWrite = p.streamWeights(z, "write", t, 2)
		x[i] = mix(a.read, ys[i])
	}
	made, backBlock := p.block(p.number(t, x), p.Looped, 1)
	if p.Config.LoopNorm {
		normed, backNorm := p.norm(made, "loop_norm")
		inner := backBlock
		made, backBlock = normed, func(dy Matrix) Matrix { return inner(backNorm(dy)) }
	}
	vectors := "hyper_connections.embedding.weight"
	row := min(t, len(p.weights[vectors])-1)
	next := make([]Matrix, len(ys))
	for i := range ys {
		next[i] = Zeros(n, d)
		for s := range n {
			addTo(next[i][s], ys[i][s], at[i].keep[s])
			addTo(next[i][s], made[i], at[i].write[s])
			addTo(next[i][s], p.weights[vectors][row], at[i].write[s])
		}
	}
	return next, func(dnext []Matrix) []Matrix {
		dmade := Zeros(len(ys), d)
		for i := range ys {
			for s := range n {
				addTo(dmade[i], dnext[i][s], at[i].write[s])
			}
			addTo(p.gradient[vectors][row], dmade[i], 1)
		}
		dx := backBlock(dmade)
		p.backNumber(t, dx)
		dys := make([]Matrix, len(ys))
		for i := range ys {
			a := at[i]
			dread, dkeep, dwrite := make([]float64, n), make([]float64, n), make([]float64, n)
			dys[i] = Zeros(n, d)
			for s := range n {
				dread[s], dkeep[s] = dotOf(dx[i], ys[i][s]), dotOf(dnext[i][s], ys[i][s])
				dwrite[s] = dotOf(dnext[i][s], made[i]) + dotOf(dnext[i][s], p.weights[vectors][row])
				addTo(dys[i][s], dx[i], a.read[s])
				addTo(dys[i][s], dnext[i][s], a.keep[s])
			}
			dz := a.backRead(dread)
			addTo(dz, a.backKeep(dkeep), 1)
			addTo(dz, a.backWrite(dwrite), 1)
			dflat := a.backZ(dz)
			for s := range n {
				addTo(dys[i][s], dflat[s*d:(s+1)*d], 1)
			}
		}
		return dys
	}
}
