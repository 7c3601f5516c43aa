package chart

import (
	"math"
	"strconv"
)

// Nice returns about n round values, of the form 1, 2 or 5 times a power of ten, from lo to hi.
func Nice(lo, hi float64, n int) []float64 {
	span := hi - lo
	if !(span > 0) || math.IsInf(span, 0) || n < 1 {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	for _, f := range []float64{1, 2, 5, 10} {
		if span/(step*f) <= float64(n) {
			step *= f
			break
		}
	}
	if !(step > 0) || lo+step == lo || hi-step == hi { // finer than the numbers are
		return nil
	}
	var t []float64
	for k := math.Ceil(lo / step); k*step <= hi+step*1e-9 && len(t) <= 4*n; k++ {
		v := k * step
		if math.Abs(v) < step*1e-9 {
			v = 0
		}
		t = append(t, v)
	}
	return t
}

// ticks are about n round values of a scale.
func ticks(s scale, n int) []float64 {
	if !s.log {
		return Nice(s.lo, s.hi, n)
	}
	lo, hi := math.Log10(s.lo), math.Log10(s.hi)
	if !(hi-lo >= 1.5) || math.IsInf(hi-lo, 0) { // less than two powers of ten
		return Nice(s.lo, s.hi, n)
	}
	every := math.Max(1, math.Ceil((hi-lo)/float64(n)))
	var t []float64
	for e := math.Ceil(lo - 1e-9); e <= hi+1e-9; e += every {
		t = append(t, math.Pow(10, e))
	}
	return t
}

// Number writes a number in few characters: 0.0012, 15k, 1.3M, 4e-07.
func Number(x float64) string {
	a := math.Abs(x)
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return strconv.FormatFloat(x, 'g', -1, 64)
	case x == 0:
		return "0"
	case a >= 1e15 || a < 1e-4:
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if a >= u.size {
			if u.size == 1e4 {
				u.size = 1e3
			}
			return strconv.FormatFloat(round(x/u.size), 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatFloat(round(x), 'f', -1, 64)
}

// round keeps four digits, or all of those before the point.
func round(x float64) float64 {
	if math.Abs(x) >= 1000 {
		return math.Round(x)
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		return x
	}
	return y
}
