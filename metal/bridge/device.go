//go:build (darwin && arm64 && cgo) || standin

package bridge

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/progrium/darwinkit/objc"

	"coil/metal"
	"coil/shaders"
)

// Device is a GPU. Its methods but Poll and Condition are for one goroutine at a time; those have messages and locks of
// their own.
type Device struct {
	object      objc.Object
	queue       objc.Object
	description metal.Description

	libraries []objc.Object
	pipelines []pipeline
	buffers   []buffer
	constant  uint32 // a function constant on its way to Metal

	setup    setup
	encoding encoding
	flights  flights
	process  process
}

type pipeline struct {
	object  objc.Object
	threads int // largest threadgroup
}

type buffer struct {
	object objc.Object // nil once it is freed
	bytes  []byte
}

// setup holds the messages to make things with.
type setup struct {
	new, setLanguageVersion, setMathMode, setMathFunctions, setFastMathEnabled,
	newLibrary, setConstant, newFunction, newPipeline, maxThreads,
	newBuffer, contents, newCommandQueue, localizedDescription *message
}

func newSetup() setup {
	return setup{
		new:                  newMessage("new", typeID),
		setLanguageVersion:   newMessage("setLanguageVersion:", typeVoid, typeUint),
		setMathMode:          newMessage("setMathMode:", typeVoid, typeInt),
		setMathFunctions:     newMessage("setMathFloatingPointFunctions:", typeVoid, typeInt),
		setFastMathEnabled:   newMessage("setFastMathEnabled:", typeVoid, typeBool),
		newLibrary:           newMessage("newLibraryWithSource:options:error:", typeID, typeID, typeID, typeID),
		setConstant:          newMessage("setConstantValue:type:atIndex:", typeVoid, typeID, typeUint, typeUint),
		newFunction:          newMessage("newFunctionWithName:constantValues:error:", typeID, typeID, typeID, typeID),
		newPipeline:          newMessage("newComputePipelineStateWithFunction:error:", typeID, typeID, typeID),
		maxThreads:           newMessage("maxTotalThreadsPerThreadgroup", typeUint),
		newBuffer:            newMessage("newBufferWithLength:options:", typeID, typeUint, typeUint),
		contents:             newMessage("contents", typeID),
		newCommandQueue:      newMessage("newCommandQueueWithMaxCommandBufferCount:", typeID, typeUint),
		localizedDescription: newMessage("localizedDescription", typeID),
	}
}

// open takes over a device, in an autorelease pool.
func open(o objc.Object) (*Device, error) {
	d := &Device{object: o, setup: newSetup(), encoding: newEncoding(), flights: newFlights(), process: newProcess()}
	d.encoding.run = d.encode
	d.describe()
	d.process.begin()
	if d.queue = d.setup.newCommandQueue.send(o, maxInFlight).object(); d.queue.IsNil() {
		return nil, errors.Join(errNoQueue, d.Close())
	}
	return d, nil
}

// maxInFlight is how many command buffers may be under way. With as many, Metal lets the next wait for ever, so it is more
// than two steps have.
const maxInFlight = 2*metal.MaxCommands + 64

var errNoQueue = errors.New("no command queue from Metal")

// tensorFamily is the first family of GPUs with units for the products of small matrices, that of M5.
const tensorFamily = 10

// newestFamily is more than the newest family of GPUs at the time of writing.
const newestFamily = 12

func (d *Device) describe() {
	amount := func(m *message) uint64 { return m.send(d.object).uint() }
	d.description = metal.Description{
		Name:             objc.ToGoString(newMessage("name", typeID).send(d.object).pointer()),
		Unified:          newMessage("hasUnifiedMemory", typeBool).send(d.object).bool(),
		WorkingSet:       int64(amount(newMessage("recommendedMaxWorkingSetSize", typeUint))),
		MaxBuffer:        int64(amount(newMessage("maxBufferLength", typeUint))),
		ThreadgroupBytes: int(amount(newMessage("maxThreadgroupMemoryLength", typeUint))),
		RegistryID:       amount(newMessage("registryID", typeUint)),
	}
	supportsFamily := newMessage("supportsFamily:", typeBool, typeInt)
	for f := newestFamily; f > 0; f-- {
		if supportsFamily.send(d.object, uint64(familyApple+f)).bool() {
			d.description.Family = f
			break
		}
	}
	d.description.Tensors = d.description.Family >= tensorFamily && supportsFamily.send(d.object, familyMetal4).bool()
}

// Description says what the GPU is.
func (d *Device) Description() metal.Description { return d.description }

// text is what an NSError says, in an autorelease pool.
func text(localizedDescription *message, fault unsafe.Pointer) string {
	if fault == nil {
		return "Metal gives no reason"
	}
	return objc.ToGoString(localizedDescription.send(objc.ObjectFrom(fault)).pointer())
}

// Library compiles a source file, with bfloat, without fast mathematics, and with the precise functions, whose errors the
// conformance suite tolerates.
func (d *Device) Library(name, source string) (lib metal.Library, err error) {
	objc.WithAutoreleasePool(func() {
		s := &d.setup
		options := s.new.send(classNamed("MTLCompileOptions")).object()
		defer options.Release()
		version := uint64(languageVersion31)
		if shaders.NeedsMetal4(source) {
			version = languageVersion40
		}
		s.setLanguageVersion.send(options, version)
		if options.RespondsToSelector(s.setMathFunctions.selector) { // macOS 15, as setMathMode:
			s.setMathMode.send(options, mathModeSafe)
			s.setMathFunctions.send(options, mathFunctionsPrecise) // the safe mode leaves them fast
		} else {
			s.setFastMathEnabled.send(options, 0) // which is both
		}
		o := s.newLibrary.send(d.object, address(objc.ToNSString(source)), address(options.Ptr()), s.newLibrary.faultAddress()).object()
		if o.IsNil() {
			err = fmt.Errorf("%s does not compile: %s", name, text(s.localizedDescription, s.newLibrary.fault))
			return
		}
		d.libraries = append(d.libraries, o)
		lib = metal.Library(len(d.libraries))
	})
	return lib, err
}

// Pipeline makes a kernel ready.
func (d *Device) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (p metal.Pipeline, err error) {
	if lib == 0 || int(lib) > len(d.libraries) {
		return 0, fmt.Errorf("kernel %s: no library %d", kernel, lib)
	}
	objc.WithAutoreleasePool(func() {
		s := &d.setup
		values := s.new.send(classNamed("MTLFunctionConstantValues")).object()
		defer values.Release()
		for _, c := range constants {
			d.constant = c.Bits
			s.setConstant.send(values, address(unsafe.Pointer(&d.constant)), dataType(c.Type), uint64(c.Index))
		}
		function := s.newFunction.send(d.libraries[lib-1], address(objc.ToNSString(kernel)), address(values.Ptr()), s.newFunction.faultAddress()).object()
		if function.IsNil() {
			err = fmt.Errorf("kernel %s: %s", kernel, text(s.localizedDescription, s.newFunction.fault))
			return
		}
		defer function.Release()
		o := s.newPipeline.send(d.object, address(function.Ptr()), s.newPipeline.faultAddress()).object()
		if o.IsNil() {
			err = fmt.Errorf("pipeline of kernel %s: %s", kernel, text(s.localizedDescription, s.newPipeline.fault))
			return
		}
		d.pipelines = append(d.pipelines, pipeline{o, int(s.maxThreads.send(o).uint())})
		p = metal.Pipeline(len(d.pipelines))
	})
	return p, err
}

// dataType is the MTLDataType of a function constant.
func dataType(t metal.ConstantType) uint64 {
	return [...]uint64{
		metal.ConstantBool: dataTypeBool, metal.ConstantInt: dataTypeInt,
		metal.ConstantUint: dataTypeUint, metal.ConstantFloat: dataTypeFloat,
	}[t]
}

// MaxThreads is the largest threadgroup of a pipeline.
func (d *Device) MaxThreads(p metal.Pipeline) int { return d.pipelines[p-1].threads }

// NewBuffer allocates memory, shared with the host and with Metal's tracking of hazards between command buffers.
func (d *Device) NewBuffer(bytes int) (b metal.Buffer, err error) {
	if bytes <= 0 || int64(bytes) > d.description.MaxBuffer {
		return 0, fmt.Errorf("a buffer of %d bytes: this GPU has buffers of 1 to %d", bytes, d.description.MaxBuffer)
	}
	objc.WithAutoreleasePool(func() {
		s := &d.setup
		o := s.newBuffer.send(d.object, uint64(bytes), storageModeShared).object()
		if o.IsNil() {
			err = fmt.Errorf("no memory for a buffer of %d bytes: this GPU should use at most %d in all", bytes, d.description.WorkingSet)
			return
		}
		contents := s.contents.send(o).pointer()
		d.buffers = append(d.buffers, buffer{o, unsafe.Slice((*byte)(contents), bytes)})
		b = metal.Buffer(len(d.buffers))
	})
	return b, err
}

// Bytes is the memory of a buffer.
func (d *Device) Bytes(b metal.Buffer) []byte { return d.buffers[b-1].bytes }

// FreeBuffer gives memory back.
func (d *Device) FreeBuffer(b metal.Buffer) {
	release(&d.buffers[b-1].object)
	d.buffers[b-1].bytes = nil
}

// release gives an object up, if it is there.
func release(o *objc.Object) {
	if !o.IsNil() {
		o.Release()
		*o = objc.Object{}
	}
}

// Reset replaces the queue.
func (d *Device) Reset() (err error) {
	objc.WithAutoreleasePool(func() {
		d.flights.drop()
		release(&d.queue)
		if d.queue = d.setup.newCommandQueue.send(d.object, maxInFlight).object(); d.queue.IsNil() {
			err = errNoQueue
		}
	})
	return err
}

// Condition is what macOS says of heat and power.
func (d *Device) Condition() metal.Condition { return d.process.condition() }

// Close frees everything. Only what a command buffer in flight may still use stays until the process ends.
func (d *Device) Close() error {
	objc.WithAutoreleasePool(func() {
		if d.flights.drop() {
			for i := range d.buffers {
				release(&d.buffers[i].object)
			}
			for i := range d.pipelines {
				release(&d.pipelines[i].object)
			}
		}
		for i := range d.libraries {
			release(&d.libraries[i])
		}
		d.libraries, d.pipelines, d.buffers = nil, nil, nil
		release(&d.queue)
		release(&d.object)
		d.process.end()
	})
	return nil
}
