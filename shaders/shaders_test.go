package shaders

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestSource: each line of a source has the place that its file gives it, whatever parts and conditions are before it, and
// the plainest form knows no SIMD-groups and no bfloat.
func TestSource(t *testing.T) {
	marker := regexp.MustCompile(`^#line (\d+) "(.*)"$`)
	for _, defined := range [][]string{nil, {PlainSums}, {PlainMatmul, PlainSums, NoBFloat}} {
		for _, name := range Names() {
			source := Source(name, defined...)
			file, number, seen := "", 0, map[string]bool{}
			for _, line := range strings.Split(strings.TrimSuffix(source, "\n"), "\n") {
				if m := marker.FindStringSubmatch(line); m != nil {
					fmt.Sscan(m[1], &number)
					file = m[2]
					seen[file] = true
					continue
				}
				if want := strings.Split(text(file), "\n")[number-1]; line != want && line != "" {
					t.Fatalf("%s %q: %s:%d is %q, want %q", name, defined, file, number, line, want)
				}
				number++
			}
			if plain := len(defined) > 0; seen["teams_plain.metal"] != plain || seen["teams.metal"] == plain {
				t.Errorf("%s %q has the parts %v", name, defined, seen)
			}
			if len(defined) == 3 && name != "attention" && name != "layout" {
				code := regexp.MustCompile(`//.*`).ReplaceAllString(source, "")
				if m := regexp.MustCompile(`simd_\w+|simdgroup\w*\(|\w*simdgroup\]\]|bfloat`).FindString(code); m != "" {
					t.Errorf("the plainest %s has %s", name, m)
				}
			}
		}
	}
}
