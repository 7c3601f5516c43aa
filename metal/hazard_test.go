package metal

import (
	"math/rand/v2"
	"slices"
	"testing"

	"coil/graph"
)

// byteMap is memory as a brute-force check sees it: for each byte the last launch that wrote it and those that read it since.
type byteMap map[region]map[uint64]*cell

type cell struct {
	writer  int // launch, or -1
	readers []int
}

// everyByte probes each byte of an argument, edges the first and the last one of each argument: of two that overlap one holds
// the other's first byte, so that they find as much and are few even if arguments are large.
func everyByte(a arg, f func(uint64)) {
	for b := a.from; b < a.from+a.length; b++ {
		f(b)
	}
}

func edges(steps []recordedLaunch) func(a arg, f func(uint64)) {
	var all []uint64
	for _, s := range steps {
		for _, a := range s.args {
			all = append(all, a.from, a.from+a.length-1)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return func(a arg, f func(uint64)) {
		for _, b := range all {
			if b >= a.from && b-a.from < a.length {
				f(b)
			}
		}
	}
}

// dependencies returns, for each launch, the launches before it that it must wait for, byte by byte.
func dependencies(steps []recordedLaunch, probe func(a arg, f func(uint64))) [][]int {
	memory := byteMap{}
	after := make([][]int, len(steps))
	for i, s := range steps {
		each := func(f func(a arg, c *cell)) {
			for _, a := range s.args {
				if a.access == 0 {
					continue
				}
				if memory[a.region] == nil {
					memory[a.region] = map[uint64]*cell{}
				}
				probe(a, func(b uint64) {
					c := memory[a.region][b]
					if c == nil {
						c = &cell{writer: -1}
						memory[a.region][b] = c
					}
					f(a, c)
				})
			}
		}
		each(func(a arg, c *cell) {
			if c.writer >= 0 {
				after[i] = append(after[i], c.writer) // read or write after write
			}
			if a.access&writes != 0 {
				after[i] = append(after[i], c.readers...) // write after read
			}
		})
		each(func(a arg, c *cell) {
			if a.access&reads != 0 {
				c.readers = append(c.readers, i)
			}
			if a.access&writes != 0 {
				c.writer, c.readers = i, nil
			}
		})
	}
	return after
}

// checkBarriers fails unless a barrier stands between each launch and those that it must wait for, and none without need.
func checkBarriers(t *testing.T, steps []recordedLaunch, at []bool, probe func(a arg, f func(uint64))) {
	t.Helper()
	after := dependencies(steps, probe)
	last := 0 // launch after the last barrier
	for i := range steps {
		needed := false
		for _, j := range after[i] {
			needed = needed || j >= last && j < i
		}
		if at[i] {
			last = i
		}
		if needed != at[i] {
			t.Fatalf("launch %d (%s): barrier %v, want %v", i, steps[i].kernel, at[i], needed)
		}
	}
}

// TestBarriers holds the barriers of random launches to a check byte by byte.
func TestBarriers(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	some := 0
	for range 400 {
		steps := make([]recordedLaunch, 2+rng.IntN(30))
		for i := range steps {
			for range 1 + rng.IntN(4) {
				steps[i].args = append(steps[i].args, arg{
					region: region(1 + rng.IntN(3)), from: rng.Uint64N(60), length: 1 + rng.Uint64N(8), access: access(rng.IntN(4))})
			}
		}
		at := barriers(steps)
		for _, b := range at {
			if b {
				some++
			}
		}
		checkBarriers(t, steps, at, everyByte)
		checkBarriers(t, steps, at, edges(steps))
	}
	if some == 0 {
		t.Fatal("no random program needed a barrier")
	}
}

// TestBarriersOfLargeArguments holds the barriers of launches over gigabytes to a check of the bytes where arguments begin
// and end. They meet in one byte, or miss each other by one; and what lies 4 GiB apart is not the same.
func TestBarriersOfLargeArguments(t *testing.T) {
	const gib = 1 << 30
	places := []uint64{0, 1 << 31, 4 * gib, 8 * gib, 100 * gib} // that are the same in 31 or 32 bits
	rng := rand.New(rand.NewPCG(5, 1))
	some, none := 0, 0
	for range 2000 {
		steps := make([]recordedLaunch, 2+rng.IntN(4))
		for i := range steps {
			// It begins or ends at a place, give or take a byte.
			a := arg{region: region(1 + rng.IntN(2)), length: []uint64{1, 2, 4, 3 * gib, 4 * gib, 5 * gib}[rng.IntN(6)], access: access(1 + rng.IntN(3))}
			a.from = places[rng.IntN(len(places))] + rng.Uint64N(3)
			if end := a.from; rng.IntN(2) == 0 && end >= a.length {
				a.from = end - a.length
			}
			steps[i].args = []arg{a}
		}
		at := barriers(steps)
		if slices.Contains(at, true) {
			some++
		} else {
			none++
		}
		checkBarriers(t, steps, at, edges(steps))
	}
	if some < 100 || none < 100 {
		t.Fatalf("%d programs with barriers, %d without", some, none)
	}
}

// TestBarriersOfPrograms checks the barriers of random recordings.
func TestBarriersOfPrograms(t *testing.T) {
	m, err := New(NewDryRun(Chip{Name: "paper"}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	rng := rand.New(rand.NewPCG(8, 1))
	for range 60 {
		r := graph.NewRecorder(1+rng.IntN(2), 1+rng.IntN(2))
		rows, cols := 1+rng.IntN(3), 2*(1+rng.IntN(4))
		var made []graph.Tensor
		fresh := func() graph.Tensor { return r.Temporary(rows, cols) }
		any := func() graph.Tensor { return made[rng.IntN(len(made))] }
		sum := r.Accumulator(rows, cols)
		made = append(made, fresh(), fresh())
		for _, x := range made {
			r.Record(&graph.Fill{Y: x, Value: 1})
		}
		for range 3 + rng.IntN(25) {
			y := fresh()
			if rng.IntN(3) == 0 {
				y = any()
			}
			switch rng.IntN(7) {
			case 0:
				r.Record(&graph.Fill{Y: y, Value: 2})
			case 1:
				r.Record(&graph.Add{A: any(), B: any(), Y: y, Alpha: 1, Beta: 1})
			case 2:
				r.Record(&graph.Activate{Activation: graph.GELU, X: any(), Y: y})
			case 3:
				half := y.Columns(0, cols/2)
				r.Record(&graph.Add{A: any().Columns(cols/2, cols), Y: half, Alpha: 1})
			case 4:
				x := any()
				r.Record(&graph.Add{A: sum, B: x, Y: sum, Alpha: 1, Beta: 1})
				continue
			case 5:
				r.Record(&graph.Activate{Activation: graph.GELU, X: any(), Y: y})
			case 6:
				x := any()
				y = fresh()
				r.Record(&graph.Activate{Activation: graph.ReLU, X: x, Y: y})
				r.Record(&graph.ActivateBackward{Activation: graph.ReLU, X: x, DY: y, DX: x})
			}
			made = append(made, y)
		}
		r.BeginUpdate()
		r.Result(sum)
		if r.Err() != nil { // read a value that was only half written
			continue
		}
		p, err := m.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		q := p.(*program)
		at := make([]bool, len(q.launches))
		for i, l := range q.launches {
			at[i] = l.Barrier
		}
		checkBarriers(t, q.steps, at, everyByte)
		p.Close()
	}
}
