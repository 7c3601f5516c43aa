package run

import (
	"cmp"
	"maps"
	"slices"

	"coil/run/curve"
)

// A Point is a value of a curve.
type Point = curve.Point

// A Series is the curves of one kind of event.
type Series struct {
	curves map[Key]*curve.Curve
	points int
	step   float64 // of the newest event that counts, −1 if there is none
}

func newSeries(points int) Series {
	return Series{curves: map[Key]*curve.Curve{}, points: points, step: -1}
}

// add adds a point to a curve, which begins with it, unless there are too many.
func (s *Series) add(k Key, step, seconds, tokens, y float64) {
	c := s.curves[k]
	if c == nil {
		if len(s.curves) == mostCurves {
			return
		}
		c = curve.New(s.points)
		s.curves[k] = c
	}
	c.Add(Point{Step: step, Seconds: seconds, Tokens: tokens, Y: y})
}

// rewind takes back the points of later steps.
func (s *Series) rewind(step int) {
	s.step = -1
	for k, c := range s.curves {
		c.Rewind(float64(step))
		if p, ok := c.Last(); ok {
			s.step = max(s.step, p.Step)
		} else {
			delete(s.curves, k)
		}
	}
}

// Step is that of the newest event that counts, 0 if there is none.
func (s *Series) Step() int { return int(max(0, s.step)) }

// Keys are those of all curves, by name.
func (s *Series) Keys() []Key {
	return slices.SortedFunc(maps.Keys(s.curves), func(a, b Key) int { return cmp.Compare(a.String(), b.String()) })
}

// Points are those of a curve, none if there is none. They are good until the next event.
func (s *Series) Points(k Key) []Point {
	if c := s.curves[k]; c != nil {
		return c.Points()
	}
	return nil
}

// Last is the newest point of a curve.
func (s *Series) Last(k Key) (Point, bool) {
	if c := s.curves[k]; c != nil {
		return c.Last()
	}
	return Point{}, false
}

// Value is the newest value of a curve.
func (s *Series) Value(k Key) (float64, bool) {
	p, ok := s.Last(k)
	return p.Y, ok
}

// Current is the value of a curve in the newest event that counts, if that has it.
func (s *Series) Current(k Key) (float64, bool) {
	p, ok := s.Last(k)
	return p.Y, ok && p.Step == s.step
}

// CurrentKeys are the keys of the values in the newest event that counts, by name.
func (s *Series) CurrentKeys() []Key {
	return slices.DeleteFunc(s.Keys(), func(k Key) bool {
		_, ok := s.Current(k)
		return !ok
	})
}

// Loops are the loops after which the keys have a quantity, in order.
func Loops(keys []Key, q Quantity) []int {
	var loops []int
	for _, k := range keys {
		if k.Quantity == q && k.Loop > 0 {
			loops = append(loops, k.Loop)
		}
	}
	slices.Sort(loops)
	return loops
}

// Parts returns the parts for which the keys have the quantity, in the order of the keys.
func Parts(keys []Key, q Quantity) []string {
	var parts []string
	for _, k := range keys {
		if k.Quantity == q && k.Part != "" {
			parts = append(parts, k.Part)
		}
	}
	return parts
}
