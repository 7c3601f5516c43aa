package emulator_test

import (
	"strings"
	"testing"
	"time"

	"coil/metal"
	"coil/metal/emulator"
)

const (
	bounds    = "out of bounds"
	race      = "data race: "
	groupRace = "data race between threadgroups"
	undefined = "read of undefined memory"
	barrier   = "barrier divergence"
	simd      = "SIMD divergence"
	behaviour = "undefined behaviour"
	barriers  = "missing barrier between launches"
)

var orders = []emulator.Order{emulator.Forward, emulator.Reverse, emulator.Random}

// TestFaults runs kernels that are wrong, and some that look it.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, order := range orders {
		t.Run(order.String(), func(t *testing.T) {
			g := open(t, emulator.Options{Checked: true, Order: order, Seed: 5})
			lib := g.library("faulty", read(t, "faulty"))
			floats := func() metal.Buffer { return g.buffer(normal(256, 1)) }
			for _, c := range []struct {
				kernel          string
				groups, threads uint32
				want            string
				binds           []metal.Buffer
			}{
				{"racy", 2, 128, race, []metal.Buffer{floats(), floats()}},
				{"racy_reuse", 2, 128, race, []metal.Buffer{floats(), floats()}},
				{"simd_exchange", 2, 128, "", []metal.Buffer{floats(), floats()}},
				{"simd_exchange_bad", 2, 128, race, []metal.Buffer{floats(), floats()}},
				{"wrong_flags", 1, 256, race, []metal.Buffer{floats()}},
				{"oob", 2, 128, bounds, []metal.Buffer{floats(), floats()}},
				{"oob", 2, 96, "", []metal.Buffer{floats(), floats()}},
				{"oob_tile", 1, 64, bounds, []metal.Buffer{floats()}},
				{"oob_local", 1, 32, behaviour, []metal.Buffer{floats()}},
				{"divergent", 1, 64, barrier, []metal.Buffer{floats()}},
				{"divergent2", 1, 64, barrier, []metal.Buffer{floats()}},
				{"merged_barriers", 1, 64, barrier, []metal.Buffer{floats()}},
				{"divergent_simd", 1, 64, simd, []metal.Buffer{floats()}},
				{"after_return", 1, 32, simd, []metal.Buffer{floats()}},
				{"shuffle_no_lane", 1, 20, simd, []metal.Buffer{floats()}},
				{"partial_store", 1, 32, simd, []metal.Buffer{floats()}},
				{"partial_store", 1, 24, simd, []metal.Buffer{floats()}},
				{"transposed_origin", 1, 32, simd, []metal.Buffer{floats()}},
				{"uninit", 1, 64, undefined, []metal.Buffer{floats()}},
				{"accumulate", 1, 64, undefined, []metal.Buffer{g.undefined(256)}},
				{"accumulate", 1, 64, "", []metal.Buffer{g.buffer(256)}},
				{"group_race", 4, 32, groupRace, []metal.Buffer{floats()}},
				{"too_much_memory", 1, 64, "too much threadgroup memory: ", []metal.Buffer{floats()}},
				{"halves", 4, 64, "", []metal.Buffer{g.buffer(512), g.buffer(4)}},
				{"halves", 4, 64, bounds, []metal.Buffer{g.buffer(510), g.buffer(4)}},
				{"misaligned", 1, 4, behaviour, []metal.Buffer{floats()}},
				{"quotient", 1, 32, behaviour, []metal.Buffer{g.buffer(128)}},
			} {
				err := g.run(launch(g.pipeline(lib, c.kernel), dims{c.groups}, dims{c.threads}, c.binds...))
				check(t, err, c.want)
				if err != nil && !strings.Contains(err.Error(), c.kernel+": faulty.metal:") {
					t.Errorf("kernel, file or line is missing: %v", err)
				}
			}
			both := floats()
			check(t, g.run(launch(g.pipeline(lib, "mixed_atomic"), nil, dims{64}, both, both)), race)
		})
	}
}

// TestFastFaults has faults that a fast device sees too, and survives.
func TestFastFaults(t *testing.T) {
	t.Parallel()
	g := open(t, emulator.Options{Workers: 2, TimeLimit: 50 * time.Millisecond})
	lib := g.library("faulty", read(t, "faulty"))
	far, zero := g.buffer(uint32(1<<17)), g.buffer(4096)
	for _, c := range []struct {
		kernel          string
		groups, threads uint32
		want            string
		code            int
		binds           []metal.Buffer
	}{
		{"overrun", 4, 32, "write", 4, []metal.Buffer{g.buffer(512), far}},
		{"underrun", 4, 32, "read", 4, []metal.Buffer{g.buffer(512), far}},
		{"quotient", 4, 32, "division by zero", 1, []metal.Buffer{zero}},
		{"endless", 1, 32, "time-out", 2, []metal.Buffer{zero}},
		{"endless_barriers", 4, 32, "time-out", 2, []metal.Buffer{zero}},
		{"large_arrays", 4, 32, "stack overflow", 1, []metal.Buffer{zero}},
		{"divergent", 4, 64, barrier, 1, []metal.Buffer{zero}},
		{"divergent_simd", 4, 64, simd, 1, []metal.Buffer{zero}},
	} {
		err := g.run(launch(g.pipeline(lib, c.kernel), dims{c.groups}, dims{c.threads}, c.binds...))
		check(t, err, c.want)
		if e, ok := err.(*metal.CommandError); ok && (e.Code != c.code || !strings.Contains(e.Text, c.kernel+": faulty.metal:")) {
			t.Errorf("code %d, want %d: %v", e.Code, c.code, err)
		}
	}
	check(t, g.run(launch(g.pipeline(lib, "fill"), dims{2}, dims{32}, zero)), "")
	if x := view[float32](g, zero)[63]; x != 63 {
		t.Errorf("after faults: %g, want 63", x)
	}
}

// TestBarriers leaves barriers between launches out.
func TestBarriers(t *testing.T) {
	t.Parallel()
	for _, order := range orders {
		t.Run(order.String(), func(t *testing.T) {
			g := open(t, emulator.Options{Checked: true, Order: order, Seed: 1})
			lib := g.library("faulty", read(t, "faulty"))
			a, b, c := g.buffer(512), g.buffer(512), g.buffer(512)
			fill := func(x metal.Buffer) metal.Launch {
				return launch(g.pipeline(lib, "fill"), dims{4}, dims{32}, x)
			}
			copyTo := func(from, to metal.Buffer) metal.Launch {
				return launch(g.pipeline(lib, "copy"), dims{4}, dims{32}, from, to)
			}
			count := launch(g.pipeline(lib, "count"), dims{4}, dims{32}, c)
			half := func(l metal.Launch, n uint64) metal.Launch { // the n-th half of its first buffer
				l.Bind[0].Offset, l.Groups[0] = 256*n, 2
				return l
			}
			for _, x := range []struct {
				what     string
				launches []metal.Launch
				want     string
			}{
				{"read after write", []metal.Launch{fill(a), copyTo(a, b)}, "copy"},
				{"write after read", []metal.Launch{copyTo(a, b), fill(a)}, "fill"},
				{"write after write", []metal.Launch{fill(a), copyTo(b, a)}, barriers},
				{"write after two reads", []metal.Launch{copyTo(a, b), copyTo(a, c), fill(a)}, barriers},
				{"two reads", []metal.Launch{copyTo(a, b), copyTo(a, c)}, ""},
				{"halves", []metal.Launch{half(fill(a), 0), half(fill(a), 1)}, ""},
				{"overlapping parts", []metal.Launch{half(fill(a), 1), fill(a)}, barriers},
				{"two counts", []metal.Launch{count, count}, ""},
				{"count and copy", []metal.Launch{count, copyTo(c, a)}, barriers},
			} {
				for _, barrier := range []bool{true, false} {
					for i := range x.launches {
						x.launches[i].Barrier = barrier
					}
					want := x.want
					if barrier {
						want = ""
					}
					t.Log(x.what)
					err := g.run(x.launches...)
					check(t, err, want)
					if want != "" && !strings.Contains(err.Error(), barriers) {
						t.Error(err)
					}
				}
			}
			// Lists follow one another without a barrier; command buffers do not.
			l, m := fill(a), copyTo(a, b)
			l.Barrier, m.Barrier = false, false
			ticket, err := g.Submit([][]metal.Launch{{l}, {m}}, 0)
			if err != nil {
				t.Fatal(err)
			}
			check(t, g.Poll(ticket).Err, barriers)
			check(t, g.run(l), "")
			check(t, g.run(m), "")
		})
	}
}

// TestWindows narrows binds inside one large buffer.
func TestWindows(t *testing.T) {
	t.Parallel()
	for _, checked := range []bool{true, false} {
		g := open(t, emulator.Options{Checked: checked})
		lib := g.library("faulty", read(t, "faulty"))
		arena := g.buffer(4096)
		l := launch(g.pipeline(lib, "copy"), dims{2}, dims{32}, arena, arena)
		l.Bind[1].Offset = 1024
		check(t, g.run(l), "")
		for _, c := range []struct {
			from, to int
			want     string
		}{
			{256, 256, ""},
			{252, 256, "read of 4 bytes at offset 252 of buffer 0 (x)"},
			{256, 255, "write of 4 bytes at offset 252 of buffer 1 (y)"},
			{512, 128, "write of 4 bytes at offset 128 of buffer 1 (y) by thread 0 of threadgroup 1"},
		} {
			g.SetWindows(func(l *metal.Launch, bind int) (int, bool) { return []int{c.from, c.to}[bind], true })
			want := c.want
			if !checked {
				want = ""
			}
			check(t, g.run(l), want)
		}
		g.SetWindows(nil)
		check(t, g.run(l), "")
	}
}

// TestBadLaunches has launches that Metal's debug layer would refuse.
func TestBadLaunches(t *testing.T) {
	t.Parallel()
	g := open(t, emulator.Options{})
	lib := g.library("norm", read(t, "norm"))
	softmax := g.pipeline(lib, "softmax")
	if n := g.MaxThreads(softmax); n != 256 {
		t.Errorf("MaxThreads: %d, want 256", n)
	}
	a, small, freed := g.buffer(4096), g.buffer(8), g.buffer(64)
	g.FreeBuffer(freed)
	layernorm := launch(g.pipeline(lib, "layernorm_forward"), nil, dims{64}, a, a, a, a, a, a)
	good := launch(softmax, dims{1}, dims{32}, a, a, a)
	check(t, g.run(good), "")
	with := func(l metal.Launch, change func(*metal.Launch)) metal.Launch {
		change(&l)
		return l
	}
	for _, c := range []struct {
		want string
		l    metal.Launch
	}{
		{"is not bound", launch(softmax, nil, dims{32}, a, a)},
		{"is not bound", launch(softmax, nil, dims{32}, a, 0, a)},
		{"no such parameter", launch(softmax, nil, dims{32}, a, a, a, a)},
		{"more than 256", launch(softmax, nil, dims{32, 9}, a, a, a)},
		{"threads", launch(softmax, nil, dims{0}, a, a, a)},
		{"0 0] threadgroups", with(good, func(l *metal.Launch) { l.Groups = [3]uint32{} })},
		{"threadgroups", launch(softmax, dims{1 << 19, 1 << 19}, dims{32}, a, a, a)},
		{"freed", launch(softmax, nil, dims{32}, a, a, freed)},
		{"does not exist", launch(softmax, nil, dims{32}, a, a, 99)},
		{"pipeline 77", launch(77, nil, dims{32})},
		{"multiple of 4", with(good, func(l *metal.Launch) { l.Bind[1].Offset = 2 })},
		{"past the end", with(good, func(l *metal.Launch) { l.Bind[1].Offset = 4096 })},
		{"multiple of 8", with(layernorm, func(l *metal.Launch) { l.Bind[4].Offset = 4 })},
		{"needs 12", with(layernorm, func(l *metal.Launch) { l.Bind[5].Buffer = small })},
		{"needs 12", with(layernorm, func(l *metal.Launch) { l.Bind[5].Offset = 4088 })},
	} {
		check(t, g.run(c.l), c.want)
	}
	// Slots move a bind.
	good.Bind[2].Slot = 2048
	for slot, want := range []string{"", "", "past the end"} {
		ticket, err := g.Submit([][]metal.Launch{{good}}, slot)
		if err != nil {
			t.Fatal(err)
		}
		check(t, g.Poll(ticket).Err, want)
	}
}
