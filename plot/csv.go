package plot

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// CSV writes the points of the window, a line each: series, x, y.
func (c *Chart) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	x, _ := c.window()
	if err := out.Write([]string{"series", c.X.Label, "y"}); err != nil {
		return err
	}
	full := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for i, s := range c.Series {
		name := s.Name
		if name == "" {
			name = fmt.Sprintf("series %d", i+1)
		}
		for _, p := range s.Points {
			if !(p.X >= x.lo && p.X <= x.hi) {
				continue
			}
			if err := out.Write([]string{name, full(p.X), full(p.Y)}); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}
