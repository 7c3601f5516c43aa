package plot

import "math"

// Scale maps the values from lo to hi to 0…1.
type Scale struct {
	lo, hi float64
	log    bool
}

// Linear is a scale from lo to hi.
func Linear(lo, hi float64) Scale { return Scale{lo: lo, hi: hi} }

// At is where a value is: 0 at the lower end, 1 at the upper one.
func (s Scale) At(v float64) float64 {
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

// Value is the value that is at a place.
func (s Scale) Value(at float64) float64 {
	if s.log {
		return math.Exp(math.Log(s.lo)*(1-at) + math.Log(s.hi)*at)
	}
	return s.lo*(1-at) + s.hi*at
}

// dot is which of n dots is nearest to a value, −1 or n if it is beside all of them.
func (s Scale) dot(v float64, n int) int {
	return int(math.Floor(min(float64(n), max(-1, s.At(v)*float64(n-1)+0.5))))
}

// shows reports whether a value is a number that the scale has a place for.
func (s Scale) shows(v float64) bool { return finite(v) && (!s.log || v > 0) }

func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat64 }

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

// hold makes a range hold the values that the axis always shows.
func (a Axis) hold(lo, hi float64) (float64, float64) {
	if a.Zero && !a.Log {
		lo, hi = widen(lo, hi, 0)
	}
	if a.One {
		lo, hi = widen(lo, hi, 1)
	}
	return lo, hi
}

// around is a range with a value in its middle.
func (a Axis) around(v float64) Scale {
	air := math.Abs(v) / 8
	switch {
	case a.Log:
		return Scale{max(v/2, math.SmallestNonzeroFloat64), min(v*2, math.MaxFloat64), true}
	case a.Unit == Whole:
		air = max(1, air)
	case v == 0:
		air = 1
	}
	return Scale{lo: max(v-air, -math.MaxFloat64), hi: min(v+air, math.MaxFloat64)}
}

// window is the visible range of x.
func (c *Chart) window() (Scale, bool) {
	s := Scale{c.X.Lo, c.X.Hi, c.X.Log}
	if s.lo < s.hi && s.shows(s.lo) && s.shows(s.hi) {
		return s, true
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, k := range c.Series {
		for _, p := range k.Points {
			if s.shows(p.X) {
				lo, hi = widen(lo, hi, p.X)
			}
		}
	}
	if lo > hi {
		return s, false
	}
	if lo, hi = c.X.hold(lo, hi); lo == hi {
		return c.X.around(lo), true
	}
	return Scale{lo, hi, c.X.Log}, true
}

// height is the visible range of y: that of what the window shows, with a little air.
func (c *Chart) height(x Scale) (Scale, bool) {
	s := Scale{c.Y.Lo, c.Y.Hi, c.Y.Log}
	if s.lo < s.hi && s.shows(s.lo) && s.shows(s.hi) {
		return s, true
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range c.Series {
		lo, hi = c.Series[i].bounds(x, s, lo, hi)
	}
	if lo > hi {
		return s, false
	}
	if lo, hi = c.Y.hold(lo, hi); lo == hi {
		return c.Y.around(lo), true
	}
	if s.log {
		air := math.Pow(hi/lo, 1.0/32)
		if math.IsInf(air, 1) {
			air = 1
		}
		return Scale{max(lo/air, math.SmallestNonzeroFloat64), min(hi*air, math.MaxFloat64), true}, true
	}
	air := hi/32 - lo/32
	s = Scale{lo: max(lo-air, -math.MaxFloat64), hi: min(hi+air, math.MaxFloat64)}
	if c.Y.Zero && lo == 0 {
		s.lo = 0
	}
	return s, true
}

// bounds widens lo to hi to the values in the window x, and the ends of lines that only cross it.
func (k *Series) bounds(x, y Scale, lo, hi float64) (float64, float64) {
	for i, p := range k.Points {
		if p.X >= x.lo && p.X <= x.hi {
			if y.shows(p.Y) {
				lo, hi = widen(lo, hi, p.Y)
			}
			continue
		}
		if i == 0 || k.Kind == Marks || !(p.X > x.hi) {
			continue
		}
		if before := k.Points[i-1]; before.X < x.lo && y.shows(before.Y) && y.shows(p.Y) {
			lo, hi = min(lo, before.Y, p.Y), max(hi, before.Y, p.Y)
		}
	}
	return lo, hi
}
