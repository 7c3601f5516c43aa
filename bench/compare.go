package bench

import "slices"

// A Verdict is what a comparison finds.
type Verdict string

// The verdicts.
const (
	Faster    Verdict = "faster"               // the interval is above 1
	Slower    Verdict = "slower"               // the interval is below 1
	Same      Verdict = "no difference seen"   // 1 is in the interval
	TooFew    Verdict = "too few quiet rounds" // for an interval
	OtherWork Verdict = "other work"           // the row counts other FLOPs, calls or tokens
)

// Unit is what the figures of a row are.
type Unit string

// The units.
const (
	ShareOfPeak Unit = "share of peak"
	PerSecond   Unit = "per second" // FLOP or bytes
	Seconds     Unit = "seconds"    // of a step
)

// Difference is a row of two results.
type Difference struct {
	Set     string  `json:"set"` // what was measured: the machine, matmuls, operations or steps of a configuration
	Row     string  `json:"row"`
	Unit    Unit    `json:"unit"`
	Old     *Figure `json:"old"`
	New     *Figure `json:"new"`
	Speed   *Ratio  `json:"speed,omitempty"` // the new speed over the old one, each as a share of its peak, but for the machine's own limits
	Verdict Verdict `json:"verdict"`
}

// Comparison is two results beside each other.
type Comparison struct {
	Other  []string     `json:"other,omitempty"` // in what the machines differ
	Rows   []Difference `json:"rows"`
	Absent []string     `json:"absent,omitempty"` // rows that only one of them has
}

// row is what a comparison needs of one row.
type row struct {
	set, name string
	unit      Unit
	figure    *Figure
	speeds    []float64
	work      float64 // what the row does: it must be the same in both
	small     bool    // left out if it is in both
}

// rows lists what can be compared.
func (r *Result) rows() []row {
	var rows []row
	relative := func(rs Rounds) []float64 { return rs.quiet(r.Peak).shares(1) }
	if x := r.Machine; x != nil {
		quiet := x.Rounds.quiet(r.Peak)
		rows = append(rows, row{set: "machine", name: "multiply-adds", unit: PerSecond, figure: x.FLOPs, speeds: quiet.of(Round.peak)},
			row{set: "machine", name: "memory, a + b", unit: PerSecond, figure: x.Bandwidth, speeds: quiet.of(Round.rate)})
	}
	for _, x := range r.Matmuls {
		for _, s := range x.Shapes {
			for i, layout := range layouts {
				l := s.layout(i)
				rows = append(rows, row{set: "matmul", name: s.String() + " " + layout, unit: ShareOfPeak, figure: l.Share, speeds: relative(l.Rounds)})
			}
		}
	}
	for _, x := range r.Operations {
		set := x.Name + ": operations"
		for _, o := range x.Ops {
			rows = append(rows, row{set: set, name: o.Name, unit: Seconds, figure: o.Seconds, speeds: relative(x.Rounds.with(o.Took)),
				work: o.FLOPs + float64(o.Calls), small: o.Share < SmallShare})
		}
	}
	for _, s := range r.Steps {
		rows = append(rows, row{set: "steps", name: s.Name, unit: ShareOfPeak, figure: s.Share, speeds: relative(s.Rounds),
			work: float64(s.FLOPs) + float64(s.Tokens)})
	}
	return rows
}

// SmallShare is the share of a step's time below which an operation is not worth a line.
const SmallShare = 0.001

// Compare compares a new result with an old one.
func Compare(old, new *Result) Comparison {
	c := Comparison{Rows: []Difference{}}
	for _, x := range []struct {
		what string
		same bool
	}{{"device", old.Device == new.Device}, {"kernels", old.Kernels == new.Kernels}, {"workers", old.Workers == new.Workers}} {
		if !x.same {
			c.Other = append(c.Other, x.what)
		}
	}
	olds := old.rows()
	for _, n := range new.rows() {
		i := slices.IndexFunc(olds, func(o row) bool { return o.set == n.set && o.name == n.name })
		if i < 0 {
			c.Absent = append(c.Absent, n.set+": "+n.name+", which the old result lacks")
			continue
		}
		o := olds[i]
		olds = slices.Delete(olds, i, i+1)
		if !o.small || !n.small {
			c.Rows = append(c.Rows, difference(o, n))
		}
	}
	for _, o := range olds {
		c.Absent = append(c.Absent, o.set+": "+o.name+", which the new result lacks")
	}
	return c
}

func difference(o, n row) Difference {
	d := Difference{Set: n.set, Row: n.name, Unit: n.unit, Old: o.figure, New: n.figure, Verdict: TooFew}
	if o.work != n.work {
		d.Verdict = OtherWork
		return d
	}
	r, ok := medianRatio(o.speeds, n.speeds)
	if !ok {
		return d
	}
	d.Speed = &r
	switch {
	case r.Low > 1:
		d.Verdict = Faster
	case r.High < 1:
		d.Verdict = Slower
	default:
		d.Verdict = Same
	}
	return d
}
