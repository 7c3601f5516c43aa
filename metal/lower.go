package metal

import (
	"fmt"
	"math"
	"reflect"
	"unsafe"

	"coil/graph"
)

// region is a part of a program's memory: one device buffer each. Parameters have a region each, from firstParameter on.
type region uint32

const (
	tables       region = iota + 1 // the constant arguments of launches, written once
	batch                          // inputs and scalars of a step; slots
	results                        // what Program.Results copies; slots
	outputs                        // of the whole batch
	accumulators                   // of gradients and sums
	bodyArena                      // temporaries of the body
	updateArena                    // temporaries of the update
	scratch                        // memory that one operation needs besides its operands
	partials                       // sums of several operations that belong to gradients; see partials.go
	constants                      // of the recording
	hostTable                      // what the host computes when it compiles
	journal                        // which command buffers of a step have ended; see journal.go
	firstParameter
)

// access says what a launch does to an argument.
type access uint8

const (
	reads access = 1 << iota
	writes
)

// arg is memory that a launch is given: bytes [from, from+length) of a region, moved by slot bytes for each slot.
type arg struct {
	region       region
	from, length uint64
	slot         uint32
	access       access
	traffic      uint64 // bytes of the elements; 0: all of length
	bf16         bool   // holds bfloat
	operand      bool   // of the operation, without the backend's own
}

// launch is one dispatch as the lowering of an operation describes it.
//
// Argument i is [[buffer(i)]]; params, if any, is a struct of 4-byte numbers and follows them as constant. The function
// constant i says whether argument i holds bfloat; constants are those from firstConstant on.
type launch struct {
	file, kernel    string
	constants       []Constant
	args            []arg
	params          any
	groups, threads [3]int
	grid            bool  // a thread asks for nothing but its position in the grid, so threadgroups may be smaller
	flops           int64 // of the launch: multiplications and additions
	retraffic       int64 // bytes that it moves more than once
}

// firstConstant is the index of the first function constant that is a kernel's own.
const firstConstant = 10

// uintConstant and boolConstant are kernel constants, numbered from 0.
func uintConstant(i int, v uint32) Constant {
	return Constant{firstConstant + i, ConstantUint, v}
}

func boolConstant(i int, v bool) Constant {
	c := Constant{firstConstant + i, ConstantBool, 0}
	if v {
		c.Bits = 1
	}
	return c
}

// recordedLaunch is a launch with its place in the recording.
type recordedLaunch struct {
	launch
	op    graph.Op // nil for what belongs to no operation
	with  graph.Op // the one after op, if it is lowered together with it; otherwise nil
	group int      // of the batch; -1 in the update
	at    int      // the operation's number in the recording, the update's after the body's
}

// lowering turns a recording into launches.
type lowering struct {
	rec      *graph.Recorder
	chip     chip
	variants Variants
	tensors  func(ProductShape) bool // whether products of a shape use tensor operations; nil: no product does
	limits   map[string]int          // most threads of a threadgroup, of kernels that have fewer than was wished
	offsets  []uint64                // of each storage in its region, in bytes
	regions  []region                // of each storage
	bf16     []bool                  // storages that hold bfloat
	windows  []uint64                // bytes of one group of each input and output

	hostTables    map[any]arg // by what they hold; see table
	hostTableData []float32

	slotBytes   uint32 // of the batch region
	scalarBytes uint64 // at the start of a slot
	sorted      map[sortKey]*sortedIndex
	checks      []indexCheck

	group    int // being lowered; -1 in the update
	op       graph.Op
	with     graph.Op   // see step
	ahead    []graph.Op // those after op that may be lowered together with it
	at       int        // see step
	scratch  uint64     // bytes in use by the operation
	most     uint64     // bytes of scratch that any operation needs
	waiting  waiting
	launches []recordedLaunch
	err      error
}

// element is the number of bytes of one value of t.
func (l *lowering) element(t graph.Tensor) uint64 {
	if l.bf16[t.Storage-1] {
		return 2
	}
	return 4
}

func (l *lowering) tensor(t graph.Tensor, a access) arg {
	if !t.Exists() {
		return l.none()
	}
	i, size := t.Storage-1, l.element(t)
	span := uint64(t.Rows-1)*uint64(t.Stride) + uint64(t.Cols)
	if span > math.MaxUint32 {
		l.fail(fmt.Errorf("metal: %s: an operand of [%d,%d] spans %d values; a kernel counts to %d", l.op.Name(), t.Rows, t.Cols, span, uint32(math.MaxUint32)))
	}
	at := l.offsets[i] + uint64(t.Offset)*size
	if l.group > 0 {
		at += uint64(l.group) * l.windows[i]
	}
	return arg{region: l.regions[i], from: at, length: span * size, traffic: uint64(t.Size()) * size, access: a, bf16: l.bf16[i], operand: true}
}

// in, out and inOut are operands of the operation that a launch reads, writes, or both.
func (l *lowering) in(t graph.Tensor) arg    { return l.tensor(t, reads) }
func (l *lowering) out(t graph.Tensor) arg   { return l.tensor(t, writes) }
func (l *lowering) inOut(t graph.Tensor) arg { return l.tensor(t, reads|writes) }

// outIf is out, or inOut if the operation adds to its old value.
func (l *lowering) outIf(accumulate bool, t graph.Tensor) arg {
	if accumulate {
		return l.inOut(t)
	}
	return l.out(t)
}

// none stands for a missing operand: Metal requires a binding, and the kernel does not touch it.
func (l *lowering) none() arg { return arg{region: tables, length: 4} }

// index is an input of int32.
func (l *lowering) index(x graph.Index) arg {
	i := x.Storage - 1
	at := l.offsets[i] + uint64(x.Offset)*4 + uint64(max(l.group, 0))*l.windows[i]
	return arg{region: batch, from: at, length: uint64(x.Len) * 4, slot: l.slotBytes, access: reads, operand: true}
}

// scalars are the numbers of the step: element s is Scalar(s), element 0 is 1.
func (l *lowering) scalars() arg {
	return arg{region: batch, length: l.scalarBytes, slot: l.slotBytes, access: reads}
}

// temporary is scratch of n floats, for one operation's launches to hand each other. It is the same memory in each
// launch of the operation; access is what the launch does to it.
func (l *lowering) temporary(n int) arg {
	at := l.scratch
	l.scratch += (uint64(n)*4 + 255) / 256 * 256
	l.most = max(l.most, l.scratch)
	return arg{region: scratch, from: at, length: uint64(n) * 4}
}

// table is a table of floats that the host computes once: the key says which.
func (l *lowering) table(key any, compute func() []float32) arg {
	if a, ok := l.hostTables[key]; ok {
		return a
	}
	data := compute()
	a := arg{region: hostTable, from: uint64(len(l.hostTableData)) * 4, length: uint64(len(data)) * 4, access: reads}
	l.hostTableData = append(l.hostTableData, data...)
	for len(l.hostTableData)%64 != 0 { // 256 bytes
		l.hostTableData = append(l.hostTableData, 0)
	}
	l.hostTables[key] = a
	return a
}

func (a arg) read() arg    { a.access = reads; return a }
func (a arg) written() arg { a.access = writes; return a }
func (a arg) updated() arg { a.access = reads | writes; return a }

func (l *lowering) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// add appends a launch of the operation being lowered.
func (l *lowering) add(x launch) {
	if len(x.args)+1 > maxBinds || len(x.args) > firstConstant {
		panic("metal: " + x.kernel + " has too many arguments")
	}
	for i, t := range x.threads {
		x.threads[i], x.groups[i] = max(t, 1), max(x.groups[i], 1)
	}
	for d := 2; x.grid && d >= 0; d-- {
		for x.size() > l.threads(x.kernel, x.size()) && x.threads[d] > 1 {
			x.threads[d], x.groups[d] = x.threads[d]/2, x.groups[d]*2
		}
	}
	if n := x.size(); n > 1024 {
		panic(fmt.Sprintf("metal: %s with %d threads", x.kernel, n))
	}
	l.launches = append(l.launches, recordedLaunch{x, l.op, l.with, l.group, l.at})
}

// size is how many threads a threadgroup has.
func (x launch) size() int { return x.threads[0] * x.threads[1] * x.threads[2] }

// threads is the number of threads of a kernel's threadgroup, given the desired power of two: that number, or what its
// pipelines allow.
func (l *lowering) threads(kernel string, wished int) int {
	if limit, ok := l.limits[kernel]; ok {
		return min(wished, limit)
	}
	return wished
}

// bytesOf is the memory of a struct of 4-byte numbers, and of structs and arrays of them, which Go and Metal lay out alike.
func bytesOf(params any) []byte {
	v := reflect.ValueOf(params)
	if v.Kind() != reflect.Struct {
		panic("metal: arguments of a kernel must be a struct")
	}
	checkNumbers(v.Type())
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return unsafe.Slice((*byte)(p.UnsafePointer()), v.Type().Size())
}

func checkNumbers(t reflect.Type) {
	switch t.Kind() {
	case reflect.Uint32, reflect.Int32, reflect.Float32:
	case reflect.Array:
		checkNumbers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			checkNumbers(t.Field(i).Type)
		}
	default:
		panic(fmt.Sprintf("metal: the arguments of a kernel have a %s, not a number of 4 bytes", t))
	}
}

// uses reports whether a variant of a subject is the one to use.
func (l *lowering) uses(subject, variant string) bool { return l.variants.of(subject) == variant }

// lower appends the launches of an operation.
func (l *lowering) lower(op graph.Op) {
	l.settle(op)
	l.op, l.with, l.scratch = op, nil, 0
	switch o := op.(type) {
	case *graph.Matmul:
		l.matmul(o)
	case *graph.Activate:
		l.activate(o)
	case *graph.ActivateBackward:
		l.activateBackward(o)
	case *graph.SwiGLU:
		l.swiglu(o)
	case *graph.SwiGLUBackward:
		l.swigluBackward(o)
	case *graph.SoftCap:
		l.softCap(o)
	case *graph.SoftCapBackward:
		l.softCapBackward(o)
	case *graph.Decay:
		l.decay(o)
	case *graph.DecayBackward:
		l.decayBackward(o)
	case *graph.Weigh:
		l.weigh(o)
	case *graph.Dots:
		l.dots(o)
	case *graph.Softmax:
		l.softmax(o)
	case *graph.SoftmaxBackward:
		l.softmaxBackward(o)
	case *graph.LayerNorm:
		l.norm(o)
	case *graph.LayerNormBackward:
		l.normBackward(o)
	case *graph.Attention:
		l.attention(o)
	case *graph.AttentionBackward:
		l.attentionBackward(o)
	case *graph.HardAttention:
		l.hardAttention(o)
	case *graph.HardAttentionBackward:
		l.hardAttentionBackward(o)
	case *graph.CachedAttention:
		l.cachedAttention(o)
	case *graph.Rotary:
		l.rotary(o)
	case *graph.Embedding:
		l.embedding(o)
	case *graph.EmbeddingBackward:
		l.embeddingBackward(o)
	case *graph.CrossEntropy:
		l.crossEntropy(o)
	case *graph.Exit:
		l.exit(o)
	case *graph.ExitLoss:
		l.exitLoss(o)
	case *graph.Fill:
		l.fill(o)
	case *graph.Add:
		l.addition(o)
	case *graph.ColumnSums:
		l.columnSums(o)
	case *graph.Sum:
		l.sum(o)
	case *graph.Cosine:
		l.cosine(o)
	case *graph.CosineBackward:
		l.cosineBackward(o)
	case *graph.ClipFactor:
		l.clipFactor(o)
	case *graph.AdamW:
		l.adamw(o)
	case *graph.Adafactor:
		l.adafactor(o)
	case *graph.EMA:
		l.average(o)
	case *graph.Nesterov:
		l.nesterov(o)
	case *graph.Normalize:
		l.normalize(o)
	case *graph.Quadratic:
		l.quadratic(o)
	case *graph.NeuronScale:
		l.neuronScale(o)
	case *graph.Muon:
		l.muon(o)
	default:
		l.fail(fmt.Errorf("metal: no operation %s", op.Name()))
	}
}
