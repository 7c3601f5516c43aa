package theory

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"coil/task"
)

// Group is a finite group by its table. Its elements are the numbers from 0 to Order − 1.
type Group struct {
	Name     string
	Texts    []string // what the elements are called
	product  []uint16 // of h and k, at h·Order + k
	identity int
	order    int
}

// maxOrder bounds a table to 128 MiB, longestLine a line of its file.
const (
	maxOrder    = 1 << 13
	longestLine = 1 << 20
)

// Order is the number of elements.
func (g *Group) Order() int { return g.order }

// Identity is the element e with e∘a = a∘e = a.
func (g *Group) Identity() int { return g.identity }

// Times is a∘b.
func (g *Group) Times(a, b int) int { return int(g.product[a*g.order+b]) }

// NamedGroup returns the group of a name as the task group-word has them: S3 to S7, A3 to A7, Z2 and up, D3 and up, or a
// product such as A4xZ5. a∘b applies a first.
func NamedGroup(name string) (*Group, error) {
	texts, times, err := task.GroupTable(name)
	if err != nil {
		return nil, err
	}
	n := len(texts)
	if n > maxOrder {
		return nil, fmt.Errorf("group %s has %d elements, want at most %d", name, n, maxOrder)
	}
	g := &Group{Name: name, Texts: texts, order: n, product: make([]uint16, n*n)}
	for a := range n {
		for b := range n {
			g.product[a*n+b] = uint16(times(a, b))
		}
	}
	return g, g.check()
}

// NewGroup returns the group whose product of a and b is table[a][b]. If it is none, the error says which axiom fails, and for
// which elements.
func NewGroup(name string, table [][]int) (*Group, error) {
	n := len(table)
	if n < 1 || n > maxOrder {
		return nil, fmt.Errorf("group %s has %d elements, want 1 to %d", name, n, maxOrder)
	}
	g := &Group{Name: name, order: n, product: make([]uint16, 0, n*n)}
	for a, row := range table {
		g.Texts = append(g.Texts, strconv.Itoa(a))
		if len(row) != n {
			return nil, fmt.Errorf("group %s: row %d has %d products, want %d: one for each row", name, a, len(row), n)
		}
		for b, c := range row {
			if c < 0 || c >= n {
				return nil, fmt.Errorf("group %s isn't closed: %d∘%d is %d, want 0 to %d", name, a, b, c, n-1)
			}
			g.product = append(g.product, uint16(c))
		}
	}
	return g, g.check()
}

// ReadGroup reads a table: a line for each element a, with the products a∘0, a∘1 … as numbers between spaces, tabs or commas.
// Empty lines and what follows # count for nothing.
func ReadGroup(name string, r io.Reader) (*Group, error) {
	var table [][]int
	s := bufio.NewScanner(r)
	s.Buffer(nil, longestLine)
	for line := 1; s.Scan(); line++ {
		text, _, _ := strings.Cut(s.Text(), "#")
		fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t,", r) })
		if len(fields) == 0 {
			continue
		}
		if len(table) == maxOrder {
			return nil, fmt.Errorf("group %s: more than %d rows", name, maxOrder)
		}
		row := make([]int, len(fields))
		for i, f := range fields {
			v, err := strconv.Atoi(f)
			if err != nil {
				return nil, fmt.Errorf("group %s: line %d has %.20q, want whole numbers", name, line, f)
			}
			row[i] = v
		}
		table = append(table, row)
	}
	if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("group %s: a line is longer than %d bytes", name, longestLine)
	} else if err != nil {
		return nil, fmt.Errorf("group %s can't be read: %w", name, err)
	}
	if len(table) == 0 {
		return nil, fmt.Errorf("group %s: no rows", name)
	}
	return NewGroup(name, table)
}

// check finds the identity, and returns an error unless the axioms hold.
func (g *Group) check() error {
	if err := g.findIdentity(); err != nil {
		return err
	}
	if err := g.checkInverses(); err != nil {
		return err
	}
	return g.checkAssociative()
}

func (g *Group) findIdentity() error {
	var failed []string // a counterexample for the first elements
	for e := range g.order {
		var wrong string
		for a := range g.order {
			if c := g.Times(e, a); c != a {
				wrong = fmt.Sprintf("%d∘%d is %d", e, a, c)
			} else if c := g.Times(a, e); c != a {
				wrong = fmt.Sprintf("%d∘%d is %d", a, e, c)
			} else {
				continue
			}
			break
		}
		if wrong == "" {
			g.identity = e
			return nil
		}
		if len(failed) < 3 {
			failed = append(failed, fmt.Sprintf("%d is none, as %s", e, wrong))
		}
	}
	more := ""
	if g.order > len(failed) {
		more = ", and so on"
	}
	return fmt.Errorf("group %s has no identity: %s%s", g.Name, strings.Join(failed, "; "), more)
}

func (g *Group) checkInverses() error {
search:
	for a := range g.order {
		why := fmt.Sprintf("no element a has %d∘a = %d, the identity", a, g.identity)
		for b := range g.order {
			if g.Times(a, b) != g.identity {
				continue
			}
			if g.Times(b, a) == g.identity {
				continue search
			}
			why = fmt.Sprintf("%d∘%d is %d, the identity, but %d∘%d is %d", a, b, g.identity, b, a, g.Times(b, a))
		}
		return fmt.Errorf("group %s: %d has no inverse: %s", g.Name, a, why)
	}
	return nil
}

// checkAssociative is Light's test: (a∘s)∘b = a∘(s∘b) for all a and b follows for every s from those that generate all, since
// if it holds for s and t it holds for s∘t. It takes |G|² products for each of the few generators.
func (g *Group) checkAssociative() error {
	n := g.order
	for _, s := range g.generators() {
		times := g.product[s*n : (s+1)*n] // s∘b
		for a := range n {
			left := g.product[g.Times(a, s)*n:][:n] // (a∘s)∘b
			right := g.product[a*n:][:n]            // a∘…
			for b, sb := range times {
				if left[b] != right[sb] {
					return fmt.Errorf("group %s isn't associative: (%d∘%d)∘%d is %d, but %d∘(%d∘%d) is %d", g.Name, a, s, b, left[b], a, s, b, right[sb])
				}
			}
		}
	}
	return nil
}

// generators returns elements that generate all: each the smallest that products of those before don't reach.
func (g *Group) generators() []int {
	reached := make([]bool, g.order)
	reached[g.identity] = true
	list := []int{g.identity}
	var found []int
	for a := range g.order {
		if reached[a] {
			continue
		}
		found = append(found, a)
		for i := 0; i < len(list); i++ { // multiply all reached by all generators, those that come to it too
			for _, s := range found {
				if b := g.Times(list[i], s); !reached[b] {
					reached[b] = true
					list = append(list, b)
				}
			}
		}
	}
	return found
}
