// Package format writes quantities as people read them: counts, percentages, times, bytes and numbers with SI prefixes.
//
// A number is never rounded so that it reads as another one that means something else: what is not zero is not written as
// zero, what is not all is not written as 100 %, and a prefix is chosen after rounding, so that 999 960 is 1M and never
// 1000k. What is not finite is written NaN, +Inf or -Inf.
//
// Texts have ordinary spaces. [NoBreak] makes them fit for a page.
package format

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// An Integer is what [Count] and [Plural] take.
type Integer interface {
	~int | ~int32 | ~int64 | ~uint | ~uint32 | ~uint64
}

// Count writes a whole number with gaps between groups of three digits: 50 112.
func Count[N Integer](n N) string {
	s := ""
	if n < 0 {
		s = strconv.FormatInt(int64(n), 10)
	} else {
		s = strconv.FormatUint(uint64(n), 10)
	}
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// Plural writes how many there are of something whose plural ends in s: 1 worker, 2 workers, 1 200 workers.
func Plural[N Integer](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// Percent writes a share of one in percent: 0.934 is 93.4 %. See [Points].
func Percent(x float64, digits int) string {
	if !finite(x) {
		return special(x)
	}
	return Points(x, digits) + " %"
}

// Points writes a share of one in percent without the sign, with a number of digits after the point. A share that is neither
// nothing nor all is not written as 0 or 100: it is <0.1 or >99.9.
func Points(x float64, digits int) string { return points(x, digits, "") }

// Change writes a difference of two shares in percentage points, with its sign: +1.2, -0.4, 0.0, <+0.1.
func Change(x float64, digits int) string { return points(x, digits, "+") }

// points writes 100·x, with plus before what is positive.
func points(x float64, digits int, plus string) string {
	if !finite(x) {
		return special(x)
	}
	write := func(v float64) string {
		s := strconv.FormatFloat(v+0, 'f', digits, 64) // + 0: of −0
		if v > 0 {
			s = plus + s
		}
		return s
	}
	v := 100 * x
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', digits, 64), 64)
	const noise = 1e-10 // of a mean of equal shares
	switch unit := math.Pow(10, -float64(digits)); {
	case err != nil || rounded != 0 && rounded != 100:
		return write(v)
	case math.Abs(v-rounded) <= noise && (rounded != 0 || v == 0):
		return write(rounded)
	case v < rounded:
		return ">" + write(rounded-unit)
	default:
		return "<" + write(rounded+unit)
	}
}

// Fixed writes a number with as many digits after the point, or in exponents if it would read as zero or is very large.
func Fixed(x float64, digits int) string {
	if !finite(x) {
		return special(x)
	}
	s := strconv.FormatFloat(x+0, 'f', digits, 64)
	if math.Abs(x) >= 1e9 || x != 0 && strings.Trim(s, "-0.") == "" {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	return s
}

// Number writes a number in few characters, with four digits: 0.0012, 9999, 15k, 1.3M, 4e-07.
func Number(x float64) string {
	if !finite(x) {
		return special(x)
	}
	switch a := math.Abs(x); {
	case x == 0:
		return "0"
	case round(a, 4) >= 1e15 || round(a, 4) < 1e-4:
		return strconv.FormatFloat(x, 'g', 3, 64)
	case round(a, 4) < 1e4:
		return plain(x, 4)
	}
	value, prefix := scale(x, 4)
	return value + prefix
}

// SI writes a quantity with three digits, a prefix of the SI, and its unit: 250 kFLOP/s. Without a unit the prefix stands alone.
func SI(x float64, unit string) string {
	if !finite(x) {
		return strings.TrimRight(special(x)+" "+unit, " ")
	}
	value, prefix := scale(x, 3)
	return strings.TrimRight(value+" "+prefix+unit, " ")
}

// Rate writes how many of something there are in a second: 13.41k tokens/s.
func Rate(x float64, nouns string) string { return Number(x) + " " + nouns + "/s" }

// prefixes are those of the SI for factors of 1000.
var prefixes = []string{"", "k", "M", "G", "T", "P", "E"}

// scale is a number with that many digits over the power of 1000 of a prefix.
func scale(x float64, digits int) (value, prefix string) {
	k := 0
	for k+1 < len(prefixes) && round(math.Abs(x), digits) >= 1000 {
		x /= 1000
		k++
	}
	if a := math.Abs(x); a >= 1e6 || x != 0 && a < 1e-3 {
		return strconv.FormatFloat(x, 'g', digits, 64), prefixes[k]
	}
	return plain(x, digits), prefixes[k]
}

// Bytes writes an amount of memory with three digits: 512 B, 1.5 GiB, 1023 MiB.
func Bytes[N Integer | ~float64](n N) string {
	x, k := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	if !finite(x) {
		return special(x)
	}
	whole := func() float64 { // with at least three digits
		if a := math.Abs(x); a >= 999.5 {
			return math.Round(a)
		}
		return round(math.Abs(x), 3)
	}
	for k+1 < len(units) && whole() >= 1024 {
		x /= 1024
		k++
	}
	if whole() >= 1000 {
		return Fixed(x, 0) + " " + units[k]
	}
	return plain(x, 3) + " " + units[k]
}

// Duration writes a time: 420 ms, 9.5 s, 42 s, 3 m 05 s, 2 h 07 m, 3 d 04 h, 31.7 years.
func Duration(d time.Duration) string { return Seconds(d.Seconds()) }

// Seconds writes a time as [Duration] does.
func Seconds(s float64) string {
	const day = 24 * 3600
	switch {
	case !finite(s) || math.Abs(s) >= 1e10 || s != 0 && math.Abs(s) < 1e-6:
		return Number(s) + " s"
	case s < 0:
		return "-" + Seconds(-s)
	case s == 0:
		return "0 s"
	case round(1e6*s, 3) < 1000:
		return plain(1e6*s, 3) + " µs"
	case round(1e3*s, 3) < 1000:
		return plain(1e3*s, 3) + " ms"
	case s < 9.95:
		return strconv.FormatFloat(math.Round(10*s)/10, 'f', -1, 64) + " s"
	case s < 59.5:
		return strconv.FormatFloat(s, 'f', 0, 64) + " s"
	case s < 3599.5:
		return parts(s, 1, "m", "s", 60)
	case s < 2*day-30:
		return parts(s, 60, "h", "m", 60)
	case s < 1000*day:
		return parts(s, 3600, "d", "h", 24)
	}
	return plain(s/(365.25*day), 3) + " years"
}

// parts writes a time in two units: the smaller has that many seconds, and the larger is per of it.
func parts(s, seconds float64, large, small string, per int64) string {
	n := int64(math.Round(s / seconds))
	rest := strconv.FormatInt(n%per, 10)
	if len(rest) < 2 {
		rest = "0" + rest
	}
	return Count(n/per) + " " + large + " " + rest + " " + small
}

// NoBreak gives a text narrow spaces at which no line ends, for a page.
func NoBreak(s string) string { return strings.ReplaceAll(s, " ", "\u202f") }

func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }

// special is a number that is not finite.
func special(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// round keeps that many digits.
func round(x float64, digits int) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	if err != nil { // beyond the largest number
		return x
	}
	return y
}

// plain writes a number with that many digits, without exponent and without zeros at its end.
func plain(x float64, digits int) string { return strconv.FormatFloat(round(x, digits), 'f', -1, 64) }
