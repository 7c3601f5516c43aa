package emulator_test

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
)

// modes are the ways in which what is right must come out right.
var modes = map[string]emulator.Options{
	"fast":            {Workers: 2},
	"fast random":     {Order: emulator.Random, Seed: 3},
	"checked":         {Checked: true},
	"checked reverse": {Checked: true, Order: emulator.Reverse},
	"checked random":  {Checked: true, Order: emulator.Random, Seed: 7},
}

// gpu is a device with what tests need of it.
type gpu struct {
	*emulator.Device
	t testing.TB
}

func open(t testing.TB, o emulator.Options) gpu { return gpu{emulatortest.Open(t, o), t} }

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".metal"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (g gpu) library(name, source string) metal.Library {
	g.t.Helper()
	l, err := g.Library(name, source)
	if err != nil {
		g.t.Fatal(err)
	}
	return l
}

func (g gpu) pipeline(l metal.Library, kernel string, constants ...metal.Constant) metal.Pipeline {
	g.t.Helper()
	p, err := g.Pipeline(l, kernel, constants)
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

// buffer makes a buffer from numbers or structs, or of a number of bytes.
func (g gpu) buffer(v any) metal.Buffer {
	g.t.Helper()
	n, zero := v.(int)
	if !zero {
		n = binary.Size(v)
	}
	b, err := g.NewBuffer(n)
	if err != nil {
		g.t.Fatal(err)
	}
	if !zero {
		if _, err := binary.Encode(g.Bytes(b), binary.LittleEndian, v); err != nil {
			g.t.Fatal(err)
		}
	}
	return b
}

// undefined makes a buffer that was never written.
func (g gpu) undefined(n int) metal.Buffer {
	b := g.buffer(n)
	g.MarkUndefined(b, 0, n)
	return b
}

// view is a buffer's memory as numbers.
func view[T any](g gpu, b metal.Buffer) []T {
	m := g.Bytes(b)
	var z T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(m))), len(m)/int(unsafe.Sizeof(z)))
}

type dims []uint32

func (d dims) three() [3]uint32 {
	r := [3]uint32{1, 1, 1}
	copy(r[:], d)
	return r
}

func launch(p metal.Pipeline, groups, threads dims, buffers ...metal.Buffer) metal.Launch {
	l := metal.Launch{Pipeline: p, Barrier: true, Binds: uint8(len(buffers)), Groups: groups.three(), Threads: threads.three()}
	for i, b := range buffers {
		l.Bind[i].Buffer = b
	}
	return l
}

// run runs launches as one command buffer.
func (g gpu) run(launches ...metal.Launch) error {
	g.t.Helper()
	ticket, err := g.Submit([][]metal.Launch{launches}, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	p := g.Poll(ticket)
	if !p.Ended || p.Seconds < 0 {
		g.t.Fatal(p)
	}
	return p.Err
}

// check compares an error with what it must contain; "" is no error.
func check(t testing.TB, err error, want string) {
	t.Helper()
	var c *metal.CommandError
	switch {
	case err == nil && want == "":
	case err == nil:
		t.Errorf("no error, want %q", want)
	case want == "" || !strings.Contains(err.Error(), want):
		t.Errorf("want %q, got: %v", want, err)
	case !errors.As(err, &c) || c.Code == 0:
		t.Errorf("%T is not a CommandError with a code", err)
	}
}

func normal(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

func near(t testing.TB, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i])-float64(want[i])) / (1 + math.Abs(float64(want[i]))); !(d <= tolerance) {
			t.Fatalf("%s: [%d] is %g, want %g", what, i, got[i], want[i])
		}
	}
}
