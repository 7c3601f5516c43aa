package bench

import (
	"math"
	"slices"
)

// FewestRounds is how many quiet rounds the interval of a median needs: with five, the least and the greatest hold it with a
// probability of 94 % only.
const FewestRounds = 6

// The probability with which an interval misses what it should hold.
const (
	medianMiss = 0.05 // of a median
	ratioMiss  = 0.01 // of the ratio of two results, so that one row in a hundred differs by chance
)

// median of what is sorted.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// medianInterval is the interval of order statistics that holds the median of the distribution of x, which is sorted, with a
// probability of at least 95 %, whatever the distribution: from the k-th least to the k-th greatest, where k is the greatest with
// P(Binomial(n, 1/2) < k) ≤ 2.5 %.
func medianInterval(x []float64) (low, high float64, ok bool) {
	n, k, sum := len(x), 0, 0.0
	for p := math.Pow(0.5, float64(n)); sum+p <= medianMiss/2; k++ {
		sum += p
		p *= float64(n-k) / float64(k+1)
	}
	if k == 0 {
		return 0, 0, false
	}
	return x[k-1], x[n-k], true
}

// Ratio is how many times as large one quantity is as another.
type Ratio struct {
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"` // the interval at 99 %
	High     float64 `json:"high"`
}

// medianRatio compares two samples of positive numbers by the estimate of Hodges and Lehmann and the interval of the rank-sum test of
// Mann and Whitney, on logarithms: the median of all ratios of a number of the new to one of the old, and the ratios within which
// the test sees no difference. That assumes only that the distributions differ by a factor. It is false if
// there are too few numbers for an interval at 99 %, as with four and four.
func medianRatio(old, new []float64) (Ratio, bool) {
	ratios := make([]float64, 0, len(old)*len(new))
	for _, a := range old {
		for _, b := range new {
			ratios = append(ratios, b/a)
		}
	}
	slices.Sort(ratios)
	k := rankSumTail(len(old), len(new), ratioMiss/2)
	if k == 0 {
		return Ratio{}, false
	}
	return Ratio{median(ratios), ratios[k-1], ratios[len(ratios)-k]}, true
}

// rankSumTail is the greatest k with P(U < k) ≤ p, where U is how many of the m·n pairs of two samples of one distribution are in
// order.
func rankSumTail(m, n int, p float64) int {
	// ways[j][u] of arranging i of one sample and j of the other with u pairs in order, for rising i: the greatest number is
	// either one of the first sample, in order with all j of the other, or one of the other.
	most := m * n / 2
	ways := make([][]float64, n+1)
	for j := range ways {
		ways[j] = make([]float64, most+1)
		ways[j][0] = 1
	}
	for range m {
		for j := 1; j <= n; j++ {
			for u := most; u >= 0; u-- {
				fewer := 0.0
				if u >= j {
					fewer = ways[j][u-j]
				}
				ways[j][u] = fewer + ways[j-1][u]
			}
		}
	}
	all := 1.0 // m + n over m
	for i := 1; i <= m; i++ {
		all = all * float64(n+i) / float64(i)
	}
	k, sum := 0, 0.0
	for k <= most && sum+ways[n][k] <= p*all {
		sum += ways[n][k]
		k++
	}
	return k
}
