//go:build standin

package standin

/*
#include <standin.h>
#include <stdlib.h>

extern uint32_t standinLibrary(char *, char **);
extern uint32_t standinPipeline(uint32_t, char *, struct standin_constant *, int, int *, int *, char **);
extern uint32_t standinBuffer(uint64_t, void **);
extern void standinFreeBuffer(uint32_t);
extern int standinRun(struct standin_launch *, size_t, char **);

static inline void use(void) {
	struct standin_gpu g = {standinLibrary, standinPipeline, standinBuffer, standinFreeBuffer, standinRun};
	standin_use(g);
}
*/
import "C"

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"coil/metal"
)

// gpu is what runs the kernels. Metal's objects are for any thread, a metal.Device is for one.
var gpu struct {
	sync.Mutex
	metal.Device
	sources map[metal.Library]string
}

// Use makes d compile, hold the memory and run the kernels, from now on. The memory of its buffers must not be Go's.
// The bridge must be closed before another Use.
func Use(d metal.Device) {
	gpu.Lock()
	defer gpu.Unlock()
	gpu.Device, gpu.sources = d, map[metal.Library]string{}
	C.use()
}

// Live returns how many Objective-C objects there are.
func Live() int { return int(C.standin_live()) }

// Stray returns how many objects were autoreleased where there was no pool, and so leaked.
func Stray() int { return int(C.standin_stray()) }

// Activities returns how many activities were begun and have not ended.
func Activities() int { return int(C.standin_activities()) }

// Sets returns how often encoders were given a pipeline, a buffer and an offset alone, since it was last asked.
func Sets() [3]int {
	var n [3]C.long
	C.standin_sets(&n[0], &n[1], &n[2])
	return [3]int{int(n[0]), int(n[1]), int(n[2])}
}

// Fail makes the command buffer that is committed after that many others fail, when half of its launches have run.
func Fail(after, code int, text string) {
	s := C.CString(text)
	defer C.free(unsafe.Pointer(s))
	C.standin_fail(C.int(after), C.int(code), s)
}

// FailSilently is Fail of a command buffer that has no NSError.
func FailSilently() { C.standin_fail(0, C.standin_no_error, nil) }

// Statuses returns how often each MTLCommandBufferStatus was shown since it was last asked.
func Statuses() (n [6]int) {
	var counts [6]C.long
	C.standin_statuses(&counts[0])
	for i, c := range counts {
		n[i] = int(c)
	}
	return n
}

// Hang makes the command buffer that is committed after that many others never end, and all after it in its queue.
func Hang(after int) { C.standin_hang(C.int(after)) }

// Hanging returns how many command buffers hang.
func Hanging() int { return int(C.standin_hanging()) }

// FreeHanging gives up the command buffers that hang.
func FreeHanging() { C.standin_free_hanging() }

// SetDevices sets whether there is a default device, and the number of devices in the list; with 0, there is no list.
func SetDevices(byDefault bool, inList int) { C.standin_set_devices(number(byDefault), C.int(inList)) }

// SetOld makes it a system that lacks what came after macOS 11.
func SetOld(old bool) { C.standin_set_old(number(old)) }

// SetFamily sets the newest MTLGPUFamily that is supported.
func SetFamily(f int) { C.standin_set_family(C.int(f)) }

// SetCondition sets NSProcessInfo's thermal state and low-power mode.
func SetCondition(thermal int, lowPower bool) {
	C.standin_set_condition(C.int(thermal), number(lowPower))
}

// SetMemory says whether there is memory for buffers.
func SetMemory(enough bool) { C.standin_set_memory(number(enough)) }

// SetMaxBuffer sets the bytes of the largest buffer.
func SetMaxBuffer(n int64) { C.standin_set_max_buffer(C.uint64_t(n)) }

// MaxBuffer is the largest buffer to begin with.
const MaxBuffer = C.standin_max_buffer

// Thing is what a program asks for.
type Thing C.int

// What may be had.
const (
	Everything    Thing = 0
	Queue         Thing = C.standin_queue
	CommandBuffer Thing = C.standin_command_buffer
	Encoder       Thing = C.standin_encoder
)

// Refuse makes requests for such objects return nil; Everything ends that.
func Refuse(t Thing) { C.standin_set_nothing_from(C.int(t)) }

func number(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

//export standinLibrary
func standinLibrary(source *C.char, fault **C.char) C.uint32_t {
	gpu.Lock()
	defer gpu.Unlock()
	text := C.GoString(source)
	lib, err := gpu.Library("standin", text)
	if err != nil {
		*fault = C.CString(err.Error())
		return 0
	}
	gpu.sources[lib] = text
	return C.uint32_t(lib)
}

//export standinPipeline
func standinPipeline(lib C.uint32_t, name *C.char, constants *C.struct_standin_constant, n C.int, binds, threads *C.int, fault **C.char) C.uint32_t {
	gpu.Lock()
	defer gpu.Unlock()
	var list []metal.Constant
	for _, c := range unsafe.Slice(constants, n) {
		t := map[C.uint32_t]metal.ConstantType{3: metal.ConstantFloat, 29: metal.ConstantInt, 33: metal.ConstantUint, 53: metal.ConstantBool}[c._type]
		list = append(list, metal.Constant{Index: int(c.index), Type: t, Bits: uint32(c.bits)})
	}
	kernel := C.GoString(name)
	p, err := gpu.Pipeline(metal.Library(lib), kernel, list)
	if err != nil {
		*fault = C.CString(err.Error())
		return 0
	}
	*binds, *threads = C.int(countBinds(gpu.sources[metal.Library(lib)], kernel)), C.int(gpu.MaxThreads(p))
	return C.uint32_t(p)
}

//export standinBuffer
func standinBuffer(bytes C.uint64_t, contents *unsafe.Pointer) C.uint32_t {
	gpu.Lock()
	defer gpu.Unlock()
	b, err := gpu.NewBuffer(int(bytes))
	if err != nil {
		return 0
	}
	*contents = unsafe.Pointer(&gpu.Bytes(b)[0])
	return C.uint32_t(b)
}

//export standinFreeBuffer
func standinFreeBuffer(b C.uint32_t) {
	gpu.Lock()
	defer gpu.Unlock()
	gpu.FreeBuffer(metal.Buffer(b))
}

//export standinRun
func standinRun(launches *C.struct_standin_launch, n C.size_t, fault **C.char) C.int {
	gpu.Lock()
	defer gpu.Unlock()
	list := make([]metal.Launch, n)
	for i, c := range unsafe.Slice(launches, n) {
		l := &list[i]
		l.Pipeline, l.Barrier, l.Binds = metal.Pipeline(c.pipeline), c.barrier != 0, uint8(c.binds)
		for j := range int(c.binds) {
			l.Bind[j] = metal.Bind{Buffer: metal.Buffer(c.bind[j].buffer), Offset: uint64(c.bind[j].offset)}
		}
		for j := range 3 {
			l.Groups[j], l.Threads[j] = uint32(c.groups[j]), uint32(c.threads[j])
		}
	}
	err := submit(list)
	if err == nil {
		return 0
	}
	*fault = C.CString(err.Error())
	if e := (*metal.CommandError)(nil); errors.As(err, &e) && e.Code != 0 {
		return C.int(e.Code)
	}
	return 1 // MTLCommandBufferErrorInternal
}

// submit runs the launches to their end.
func submit(list []metal.Launch) error {
	t, err := gpu.Submit([][]metal.Launch{list}, 0)
	if err != nil {
		return err
	}
	for {
		if p := gpu.Poll(t); p.Ended {
			return p.Err
		}
		time.Sleep(20 * time.Microsecond)
	}
}

var bufferAttribute = regexp.MustCompile(`\[\[\s*buffer\((\d+)\)`)

// countBinds returns how many buffers a kernel has, as its parameters say, or -1 if the kernel cannot be found in the text.
// An encoder does not know how many of the buffers that are set in it are for a launch.
func countBinds(source, kernel string) int {
	function := kernel
	if m := regexp.MustCompile(`host_name\("` + kernel + `"\)[^;]*?(\w+)<[^;]*;`).FindStringSubmatch(source); m != nil {
		function = m[1]
	}
	at := regexp.MustCompile(`\bvoid\s+` + function + `\s*\(`).FindStringIndex(source)
	if at == nil {
		return -1
	}
	text, depth := source[at[1]:], 1
	end := strings.IndexFunc(text, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		return depth == 0
	})
	if end < 0 {
		return -1
	}
	n := 0
	for _, m := range bufferAttribute.FindAllStringSubmatch(text[:end], -1) {
		if i, err := strconv.Atoi(m[1]); err == nil {
			n = max(n, i+1)
		}
	}
	return n
}
