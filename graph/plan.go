package graph

import (
	"fmt"
	"slices"
)

// Arena is where the temporaries of one part of a recording lie. Two whose lives overlap never share memory; the
// others do.
type Arena struct {
	Len     int   // float32 values in all
	Offsets []int // of each storage, by its index in Recorder.Storages; -1 for storages outside this arena
}

// align is 64 bytes: a cache line, and a vector register of the widest kind.
const align = 16

// life is the span of operations in which a storage holds a value.
type life struct{ storage, size, first, last int }

// A Fusion says which operations of the body a backend runs as one: from the first to the last returned for operation i. What
// any of them reads or writes lives as long as all of them.
type Fusion func(i int) (first, last int)

func apart(i int) (first, last int) { return i, i }

// PlanArenas places the temporaries of the body and of the update. size, if given, says how much room storage i
// takes, in float32 values; otherwise it is its length. fused, if given, says which operations run as one.
func PlanArenas(r *Recorder, size func(i int) int, fused Fusion) (group, step Arena, err error) {
	if r.err != nil {
		return Arena{}, Arena{}, r.err
	}
	pinned := make(map[int]bool)
	for _, t := range r.results {
		if s := r.storages[t.Storage-1]; s.Space == Temporary && !s.written {
			return Arena{}, Arena{}, fmt.Errorf("recorder: nothing writes result %s", t.Shape())
		}
		pinned[t.Storage-1] = true
	}
	if size == nil {
		size = func(i int) int { return r.storages[i].Len }
	}
	if fused == nil {
		fused = apart
	}
	return planArena(r.storages, r.body, pinned, size, fused), planArena(r.storages, r.update, pinned, size, apart), nil
}

func planArena(storages []Storage, ops []Op, pinned map[int]bool, size func(int) int, fused Fusion) Arena {
	lives := make(map[int]*life)
	for i, op := range ops {
		f := Describe(op)
		first, last := fused(i)
		for _, t := range append(f.Reads, f.Writes...) {
			s := t.Storage - 1
			if storages[s].Space != Temporary {
				continue
			}
			l := lives[s]
			if l == nil {
				l = &life{s, (size(s) + align - 1) / align * align, first, last}
				lives[s] = l
			}
			l.last = last
			if pinned[s] {
				l.last = len(ops)
			}
		}
	}
	order := make([]*life, 0, len(lives))
	for _, l := range lives {
		order = append(order, l)
	}
	// Large blocks first leaves small gaps for small blocks; the rest of the order only makes it one order.
	slices.SortFunc(order, func(a, b *life) int {
		if a.size != b.size {
			return b.size - a.size
		}
		if a.first != b.first {
			return a.first - b.first
		}
		return a.storage - b.storage
	})
	a := Arena{Offsets: make([]int, len(storages))}
	for i := range a.Offsets {
		a.Offsets[i] = -1
	}
	var placed []*life // by offset
	for _, l := range order {
		at := 0
		for _, p := range placed {
			if p.last < l.first || l.last < p.first {
				continue
			}
			if at+l.size <= a.Offsets[p.storage] {
				break
			}
			at = max(at, a.Offsets[p.storage]+p.size)
		}
		a.Offsets[l.storage] = at
		a.Len = max(a.Len, at+l.size)
		i, _ := slices.BinarySearchFunc(placed, at, func(p *life, at int) int { return a.Offsets[p.storage] - at })
		placed = slices.Insert(placed, i, l)
	}
	return a
}

// ResultLen is the number of values that a program's Results copies.
func (r *Recorder) ResultLen() int {
	n := 0
	for _, t := range r.results {
		n += t.Size()
	}
	return n
}
