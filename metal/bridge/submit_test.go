//go:build standin

package bridge

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/progrium/darwinkit/objc"

	"coil/metal"
	"coil/metal/bridge/standin"
)

// random returns launches in which pipelines, buffers and offsets stay, come back and change.
func (f *fixture) random(r *rand.Rand, n int, buffers []metal.Buffer) []metal.Launch {
	list := make([]metal.Launch, n)
	for i := range list {
		l := &list[i]
		if i > 0 && r.IntN(2) == 0 {
			*l = list[r.IntN(i)]
		} else {
			l.Binds = uint8(r.IntN(maxBinds + 1))
			l.Pipeline = f.take[l.Binds]
			for j := range l.Bind[:l.Binds] {
				l.Bind[j].Buffer = buffers[r.IntN(len(buffers))]
			}
		}
		for j := range l.Bind[:l.Binds] {
			if r.IntN(3) == 0 {
				l.Bind[j].Offset, l.Bind[j].Slot = 4*r.Uint64N(100), 4*r.Uint32N(100)
			}
		}
		l.Barrier = r.IntN(2) == 0
		l.Groups = [3]uint32{1 + r.Uint32N(1<<20), 1 + r.Uint32N(9), 1 + r.Uint32N(9)}
		l.Threads = [3]uint32{1 + r.Uint32N(32), 1 + r.Uint32N(6), 1 + r.Uint32N(4)}
	}
	return list
}

// flat is what the GPU should be asked for.
func flat(lists [][]metal.Launch, slot int) []metal.Launch {
	var flat []metal.Launch
	for _, list := range lists {
		for _, l := range list {
			for i := range l.Bind {
				l.Bind[i].Offset += uint64(slot) * uint64(l.Bind[i].Slot)
				l.Bind[i].Slot = 0
			}
			flat = append(flat, l)
		}
	}
	return flat
}

// Bindings that are not set again must still be right for the launch.
func TestSubmit(t *testing.T) {
	f := openFixture(t)
	buffers := []metal.Buffer{f.buffer(t, 2000), f.buffer(t, 3000), f.buffer(t, 4000)}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		lists := make([][]metal.Launch, r.IntN(4))
		for i := range lists {
			lists[i] = f.random(r, r.IntN(30), buffers)
		}
		slot := r.IntN(3)
		k, err := f.Submit(lists, slot)
		if err != nil {
			t.Fatal(err)
		}
		if p := wait(t, f, k); p.Err != nil {
			t.Fatalf("%+v", p)
		}
		got := f.recorder.taken()
		if len(got) != 1 {
			t.Fatalf("%d command buffers, want 1", len(got))
		}
		want := flat(lists, slot)
		for i := range max(len(want), len(got[0])) {
			if i >= len(want) || i >= len(got[0]) {
				t.Fatalf("%d launches, want %d", len(got[0]), len(want))
			}
			if diff := cmp.Diff(want[i], got[0][i]); diff != "" {
				t.Fatalf("launch %d of %d: -want +got:\n%s", i, len(want), diff)
			}
		}
	}
}

// The encoder receives only changes.
func TestSubmitSkipsWhatIsSet(t *testing.T) {
	f := openFixture(t)
	a, b := f.buffer(t, 1000), f.buffer(t, 1000)
	first := launch(f.take[2], a, b)
	moved, other := first, first
	moved.Bind[1].Offset = 4
	other.Bind[1].Buffer = a
	third := launch(f.take[1], a)
	for want, list := range map[[3]int][]metal.Launch{
		{1, 2, 0}: {first, first, first},
		{1, 2, 2}: {first, moved, moved, first},
		{1, 4, 0}: {first, other, first},
		{3, 2, 1}: {first, third, moved},
	} {
		standin.Sets()
		wait(t, f, f.submit(t, list...))
		if got := standin.Sets(); got != want {
			t.Errorf("%d launches: %v pipelines, buffers and offsets set, want %v", len(list), got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	f := openFixture(t)
	f.recorder.delay = 3 * time.Millisecond
	begin := time.Now()
	p := wait(t, f, f.submit(t))
	if spent := time.Since(begin).Seconds(); p.Err != nil || p.Seconds < 0.003 || p.Seconds > spent {
		t.Errorf("%+v, in %v s", p, spent)
	}
}

func TestSubmitRefuses(t *testing.T) {
	f := openFixture(t)
	b, gone := f.buffer(t, 100), f.buffer(t, 100)
	f.FreeBuffer(gone)
	for want, change := range map[string]func(l *metal.Launch){
		"no pipeline 0":          func(l *metal.Launch) { l.Pipeline = 0 },
		"no pipeline 99":         func(l *metal.Launch) { l.Pipeline = 99 },
		"13 buffers":             func(l *metal.Launch) { l.Binds = 13 },
		"buffer(1): no buffer 0": func(l *metal.Launch) { l.Bind[1].Buffer = 0 },
		"buffer(0): no buffer 9": func(l *metal.Launch) { l.Bind[0].Buffer = 9 },
		"buffer(1): no buffer 2": func(l *metal.Launch) { l.Bind[1].Buffer = gone },
		"offset 100":             func(l *metal.Launch) { l.Bind[0].Offset = 100 },
		"offset 150":             func(l *metal.Launch) { l.Bind[0].Slot = 50 },
		"grid":                   func(l *metal.Launch) { l.Groups[1] = 0 },
		"limit is 768":           func(l *metal.Launch) { l.Threads = [3]uint32{769, 1, 1} },
		"limit is 768 ":          func(l *metal.Launch) { l.Threads = [3]uint32{1 << 31, 1 << 31, 4} },
		"limit is 768  ":         func(l *metal.Launch) { l.Threads = [3]uint32{641, 6700417, 1} }, // 2³² + 1
		"[0 1 1] threads":        func(l *metal.Launch) { l.Threads[0] = 0 },
	} {
		bad := launch(f.take[2], b, b)
		change(&bad)
		k, err := f.Submit([][]metal.Launch{nil, {launch(f.take[1], b), bad}}, 3)
		if k != 0 || err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) || !strings.Contains(err.Error(), "launch 1 of list 1") {
			t.Errorf("%s: ticket %d, error %v", want, k, err)
		}
	}
	if n := len(f.recorder.taken()); n != 0 {
		t.Errorf("%d command buffers were committed", n)
	}
}

// A command buffer has not ended before its status is that it has completed or failed: enqueued, committed and scheduled
// are not the end. The stand-in shows all of them.
func TestPollWaitsForTheEnd(t *testing.T) {
	f := openFixture(t)
	b := f.buffer(t, 100)
	f.recorder.delay = 10 * time.Millisecond
	for _, fails := range []bool{false, true} {
		want, launches := [6]int{1: 1, 2: 1, 3: 1, 4: 1}, uint32(4)
		if fails {
			want, launches = [6]int{1: 1, 2: 1, 3: 1, 5: 1}, 2
			standin.Fail(0, metal.CommandOutOfMemory, "no memory")
		}
		standin.Statuses()
		before := binary.LittleEndian.Uint32(f.Bytes(b))
		p := wait(t, f, f.submit(t, slices.Repeat([]metal.Launch{launch(f.take[1], b)}, 4)...))
		if n := binary.LittleEndian.Uint32(f.Bytes(b)) - before; n != launches || (p.Err != nil) != fails || p.Seconds < 0.01 {
			t.Errorf("ended with %+v when %d launches had run, want %d", p, n, launches)
		}
		got := standin.Statuses()
		if got[3] = min(got[3], 1); got != want { // scheduled for as long as it takes
			t.Errorf("statuses shown: %v, want %v", got, want)
		}
	}
}

func TestPollAnswersOnce(t *testing.T) {
	f := openFixture(t)
	k := f.submit(t)
	wait(t, f, k)
	for _, k := range []metal.Ticket{0, k, k + 1} {
		if p := f.Poll(k); !p.Ended || p.Err == nil {
			t.Errorf("ticket %d: %+v, want an error", k, p)
		}
	}
}

func TestFailure(t *testing.T) {
	f := openFixture(t)
	b := f.buffer(t, 100)
	const text = "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)"
	standin.Fail(1, metal.CommandTimeout, text)
	var tickets []metal.Ticket
	for range 3 {
		tickets = append(tickets, f.submit(t, slices.Repeat([]metal.Launch{launch(f.take[1], b)}, 4)...))
	}
	for i, k := range tickets {
		p := wait(t, f, k)
		if i != 1 {
			if p.Err != nil {
				t.Errorf("command buffer %d: %v", i, p.Err)
			}
			continue
		}
		if e := (*metal.CommandError)(nil); !errors.As(p.Err, &e) || e.Code != metal.CommandTimeout || e.Text != text {
			t.Errorf("command buffer %d: %v", i, p.Err)
		}
	}
	if n := binary.LittleEndian.Uint32(f.Bytes(b)); n != 4+2+4 { // half of those that failed
		t.Errorf("%d launches ran, want 10", n)
	}
	if err := f.Reset(); err != nil {
		t.Fatal(err)
	}
	if p := wait(t, f, f.submit(t, launch(f.take[1], b))); p.Err != nil {
		t.Error(p.Err)
	}
}

// A command buffer may have failed and not say why.
func TestFailureWithoutError(t *testing.T) {
	f := openFixture(t)
	standin.FailSilently()
	p := wait(t, f, f.submit(t, launch(f.take[1], f.buffer(t, 100))))
	if e := (*metal.CommandError)(nil); !errors.As(p.Err, &e) || e.Code != 0 || e.Text == "" {
		t.Errorf("%+v", p)
	}
}

// If Metal returns nil, that is an error, and the next command buffer is not affected.
func TestNoCommandBuffer(t *testing.T) {
	f := openFixture(t)
	b := f.buffer(t, 100)
	list := []metal.Launch{launch(f.take[1], b)}
	for thing, want := range map[standin.Thing]string{standin.CommandBuffer: "no command buffer", standin.Encoder: "no encoder"} {
		standin.Refuse(thing)
		k, err := f.Submit([][]metal.Launch{list}, 0)
		standin.Refuse(standin.Everything)
		if k != 0 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: ticket %d, error %v", want, k, err)
		}
		if p := wait(t, f, f.submit(t, list...)); p.Err != nil {
			t.Error(p.Err)
		}
	}
	if n := binary.LittleEndian.Uint32(f.Bytes(b)); n != 2 {
		t.Errorf("%d launches ran, want 2", n)
	}
}

func TestNoQueue(t *testing.T) {
	f := openFixture(t)
	live := standin.Live()
	standin.Refuse(standin.Queue)
	if d, err := Open(); d != nil || err == nil || !strings.Contains(err.Error(), "no command queue") {
		t.Errorf("device %v, error %v", d, err)
	}
	wantLive(t, live)
	if err := f.Reset(); err == nil || !strings.Contains(err.Error(), "no command queue") {
		t.Errorf("error %v", err)
	}
	standin.Refuse(standin.Everything)
	if err := f.Reset(); err != nil {
		t.Fatal(err)
	}
	if p := wait(t, f, f.submit(t, launch(f.take[1], f.buffer(t, 100)))); p.Err != nil {
		t.Error(p.Err)
	}
}

// The queue takes all command buffers of two steps. With one too many the stand-in ends the process, and Metal would wait.
func TestQueueTakesTwoSteps(t *testing.T) {
	f := openFixture(t)
	standin.Hang(0)
	defer standin.FreeHanging()
	for range 2 * metal.MaxCommands {
		f.submit(t)
	}
	if err := f.Reset(); err != nil {
		t.Fatal(err)
	}
}

// Tickets are never 0, which means no ticket.
func TestTicketsWrap(t *testing.T) {
	f := openFixture(t)
	f.flights.last = math.MaxUint32 - 1
	for _, want := range []metal.Ticket{math.MaxUint32, 1, 2} {
		k := f.submit(t)
		if p := wait(t, f, k); k != want || p.Err != nil {
			t.Errorf("ticket %d, want %d; error %v", k, want, p.Err)
		}
	}
}

// Offsets are 64 bits wide, those that slots add too.
func TestOffsetsBeyond4GiB(t *testing.T) {
	standin.SetMaxBuffer(16 << 30)
	defer standin.SetMaxBuffer(standin.MaxBuffer)
	f := openFixture(t)
	b := f.buffer(t, 12<<30)
	l := launch(f.take[2], b, b)
	l.Bind[0].Offset, l.Bind[0].Slot = 5<<30, 3<<30
	l.Bind[1].Offset, l.Bind[1].Slot = 4<<30-4, 1<<31
	k, err := f.Submit([][]metal.Launch{{l}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if p := wait(t, f, k); p.Err != nil {
		t.Fatal(p.Err)
	}
	got := f.recorder.taken()
	if diff := cmp.Diff([][]metal.Launch{flat([][]metal.Launch{{l}}, 2)}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	l.Bind[1].Offset = 8 << 30
	if _, err := f.Submit([][]metal.Launch{{l}}, 2); err == nil { // where 32 bits would point to the beginning
		t.Error("an offset at the end: no error")
	}
}

func TestHang(t *testing.T) {
	f := openFixture(t)
	b := f.buffer(t, 100)
	defer standin.FreeHanging()
	standin.Hang(1)
	first, second, third := f.submit(t, launch(f.take[1], b)), f.submit(t, launch(f.take[1], b)), f.submit(t, launch(f.take[1], b))
	if p := wait(t, f, first); p.Err != nil {
		t.Error(p.Err)
	}
	for range 100 {
		if a, b := f.Poll(second), f.Poll(third); a != (metal.Progress{}) || b != (metal.Progress{}) {
			t.Fatalf("%+v, %+v", a, b)
		}
		time.Sleep(200 * time.Microsecond)
	}
	if err := f.Reset(); err != nil {
		t.Fatal(err)
	}
	if p := f.Poll(second); !p.Ended || p.Err == nil {
		t.Errorf("after Reset: %+v", p)
	}
	if p := wait(t, f, f.submit(t, launch(f.take[1], b))); p.Err != nil {
		t.Error(p.Err)
	}
}

// The GPU may still use the memory of a command buffer that has not ended.
func TestCloseKeepsWhatIsInUse(t *testing.T) {
	for _, hang := range []bool{false, true} {
		r := &recorder{}
		standin.Use(r)
		d, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{Device: d.(*Device), recorder: r}
		f.buffer(t, 100)
		if hang {
			standin.Hang(0)
		}
		f.submit(t)
		x := &f.flights
		for { // until it has ended, or hangs and is scheduled
			status := x.status.send(x.list[0].object).uint()
			if !hang && status >= statusCompleted || hang && standin.Hanging() > 0 && status == statusCompleted-1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if kept := r.freed == 0; kept != hang {
			t.Errorf("hanging %v: kept %v", hang, kept)
		}
	}
	standin.FreeHanging()
}

func TestNothingIsLeft(t *testing.T) {
	f := openFixture(t)
	a, b := f.buffer(t, 2000), f.buffer(t, 2000)
	list := f.random(rand.New(rand.NewPCG(3, 4)), 20, []metal.Buffer{a, b})
	live := standin.Live()
	t.Logf("%d objects with an open device and %d pipelines", live, len(f.take))
	for i := range 1000 {
		if i%10 == 9 {
			standin.Fail(0, metal.CommandOutOfMemory, "no memory")
		}
		if err := wait(t, f, f.submit(t, list...)).Err; (err != nil) != (i%10 == 9) {
			t.Fatal(err)
		}
		if i%100 == 99 {
			if err := f.Reset(); err != nil {
				t.Fatal(err)
			}
		}
		f.Condition()
	}
	wantLive(t, live)
	for range 100 {
		if _, err := f.Library("broken", "#error x"); err == nil {
			t.Fatal("no error")
		}
		if _, err := f.Pipeline(1, "absent", []metal.Constant{{}}); err == nil {
			t.Fatal("no error")
		}
		if _, err := f.Pipeline(1, "refused", nil); err == nil {
			t.Fatal("no error")
		}
		f.FreeBuffer(f.buffer(t, 10))
	}
	wantLive(t, live)
}

// Of Submit, only the autorelease pool allocates.
func TestSubmitAllocates(t *testing.T) {
	f := openFixture(t)
	a, b := f.buffer(t, 2000), f.buffer(t, 2000)
	lists := [][]metal.Launch{f.random(rand.New(rand.NewPCG(5, 6)), 100, []metal.Buffer{a, b}), {launch(f.take[1], a)}}
	var ticket metal.Ticket
	submit := func() {
		k, err := f.Submit(lists, 1)
		if err != nil {
			t.Fatal(err)
		}
		ticket = k
	}
	standin.Hang(0) // what runs the launches allocates
	defer standin.FreeHanging()
	for range 200 {
		submit()
	}
	if err := f.Reset(); err != nil {
		t.Fatal(err)
	}
	for standin.Hanging() < 200 {
		time.Sleep(time.Millisecond)
	}
	standin.Hang(0)
	empty := func() {}
	pool := testing.AllocsPerRun(100, func() { objc.WithAutoreleasePool(empty) })
	got := testing.AllocsPerRun(100, submit)
	t.Logf("allocations: Submit %v, an autorelease pool %v", got, pool)
	if got != pool {
		t.Errorf("Submit of 101 launches allocates %v times, an autorelease pool %v times", got, pool)
	}
	if n := testing.AllocsPerRun(100, func() { f.Poll(ticket) }); n != 0 {
		t.Errorf("Poll of what has not ended allocates %v times", n)
	}
	if err := f.Reset(); err != nil { // or Close keeps the memory
		t.Fatal(err)
	}
}

// While one goroutine submits, another polls and asks for the condition.
func TestPollWhileSubmitting(t *testing.T) {
	f := openFixture(t)
	b := f.buffer(t, 100)
	const n = 300
	tickets := make(chan metal.Ticket, 8)
	done := make(chan error)
	go func() {
		var err error
		for k := range tickets {
			f.Condition()
			for {
				p := f.Poll(k)
				if p.Ended {
					err = errors.Join(err, p.Err)
					break
				}
			}
		}
		done <- err
	}()
	for range n {
		k, err := f.Submit([][]metal.Launch{{launch(f.take[1], b)}}, 0)
		if err != nil {
			t.Error(err)
			break
		}
		tickets <- k
	}
	close(tickets)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := binary.LittleEndian.Uint32(f.Bytes(b)); got != n {
		t.Errorf("%d launches ran, want %d", got, n)
	}
}

//go:noinline
func deep(n int, do func()) byte {
	var frame [200]byte
	if n == 0 {
		do()
		return 0
	}
	return frame[n%len(frame)] + deep(n-1, do)
}

// Messages survive what Go does to memory: collections all the time, stacks that grow and shrink.
func TestStress(t *testing.T) {
	seconds := 5.0
	if testing.Short() {
		seconds = 1
	}
	f := openFixture(t)
	buffers := []metal.Buffer{f.buffer(t, 4000)}
	g := openOn(t, f.recorder)
	buffers = append(buffers, g.buffer(t, 4000))
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	var stop atomic.Bool
	collected := make(chan int)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			runtime.GC()
		}
		collected <- n
	}()
	done := make(chan int)
	for i, f := range []*fixture{f, g} {
		go func() {
			launches := 0
			defer func() { done <- launches }()
			b := buffers[i]
			list := make([]metal.Launch, 50)
			for i := range list {
				list[i] = launch(f.take[2], b, b)
				list[i].Bind[1].Offset = 4 * uint64(i)
			}
			for i := 0; time.Now().Before(end); i++ {
				ended := make(chan bool)
				go func() { // a new stack
					defer close(ended)
					deep(100+i%300, func() {})
					deep(i%30, func() {
						k, err := f.Submit([][]metal.Launch{list}, 0)
						if err != nil {
							t.Error(err)
							return
						}
						for !f.Poll(k).Ended {
						}
						f.Condition()
					})
				}()
				<-ended
				launches += len(list)
			}
			if got := binary.LittleEndian.Uint32(f.Bytes(b)); int(got) != launches {
				t.Errorf("%d launches ran, want %d", got, launches)
			}
		}()
	}
	n := <-done + <-done
	stop.Store(true)
	t.Logf("%d launches, %d collections", n, <-collected)
}

// What one message costs, the stand-in's part included, which is little for these.
func BenchmarkMessage(b *testing.B) {
	f := openFixture(b)
	none, size := newMessage("maxBufferLength", typeUint), newMessage("supportsFamily:", typeBool, typeInt)
	class := f.object.Class()
	none.bind(f.object, class)
	size.bind(f.object, class)
	b.Run("NoArgument", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			none.sendBound()
		}
	})
	b.Run("OneArgument", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			size.sendBound(1007)
		}
	})
	b.Run("Bind", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			none.send(f.object)
		}
	})
}

// 600 launches, each with another pipeline, four buffers and a barrier: 7 messages each.
func BenchmarkSubmit(b *testing.B) {
	const n = 600
	f := openFixture(b)
	x, y := f.buffer(b, 4000), f.buffer(b, 4000)
	list := make([]metal.Launch, n)
	for i := range list {
		list[i] = launch(f.take[4+i%2], x, y, x, y, x)
		list[i].Binds = 4 + uint8(i%2)
		for j := range 4 {
			list[i].Bind[j].Offset = uint64(4 * (i % 500))
		}
		list[i].Barrier = true
	}
	lists := [][]metal.Launch{list}
	b.ReportAllocs()
	var spent time.Duration
	for b.Loop() {
		begin := time.Now()
		k, err := f.Submit(lists, 0)
		spent += time.Since(begin)
		if err != nil {
			b.Fatal(err)
		}
		wait(b, f, k)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/n, "ns/launch")
	f.recorder.taken()
}
