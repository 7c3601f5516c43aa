package chart

import "math"

// scale maps values to 0…1.
type scale struct {
	lo, hi float64
	log    bool
}

// at is the place of a value that is shown: 0 at the lower end, 1 at the upper one.
func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	span := hi - lo
	switch {
	case span == 0:
		return 0.5
	case math.IsInf(span, 0): // of the largest numbers
		return (v/2 - lo/2) / (hi/2 - lo/2)
	}
	return (v - lo) / span
}

func (s scale) value(at float64) float64 {
	if s.log {
		return math.Exp(math.Log(s.lo)*(1-at) + math.Log(s.hi)*at)
	}
	return s.lo*(1-at) + s.hi*at
}

// dot is which of n dots is nearest to a value, −1 or n if it is beside all of them.
func (s scale) dot(v float64, n int) int {
	return int(math.Floor(min(float64(n), max(-1, s.at(v)*float64(n-1)+0.5))))
}

// shows reports whether a value is a number that the scale has a place for.
func (s scale) shows(v float64) bool { return finite(v) && (!s.log || v > 0) }

func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat64 }

// window is the visible range of x.
func (c *Chart) window() (scale, bool) {
	s := scale{lo: c.X.Lo, hi: c.X.Hi}
	if s.lo < s.hi && finite(s.lo) && finite(s.hi) {
		return s, true
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, k := range c.Series {
		for _, p := range k.Points {
			if finite(p.X) {
				lo, hi = widen(lo, hi, p.X)
			}
		}
	}
	switch {
	case lo > hi:
		return s, false
	case lo == hi:
		return around(lo), true
	}
	return scale{lo: lo, hi: hi}, true
}

// widen makes a range hold a number. It is faster than min and max, which look out for NaN.
func widen(lo, hi, v float64) (float64, float64) {
	if v < lo {
		lo = v
	}
	if v > hi {
		hi = v
	}
	return lo, hi
}

// around is a range with a value in its middle.
func around(v float64) scale {
	air := math.Abs(v) / 8
	if v == 0 {
		air = 1
	}
	return scale{lo: max(v-air, -math.MaxFloat64), hi: min(v+air, math.MaxFloat64)}
}

// height is the visible range of y: that of what the window shows, with a little air.
func (c *Chart) height(x scale) (scale, bool) {
	s := scale{c.Y.Lo, c.Y.Hi, c.Y.Log}
	if s.lo < s.hi && s.shows(s.lo) && s.shows(s.hi) {
		return s, true
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range c.Series {
		lo, hi = c.Series[i].bounds(x, s, lo, hi)
	}
	switch {
	case lo > hi:
		return s, false
	case s.log && lo == hi:
		return scale{max(lo/2, math.SmallestNonzeroFloat64), min(hi*2, math.MaxFloat64), true}, true
	case s.log:
		return scale{lo, hi, true}, true
	case lo == hi:
		return around(lo), true
	}
	air := hi/32 - lo/32
	return scale{lo: max(lo-air, -math.MaxFloat64), hi: min(hi+air, math.MaxFloat64)}, true
}

// bounds widens lo to hi to the values in the window x, and the ends of lines that only cross it.
func (k *Series) bounds(x, y scale, lo, hi float64) (float64, float64) {
	for i, p := range k.Points {
		if p.X >= x.lo && p.X <= x.hi {
			if y.shows(p.Y) {
				lo, hi = widen(lo, hi, p.Y)
			}
			continue
		}
		if i == 0 || k.Marks || !(p.X > x.hi) {
			continue
		}
		if before := k.Points[i-1]; before.X < x.lo && y.shows(before.Y) && y.shows(p.Y) {
			lo, hi = min(lo, before.Y, p.Y), max(hi, before.Y, p.Y)
		}
	}
	return lo, hi
}
