package graph

import "sort"

// A Place is the part of a looped model that operations belong to.
type Place struct {
	Loop     int  // of the looped block, from 1; 0 outside it
	Backward bool // they take gradients back, or compute again what these need
}

// A Mark says that the operations of the group part from number Op on are of a place.
type Mark struct {
	Op int
	Place
}

// Marks returns where the places of the group part's operations change, in their order. Before the first mark it is
// forward, outside the loops.
func (r *Recorder) Marks() []Mark { return r.marks }

// Place returns the place of what is recorded now.
func (r *Recorder) Place() Place { return r.where }

// SetPlace makes p the place of what is recorded from now on.
func (r *Recorder) SetPlace(p Place) { r.where = p }

// mark notes the place of the operation of the group part that was recorded last, if it is another than that before.
func (r *Recorder) mark() {
	var last Place
	if n := len(r.marks); n > 0 {
		last = r.marks[n-1].Place
	}
	if r.where != last {
		r.marks = append(r.marks, Mark{len(r.group) - 1, r.where})
	}
}

// PlaceAt returns the place of operation number op.
func PlaceAt(marks []Mark, op int) Place {
	i := sort.Search(len(marks), func(i int) bool { return marks[i].Op > op })
	if i == 0 {
		return Place{}
	}
	return marks[i-1].Place
}
