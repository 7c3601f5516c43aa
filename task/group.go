package task

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// group is a finite group. Its elements are the numbers 0 to order−1; 0 is the
// identity.
type group struct {
	order int
	texts []string // of the elements
	about string   // what the texts mean
	// times returns a·b: first a, then b.
	times func(a, b int32) int32
	// show explains a·b to a person.
	show func(a, b int32) string
}

const (
	minPoints, maxPoints = 3, 7 // of S and A; a point is one digit of a text
	minCorners           = 3    // of D

	// maxOrder catches slips of the pen; nothing needs it.
	maxOrder = 1 << 16
)

// GroupNames says which groups there are by name.
const GroupNames = "S3 to S7, A3 to A7, Z2 and up, D3 and up, or a product of such as A4xZ5"

// newGroup returns the group of that name. S_n are all permutations of n points,
// A_n the even ones, Z_m the numbers below m under addition modulo m, D_n the 2n
// symmetries of a regular polygon with n corners; x makes direct products.
func newGroup(name string) (*group, error) {
	var g *group
	for factor := range strings.SplitSeq(name, "x") {
		h, err := newFactor(factor)
		switch {
		case err != nil:
			return nil, err
		case g == nil:
			g = h
		case g.order*h.order > maxOrder:
			return nil, tooLarge(g.order * h.order)
		default:
			g = direct(g, h)
		}
	}
	if strings.Contains(name, "x") {
		g.about = "the parts between commas are multiplied separately: " + g.about
	}
	return g, nil
}

// newFactor returns a group whose name has no x.
func newFactor(name string) (*group, error) {
	unknown := fmt.Errorf("want %s", GroupNames)
	if len(name) < 2 || name[1] < '1' || name[1] > '9' { // no sign, no leading zero
		return nil, unknown
	}
	n, err := strconv.Atoi(name[1:])
	if err != nil {
		return nil, unknown
	}
	switch kind := name[0]; {
	case (kind == 'S' || kind == 'A') && n >= minPoints && n <= maxPoints:
		return permutations(n, kind == 'A'), nil
	case kind == 'Z' && n > maxOrder:
		return nil, tooLarge(n)
	case kind == 'Z' && n >= 2:
		return cyclic(n), nil
	case kind == 'D' && n > maxOrder/2:
		return nil, fmt.Errorf("has 2·%d elements, want at most %d", n, maxOrder)
	case kind == 'D' && n >= minCorners:
		return dihedral(n), nil
	}
	return nil, unknown
}

func tooLarge(order int) error {
	return fmt.Errorf("has %d elements, want at most %d", order, maxOrder)
}

// permutations returns S_n, or with even A_n, in lexicographic order. The text of
// p is p(1)p(2)…p(n): 231 takes 1 to 2, 2 to 3 and 3 to 1. Then
//
//	(a·b)(x) = b(a(x))
func permutations(n int, even bool) *group {
	codes := 1 // n^n
	for range n {
		codes *= n
	}
	var all [][]byte               // images of the points, from 0
	number := make([]int32, codes) // of the permutation whose images are these digits to the base n
	p := make([]byte, n)
	for code := range codes {
		rest, seen, inversions := code, uint(0), 0
		for i := n - 1; i >= 0; i-- {
			p[i] = byte(rest % n)
			rest /= n
			inversions += bits.OnesCount(seen & (1<<p[i] - 1))
			seen |= 1 << p[i]
		}
		if seen == 1<<n-1 && !(even && inversions%2 != 0) {
			number[code] = int32(len(all))
			all = append(all, slices.Clone(p))
		}
	}

	g := &group{order: len(all), texts: make([]string, len(all))}
	for k, p := range all {
		text := make([]byte, n)
		for i, x := range p {
			text[i] = '1' + x
		}
		g.texts[k] = string(text)
	}
	takes := make([]string, n)
	for i, x := range all[1] {
		takes[i] = fmt.Sprintf("%d to %d", i+1, x+1)
	}
	g.about = g.texts[1] + " takes " + strings.Join(takes, ", ")
	g.times = func(a, b int32) int32 {
		code, second := 0, all[b]
		for _, x := range all[a] {
			code = code*n + int(second[x])
		}
		return number[code]
	}
	g.show = func(a, b int32) string {
		ways := make([]string, n)
		for i, x := range all[a] {
			ways[i] = fmt.Sprintf("%d→%d→%d", i+1, x+1, all[b][x]+1)
		}
		return strings.Join(ways, ", ")
	}
	return g
}

// cyclic returns Z_m: a·b = a + b mod m.
func cyclic(m int) *group {
	g := &group{order: m, texts: make([]string, m), about: fmt.Sprintf("numbers are added modulo %d", m)}
	for k := range g.texts {
		g.texts[k] = strconv.Itoa(k)
	}
	g.times = func(a, b int32) int32 { return (a + b) % int32(m) }
	g.show = func(a, b int32) string {
		if int(a+b) >= m {
			return fmt.Sprintf("%d + %d − %d", a, b, m)
		}
		return fmt.Sprintf("%d + %d", a, b)
	}
	return g
}

// dihedral returns D_n. With corners 0 to n−1 the rotation rk takes corner x to
// x + k mod n, and the reflection sk takes it to k − x mod n. Then
//
//	rj·rk = r(j+k)   rj·sk = s(k−j)   sj·rk = s(j+k)   sj·sk = r(k−j)
func dihedral(n int) *group {
	g := &group{order: 2 * n, texts: make([]string, 2*n), // rotations, then reflections
		about: fmt.Sprintf("rk turns corner x of %d to x + k, sk takes it to k − x, both modulo %d; the images of two corners determine it", n, n)}
	for k := range n {
		g.texts[k], g.texts[n+k] = fmt.Sprintf("r%d", k), fmt.Sprintf("s%d", k)
	}
	m := int32(n)
	g.times = func(a, b int32) int32 {
		switch {
		case a < m && b < m:
			return (a + b) % m
		case a < m:
			return m + (b-a)%m // b ≥ m > a
		case b < m:
			return m + (a+b)%m
		default:
			return (b - a + m) % m
		}
	}
	corner := func(a, x int32) int32 {
		if a < m {
			return (x + a) % m
		}
		return (a - x) % m // a = m + k
	}
	g.show = func(a, b int32) string {
		ways := make([]string, 2)
		for x := range int32(2) {
			y := corner(a, x)
			ways[x] = fmt.Sprintf("%d→%d→%d", x, y, corner(b, y))
		}
		return strings.Join(ways, ", ")
	}
	return g
}

// direct returns g×h. The text of an element is that of both parts, with a comma.
func direct(g, h *group) *group {
	p := &group{order: g.order * h.order, texts: make([]string, g.order*h.order), about: g.about + "; " + h.about}
	for a, first := range g.texts {
		for b, second := range h.texts {
			p.texts[a*h.order+b] = first + "," + second
		}
	}
	m := int32(h.order)
	p.times = func(a, b int32) int32 { return g.times(a/m, b/m)*m + h.times(a%m, b%m) }
	p.show = func(a, b int32) string { return g.show(a/m, b/m) + "; " + h.show(a%m, b%m) }
	return p
}
