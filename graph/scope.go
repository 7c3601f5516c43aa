package graph

import "sort"

// A Scope is the part of a looped model that operations belong to.
type Scope struct {
	Loop     int  // of the looped block, from 1; 0 outside it
	Backward bool // they take gradients back, or compute again what these need
}

// A Mark says that the operations of the body from number Op on are of a place.
type Mark struct {
	Op int
	Scope
}

// Marks returns where the places of the body's operations change, in their order. Before the first mark it is
// forward, outside the loops.
func (r *Recorder) Marks() []Mark { return r.marks }

// Scope returns the scope of the next operation.
func (r *Recorder) Scope() Scope { return r.scope }

// SetScope makes p the scope of the next operations.
func (r *Recorder) SetScope(p Scope) { r.scope = p }

// mark notes the scope of the last operation of the body, if it differs from that of the previous one.
func (r *Recorder) mark() {
	var last Scope
	if n := len(r.marks); n > 0 {
		last = r.marks[n-1].Scope
	}
	if r.scope != last {
		r.marks = append(r.marks, Mark{len(r.body) - 1, r.scope})
	}
}

// ScopeAt returns the place of operation number op.
func ScopeAt(marks []Mark, op int) Scope {
	i := sort.Search(len(marks), func(i int) bool { return marks[i].Op > op })
	if i == 0 {
		return Scope{}
	}
	return marks[i-1].Scope
}
