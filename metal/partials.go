package metal

import (
	"slices"

	"coil/graph"
)

// Gradients of parameters are often added up from partial sums, by a launch of its own. As nothing else wants these
// gradients before the update, the partial sums of many operations wait and share that launch: see
// shaders/partials.metal.

// partial is partial sums of an operation that belong to one tensor, of float.
type partial struct {
	to    graph.Tensor
	sums  arg // of the region partials, from the first one on
	parts int
	plane int // floats from one to the next
	width int // floats from one row to the next
}

// target is a tensor with the partial sums that are to be added to it.
type target struct {
	arg
	to      graph.Tensor
	sources []partial
}

// partialFloats is how many partial sums wait at most, 32 MiB. They are written and read once, a small part of what a step
// moves, and a launch fewer waits for those before it.
const partialFloats = 1 << 23

// The most tensors of a launch, and the most operations that leave them partial sums; shaders/partials.metal has the same
// numbers.
const (
	mostTargets = 32
	mostSources = 64
)

// waiting is partial sums that have not been added yet.
type waiting struct {
	bytes, most uint64 // of the region partials that are in use, and that ever were
	targets     []target
	sources     int
}

// partials is room for n partial sums of the operation being lowered, which asks for it once and then hands it to
// addPartials.
func (l *lowering) partials(n int) arg {
	w, bytes := &l.waiting, roundUp(uint64(n)*4)
	if w.bytes+bytes > uint64(l.chip.partials)*4 {
		l.addWaiting()
	}
	if len(w.targets) == 0 {
		w.bytes = 0
	}
	a := arg{region: partials, from: w.bytes, length: uint64(n) * 4}
	w.bytes += bytes
	w.most = max(w.most, w.bytes)
	return a
}

// after is an argument from its float i on.
func (a arg) after(i int) arg {
	a.from += uint64(i) * 4
	a.length -= uint64(i) * 4
	return a
}

// canWait reports whether sums may be added to t later: nothing reads an accumulator before the update.
func (l *lowering) canWait(t graph.Tensor) bool {
	return l.group >= 0 && l.rec.Storages()[t.Storage-1].Space == graph.Accumulator
}

// addPartials adds partial sums to the tensors that exist: with those of later operations, or at once if one of them
// cannot wait.
func (l *lowering) addPartials(ps ...partial) {
	ps = slices.DeleteFunc(ps, func(p partial) bool { return !p.to.Exists() })
	var now []target
	for _, p := range ps {
		now = append(now, target{l.inOut(p.to), p.to, []partial{p}})
	}
	if slices.ContainsFunc(ps, func(p partial) bool { return !l.canWait(p.to) }) {
		for len(now) > 0 { // a launch for each region
			in := now[0].region
			l.addSums(slices.DeleteFunc(slices.Clone(now), func(t target) bool { return t.region != in }))
			now = slices.DeleteFunc(now, func(t target) bool { return t.region == in })
		}
		return
	}
	w := &l.waiting
	if len(w.targets)+len(now) > mostTargets || w.sources+len(now) > mostSources {
		l.addWaiting()
	}
	for _, t := range now {
		same := slices.IndexFunc(w.targets, func(x target) bool { return x.to == t.to })
		if same < 0 && slices.ContainsFunc(w.targets, func(x target) bool { return x.touch().conflicts(t.touch()) }) {
			l.addWaiting() // two views of a tensor
		}
		if same < 0 {
			w.targets = append(w.targets, t)
		} else {
			w.targets[same].sources = append(w.targets[same].sources, t.sources...)
		}
		w.sources++
	}
}

// addWaiting adds all waiting sums.
func (l *lowering) addWaiting() {
	w := &l.waiting
	if len(w.targets) == 0 {
		return
	}
	op, with := l.op, l.with
	l.op, l.with = nil, nil
	l.addSums(w.targets)
	l.op, l.with = op, with
	w.targets, w.sources = nil, 0
}

// settle adds what waits for tensors that op does more with than to add to them.
func (l *lowering) settle(op graph.Op) {
	if len(l.waiting.targets) == 0 {
		return
	}
	var added []graph.Tensor
	switch o := op.(type) {
	case *graph.Matmul:
		added = append(added, o.Sums)
		if o.Accumulate {
			added = append(added, o.C)
		}
	case *graph.LayerNormBackward:
		added = append(added, o.DGain, o.DBias)
	case *graph.DecayBackward:
		added = append(added, o.DRate, o.DStep)
	}
	f := graph.Describe(op)
	for _, t := range append(f.Reads, f.Writes...) {
		if !slices.Contains(added, t) && slices.ContainsFunc(l.waiting.targets, func(x target) bool { return x.to.Storage == t.Storage }) {
			l.addWaiting()
			return
		}
	}
}

// addSums launches the addition of partial sums to tensors of one region.
func (l *lowering) addSums(targets []target) {
	type targetParams struct{ Group, Begin, End, To, Stride, Cols, Across, Vectors uint32 }
	var p struct {
		Targets uint32
		Target  [mostTargets]targetParams
		Source  [mostSources]struct{ From, Parts, Plane, Width uint32 }
	}
	from := arg{region: partials, access: reads}
	to := arg{region: targets[0].region, from: targets[0].from, access: reads | writes, operand: true}
	for _, t := range targets {
		to.from = min(to.from, t.from)
	}
	to.from = to.from / 256 * 256
	groups, sources := 0, 0
	for i, t := range targets {
		vec4 := l.vec4(t.to)
		across := ceil(t.to.Cols, simdWidth)
		if vec4 {
			across = ceil(t.to.Cols, 4*simdWidth)
		}
		p.Target[i] = targetParams{uint32(groups), uint32(sources), uint32(sources + len(t.sources)),
			uint32((t.from - to.from) / 4), uint32(t.to.Stride), uint32(t.to.Cols), uint32(across), flag(vec4)}
		for _, s := range t.sources {
			p.Source[sources].From, p.Source[sources].Parts = uint32(s.sums.from/4), uint32(s.parts)
			p.Source[sources].Plane, p.Source[sources].Width = uint32(s.plane), uint32(s.width)
			from.length = max(from.length, s.sums.from+s.sums.length)
			from.traffic += uint64(s.parts) * t.traffic
			sources++
		}
		groups += across * t.to.Rows
		to.length = max(to.length, t.from+t.length-to.from)
		to.traffic += t.traffic
	}
	p.Targets = uint32(len(targets))
	l.add(launch{file: "partials", kernel: "add_partials", args: []arg{from, to}, params: p,
		groups: one(groups), threads: one(l.threads("add_partials", 8*simdWidth))})
}
