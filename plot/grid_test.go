package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func exampleGrid() *Grid {
	return &Grid{Title: "products & pointers", Columns: []string{"position", "1", "2"}, Note: "the end", Rows: []GridRow{
		{"start", []GridCell{{Text: "a"}, {Text: "b", Below: "below"}}},
		{"loop 1", []GridCell{{Text: "none", Tone: -1}, {Text: "a<b", Tone: 2, From: []int{0, 1, 7, -1}}}},
	}}
}

// The picture is well-formed, has every text, a box for each cell that isn't faint, a line for each column that a cell comes from,
// and a dark ink for each that it is drawn with.
func TestGrid(t *testing.T) {
	text := string(exampleGrid().SVG())
	d := xml.NewDecoder(strings.NewReader(text))
	var texts []string
	elements := map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
			for _, a := range token.Attr {
				if (a.Name.Local == "fill" || a.Name.Local == "stroke") && a.Value != "none" && !strings.Contains(text, `svg [`+a.Name.Local+`="`+a.Value+`"]`) {
					t.Errorf("%s %s has no dark ink", a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" && !strings.Contains(s, "prefers-color-scheme") {
				texts = append(texts, s)
			}
		}
	}
	if got, want := strings.Join(texts, "|"), "products & pointers|position|1|2|start|a|b|below|loop 1|none|a<b|the end"; got != want {
		t.Errorf("the texts are %s, want %s", got, want)
	}
	if paths := elements["path"]; paths != 1+3+2 { // the paper, boxes, lines
		t.Errorf("%d paths, want 6:\n%s", paths, text)
	}
	if empty := string((&Grid{}).SVG()); !strings.HasSuffix(empty, "</svg>\n") {
		t.Errorf("nothing is drawn as %s", empty)
	}
}

// Cells lie beside each other and within the picture, whatever is in them.
func TestGridLayout(t *testing.T) {
	g := exampleGrid()
	g.Rows[0].Cells[0].Text = strings.Repeat("wide ", 30)
	l := g.layout()
	if !(l.left[0] >= l.label && l.left[1] >= l.left[0]+l.widths[0] && l.w >= l.left[1]+l.widths[1] && l.top[1] >= l.top[0]+l.height[0] && l.h >= l.top[1]+l.height[1]) {
		t.Errorf("%+v", l)
	}
	if limit := 40.0 * textSize; l.widths[0] > limit {
		t.Errorf("a column of %g points, want at most %g", l.widths[0], limit)
	}
}
