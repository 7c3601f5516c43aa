package config

import "math"

// RateAt is the learning rate of the step with that number, counted from 0: Rate·(step+1)/Warmup in the warm-up, then
// from Rate to FinalRate·Rate along half a cosine or a line.
func (o Train) RateAt(step int) float64 {
	if step < o.Warmup {
		return o.Rate * float64(step+1) / float64(o.Warmup)
	}
	x := min(1, float64(step-o.Warmup)/max(1, float64(o.Steps-o.Warmup)))
	switch o.Schedule {
	case "cosine":
		return o.Rate * (o.FinalRate + (1-o.FinalRate)*(1+math.Cos(math.Pi*x))/2)
	case "linear":
		return o.Rate * (o.FinalRate + (1-o.FinalRate)*(1-x))
	}
	return o.Rate
}
