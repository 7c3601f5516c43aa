package theory

import (
	"strings"
	"testing"
)

// What is not a group is refused, with the axiom that fails and the elements for which it does.
func TestNotAGroup(t *testing.T) {
	for _, c := range []struct {
		name, table, want string
	}{
		{"closure", "0 1\n1 2", "group closure isn't closed: 1∘1 is 2, want 0 to 1"},
		{"negative", "0 -1\n1 0", "isn't closed: 0∘1 is -1"},
		{"short", "0 1\n1", "row 1 has 1 products, want 2"},
		{"none", "1 0\n1 0", "group none has no identity: 0 is none, as 0∘0 is 1; 1 is none, as 1∘0 is 1… "},
		{"right", "0 0 0\n1 1 1\n2 2 2", "0 is none, as 0∘1 is 0; 1 is none, as 1∘0 is 1; 2 is none, as 2∘0 is 2"},
		{"monoid", "0 1\n1 1", "group monoid: 1 has no inverse: no element a has 1∘a = 0, the identity"},
		{"oneside", "0 1 2\n1 0 1\n2 0 1", "group oneside: 2 has no inverse: 2∘1 is 0, the identity, but 1∘2 is 1"},
		// The smallest loop that is not a group: every row and column has every element once.
		{"loop", "0 1 2 3 4\n1 0 3 4 2\n2 4 0 1 3\n3 2 4 0 1\n4 3 1 2 0", "isn't associative: (1∘1)∘2 is 2, but 1∘(1∘2) is 4"},
		{"words", "0 x", "group words: line 1 has \"x\", want whole numbers"},
		{"empty", "# nothing\n\n", "group empty: no rows"},
		{"long", "0" + strings.Repeat(" ", 1<<20), "group long: a line is longer than 1048576 bytes"},
	} {
		_, err := ReadGroup(c.name, strings.NewReader(c.table))
		if want := strings.TrimSuffix(c.want, "… "); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", c.name, err, want)
		}
	}
	for name, want := range map[string]string{"S8": "want S3 to S7", "Z9000": "9000 elements, want at most 8192", "": "want S3"} {
		if _, err := NamedGroup(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// Every single wrong product of a small group is found.
func TestEveryWrongProduct(t *testing.T) {
	for _, name := range []string{"S3", "Z5", "D4", "Z2xZ2"} {
		g, err := NamedGroup(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := range g.product {
			for wrong := range g.order {
				h := *g
				h.product = append([]uint16{}, g.product...)
				if h.product[at] = uint16(wrong); wrong == int(g.product[at]) {
					continue
				}
				if h.check() == nil {
					t.Errorf("%s with %d∘%d = %d is taken for a group", name, at/g.order, at%g.order, wrong)
				}
			}
		}
	}
}

// A file may have its elements in any order, and separators of several kinds.
func TestReadGroup(t *testing.T) {
	g, err := ReadGroup("klein", strings.NewReader("# the identity is 2\n3,2,0,1\n2, 3 1\t0\n\n0 1 2 3 # as it is\n1 0 3 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	if g.Identity() != 2 || g.Order() != 4 || g.Times(0, 1) != 2 {
		t.Errorf("identity %d, order %d, 0∘1 = %d", g.Identity(), g.Order(), g.Times(0, 1))
	}
}

// The orders of the groups and the numbers of their elements that are their own inverse are known.
func TestNamedGroups(t *testing.T) {
	for name, want := range map[string][2]int{"S3": {6, 4}, "S4": {24, 10}, "S5": {120, 26}, "A4": {12, 4}, "A5": {60, 16}, "Z6": {6, 2}, "D5": {10, 6}, "D4": {8, 6}} {
		g, err := NamedGroup(name)
		if err != nil {
			t.Fatal(err)
		}
		own := 0
		for a := range g.Order() {
			if g.Times(a, a) == g.Identity() {
				own++
			}
		}
		if g.Order() != want[0] || own != want[1] {
			t.Errorf("%s has %d elements, %d their own inverse, want %d and %d", name, g.Order(), own, want[0], want[1])
		}
	}
}

// Whatever a file says, it is refused or is a group: every element has an inverse, and any three are associative.
func FuzzReadGroup(f *testing.F) {
	for _, s := range []string{"0", "0 1\n1 0", "0,1,2\n1,2,0\n2,0,1 # Z3", "0 1\n1 1", "0 1 2 3\n1 0 3 2\n2 3 0 1\n3 2 1 0", "1 0\n0 1", "x", "0 -1\n1 0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := ReadGroup("fuzz", strings.NewReader(s))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "group fuzz") {
				t.Errorf("the error of %q is %v", s, err)
			}
			return
		}
		for a := range g.Order() {
			inverses := 0
			for b := range g.Order() {
				if g.Times(a, b) == g.Identity() {
					inverses++
				}
				for c := range min(g.Order(), 64) {
					if g.Times(g.Times(a, b), c) != g.Times(a, g.Times(b, c)) {
						t.Fatalf("%q is taken for a group", s)
					}
				}
			}
			if inverses != 1 {
				t.Fatalf("%q is taken for a group, in which %d has %d inverses", s, a, inverses)
			}
		}
	})
}
