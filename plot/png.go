package plot

import (
	"bytes"
	"image"
	imagedraw "image/draw"
	"image/png"
	"math"
	"sync"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// pixels is how many pixels a point has in a picture, in either direction.
const pixels = 2

// PNG is the chart as a picture of w×h points, light, with two pixels a point.
func (c *Chart) PNG(w, h int) []byte {
	p := raster{image: newImage(w, h), faces: map[lettering]font.Face{}}
	c.paint(&p, float64(w), float64(h))
	var b bytes.Buffer
	fast := png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: &buffers} // charts are 3 % larger for it
	if err := fast.Encode(&b, p.image); err != nil {                           // a buffer takes everything
		panic("plot: " + err.Error())
	}
	return b.Bytes()
}

// buffers keeps what encoders work in, a megabyte and more each, for the next picture.
var buffers pool

type pool struct{ sync.Pool }

func (p *pool) Get() *png.EncoderBuffer {
	b, _ := p.Pool.Get().(*png.EncoderBuffer)
	return b
}

func (p *pool) Put(b *png.EncoderBuffer) { p.Pool.Put(b) }

func newImage(w, h int) *image.RGBA { return image.NewRGBA(image.Rect(0, 0, pixels*w, pixels*h)) }

// raster draws a picture in pixels.
type raster struct {
	image *image.RGBA
	mask  vector.Rasterizer
	faces map[lettering]font.Face // by size and weight
}

// fill draws polygons with smooth edges. Where polygons of the same sense overlap, they are one.
func (p *raster) fill(polygons [][]Point, ink Ink) {
	lo, hi := Point{math.Inf(1), math.Inf(1)}, Point{math.Inf(-1), math.Inf(-1)}
	for _, points := range polygons {
		for _, q := range points {
			lo.X, hi.X = widen(lo.X, hi.X, pixels*q.X)
			lo.Y, hi.Y = widen(lo.Y, hi.Y, pixels*q.Y)
		}
	}
	if lo.X > hi.X {
		return
	}
	at := image.Rect(int(math.Floor(lo.X)), int(math.Floor(lo.Y)), int(math.Ceil(hi.X)), int(math.Ceil(hi.Y))).Intersect(p.image.Bounds())
	if at.Empty() {
		return
	}
	if len(polygons) == 1 && isRectangle(polygons[0], at) {
		imagedraw.Draw(p.image, at, image.NewUniform(ink.Light), image.Point{}, imagedraw.Over)
		return
	}
	p.mask.Reset(at.Dx(), at.Dy())
	local := func(q Point) (x, y float32) {
		return float32(pixels*q.X - float64(at.Min.X)), float32(pixels*q.Y - float64(at.Min.Y))
	}
	for _, points := range polygons {
		for i, q := range points {
			x, y := local(q)
			if i == 0 {
				p.mask.MoveTo(x, y)
			} else {
				p.mask.LineTo(x, y)
			}
		}
		p.mask.ClosePath()
	}
	p.mask.Draw(p.image, at, image.NewUniform(ink.Light), image.Point{})
}

// isRectangle reports whether a polygon is a rectangle of whole pixels. The background, the largest there is, is one.
func isRectangle(polygon []Point, r image.Rectangle) bool {
	corners := [4]image.Point{r.Min, {r.Max.X, r.Min.Y}, r.Max, {r.Min.X, r.Max.Y}}
	for i, q := range polygon {
		if i == len(corners) || pixels*q.X != float64(corners[i].X) || pixels*q.Y != float64(corners[i].Y) {
			return false
		}
	}
	return len(polygon) == len(corners)
}

// line draws each straight piece as a rectangle, with discs where pieces meet.
func (p *raster) line(points []Point, width float64, dashes []float64, ink Ink) {
	var polygons [][]Point
	for _, piece := range dashed(points, dashes) {
		for i, q := range piece {
			if i > 0 {
				if r := rectangle(piece[i-1], q, width/2); r != nil {
					polygons = append(polygons, r)
				}
			}
			if len(points) > 2 && width*pixels > 1.5 && (i > 0 && i < len(piece)-1 || dashes == nil) {
				polygons = append(polygons, disc(q, width/2))
			}
		}
	}
	p.fill(polygons, ink)
}

// rectangle is a straight line of some width, nil if it has no length. Its sense is that of [disc].
func rectangle(a, b Point, half float64) []Point {
	dx, dy := b.X-a.X, b.Y-a.Y
	length := math.Hypot(dx, dy)
	if length == 0 {
		return nil
	}
	nx, ny := -dy/length*half, dx/length*half
	return []Point{{a.X - nx, a.Y - ny}, {b.X - nx, b.Y - ny}, {b.X + nx, b.Y + ny}, {a.X + nx, a.Y + ny}}
}

// dashed cuts a line into the pieces of a pattern of dashes and gaps.
func dashed(points []Point, pattern []float64) [][]Point {
	if len(pattern) == 0 {
		return [][]Point{points}
	}
	var pieces [][]Point
	k, left := 0, pattern[0]
	piece := []Point{points[0]}
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		length := math.Hypot(b.X-a.X, b.Y-a.Y)
		done := 0.0
		for length-done > left {
			done += left
			at := Point{a.X + (b.X-a.X)*done/length, a.Y + (b.Y-a.Y)*done/length}
			if k%2 == 0 {
				pieces = append(pieces, append(piece, at))
			}
			k++
			left = pattern[k%len(pattern)]
			piece = []Point{at}
		}
		left -= length - done
		piece = append(piece, b)
	}
	if k%2 == 0 {
		pieces = append(pieces, piece)
	}
	return pieces
}

func (p *raster) text(x, y float64, s string, k lettering) {
	switch k.anchor {
	case middle:
		x -= measure(s, k) / 2
	case end:
		x -= measure(s, k)
	}
	of := lettering{size: k.size, bold: k.bold}
	face := p.faces[of]
	if face == nil {
		var err error
		face, err = opentype.NewFace(fontOf(k.bold), &opentype.FaceOptions{Size: pixels * k.size, DPI: 72, Hinting: font.HintingNone})
		if err != nil {
			panic("plot: " + err.Error())
		}
		p.faces[of] = face
	}
	d := font.Drawer{Dst: p.image, Src: image.NewUniform(k.ink.Light), Face: face, Dot: fixed.Point26_6{X: fixed.Int26_6(64 * pixels * x), Y: fixed.Int26_6(64 * pixels * y)}}
	d.DrawString(s)
}

// measure is how wide a text is, in points.
func measure(s string, k lettering) float64 {
	f := fontOf(k.bold)
	em := fixed.I(int(f.UnitsPerEm()))
	var buffer sfnt.Buffer
	width := fixed.Int26_6(0)
	for _, r := range s {
		glyph, err := f.GlyphIndex(&buffer, r)
		if err != nil {
			continue
		}
		if advance, err := f.GlyphAdvance(&buffer, glyph, em, font.HintingNone); err == nil {
			width += advance
		}
	}
	return k.size * float64(width) / float64(em)
}

// fontOf is the font of pictures.
func fontOf(bold bool) *sfnt.Font {
	if bold {
		return boldFont()
	}
	return regularFont()
}

var (
	regularFont = sync.OnceValue(func() *sfnt.Font { return parse(liberationsansregular.TTF) })
	boldFont    = sync.OnceValue(func() *sfnt.Font { return parse(liberationsansbold.TTF) })
)

func parse(ttf []byte) *sfnt.Font {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic("plot: a font is damaged")
	}
	return f
}
