package main

// columns writes a kernel that goes down the rows of two vectors of columns at a time, or of two rows of one vector.
func columns(w *writer, k *kernel, table *constants) {
	b := newBody(k)
	b.countUses()
	w.k, w.labels = k, 0
	accs, temps := 2*len(b.accumulators), b.allocate(nil)
	places := b.registers(w.m, accs, 2, table)
	w.title(k)
	e := w.m.emitter(w)
	e.begin(k)
	for _, c := range b.constants {
		if o := places[c.v]; o.reg >= 0 {
			e.constant(o.reg, c, o.index)
		}
	}
	vectors := func(count int, rows func()) {
		e.beginColumns(k)
		for i, a := range b.accumulators {
			for u := range count {
				switch {
				case k.adds:
					e.instruction(instruction{op: "load", slice: k.results[i], note: k.results[i]}, nil, 2*i+u, u)
				case a.max:
					e.instruction(instruction{op: "load", slice: k.firstRows(), note: "the first row"}, nil, 2*i+u, u)
				default:
					e.zero(2*i + u)
				}
			}
		}
		rows()
		for i, r := range k.results {
			for u := range count {
				place := func(value) operand { return operand{reg: 2*i + u} }
				e.instruction(instruction{op: "store", slice: r, from: []value{0}, note: r}, place, -1, u)
			}
		}
	}
	single := func() { b.write(e, places, accs, 2, 0) }
	again, done := e.loop(2)
	vectors(2, func() {
		next, end := e.rowLoop(1)
		b.writePair(e, places, 2, 2, accs, temps)
		e.endRowLoop(k, 1, next, end)
	})
	e.endLoop(2, again, done)
	again, done = e.loop(1)
	vectors(1, func() {
		next, end := e.rowLoop(2)
		w.rowPairs = true
		b.writePair(e, places, 2, 1, accs, temps)
		w.rowPairs = false
		e.endRowLoop(k, 2, next, end)
		next, end = e.rowLoop(1)
		single()
		e.endRowLoop(k, 1, next, end)
	})
	e.endLoop(1, again, done)
	e.tail()
	w.masked = true
	vectors(1, func() {
		next, end := e.rowLoop(1)
		single()
		e.endRowLoop(k, 1, next, end)
	})
	w.masked = false
	e.endTail()
	e.end()
}

// firstRows is the first slice with many rows.
func (k *kernel) firstRows() string {
	for _, s := range k.slices {
		if !k.column(parameter(s)) {
			return s
		}
	}
	panic("no rows in " + k.name)
}
