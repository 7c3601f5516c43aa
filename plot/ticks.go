package plot

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"coil/format"
)

// nice are about n round values from lo to hi, of the form 1, 2 or 5 times a power of ten, and at least that far apart.
func nice(lo, hi, least float64, n int) []float64 {
	span := hi - lo
	if !(span > 0) || math.IsInf(span, 0) || n < 1 {
		return nil
	}
	power := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	return multiples(lo, hi, max(least, nearestStep(span/float64(n), power, 2*power, 5*power, 10*power)), n)
}

// nearestStep is the step that is nearest to the wanted one, by their ratio.
func nearestStep(want float64, steps ...float64) float64 {
	best := steps[0]
	for _, s := range steps {
		if math.Abs(math.Log(s/want)) < math.Abs(math.Log(best/want)) {
			best = s
		}
	}
	return best
}

// multiples of a step from lo to hi; none if the step is finer than the numbers are, and no more than some times n.
func multiples(lo, hi, step float64, n int) []float64 {
	if !(step > 0) || lo+step == lo || hi-step == hi {
		return nil
	}
	var t []float64
	for k := math.Ceil(lo/step - 1e-9); len(t) <= 4*n; k++ {
		v := k*step + 0 // no −0
		if !finite(v) || v > hi+step*1e-9 {
			break
		}
		t = append(t, v)
	}
	return t
}

// clockSteps are round times in seconds.
var clockSteps = []float64{1, 2, 5, 10, 15, 30, 60, 2 * 60, 5 * 60, 10 * 60, 15 * 60, 30 * 60,
	3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, day, 2 * day, 5 * day, 10 * day}

const day = 24 * 3600

// ticks are about n round values of a scale, two at least: its ends if there are no round ones.
func (a Axis) ticks(s Scale, n int) []float64 {
	for more := range 4 {
		if t := a.round(s, n+more); len(t) >= 2 {
			return t
		}
	}
	return []float64{s.lo, s.hi}
}

// round are about n round values of a scale.
func (a Axis) round(s Scale, n int) []float64 {
	if s.log {
		if t := decades(s, n); len(t) >= 3 {
			return t
		}
	}
	want := s.hi/float64(n) - s.lo/float64(n)
	switch {
	case a.Unit == Second && want >= 1 && want <= 10*day:
		return multiples(s.lo, s.hi, nearestStep(want, clockSteps...), n)
	case a.Unit == Second && want > 10*day:
		return times(nice(s.lo/day, s.hi/day, 0, n), day)
	case a.Unit == Byte:
		unit := 1.0
		for s.hi >= 1024*unit {
			unit *= 1024
		}
		return times(nice(s.lo/unit, s.hi/unit, 0, n), unit)
	case a.Unit == Whole:
		return nice(s.lo, s.hi, 1, n)
	}
	return nice(s.lo, s.hi, 0, n)
}

func times(values []float64, factor float64) []float64 {
	for i := range values {
		values[i] *= factor
	}
	return values
}

// decades are about n powers of ten, or also twice and five times these.
func decades(s Scale, n int) []float64 {
	lo, hi := math.Log10(s.lo), math.Log10(s.hi)
	every, factors := 1.0, []float64{1}
	switch whole := hi - lo; {
	case 2*whole <= float64(n):
		factors = []float64{1, 2, 5}
	case whole > float64(n):
		every = math.Ceil(whole / float64(n))
	}
	var t []float64
	for e := every * math.Floor(lo/every); e <= hi; e += every {
		for _, f := range factors {
			if v := f * math.Pow(10, e); v >= s.lo*(1-1e-9) && v <= s.hi*(1+1e-9) {
				t = append(t, v)
			}
		}
	}
	return t
}

// labels are those of ticks, with enough digits for neighbours to differ. Plain numbers of the same
// size have as many digits after the point as the longest.
func (a Axis) labels(ticks []float64) []string {
	factor, suffix := 1.0, ""
	write := format.Number
	switch a.Unit {
	case Second:
		return clock(ticks)
	case Share:
		factor, suffix = 100, "%"
	case Byte:
		write = format.Bytes[float64]
	}
	labels := make([]string, len(ticks))
	for i, t := range ticks {
		if labels[i] = write(t * factor); finite(t) && !finite(t*factor) {
			labels[i] = product(t, factor, 3)
		}
	}
	if !distinct(labels) {
		labels = exact(ticks, factor)
	}
	if n := len(ticks); !a.Log || n > 0 && ticks[n-1] < 10*ticks[0] {
		align(labels)
	}
	for i, t := range ticks {
		if finite(t) {
			labels[i] += suffix
		}
	}
	return labels
}

// clockUnits are those of times, in seconds.
var clockUnits = []struct {
	name    string
	seconds float64
}{{"d", day}, {"h", 3600}, {"m", 60}}

// clock is the labels of times in one unit: the largest unit that gives at least two labels with few digits.
func clock(ticks []float64) []string {
	name, unit, most := "s", 1.0, 0.0
	for _, t := range ticks {
		most = max(most, math.Abs(t))
	}
	for _, u := range clockUnits {
		even := most >= 2*u.seconds
		for _, t := range ticks {
			even = even && math.Mod(100*t, u.seconds) == 0
		}
		if even {
			name, unit = u.name, u.seconds
			break
		}
	}
	labels := make([]string, len(ticks))
	for i, t := range ticks {
		labels[i] = format.Number(t / unit)
	}
	if !distinct(labels) {
		labels = exact(ticks, 1/unit)
	}
	align(labels)
	for i := range labels {
		labels[i] += name
	}
	return labels
}

// exact are numbers times a factor, with as many digits as it takes for neighbours to differ.
func exact(ticks []float64, factor float64) []string {
	labels := make([]string, len(ticks))
	for digits := 5; digits <= 17; digits++ {
		for i, t := range ticks {
			labels[i] = product(t, factor, digits)
		}
		if distinct(labels) {
			break
		}
	}
	return labels
}

// product writes a product with that many digits, however large it is.
func product(x, y float64, digits int) string {
	if v := x * y; finite(v) {
		return strconv.FormatFloat(v, 'g', digits, 64)
	}
	return new(big.Float).Mul(big.NewFloat(x), big.NewFloat(y)).Text('g', digits)
}

// distinct reports whether each label differs from the one before.
func distinct(labels []string) bool {
	for i := 1; i < len(labels); i++ {
		if labels[i] == labels[i-1] {
			return false
		}
	}
	return true
}

// align gives labels that are plain numbers as many digits after the point as the longest.
func align(labels []string) {
	digits := 0
	for _, l := range labels {
		_, after, _ := strings.Cut(l, ".")
		digits = max(digits, len(after))
	}
	if digits == 0 || strings.Trim(strings.Join(labels, ""), "-.0123456789") != "" {
		return
	}
	for i, l := range labels {
		if whole, after, _ := strings.Cut(l, "."); l != "0" {
			labels[i] = whole + "." + after + strings.Repeat("0", digits-len(after))
		}
	}
}
