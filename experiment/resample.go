package experiment

import (
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// resamples is how often seeds are drawn again for an interval.
const resamples = 2000

// resample returns the interval that holds a statistic with 95 %: its quantiles over samples in which seeds are drawn again, with
// replacement (the percentile bootstrap of Efron, 1979). statistic applies again to the values of each model that it reads. Models with as many
// values have the same seeds drawn, because equal seeds train on the same data: what they share cancels in a comparison. With few seeds, the interval is
// too narrow rather than too wide. Stream numbers the intervals, so that each has random numbers of its own.
func resample(stream uint64, statistic func(again func([]float64) []float64) float64) (low, high float64) {
	rng := rand.New(rand.NewPCG(1, stream))
	draws := make([]float64, resamples)
	for i := range draws {
		seeds := map[int][]int{} // drawn, by their number
		draws[i] = statistic(func(v []float64) []float64 {
			drawn, ok := seeds[len(v)]
			if !ok {
				drawn = make([]int, len(v))
				for k := range drawn {
					drawn[k] = rng.IntN(len(v))
				}
				seeds[len(v)] = drawn
			}
			again := make([]float64, len(v))
			for k, seed := range drawn {
				again[k] = v[seed]
			}
			return again
		})
	}
	slices.Sort(draws)
	return stat.Quantile(0.025, stat.Empirical, draws, nil), stat.Quantile(0.975, stat.Empirical, draws, nil)
}
