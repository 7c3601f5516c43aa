package tui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

func percent(x float64) string {
	if math.IsNaN(x) {
		return "NaN"
	}
	return fmt.Sprintf("%.1f %%", 100*x)
}

// duration writes 0:42, 3:05, 2:07:00.
func duration(d time.Duration) string {
	if d < 0 || d > 1000*24*time.Hour {
		return "–"
	}
	s := int(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// shortDuration writes a time in seconds at the cursor.
func shortDuration(s float64) string {
	switch {
	case math.Abs(s) < 120:
		return strconv.FormatFloat(s, 'g', 3, 64) + "s"
	case math.Abs(s) < 7200:
		return strconv.FormatFloat(s/60, 'g', 3, 64) + "m"
	}
	return strconv.FormatFloat(s/3600, 'g', 3, 64) + "h"
}

// count writes a whole number with gaps: 50 112.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

func size(n float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.3g %s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f KiB", n/1024)
}

// loopName is the name of a value after a loop, loopOf the loop of a name.
func loopName(prefix string, n int) string { return fmt.Sprintf("%s_loop_%d", prefix, n) }

func loopOf(name, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(name, prefix+"_loop_")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0
}
