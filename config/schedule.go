package config

import (
	"math"

	"coil/model"
)

// Schedule is how the learning rate falls after the warm-up.
type Schedule string

// The values of Schedule.
const (
	Cosine    Schedule = "cosine"
	Linear    Schedule = "linear"
	Trapezoid Schedule = "trapezoid"
	Constant  Schedule = "constant"
)

// Values lists them.
func (Schedule) Values() []string {
	return []string{string(Cosine), string(Linear), string(Trapezoid), string(Constant)}
}

// RateAt is the learning rate of the step with that number, counted from 0, when the share used of Time has been used; that is 0
// without a Time. The rate is Rate·min(1, (step+1)/Warmup) times a factor that falls from 1 to FinalRate:
//
//	cosine, linear  along half a cosine or a line, with the share of the steps after the warm-up, or used if that is more
//	trapezoid       along a line over the last Warmdown of training: see [Train.Share]
//	constant        never
func (o Train) RateAt(step int, used float64) float64 {
	rate := o.Rate
	if step < o.Warmup {
		rate = o.Rate * float64(step+1) / float64(o.Warmup)
	}
	x := min(1, max(0, used, float64(step-o.Warmup)/max(1, float64(o.Steps-o.Warmup))))
	left := 1.0 // of what falls
	switch o.Schedule {
	case Cosine:
		left = (1 + math.Cos(math.Pi*x)) / 2
	case Linear:
		left = 1 - x
	case Trapezoid:
		if rest := 1 - o.Share(step, used); rest < o.Warmdown {
			left = rest / o.Warmdown
		}
	}
	if left == 1 {
		return rate
	}
	return rate * (o.FinalRate + (1-o.FinalRate)*left)
}

// Share is the share of training that is done before the step with that number, counted from 0: of the steps, or of Time if
// more of that is used.
func (o Train) Share(step int, used float64) float64 {
	return min(1, max(used, float64(step)/float64(o.Steps)))
}

// LoopsAt is how often the looped block of m runs in the step with that number, counted from 0, when the share used of train.time
// has been used: as drawn, as scheduled, or the model's own count. varies says that it may differ from step to step.
func (c Config) LoopsAt(m *model.Model, step int, used float64) (loops int, varies bool) {
	if random, ok := c.Loops.Random(); ok {
		return random.Draw(c.Train.Seed, uint64(step)), true
	}
	if s := c.Loops.Scheduled(); s != nil {
		return s.At(c.Train.Share(step, used)), true
	}
	return m.Architecture.Count(), false
}

// TrainingFLOPs is the mean FLOPs of one token in a forward pass over the steps of training: [model.Model.FLOPs] unless the loop count
// is scheduled.
func (c Config) TrainingFLOPs(m *model.Model) float64 {
	if s := c.Loops.Scheduled(); s != nil {
		return s.Mean(func(loops int) float64 { return float64(m.FLOPsAt(loops)) })
	}
	return float64(m.FLOPs())
}
