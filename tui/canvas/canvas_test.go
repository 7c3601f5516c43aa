package canvas

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"coil/golden"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"
)

// scene is a small drawing of everything that there is.
func scene(ascii bool) *Canvas {
	c := New(44, 9)
	c.ASCII = ascii
	left, right := c.Area().SplitX(30)
	in := left.Box("1 loss", Focus)
	in.Text(0, 0, "1.0 ⠉⠒⠤⣀", Series(0))
	in.Text(12, 0, "─ loss", Series(0))
	in.Text(12, 1, "● held-out", Series(1))
	in.Text(0, 2, "████▌░░░", Accent)
	in.Text(0, 3, "▁▂▃▄▅▆▇█ ▏▎▍▌▋▊▉█", Good)
	in.Text(0, 4, "4⊗(1,4,1) <&\"> … 61 °C", Plain)
	in.Text(0, 5, "tab\tbell\a漢e\u0301\u200b", Warn)
	in.TextRight(6, "the end of a line that is long", Bad)
	upper, lower := right.SplitY(3)
	upper.Box("log of much", Border)
	lower = lower.Inset(1)
	lower.Text(0, 0, " pick ", Select)
	lower.TextCenter(1, "middle", Strong)
	lower.Sub(0, 2, 12, 1).Text(lower.Text(0, 2, "q", Key), 2, " leave", Dim)
	lower.Text(0, 2, "q quit", Key)
	return c
}

func TestGoldens(t *testing.T) {
	c := scene(false)
	golden.Compare(t, "scene.txt", c.Plain())
	golden.Compare(t, "ascii.txt", scene(true).Plain())
	golden.Compare(t, "scene.ansi", c.ANSI(Themes()[0], Color256)+"\n")
	golden.Compare(t, "dark.svg", string(c.SVG(Themes()[0])))
}

// scribble draws at random, on a and on areas of it.
func scribble(t *rapid.T, a Area) {
	at := rapid.IntRange(-5, 50)
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"⣿█│", "\x1b[31mred\x1b[m", "a\nb\tc\r", "漢字", "e\u0301", "\u202eabc", "\xff\xfe", "👩‍👩‍👧", "\u00ad", "]]>&<"}))
	areas := []Area{a}
	for range rapid.IntRange(0, 12).Draw(t, "operations") {
		a := rapid.SampledFrom(areas).Draw(t, "area")
		s := Style(rapid.IntRange(0, int(styleCount)-1).Draw(t, "style"))
		part := a.Sub(at.Draw(t, "x"), at.Draw(t, "y"), at.Draw(t, "w"), at.Draw(t, "h"))
		if part.Width() < 0 || part.Height() < 0 || part.Width() > a.Width() || part.Height() > a.Height() {
			t.Fatalf("a part of %d×%d cells", part.Width(), part.Height())
		}
		switch rapid.IntRange(0, 8).Draw(t, "operation") {
		case 0:
			part.Set(at.Draw(t, "column"), at.Draw(t, "row"), rapid.Rune().Draw(t, "rune"), s)
		case 1:
			x := at.Draw(t, "column")
			if next := part.Text(x, at.Draw(t, "row"), text.Draw(t, "text"), s); next < x || next > max(x, part.Width()) {
				t.Fatalf("text from %d to %d of %d columns", x, next, part.Width())
			}
		case 2:
			part.TextRight(at.Draw(t, "row"), text.Draw(t, "text"), s)
		case 3:
			part.TextCenter(at.Draw(t, "row"), text.Draw(t, "text"), s)
		case 4:
			part.Fill(rapid.Rune().Draw(t, "rune"), s)
		case 5:
			areas = append(areas, part.Box(text.Draw(t, "title"), s))
		case 6:
			left, right := part.SplitX(at.Draw(t, "left"))
			if left.Width()+right.Width() != part.Width() {
				t.Fatalf("%d + %d columns of %d", left.Width(), right.Width(), part.Width())
			}
			areas = append(areas, left)
		case 7:
			top, bottom := part.SplitY(at.Draw(t, "top"))
			if top.Height()+bottom.Height() != part.Height() {
				t.Fatalf("%d + %d rows of %d", top.Height(), bottom.Height(), part.Height())
			}
			areas = append(areas, bottom)
		case 8:
			areas = append(areas, part.Inset(at.Draw(t, "inset")))
		}
	}
}

// scribbled is a canvas with a frame of # that nothing may be drawn over.
func scribbled(t *rapid.T) *Canvas {
	w, h := rapid.IntRange(0, 30).Draw(t, "width"), rapid.IntRange(0, 12).Draw(t, "height")
	c := New(w+2, h+2)
	c.ASCII = rapid.Bool().Draw(t, "ascii")
	c.Area().Fill('#', Plain)
	inside := c.Area().Inset(1)
	inside.Fill(' ', Plain)
	scribble(t, inside)
	for y := range h + 2 {
		for x := range w + 2 {
			edge := x == 0 || y == 0 || x == w+1 || y == h+1
			if k := c.cells[y*c.width+x]; edge && k != (cell{'#', Plain}) {
				t.Fatalf("column %d of row %d is %q", x, y, k.r)
			}
		}
	}
	return c
}

func TestNothingIsDrawnOutside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { scribbled(t) })
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// Whatever is drawn, a terminal gets as many lines as the canvas has, each as wide as it, and no style is left at their ends.
func TestANSI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := scribbled(t)
		theme := rapid.SampledFrom(Themes()).Draw(t, "theme")
		text := c.ANSI(theme, Depth(rapid.IntRange(0, 2).Draw(t, "depth")))
		lines := strings.Split(text, "\n")
		if len(lines) != c.height {
			t.Fatalf("%d lines of %d", len(lines), c.height)
		}
		for y, line := range lines {
			bare := sgr.ReplaceAllString(line, "")
			if strings.ContainsFunc(bare, func(r rune) bool { return r < 0x20 || r == 0x7f || c.ASCII && r > 0x7e }) {
				t.Fatalf("line %d is %q", y, bare)
			}
			if n := utf8.RuneCountInString(bare); n != c.width || narrow.StringWidth(bare) != c.width {
				t.Fatalf("line %d has %d characters of %d columns for %d: %q", y, n, runewidth.StringWidth(bare), c.width, bare)
			}
			if codes := sgr.FindAllString(line, -1); len(codes) > 0 && codes[len(codes)-1] != reset {
				t.Fatalf("line %d ends in a style: %q", y, line)
			}
		}
		plain := strings.Split(strings.TrimSuffix(c.Plain(), "\n"), "\n")
		for y, line := range lines {
			if want := strings.TrimRight(sgr.ReplaceAllString(line, ""), " "); plain[y] != want {
				t.Fatalf("line %d is %q as text, %q for a terminal", y, plain[y], want)
			}
		}
	})
}

// Every cell has its style on the terminal, except spaces whose style nobody would see.
func TestANSIStylesEachCell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := scribbled(t)
		theme := rapid.SampledFrom(Themes()).Draw(t, "theme")
		i := 0
		for _, line := range strings.Split(c.ANSI(theme, Color256), "\n") {
			now := ""
			for line != "" {
				if code := sgr.FindString(line); code != "" && strings.HasPrefix(line, code) {
					now, line = strings.TrimPrefix(code, reset), line[len(code):]
					continue
				}
				k := theme.Colors[c.cells[i].style]
				if want := k.code(Color256, false); now != want && (c.cells[i].r != ' ' || k.seenBlank() || strings.Contains(now, "[7m")) {
					t.Fatalf("cell %d has %q, not %q", i, now, want)
				}
				_, n := utf8.DecodeRuneInString(line)
				line = line[n:]
				i++
			}
		}
	})
}

// A picture is well-formed, has every written character, and refers to nothing outside.
func TestSVG(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := scribbled(t)
		picture := c.SVG(rapid.SampledFrom(Themes()).Draw(t, "theme"))
		var text strings.Builder
		d := xml.NewDecoder(bytes.NewReader(picture))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch token := token.(type) {
			case xml.CharData:
				text.Write(token)
			case xml.StartElement:
				for _, a := range token.Attr {
					if a.Name.Local == "href" || a.Name.Local == "src" || strings.Contains(a.Value, "url(") {
						t.Fatalf("refers to %s", a.Value)
					}
				}
			}
		}
		written := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == ' ' || r == '\n' || drawn(r) {
					return -1
				}
				return r
			}, s)
		}
		if d := cmp.Diff(written(c.Plain()), written(text.String())); d != "" {
			t.Fatal(d)
		}
	})
}

func TestTextIsCut(t *testing.T) {
	c := New(6, 1)
	if next := c.Area().Text(2, 0, "abcdefgh", Plain); next != 6 || c.Plain() != "  abc…\n" {
		t.Errorf("%q, then column %d", c.Plain(), next)
	}
	c.Clear()
	if next := c.Area().Text(-2, 0, "abcd", Plain); next != 2 || c.Plain() != "cd\n" {
		t.Errorf("%q, then column %d", c.Plain(), next)
	}
}

func TestResizeEmpties(t *testing.T) {
	c := New(4, 2)
	c.Area().Fill('x', Bad)
	c.Resize(3, 3)
	if got := c.Plain(); got != "\n\n\n" {
		t.Errorf("%q", got)
	}
	c.Resize(-1, 5)
	if a := c.Area(); a.Width() != 0 || a.Height() != 5 {
		t.Errorf("%d×%d cells", a.Width(), a.Height())
	}
}

func TestThemeNamed(t *testing.T) {
	for _, want := range Themes() {
		if got, err := ThemeNamed(want.Name); err != nil || got != want {
			t.Errorf("%s: %v", want.Name, err)
		}
	}
	_, err := ThemeNamed("pink")
	if err == nil || !strings.Contains(err.Error(), `"pink"`) || !strings.Contains(err.Error(), "light-safe") {
		t.Errorf("of no theme: %v", err)
	}
}

// A screen of 160×45 whose words differ in style.
func BenchmarkANSI(b *testing.B) {
	c := New(160, 45)
	a := c.Area().Box("loss", Focus)
	for y := range a.Height() {
		for x := 0; x < a.Width(); x += 6 {
			a.Text(x, y, "⣀⠤⠒⠉⣿ ", Series(x/6+y))
		}
	}
	for _, k := range []struct {
		name  string
		depth Depth
	}{{"none", NoColor}, {"16", Color16}, {"256", Color256}} {
		b.Run(k.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.ANSI(themes[0], k.depth)
			}
		})
	}
}
