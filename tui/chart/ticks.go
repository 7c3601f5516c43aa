package chart

import (
	"math"
	"strconv"
	"strings"
)

// Nice returns about n round values, of the form 1, 2 or 5 times a power of ten, from lo to hi.
func Nice(lo, hi float64, n int) []float64 {
	span := hi - lo
	if !(span > 0) || math.IsInf(span, 0) || n < 1 {
		return nil
	}
	power := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	return multiples(lo, hi, nearestStep(span/float64(n), power, 2*power, 5*power, 10*power), n)
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
func (a Axis) ticks(s scale, n int) []float64 {
	for more := range 4 {
		if t := a.round(s, n+more); len(t) >= 2 {
			return t
		}
	}
	return []float64{s.lo, s.hi}
}

// round are about n round values of a scale.
func (a Axis) round(s scale, n int) []float64 {
	want := s.hi/float64(n) - s.lo/float64(n)
	switch {
	case s.log && s.hi/s.lo >= 30: // of powers of ten, and between them if there are few
		return decades(s, n)
	case a.Time && want >= 1 && want <= 10*day:
		return multiples(s.lo, s.hi, nearestStep(want, clockSteps...), n)
	case a.Time && want > 10*day:
		days := Nice(s.lo/day, s.hi/day, n)
		for i := range days {
			days[i] *= day
		}
		return days
	}
	return Nice(s.lo, s.hi, n)
}

// decades are about n powers of ten, or also twice and five times these.
func decades(s scale, n int) []float64 {
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

func (a Axis) label(v float64) string {
	switch {
	case a.Format != nil:
		return a.Format(v)
	case a.Share && finite(v):
		return Number(100*v) + "%"
	}
	return Number(v)
}

// units are those of times, in seconds.
var units = []struct {
	name    string
	seconds float64
}{{"d", day}, {"h", 3600}, {"m", 60}}

// times are labels in one unit: the largest unit that gives at least two labels with few digits.
func times(ticks []float64) []string {
	name, unit, most := "s", 1.0, 0.0
	for _, t := range ticks {
		most = max(most, math.Abs(t))
	}
	for _, u := range units {
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
		labels[i] = Number(t / unit)
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

// exact are numbers times a factor, with as many digits as it takes to tell them from each other.
func exact(ticks []float64, factor float64) []string {
	labels := make([]string, len(ticks))
	for digits := 5; digits <= 17; digits++ {
		for i, t := range ticks {
			labels[i] = strconv.FormatFloat(t*factor, 'g', digits, 64)
		}
		if distinct(labels) {
			break
		}
	}
	return labels
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

// labels are those of ticks, with enough digits for neighbours to differ. If all are plain numbers, they have as many digits
// after the point as the longest.
func (a Axis) labels(ticks []float64) []string {
	if a.Time {
		return times(ticks)
	}
	labels := make([]string, len(ticks))
	for i, t := range ticks {
		labels[i] = a.label(t)
	}
	if !distinct(labels) {
		factor, unit := 1.0, ""
		if a.Share {
			factor, unit = 100, "%"
		}
		labels = exact(ticks, factor)
		for i := range labels {
			labels[i] += unit
		}
	}
	align(labels)
	return labels
}

// align gives labels that are plain numbers as many digits after the point as the longest.
func align(labels []string) {
	digits := 0
	for _, l := range labels {
		_, after, _ := strings.Cut(l, ".")
		digits = max(digits, len(after))
	}
	if digits == 0 || !plain(strings.Join(labels, "")) {
		return
	}
	for i, l := range labels {
		if whole, after, _ := strings.Cut(l, "."); l != "0" {
			labels[i] = whole + "." + after + strings.Repeat("0", digits-len(after))
		}
	}
}

// plain reports whether a text is only of digits, points and signs.
func plain(s string) bool { return strings.Trim(s, "-.0123456789") == "" }

// Number writes a number in few characters: 0.0012, 15k, 1.3M, 4e-07.
func Number(x float64) string {
	if !finite(x) {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	x = round(x)
	switch a := math.Abs(x); {
	case a == 0:
		return "0"
	case a >= 1e15 || a < 1e-4:
		return strconv.FormatFloat(x, 'g', 3, 64)
	case a >= 1e12:
		return short(x/1e12) + "T"
	case a >= 1e9:
		return short(x/1e9) + "G"
	case a >= 1e6:
		return short(x/1e6) + "M"
	case a >= 1e4:
		return short(x/1e3) + "k"
	}
	return short(x)
}

// short writes a number of at most four digits.
func short(x float64) string { return strconv.FormatFloat(round(x), 'f', -1, 64) }

// round keeps four digits.
func round(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil { // beyond the largest number
		return x
	}
	return y
}
