package report

import (
	"image/color"
	"math"
	"sync"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"coil/format"
)

// scale is how the numbers of an axis are meant.
type scale int

const (
	plain  scale = iota
	shares       // 0 to 1, written in percent
	memory       // bytes
	whole        // steps and loops
)

// axis is an axis from lo to hi, with lo < hi.
type axis struct {
	lo, hi float64
	log    bool
	scale  scale
}

// norm is where a value lies on the axis, from 0 to 1.
func (a axis) norm(v float64) vg.Length {
	if a.log {
		return vg.Length(math.Log(v/a.lo) / math.Log(a.hi/a.lo))
	}
	return vg.Length((v - a.lo) / (a.hi - a.lo))
}

// ticks are about n round values on the axis.
func (a axis) ticks(n int) []float64 {
	if a.log {
		return a.logTicks(n)
	}
	unit := 1.0
	if a.scale == memory {
		for unit = 1 << 10; a.hi >= unit*(1<<10) && unit < 1<<30; unit *= 1 << 10 {
		}
	}
	least := 0.0
	if a.scale == whole {
		least = 1
	}
	ticks := nice(a.lo/unit, a.hi/unit, least, n)
	for i := range ticks {
		ticks[i] *= unit
	}
	return ticks
}

// logTicks are the powers of ten on the axis, with their multiples of 2 and 5 if they are few, and not all if they are many.
func (a axis) logTicks(n int) []float64 {
	lo, hi := math.Log10(a.lo), math.Log10(a.hi)
	factors := []float64{1}
	if hi-lo < 2.5 {
		factors = []float64{1, 2, 5}
	}
	var ticks []float64
	for e := math.Floor(lo); e <= hi; e += max(1, math.Ceil((hi-lo)/float64(n))) {
		for _, f := range factors {
			if v := f * math.Pow(10, e); v >= a.lo && v <= a.hi {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}

// nice are at most n round values from lo to hi, a distance of at least that apart: multiples of 1, 2 or 5 times a power
// of ten.
func nice(lo, hi, least float64, n int) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/float64(n))))
	for _, f := range []float64{1, 2, 5, 10} {
		if (hi-lo)/(step*f) <= float64(n) {
			step *= f
			break
		}
	}
	step = max(step, least)
	var ticks []float64
	for k := math.Ceil(lo / step); k*step <= hi && len(ticks) <= n; k++ {
		ticks = append(ticks, k*step+0) // + 0: of -0
	}
	return ticks
}

func (a axis) label(v float64) string {
	switch a.scale {
	case shares:
		return format.Number(100*v) + " %"
	case memory:
		return format.Bytes(v)
	}
	return format.Number(v)
}

// axes is where lines are drawn.
type axes struct {
	to     draw.Canvas // between the axes
	x, y   axis
	xLabel string
}

// What x axes are.
const (
	bySteps = "step"
	byLoops = "loop"
)

func (a axes) at(p point) vg.Point {
	return vg.Point{X: a.to.X(float64(a.x.norm(p.x))), Y: a.to.Y(float64(a.y.norm(p.y)))}
}

// axes lays out axes that take all of the canvas with their labels.
func (c *chart) axes(to draw.Canvas) axes {
	x, y, _ := c.bounds()
	a := axes{to: to, xLabel: c.x, x: axis{scale: whole}, y: axis{scale: c.scale, log: c.logarithmic(y)}}
	if c.xPlain {
		a.x.scale = plain
	}
	if c.x == bySteps {
		x[0] = min(0, x[0])
	}
	x = widen(x)
	a.x.lo, a.x.hi = x[0], x[1]
	if a.y.log {
		a.y.lo, a.y.hi = y[0]/1.1, y[1]*1.1
	} else {
		y = c.linear(y)
		a.y.lo, a.y.hi = y[0], y[1]
	}
	width := vg.Length(0)
	for _, v := range a.y.ticks(yTicks) {
		width = max(width, axisStyle().Width(a.y.label(v)))
	}
	a.to = draw.Crop(to, width+5, 0, 28, 0)
	return a
}

// How many ticks the axes have at most.
const xTicks, yTicks = 6, 6

// draw draws the axes, and faint rules.
func (a axes) draw() {
	grey := draw.LineStyle{Color: axisLine, Width: 0.5}
	rule := draw.LineStyle{Color: ruleInk, Width: 0.5}
	right, below := axisStyle(), axisStyle()
	right.XAlign, right.YAlign = draw.XRight, draw.YCenter
	below.XAlign = draw.XCenter
	c := a.to
	for _, v := range a.y.ticks(yTicks) {
		y := a.at(point{a.x.lo, v}).Y
		c.StrokeLine2(rule, c.Min.X, y, c.Max.X, y)
		c.FillText(right, vg.Point{X: c.Min.X - 5, Y: y}, a.y.label(v))
	}
	for _, v := range a.x.ticks(xTicks) {
		x := a.at(point{v, a.y.lo}).X
		c.StrokeLine2(grey, x, c.Min.Y, x, c.Min.Y-3)
		c.FillText(below, vg.Point{X: x, Y: c.Min.Y - 13}, a.x.label(v))
	}
	c.StrokeLine2(grey, c.Min.X, c.Min.Y, c.Max.X, c.Min.Y)
	c.FillText(below, vg.Point{X: c.Center().X, Y: c.Min.Y - 26}, a.xLabel)
}

// style is how text is written, in Liberation Sans.
func style(size vg.Length, bold bool, c color.Color) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Color: c, Font: f, Handler: text.Plain{Fonts: fonts()}}
}

// axisStyle is the style of the axes' texts.
func axisStyle() text.Style { return style(10, false, axisText) }

// fonts are the two that plots use. plot.DefaultTextHandler would bring ten more into the program, 4 MB.
var fonts = sync.OnceValue(func() *font.Cache {
	var both font.Collection
	for _, f := range []struct {
		ttf    []byte
		weight xfont.Weight
	}{{liberationsansregular.TTF, xfont.WeightNormal}, {liberationsansbold.TTF, xfont.WeightBold}} {
		face, err := opentype.Parse(f.ttf)
		if err != nil {
			panic("report: a font is damaged")
		}
		both = append(both, font.Face{Font: font.Font{Typeface: "Liberation", Variant: "Sans", Weight: f.weight}, Face: face})
	}
	return font.NewCache(both)
})
