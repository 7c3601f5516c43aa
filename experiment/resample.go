package experiment

import (
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// resamples is how often seeds are drawn again for an interval.
const resamples = 2000

// resample returns the interval that holds a statistic with 95 %: its quantiles over samples in which the values of each group of
// seeds are drawn again from that group, with replacement (the percentile bootstrap of Efron, 1979). statistic applies again to each group that it
// reads. With few seeds, the interval is too narrow rather than too wide. Stream numbers the intervals, so that each has random numbers of its own.
func resample(stream uint64, statistic func(again func([]float64) []float64) float64) (low, high float64) {
	rng := rand.New(rand.NewPCG(1, stream))
	draws := make([]float64, resamples)
	for i := range draws {
		draws[i] = statistic(func(v []float64) []float64 {
			again := make([]float64, len(v))
			for k := range again {
				again[k] = v[rng.IntN(len(v))]
			}
			return again
		})
	}
	slices.Sort(draws)
	return stat.Quantile(0.025, stat.Empirical, draws, nil), stat.Quantile(0.975, stat.Empirical, draws, nil)
}
