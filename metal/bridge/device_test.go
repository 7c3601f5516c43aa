//go:build standin

package bridge

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/progrium/darwinkit/objc"

	"coil/metal"
	"coil/metal/bridge/standin"
)

func TestOpen(t *testing.T) {
	standin.Use(&recorder{})
	defer standin.SetDevices(true, 1)
	live := standin.Live()
	for _, x := range []struct {
		byDefault bool
		inList    int
		want      bool
	}{
		{true, 1, true}, {true, -1, true}, {false, 2, true}, {false, 0, false}, {false, -1, false},
	} {
		standin.SetDevices(x.byDefault, x.inList)
		d, err := Open()
		if (err == nil) != x.want || (d != nil) != x.want {
			t.Errorf("%+v: device %v, error %v", x, d, err)
		}
		if d != nil {
			if standin.Activities() != 1 {
				t.Errorf("%+v: no activity keeps the system awake", x)
			}
			d.Close()
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
		wantLive(t, live)
	}
}

func TestDescription(t *testing.T) {
	defer standin.SetFamily(1009)
	for family, want := range map[int]int{1000: 0, 1005: 5, 1007: 7, 1009: 9, 1010: 10, 1012: 12} {
		standin.SetFamily(family)
		f := openFixture(t)
		if diff := cmp.Diff(metal.Description{
			Name: "stand-in", Family: want, Tensors: want >= 10, Unified: true, WorkingSet: 12 << 30, MaxBuffer: 256 << 20, ThreadgroupBytes: 32 << 10,
			RegistryID: 0xfedcba9876543210,
		}, f.Description()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestCondition(t *testing.T) {
	defer standin.SetCondition(0, false)
	defer standin.SetOld(false)
	for _, old := range []bool{false, true} {
		standin.SetOld(old)
		f := openFixture(t)
		for thermal, want := range []metal.Thermal{metal.ThermalNominal, metal.ThermalFair, metal.ThermalSerious, metal.ThermalCritical, metal.ThermalUnknown} {
			for _, low := range []bool{false, true} {
				standin.SetCondition(thermal, low)
				if got, want := f.Condition(), (metal.Condition{Thermal: want, LowPower: low && !old}); got != want {
					t.Errorf("old system %v: %v, want %v", old, got, want)
				}
			}
		}
		f.Close()
		if got := f.Condition(); got != (metal.Condition{}) {
			t.Errorf("closed: %v", got)
		}
	}
}

// The stand-in aborts if the options are not set as they should.
func TestLibrary(t *testing.T) {
	defer standin.SetOld(false)
	for _, old := range []bool{false, true} {
		standin.SetOld(old)
		f := openFixture(t)
		if n := len(f.recorder.sources); n != 1 || f.recorder.sources[0] != source {
			t.Errorf("%d sources, or another than was given", n)
		}
		const fault = "program_source:1:2: error: expected ';' – im Café"
		if lib, err := f.Library("broken", "#error "+fault); lib != 0 || err == nil ||
			err.Error() != "broken does not compile: "+fault {
			t.Errorf("library %d, error %v", lib, err)
		}
		if lib, err := f.Library("broken", "#error "); lib != 0 || err == nil || err.Error() != "broken does not compile: Metal gives no reason" {
			t.Errorf("library %d, error %v", lib, err)
		}
	}
}

func TestPipeline(t *testing.T) {
	f := openFixture(t)
	lib, err := f.Library("test", source)
	if err != nil {
		t.Fatal(err)
	}
	constants := []metal.Constant{
		{Index: 0, Type: metal.ConstantBool, Bits: 1},
		{Index: 7, Type: metal.ConstantBool, Bits: 0},
		{Index: 2, Type: metal.ConstantInt, Bits: math.MaxUint32},
		{Index: 300, Type: metal.ConstantUint, Bits: 1 << 31},
		{Index: 1, Type: metal.ConstantFloat, Bits: math.Float32bits(-0.5)},
	}
	p, err := f.Pipeline(lib, "take3", constants)
	if err != nil {
		t.Fatal(err)
	}
	if n := f.MaxThreads(p); n != 768 {
		t.Errorf("largest threadgroup %d, want 768", n)
	}
	if diff := cmp.Diff(constants, f.recorder.constants[len(f.recorder.constants)-1]); diff != "" {
		t.Errorf("function constants: -want +got:\n%s", diff)
	}
	for _, x := range []struct {
		lib          metal.Library
		kernel, want string
	}{
		{0, "take3", "kernel take3: no library 0"},
		{lib + 1, "take3", "no library"},
		{lib, "absent", "kernel absent: Function absent was not found"},
		{lib, "refused", "pipeline of kernel refused: too many registers"},
	} {
		if p, err := f.Pipeline(x.lib, x.kernel, nil); p != 0 || err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: pipeline %d, error %v", x, p, err)
		}
	}
}

func TestBuffer(t *testing.T) {
	f := openFixture(t)
	a, b := f.buffer(t, 1), f.buffer(t, 100_000)
	if a == b || a == 0 || b == 0 {
		t.Errorf("buffers %d and %d", a, b)
	}
	x := f.Bytes(b)
	if len(x) != 100_000 || &x[0] != &f.recorder.buffers[1][0] {
		t.Errorf("%d bytes at %p, want the buffer's %d at %p", len(x), &x[0], 100_000, &f.recorder.buffers[1][0])
	}
	f.FreeBuffer(a)
	if f.recorder.freed != 1 || f.recorder.buffers[0] != nil {
		t.Error("the buffer was not freed")
	}
	last := f.buffer(t, 10)
	f.FreeBuffer(b)
	if f.recorder.freed != 2 || f.recorder.buffers[1] != nil || len(f.Bytes(last)) != 10 {
		t.Error("another buffer was freed")
	}
	for _, n := range []int{-1, 0, 256<<20 + 1} {
		if b, err := f.NewBuffer(n); b != 0 || err == nil || !strings.Contains(err.Error(), "268435456") {
			t.Errorf("%d bytes: buffer %d, error %v", n, b, err)
		}
	}
	standin.SetMemory(false)
	defer standin.SetMemory(true)
	if b, err := f.NewBuffer(4096); b != 0 || err == nil || !strings.Contains(err.Error(), "4096") || !strings.Contains(err.Error(), "12884901888") {
		t.Errorf("no memory: buffer %d, error %v", b, err)
	}
}

func TestMessage(t *testing.T) {
	f := openFixture(t)
	mustPanic := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", what)
			}
		}()
		f()
	}
	m := newMessage("newBufferWithLength:options:", typeID, typeUint, typeUint)
	mustPanic("a word too few", func() { m.send(f.object, 1) })
	mustPanic("a word too many", func() { m.send(f.object, 1, 0, 0) })
	m = newMessage("endEncoding", typeVoid)
	mustPanic("no receiver", func() { m.send(objc.Object{}) })
	mustPanic("a struct as result", func() { newMessage("size", typeMTLSize) })
	mustPanic("too many words", func() { newMessage("a:b:c:", typeVoid, typeMTLSize, typeMTLSize, typeID) })

	// MTLCompileOptions has a respondsToSelector: of its own, which an old system's answers.
	standin.SetOld(true)
	defer standin.SetOld(false)
	responds := newMessage("respondsToSelector:", typeBool, typeID)
	create := newMessage("new", typeID)
	newer := []uint64{address(f.setup.setMathMode.selector.Ptr()), address(f.setup.setMathFunctions.selector.Ptr())}
	for range 2 {
		options, values := create.send(classNamed("MTLCompileOptions")).object(), create.send(classNamed("MTLFunctionConstantValues")).object()
		for _, selector := range newer {
			if responds.send(values, selector).bool() || responds.send(options, selector).bool() {
				t.Error("a message went to the method of another class")
			}
		}
		if !responds.send(options, address(f.setup.setLanguageVersion.selector.Ptr())).bool() {
			t.Error("setLanguageVersion: is not known")
		}
		options.Release()
		values.Release()
	}
}

// A result of one byte, next to others, while Go's memory is collected all the time: libffi must store into nothing else.
func TestSmallResult(t *testing.T) {
	f := openFixture(t)
	m := newMessage("hasUnifiedMemory", typeBool)
	guards := make([]*[2]byte, 1000)
	for i := range guards {
		guards[i] = &[2]byte{byte(i), 7}
		if !m.send(f.object).bool() {
			t.Fatal("the result is lost")
		}
	}
	runtime.GC()
	for i, g := range guards {
		if *g != [2]byte{byte(i), 7} {
			t.Fatalf("bytes %d were overwritten: %v", i, *g)
		}
	}
}
