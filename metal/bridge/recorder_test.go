//go:build standin

package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coil/metal"
	"coil/metal/bridge/standin"
)

// recorder is a GPU behind the stand-in. It keeps what it is asked for; of a launch it only does that the uint32 at the
// beginning of its first buffer grows by 1.
type recorder struct {
	mu        sync.Mutex
	sources   []string
	kernels   []string
	constants [][]metal.Constant // of each pipeline
	buffers   [][]byte
	freed     int
	commands  [][]metal.Launch
	delay     time.Duration // of a command buffer
}

func (r *recorder) lock() func() { r.mu.Lock(); return r.mu.Unlock }

func (r *recorder) Library(_, source string) (metal.Library, error) {
	defer r.lock()()
	if _, fault, bad := strings.Cut(source, "#error "); bad {
		return 0, errors.New(fault)
	}
	r.sources = append(r.sources, source)
	return metal.Library(len(r.sources)), nil
}

func (r *recorder) Pipeline(_ metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	defer r.lock()()
	if kernel == "refused" {
		return 0, errors.New("too many registers")
	}
	r.kernels, r.constants = append(r.kernels, kernel), append(r.constants, constants)
	return metal.Pipeline(len(r.kernels)), nil
}

func (r *recorder) MaxThreads(metal.Pipeline) int { return 768 }

func (r *recorder) NewBuffer(bytes int) (metal.Buffer, error) {
	defer r.lock()()
	b, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return 0, err
	}
	r.buffers = append(r.buffers, b)
	return metal.Buffer(len(r.buffers)), nil
}

func (r *recorder) Bytes(b metal.Buffer) []byte { return r.buffers[b-1] }

func (r *recorder) FreeBuffer(b metal.Buffer) {
	defer r.lock()()
	r.freed++
	if err := syscall.Munmap(r.buffers[b-1]); err != nil {
		panic(err)
	}
	r.buffers[b-1] = nil
}

func (r *recorder) Submit(lists [][]metal.Launch, _ int) (metal.Ticket, error) {
	defer r.lock()()
	time.Sleep(r.delay)
	for _, list := range lists {
		for _, l := range list {
			if l.Binds > 0 {
				x := r.buffers[l.Bind[0].Buffer-1][l.Bind[0].Offset:]
				binary.LittleEndian.PutUint32(x, binary.LittleEndian.Uint32(x)+1)
			}
		}
		r.commands = append(r.commands, list)
	}
	return 1, nil
}

func (r *recorder) Poll(metal.Ticket) metal.Progress { return metal.Progress{Ended: true} }
func (r *recorder) Description() metal.Description   { return metal.Description{} }
func (r *recorder) Condition() metal.Condition       { return metal.Condition{} }
func (r *recorder) Reset() error                     { return nil }
func (r *recorder) Close() error                     { return nil }

// taken returns the command buffers since it was called last.
func (r *recorder) taken() [][]metal.Launch {
	defer r.lock()()
	c := r.commands
	r.commands = nil
	return c
}

// source has the kernels take0, take1, …, with that number of buffers, and one for which no pipeline can be made.
var source = func() string {
	var s strings.Builder
	for n := range maxBinds + 1 {
		fmt.Fprintf(&s, "kernel void take%d(", n)
		for i := range n {
			fmt.Fprintf(&s, "device uint* x%d [[buffer(%d)]], ", i, i)
		}
		fmt.Fprintln(&s, "uint i [[thread_position_in_grid]]) {}")
	}
	return s.String() + "kernel void refused() {}\n"
}()

// fixture is an open bridge on a recorder. It has a pipeline of each kernel: take[n] has n buffers.
type fixture struct {
	*Device
	recorder *recorder
	take     []metal.Pipeline
}

func openFixture(t testing.TB) *fixture {
	t.Helper()
	r := &recorder{}
	standin.Use(r)
	return openOn(t, r)
}

// openOn opens a fixture on the recorder in use. When the test ends, it is closed and nothing may be left of it.
func openOn(t testing.TB, r *recorder) *fixture {
	t.Helper()
	live, stray, activities := standin.Live(), standin.Stray(), standin.Activities()
	f := &fixture{recorder: r}
	d, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	f.Device = d.(*Device)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		wantLive(t, live)
		if n := standin.Stray() - stray; n != 0 {
			t.Errorf("%d objects were autoreleased where there was no pool", n)
		}
		if n := standin.Activities() - activities; n != 0 {
			t.Errorf("%d activities were not ended", n)
		}
	})
	lib, err := f.Library("test", source)
	if err != nil {
		t.Fatal(err)
	}
	for n := range maxBinds + 1 {
		p, err := f.Pipeline(lib, fmt.Sprintf("take%d", n), nil)
		if err != nil {
			t.Fatal(err)
		}
		f.take = append(f.take, p)
	}
	return f
}

// wantLive checks that there are n Objective-C objects. The stand-in's thread lets go of a command buffer a little after
// it has ended.
func wantLive(t testing.TB, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for standin.Live() != n {
		if time.Now().After(deadline) {
			t.Fatalf("%d Objective-C objects are alive, want %d", standin.Live(), n)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// buffer makes a buffer.
func (f *fixture) buffer(t testing.TB, bytes int) metal.Buffer {
	t.Helper()
	b, err := f.NewBuffer(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// submit submits one list.
func (f *fixture) submit(t testing.TB, list ...metal.Launch) metal.Ticket {
	t.Helper()
	k, err := f.Submit([][]metal.Launch{list}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// wait polls until a command buffer has ended.
func wait(t testing.TB, d metal.Device, k metal.Ticket) metal.Progress {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		if p := d.Poll(k); p.Ended {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatal("a command buffer does not end")
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// launch is one of a pipeline with buffers from offset 0.
func launch(p metal.Pipeline, buffers ...metal.Buffer) metal.Launch {
	l := metal.Launch{Pipeline: p, Binds: uint8(len(buffers)), Groups: [3]uint32{1, 1, 1}, Threads: [3]uint32{32, 1, 1}}
	for i, b := range buffers {
		l.Bind[i].Buffer = b
	}
	return l
}
