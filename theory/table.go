package theory

import (
	"fmt"
	"iter"
	"math/bits"
)

// Table is the hidden units that look up a product, Order² of them, one for each pair of elements (h, k):
//
//	relu(⟨c(h), x_F⟩ + ⟨c(k), x_S⟩ + ⟨In, x⟩ − 2·Bits + 1)·c(h∘k)
//
// c(h) ∈ {−1, 1}^Bits is the code of h, x_F the Bits coordinates of the state from First on, x_S those from Second on; the
// sum is added to those from Out on. If x_F and x_S are codes, the unit of their pair is 1, and all others are 0: a
// different code has a product of at most Bits − 2. The weights aren't stored, which for the 25 401 600 units of S7 would be
// gigabytes.
type Table struct {
	Order              int
	Bits               int
	First, Second, Out int
	In                 Row
	Product            []uint16 // of h and k, at h·Order + k
}

func (t *Table) check(width int) error {
	for _, at := range []int{t.First, t.Second, t.Out} {
		if at < 0 || at+t.Bits > width {
			return fmt.Errorf("a table's code at coordinates %d to %d, want them from 0 to %d", at, at+t.Bits-1, width-1)
		}
	}
	if len(t.Product) != t.Order*t.Order || t.Order > 1<<t.Bits {
		return fmt.Errorf("a table of %d products for %d elements in %d bits", len(t.Product), t.Order, t.Bits)
	}
	return nil
}

// codeBits is the length of a code with this number of values: ⌈log₂ values⌉, and at least 1.
func codeBits(values int) int { return max(1, bits.Len(uint(values-1))) }

// code writes the code of a number, lowest bit first: 1 for a bit that is set, −1 for one that isn't.
func code[F Float](to []F, number int) {
	for t := range to {
		to[t] = F(number>>t&1*2 - 1)
	}
}

// decode returns the number whose code is nearest.
func decode[F Float](from []F) int {
	number := 0
	for t, v := range from {
		if v > 0 {
			number |= 1 << t
		}
	}
	return number
}

// neurons are the units one by one.
func (t *Table) neurons() iter.Seq[Neuron] {
	row := func(number, at int) Row {
		r := make(Row, t.Bits)
		for i := range r {
			r[i] = Term{at + i, float64(number>>i&1*2 - 1)}
		}
		return r
	}
	return func(yield func(Neuron) bool) {
		for h := range t.Order {
			for k := range t.Order {
				in := append(row(h, t.First), row(k, t.Second)...)
				if !yield(Neuron{append(in, t.In...), float64(1 - 2*t.Bits), row(int(t.Product[h*t.Order+k]), t.Out)}) {
					return
				}
			}
		}
	}
}

// matches returns ⟨c(h), x⟩ for every element h, and the largest of them.
func matches[F Float](x []F, order int, into []F) (all []F, largest F) {
	all = into[:0]
	for h := range order {
		var s F
		for t, v := range x {
			if h>>t&1 != 0 {
				s += v
			} else {
				s -= v
			}
		}
		if h == 0 || s > largest {
			largest = s
		}
		all = append(all, s)
	}
	return all, largest
}

// tableSpace is memory for a table's sums.
type tableSpace[F Float] struct{ first, second []F }

// addTable adds t's units to y. A first element whose best pair is not above 0 is passed over: its units are all 0.
func addTable[F Float](t *Table, y []F, add []F, s *tableSpace[F]) {
	var most F
	s.first, _ = matches(y[t.First:t.First+t.Bits], t.Order, s.first)
	s.second, most = matches(y[t.Second:t.Second+t.Bits], t.Order, s.second)
	rest := dot(t.In, y) + F(1-2*t.Bits)
	for h, a := range s.first {
		if a+most+rest <= 0 {
			continue
		}
		for k, b := range s.second {
			v := a + b + rest
			if v <= 0 {
				continue
			}
			product := t.Product[h*t.Order+k]
			for i := range t.Bits {
				if product>>i&1 != 0 {
					add[t.Out+i] += v
				} else {
					add[t.Out+i] -= v
				}
			}
		}
	}
}
