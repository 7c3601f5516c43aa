package reference

import "fmt"

// layer is attention and feed-forward, each with its norms and the residual connection around it.
func (p *pass) layer(x Matrix, i int) (Matrix, Back) { return p.hearingLayer(x, i, nil, nil) }

// hearingLayer is a layer whose sublayers read what they receive of the states before, if there are any: queries, keys, values and
// the feed-forward layer a message each.
func (p *pass) hearingLayer(x Matrix, i int, before, dbefore []Matrix) (Matrix, Back) {
	share := 1.0 // of what the layer adds
	if p.Config.ResidualScale == "loops" {
		block := 0
		for last := p.Sizes[0]; i >= last; last += p.Sizes[block] {
			block++
		}
		share /= float64(p.Own[block])
	}
	layer := fmt.Sprintf("layers.%d", i)
	itself := func(x Matrix) (Matrix, Back) { return x, func(d Matrix) Matrix { return d } }
	attention, feedforward := []reading{itself}, []reading{itself}
	if _, hears := p.weights[layer+".message.queries"]; hears && before != nil {
		hear := func(k int, kind string) reading {
			return func(x Matrix) (Matrix, Back) { return p.received(x, layer, kind, k, before, dbefore) }
		}
		attention, feedforward = []reading{hear(0, "query"), hear(1, "key"), hear(2, "value")}, []reading{hear(3, "feedforward")}
	}
	x, backAttention := p.residual(x, layer+".attention", share, attention, p.attention)
	x, backFeedforward := p.residual(x, layer+".feedforward", share, feedforward, func(hs []Matrix, name string) (Matrix, func(dy Matrix) []Matrix) {
		y, back := p.feedforward(hs[0], name)
		return y, func(dy Matrix) []Matrix { return []Matrix{back(dy)} }
	})
	return x, func(dy Matrix) Matrix { return backAttention(backFeedforward(dy)) }
}

// reading is what a sublayer reads of the state.
type reading func(x Matrix) (Matrix, Back)

// residual is, with norms n, f times the share, and f of what it reads, by each of read:
//
//	pre: x + f(n(read x))   post: n(x + f(read x))   sandwich: n₂(x + f(n₁(read x)))
func (p *pass) residual(x Matrix, name string, share float64, read []reading, f func([]Matrix, string) (Matrix, func(dy Matrix) []Matrix)) (Matrix, Back) {
	identity := func(x Matrix, _ string) (Matrix, Back) { return x, func(dy Matrix) Matrix { return dy } }
	before, after := p.norm, identity
	afterName := ""
	switch p.Config.NormPlace {
	case "post":
		before, after, afterName = identity, p.norm, name+".norm"
	case "sandwich":
		after, afterName = p.norm, name+".norm_out"
	}
	var hs []Matrix
	var backRead, backBefore []Back
	for _, of := range read {
		h, back := of(x)
		backRead = append(backRead, back)
		h, back = before(h, name+".norm")
		hs, backBefore = append(hs, h), append(backBefore, back)
	}
	h, backF := f(hs, name)
	y, backAfter := after(sum(x, times(h, share)), afterName)
	return y, func(dy Matrix) Matrix {
		d := backAfter(dy)
		dx := d
		for i, dh := range backF(times(d, share)) {
			dx = sum(dx, backRead[i](backBefore[i](dh)))
		}
		return dx
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
