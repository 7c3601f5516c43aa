package reference

import "fmt"

// layer is attention and feed-forward, each with its norms and the residual connection around it.
func (p *pass) layer(x Matrix, i int) (Matrix, Back) {
	share := 1.0 // of what the layer adds
	if p.Config.ResidualScale == "loops" {
		block := 0
		for last := p.Sizes[0]; i >= last; last += p.Sizes[block] {
			block++
		}
		share /= float64(p.Own[block])
	}
	x, backAttention := p.residual(x, fmt.Sprintf("layers.%d.attention", i), share, p.attention)
	x, backFeedforward := p.residual(x, fmt.Sprintf("layers.%d.feedforward", i), share, p.feedforward)
	return x, func(dy Matrix) Matrix { return backAttention(backFeedforward(dy)) }
}

// residual is, with norms n, and f times the share:
//
//	pre: x + f(n(x))   post: n(x + f(x))   sandwich: n₂(x + f(n₁(x)))
func (p *pass) residual(x Matrix, name string, share float64, f func(Matrix, string) (Matrix, Back)) (Matrix, Back) {
	identity := func(x Matrix, _ string) (Matrix, Back) { return x, func(dy Matrix) Matrix { return dy } }
	before, after := p.norm, identity
	afterName := ""
	switch p.Config.NormPlace {
	case "post":
		before, after, afterName = identity, p.norm, name+".norm"
	case "sandwich":
		after, afterName = p.norm, name+".norm_out"
	}
	h, backBefore := before(x, name+".norm")
	h, backF := f(h, name)
	y, backAfter := after(sum(x, times(h, share)), afterName)
	return y, func(dy Matrix) Matrix {
		d := backAfter(dy)
		return sum(d, backBefore(backF(times(d, share))))
	}
}

// block is its layers, run loops times.
func (p *pass) block(x Matrix, block, loops int) (Matrix, Back) {
	var backs []Back
	first := 0
	for _, size := range p.Sizes[:block] {
		first += size
	}
	for range loops {
		for i := range p.Sizes[block] {
			var back Back
			x, back = p.layer(x, first+i)
			backs = append(backs, back)
		}
	}
	return x, func(d Matrix) Matrix {
		for i := len(backs) - 1; i >= 0; i-- {
			d = backs[i](d)
		}
		return d
	}
}
