package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"
)

func TestPlot(t *testing.T) {
	p := Plot{Title: "1⊗4 & more <than> that", X: "loops", Whole: true, Share: true, Lines: []Line{
		{Label: "first", X: []float64{1, 2, 4}, Y: []float64{0.4, math.NaN(), 1}},
		{Label: "second", Color: 11, Style: Marks, X: []float64{1, 2}, Y: []float64{0.1, math.Inf(1)}},
		{Label: "nothing"},
	}}
	svg, err := p.SVG()
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("it is no XML: %v", err)
		}
	}
	for _, want := range []string{"1x4 &amp; more", "first", "second", "100 %", ">loops<"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("%q is not in it", want)
		}
	}
	for _, not := range []string{"nothing", "NaN", "Inf"} {
		if strings.Contains(string(svg), not) {
			t.Errorf("%q is in it", not)
		}
	}
	picture, err := p.PNG()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Error(err)
	}
	if _, err := (Plot{Lines: []Line{{X: []float64{1}, Y: []float64{math.NaN()}}}}).SVG(); !errors.Is(err, ErrNoPoint) {
		t.Errorf("a plot of nothing: %v", err)
	}
}
