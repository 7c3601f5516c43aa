// Package plot draws series of points against two axes. A [Chart] is data. Its scales, ticks, palette and legend are the same
// whatever it is painted on: character cells ([Chart.Cells]), SVG ([Chart.SVG]) or pixels ([Chart.PNG]).
package plot

import (
	"math"
	"sort"

	"coil/format"
)

// Point is a point of a series. A Y that is NaN or infinite is a gap, with a cross at the edge of the chart.
type Point struct{ X, Y float64 }

// Kind is how a series is drawn.
type Kind int

// The kinds.
const (
	Line   Kind = iota
	Faint       // a line behind the others: what is smoothed, or fitted to them
	Marked      // a thin line with a mark at each point
	Marks       // marks without a line
)

// order is that in which kinds are drawn: later ones lie over earlier ones.
var order = []Kind{Faint, Line, Marked, Marks}

// Series is points in the order of X.
type Series struct {
	Name   string // in the legend; "" for none
	Points []Point
	Kind   Kind

	// Color is the place in the palette. Series of one thing have the same. A place has a pattern of dashes and a shape of
	// marks too, so that colours are not needed.
	Color int
	// Of, if it is positive, is the length of an ordered sequence, such as loops, in which this series has index Color. The
	// colours of the sequence go from faint to strong.
	Of int
}

// Unit is what the numbers of an axis are.
type Unit int

// The units.
const (
	Plain  Unit = iota
	Whole       // whole numbers: steps, loops
	Share       // of one, shown in percent
	Second      // times
	Byte        // memory
)

// Axis is one of the two axes.
type Axis struct {
	Label  string
	Unit   Unit
	Lo, Hi float64 // the window; if they are equal it fits the data
	Log    bool    // logarithmic; values that are not positive are gaps
	Zero   bool    // the window holds 0
	One    bool    // the window holds 1
}

// Chart is series and their axes. Later series lie over earlier ones of the same kind.
type Chart struct {
	Title     string
	Series    []Series
	X, Y      Axis
	Cursor    float64 // on the x axis
	HasCursor bool
}

// Width and Height are the usual size of a chart in a picture, in points.
const Width, Height = 420, 280

// Empty reports whether the window has no point to draw.
func (c *Chart) Empty() bool {
	x, ok := c.window()
	if ok {
		_, ok = c.height(x)
	}
	return !ok
}

// Broken is how many values in the window are NaN or infinite.
func (c *Chart) Broken() int {
	x, ok := c.window()
	n := 0
	for _, s := range c.Series {
		for _, p := range s.Points {
			if !finite(p.Y) && (!ok || p.X >= x.lo && p.X <= x.hi) {
				n++
			}
		}
	}
	return n
}

// Wide reports whether all values are positive and span so much that they are better seen on a logarithmic axis.
func (c *Chart) Wide() bool {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, s := range c.Series {
		for _, p := range s.Points {
			if finite(p.Y) {
				lo, hi = widen(lo, hi, p.Y)
			}
		}
	}
	return lo > 0 && hi/50 >= lo
}

// marked reports whether the points are marked: a single one would hardly be seen otherwise.
func (s *Series) marked() bool { return s.Kind >= Marked || len(s.Points) == 1 }

// lined reports whether a line joins the points.
func (s *Series) lined() bool { return s.Kind != Marks && len(s.Points) != 1 }

// near is the value of the point nearest to x; ok is false if x is further beyond the ends than points are apart there.
func (s *Series) near(x float64) (y float64, ok bool) {
	p := s.Points
	n := len(p)
	i := sort.Search(n, func(i int) bool { return p[i].X >= x })
	switch {
	case n == 0:
		return 0, false
	case n == 1:
		i = 0
	case i == 0 && p[0].X-x > p[1].X-p[0].X, i == n && x-p[n-1].X > p[n-1].X-p[n-2].X:
		return 0, false
	case i == n || i > 0 && x-p[i-1].X < p[i].X-x:
		i--
	}
	return p[i].Y, true
}

// notFinite is what the legend says of crosses.
const notFinite = "× NaN or infinite"

// entry is a line of the legend.
type entry struct {
	text   string
	series int // which it is of; −1 for the cursor's, −2 for what is not finite
}

// The entries that are of no series.
const (
	ofCursor = -1
	ofBroken = -2
)

// entries are the names of the series, with their values at the cursor.
func (c *Chart) entries() []entry {
	var entries []entry
	if c.HasCursor {
		entries = append(entries, entry{c.X.Label + " " + c.X.value(c.Cursor), ofCursor})
	}
	for i := range c.Series {
		s := &c.Series[i]
		if s.Name == "" {
			continue
		}
		text := s.Name
		if c.HasCursor {
			if v, ok := s.near(c.Cursor); ok {
				text += " " + c.Y.value(v)
			} else {
				text += " –"
			}
		}
		entries = append(entries, entry{text, i})
	}
	if c.Broken() > 0 {
		entries = append(entries, entry{notFinite, ofBroken})
	}
	return entries
}

// value is a single value of an axis as text.
func (a Axis) value(v float64) string {
	switch a.Unit {
	case Share:
		return format.Percent(v, 1)
	case Second:
		return format.Seconds(v)
	case Byte:
		return format.Bytes(v)
	}
	return format.Number(v)
}
