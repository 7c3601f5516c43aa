package cpu

import (
	"math"

	"coil/graph"
)

func (l *lowering) exit(o *graph.Exit) kernel {
	z, p, targets := l.matrix(o.Z), l.matrix(o.P), l.index(o.Targets)
	n, loops := o.Targets.Len, o.Loops()
	return once(func(w *worker) {
		zs, ps := z.at(w), p.at(w)
		for i, target := range targets.at(w) {
			if target == graph.Ignore {
				for t := range loops {
					ps[t*n+i] = 0
				}
				continue
			}
			left := 1.0
			for t := range loops - 1 {
				leave, stay := gate(zs[t*n+i])
				ps[t*n+i] = float32(left * leave)
				left *= stay
			}
			ps[(loops-1)*n+i] = float32(left)
		}
	})
}

func (l *lowering) exitLoss(o *graph.ExitLoss) kernel {
	z, p, losses, targets := l.matrix(o.Z), l.matrix(o.P), l.matrix(o.Losses), l.index(o.Targets)
	loss, entropy, dz := l.matrix(o.Loss), l.matrix(o.Entropy), l.matrix(o.DZ)
	n, loops, scalars, beta := o.Targets.Len, o.Loops(), l.p.scalars, float64(o.Beta)
	return once(func(w *worker) {
		zs, ps, ls := z.at(w), p.at(w), losses.at(w)
		es, hs, ds := loss.at(w), entropy.at(w), dz.at(w)
		scale := float64(o.Weight * scalars[o.Scale])
		for i, target := range targets.at(w) {
			last := (loops-1)*n + i
			if ds[last] = 0; target == graph.Ignore {
				for t := range loops - 1 {
					ds[t*n+i] = 0
				}
				es[i], hs[i] = 0, 0
				continue
			}
			e, h := float64(ls[last]), 0.0 // of a position that has come to the loop after t
			for t := loops - 2; t >= 0; t-- {
				k := t*n + i
				x, here := float64(zs[k]), float64(ls[k])
				leave, stay := gate(zs[k])
				ds[k] = float32(scale * float64(ps[k]) * stay * (here + beta*x - (e - beta*h)))
				e = leave*here + stay*e
				h = leave*softplus(-x) + stay*(softplus(x)+h)
			}
			es[i], hs[i] = float32(e), float32(h)
		}
	})
}

// gate is how likely a position leaves, and stays.
func gate(z float32) (leave, stay float64) {
	x := float64(z)
	return 1 / (1 + math.Exp(-x)), 1 / (1 + math.Exp(x))
}

// softplus is ln(1 + exp(x)): −ln of the probability of staying; at −x, that of leaving.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
