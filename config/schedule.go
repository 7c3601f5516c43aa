package config

import "math"

// Schedule is how the learning rate falls after the warm-up.
type Schedule string

// The values of Schedule.
const (
	Cosine   Schedule = "cosine"
	Linear   Schedule = "linear"
	Constant Schedule = "constant"
)

// Values lists them.
func (Schedule) Values() []string { return []string{string(Cosine), string(Linear), string(Constant)} }

// RateAt is the learning rate of the step with that number, counted from 0: Rate·(step+1)/Warmup in the warm-up, then
// from Rate to FinalRate·Rate along half a cosine or a line.
func (o Train) RateAt(step int) float64 {
	if step < o.Warmup {
		return o.Rate * float64(step+1) / float64(o.Warmup)
	}
	x := min(1, float64(step-o.Warmup)/max(1, float64(o.Steps-o.Warmup)))
	switch o.Schedule {
	case Cosine:
		return o.Rate * (o.FinalRate + (1-o.FinalRate)*(1+math.Cos(math.Pi*x))/2)
	case Linear:
		return o.Rate * (o.FinalRate + (1-o.FinalRate)*(1-x))
	}
	return o.Rate
}
