package tui

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"coil/run"
	"coil/tui/canvas"
)

// The loss is on every screen, the accuracy where both have room, and then the speed; times go before them.
func TestWhatMattersStays(t *testing.T) {
	r := newRun(t, "first", story(600, 1200))
	for height := 5; height < 25; height += 6 {
		for width := 20; width <= 120; width += 1 + width/25 {
			s := open(t, Options{Runs: []*run.Run{r}, Style: style()}, width, height).canvas.Plain()
			head := strings.Join(strings.SplitN(s, "\n", 3)[:2], "\n")
			for i, figure := range []string{"loss ", "accuracy ", "tokens/s", " left"} {
				if least := []int{20, 34, 50, 100}[i]; width >= least && !strings.Contains(head, figure) {
					t.Errorf("on %d×%d cells, %q is missing:\n%s", width, height, figure, head)
				}
			}
		}
	}
}

var figure = regexp.MustCompile(`\d[\d.]*[kMG]?`)

// No number on a small panel is one that a large panel does not have.
func TestNumbersAreNotCut(t *testing.T) {
	m := open(t, Options{Runs: []*run.Run{newRun(t, "first", story(600, 1200))}, Style: style()}, 200, 50)
	for _, id := range []panelID{loopsID, speedID, machineID, valuesID, logID} {
		draw := func(width, height int) string {
			c := canvas.New(width, height)
			panels[id].draw(m, c.Area())
			return c.Plain()
		}
		all := figure.FindAllString(draw(200, 50), -1)
		for width := 5; width < 100; width++ {
			if id == logID && width < 30 { // where a line is broken
				continue
			}
			small := draw(width, 12)
			for _, x := range figure.FindAllString(small, -1) {
				if !slices.Contains(all, x) {
					t.Fatalf("%s, %d columns wide, has the number %s:\n%s", panels[id].title, width, x, small)
				}
			}
		}
	}
}

// The value of a cell stands beside its title, not on it.
func TestCellTitles(t *testing.T) {
	cells := []Cell{{Title: "width=128 hops=4 seed=1234567890", State: CellDone, Value: 0.973}, {Title: "width=128", State: CellWaits, Value: math.NaN()}}
	m := open(t, Options{Style: style(), Experiment: func() Experiment { return Experiment{Name: "e", Cells: cells} }}, 100, 30)
	for width := 12; width < 45; width++ {
		c := canvas.New(width, 3)
		m.drawCells(c.Area())
		if line, _, _ := strings.Cut(c.Plain(), "\n"); !strings.HasSuffix(line, " 97.3 %") || width < 41 && !strings.Contains(line, "…") {
			t.Errorf("on %d columns a cell is %q", width, line)
		}
	}
}

// Questions and help are cut with an ellipsis.
func TestPopupsAreCut(t *testing.T) {
	m := open(t, Options{Runs: []*run.Run{newRun(t, "", nil)}, Style: style()}, 30, 12)
	m.popup = &popup[model]{title: "leave", text: "training continues in this window's process", choices: []choice[model]{{"s", "stop: save a checkpoint and leave", nil}}}
	m.draw()
	has(t, m, "in this…│")
	m.popup = nil
	press(m, "?")
	for line := range strings.SplitSeq(m.canvas.Plain(), "\n") {
		if strings.Contains(line, "leave; if") && !strings.Contains(line, "…") {
			t.Errorf("a line of the help is %q", line)
		}
	}
}
