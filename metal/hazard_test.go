package metal

import (
	"math/rand/v2"
	"testing"

	"coil/backend"
)

// byteMap is memory as a brute-force check sees it: for each byte the last launch that wrote it and those that read it since.
type byteMap map[region]map[uint64]*cell

type cell struct {
	writer  int // launch, or -1
	readers []int
}

// dependencies returns, for each launch, the launches before it that it must wait for, byte by byte.
func dependencies(steps []step) [][]int {
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
				for b := a.from; b < a.from+a.length; b++ {
					c := memory[a.region][b]
					if c == nil {
						c = &cell{writer: -1}
						memory[a.region][b] = c
					}
					f(a, c)
				}
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
func checkBarriers(t *testing.T, steps []step, at []bool) {
	t.Helper()
	after := dependencies(steps)
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
		steps := make([]step, 2+rng.IntN(30))
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
		checkBarriers(t, steps, at)
	}
	if some == 0 {
		t.Fatal("no random program needed a barrier")
	}
}

// TestBarriersOfPrograms checks the barriers of random recordings.
func TestBarriersOfPrograms(t *testing.T) {
	m, err := New(OnPaper(Chip{Name: "paper"}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	rng := rand.New(rand.NewPCG(8, 1))
	for range 60 {
		r := backend.NewRecorder(1+rng.IntN(2), 1+rng.IntN(2))
		rows, cols := 1+rng.IntN(3), 2*(1+rng.IntN(4))
		var made []backend.Tensor
		fresh := func() backend.Tensor { return r.Temporary(rows, cols) }
		any := func() backend.Tensor { return made[rng.IntN(len(made))] }
		sum := r.Accumulator(rows, cols)
		made = append(made, fresh(), fresh())
		for _, x := range made {
			r.Record(&backend.Fill{Y: x, Value: 1})
		}
		for range 3 + rng.IntN(25) {
			y := fresh()
			if rng.IntN(3) == 0 {
				y = any()
			}
			switch rng.IntN(7) {
			case 0:
				r.Record(&backend.Fill{Y: y, Value: 2})
			case 1:
				r.Record(&backend.Add{A: any(), B: any(), Y: y, Alpha: 1, Beta: 1})
			case 2:
				r.Record(&backend.Activate{Activation: backend.GELU, X: any(), Y: y})
			case 3:
				half := y.Columns(0, cols/2)
				r.Record(&backend.Add{A: any().Columns(cols/2, cols), Y: half, Alpha: 1})
			case 4:
				x := any()
				r.Record(&backend.Add{A: sum, B: x, Y: sum, Alpha: 1, Beta: 1})
				continue
			case 5:
				r.Record(&backend.Softmax{X: any(), Y: y})
			case 6:
				x := any()
				y = fresh()
				r.Record(&backend.Softmax{X: x, Y: y})
				r.Record(&backend.SoftmaxBackward{Y: y, DY: x, DX: x})
			}
			made = append(made, y)
		}
		r.BeginStep()
		r.Result(sum)
		if r.Err() != nil { // read something of which only half was written
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
		checkBarriers(t, q.steps, at)
		p.Close()
	}
}
