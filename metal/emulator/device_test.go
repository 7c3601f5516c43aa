package emulator_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coil/metal"
	"coil/metal/emulator"
	"coil/thorough"
)

// TestOrder watches when launches run and in which order.
func TestOrder(t *testing.T) {
	t.Parallel()
	const source = head + `
kernel void note(device uint* log [[buffer(0)]], constant uint& name [[buffer(1)]]) { log[++log[0]] = name; }
kernel void groups(device atomic_uint* n [[buffer(0)]], device uint* at [[buffer(1)]], uint g [[threadgroup_position_in_grid]]) {
  at[g] = atomic_fetch_add_explicit(n, 1u, memory_order_relaxed);
}
`
	// Launches 1 to 3, a barrier, 4 to 6, a barrier, 7.
	run := func(o emulator.Options, early bool) []uint32 {
		g := open(t, o)
		p := g.pipeline(g.library("order", source), "note")
		log, names := g.buffer(64), g.buffer([]uint32{1, 2, 3, 4, 5, 6, 7})
		var list []metal.Launch
		for i := range 7 {
			l := launch(p, nil, nil, log, names)
			l.Bind[1].Offset, l.Barrier = 4*uint64(i), i == 3 || i == 6
			list = append(list, l)
		}
		ticket, err := g.Submit([][]metal.Launch{list[:2], list[2:]}, 0)
		if err != nil {
			t.Fatal(err)
		}
		clear(list) // it is Submit's no more
		if n := view[uint32](g, log)[0]; (n == 7) != early {
			t.Errorf("%v: %d launches have run when Submit returns", o.Order, n)
		}
		if p := g.Poll(ticket); !p.Ended || p.Err != nil || p.Seconds <= 0 {
			t.Error(p)
		}
		if p := g.Poll(ticket); p.Err == nil {
			t.Error("a ticket's end is reported twice")
		}
		return slices.Clone(view[uint32](g, log)[1:8])
	}
	if got := run(emulator.Options{}, true); !slices.Equal(got, []uint32{1, 2, 3, 4, 5, 6, 7}) {
		t.Error("forward:", got)
	}
	if got := run(emulator.Options{Order: emulator.Reverse}, false); !slices.Equal(got, []uint32{3, 2, 1, 6, 5, 4, 7}) {
		t.Error("reverse:", got)
	}
	early := func(seed uint64) bool { // whether that seed runs a first command buffer at once
		g := open(t, emulator.Options{Order: emulator.Random, Seed: seed})
		log := g.buffer(64)
		p := g.pipeline(g.library("order", source), "note")
		if _, err := g.Submit([][]metal.Launch{{launch(p, nil, nil, log, g.buffer(uint32(1)))}}, 0); err != nil {
			t.Fatal(err)
		}
		return view[uint32](g, log)[0] == 1
	}
	seen, times := map[[7]uint32]bool{}, map[bool]bool{}
	for seed := range uint64(8) {
		o := emulator.Options{Order: emulator.Random, Seed: seed}
		at := early(seed)
		got := run(o, at)
		if again := run(o, at); !slices.Equal(got, again) {
			t.Errorf("seed %d: %v and then %v", seed, got, again)
		}
		seen[[7]uint32(got)], times[at] = true, true
		slices.Sort(got[:3])
		slices.Sort(got[3:6])
		if !slices.Equal(got, []uint32{1, 2, 3, 4, 5, 6, 7}) {
			t.Error("random:", got)
		}
	}
	if len(seen) < 4 || len(times) < 2 {
		t.Errorf("eight seeds give %d orders", len(seen))
	}

	// Threadgroups.
	for _, order := range orders {
		g := open(t, emulator.Options{Order: order, Workers: 1, Seed: 2})
		at := g.buffer(4 * 64)
		check(t, g.run(launch(g.pipeline(g.library("order", source), "groups"), dims{64}, nil, g.buffer(4), at)), "")
		got := slices.Clone(view[uint32](g, at))
		forward := slices.IsSorted(got)
		slices.Reverse(got)
		if backward := slices.IsSorted(got); forward != (order == emulator.Forward) || backward != (order == emulator.Reverse) {
			t.Errorf("%v: threadgroups ran as %v", order, got)
		}
	}
}

// TestInFlight has command buffers in the queue.
func TestInFlight(t *testing.T) {
	t.Parallel()
	for _, order := range orders {
		g := open(t, emulator.Options{Order: order, Seed: 4})
		lib := g.library("faulty", read(t, "faulty"))
		a, b, c := g.buffer(128), g.buffer(128), g.buffer(128)
		first, err1 := g.Submit([][]metal.Launch{{launch(g.pipeline(lib, "fill"), nil, dims{32}, a)}}, 0)
		second, err2 := g.Submit([][]metal.Launch{{launch(g.pipeline(lib, "copy"), nil, dims{32}, a, b)}}, 0)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		check(t, g.Poll(second).Err, "") // and so the first one has run
		if x := view[float32](g, b)[31]; x != 31 {
			t.Errorf("%v: %g, want 31", order, x)
		}
		check(t, g.Poll(first).Err, "")

		third, err := g.Submit([][]metal.Launch{{launch(g.pipeline(lib, "fill"), nil, dims{32}, c)}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		g.FreeBuffer(c)
		check(t, g.Poll(third).Err, "freed while it was in flight")

		fourth, err := g.Submit(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Reset(); err != nil {
			t.Fatal(err)
		}
		check(t, g.Poll(fourth).Err, "not in flight")
		check(t, g.run(launch(g.pipeline(lib, "copy"), nil, dims{32}, a, b)), "")
	}
}

// TestAfterFault runs nothing after a launch that could not be finished.
func TestAfterFault(t *testing.T) {
	t.Parallel()
	g := open(t, emulator.Options{Checked: true})
	lib := g.library("faulty", read(t, "faulty"))
	a, b := g.buffer(256), g.buffer(256)
	fill := func(x metal.Buffer, groups uint32) metal.Launch {
		return launch(g.pipeline(lib, "fill"), dims{groups}, dims{32}, x)
	}
	check(t, g.run(fill(a, 4), fill(b, 1)), bounds)
	if view[float32](g, b)[31] != 0 {
		t.Error("the launch after the fault has run")
	}
	check(t, g.run(fill(b, 1)), "")
}

func TestBuffers(t *testing.T) {
	t.Parallel()
	g := open(t, emulator.Options{})
	for _, n := range []int{1, 15, 4096, 5 << 20} {
		b, err := g.NewBuffer(n)
		if err != nil {
			t.Fatal(err)
		}
		m := g.Bytes(b)
		if len(m) != n || cap(m) != n || slices.ContainsFunc(m, func(x byte) bool { return x != 0 }) {
			t.Errorf("%d bytes: length %d, capacity %d", n, len(m), cap(m))
		}
	}
	for _, n := range []int{0, -1, 5 << 30} {
		if _, err := g.NewBuffer(n); err == nil {
			t.Errorf("a buffer of %d bytes", n)
		}
	}
	b := g.buffer(8)
	g.FreeBuffer(b)
	for what, f := range map[string]func(){
		"Bytes": func() { g.Bytes(b) }, "FreeBuffer": func() { g.FreeBuffer(b) }, "MarkUndefined": func() { g.MarkUndefined(0, 0, 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of a freed buffer does not panic", what)
				}
			}()
			f()
		}()
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if _, err := g.Submit(nil, 0); err == nil {
		t.Error("Submit after Close")
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	g := open(t, emulator.Options{})
	d := g.Description()
	if d.Name != "emulator" || d.Family != 9 || !d.Unified || d.ThreadgroupBytes != 32768 || g.Condition().Thermal != metal.ThermalNominal {
		t.Errorf("%+v", d)
	}
}

// TestCache compiles in a folder of its own.
func TestCache(t *testing.T) {
	thorough.Skip(t)
	open(t, emulator.Options{}) // skips where there is no compiler
	dir := t.TempDir()
	old := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-15 * 24 * time.Hour)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours, foreign := old(strings.Repeat("0", 32)+".so"), old("notes.txt")

	clang, err := exec.LookPath("clang-19")
	if err != nil {
		t.Fatal(err)
	}
	bin, calls := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >>'%s'\nexec '%s' \"$@\"\n", calls, clang)
	if err := os.WriteFile(filepath.Join(bin, "clang-19"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	source := head + begin + "x[i] = 1; }\n"
	compile := func(source string) error {
		d, err := emulator.Open(emulator.Options{Cache: dir})
		if err != nil {
			return err
		}
		_, err = d.Library("k", source)
		return errors.Join(err, d.Close())
	}
	var wg sync.WaitGroup
	for range 2 { // as two processes would
		wg.Go(func() {
			if err := compile(source); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	files := func() []string {
		var names []string
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	before := files()
	if len(before) != 8 { // foreign, pruned; the run time and its headers; the library and what is known of it; two locks
		t.Errorf("the cache holds %v", before)
	}
	called, err := os.ReadFile(calls)
	if n := strings.Count(string(called), "\n"); err != nil || n != 5 { // the run time; and preprocess, check, compile and link the source
		t.Errorf("clang was called %d times, want 5: %v\n%s", n, err, called)
	}
	if _, err := os.Stat(ours); err == nil {
		t.Error("an old library is still there")
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
	if err := compile(source); err != nil {
		t.Error(err)
	}
	if after := files(); !slices.Equal(before, after) {
		t.Errorf("the cache held %v, now %v", before, after)
	}
	var ce *emulator.CompileError
	for range 2 {
		if err := compile(source + "int n;"); !errors.As(err, &ce) || ce.Name != "k" {
			t.Error(err)
		}
	}
	t.Setenv("PATH", "/nowhere")
	if err := compile(source); !errors.Is(err, emulator.ErrUnavailable) || !strings.Contains(err.Error(), "apt-get install clang-19") {
		t.Error(err)
	}
}
