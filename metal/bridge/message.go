//go:build (darwin && arm64 && cgo) || standin

package bridge

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/progrium/darwinkit/objc"
	"github.com/progrium/darwinkit/objc/ffi"
)

// A message is an Objective-C message with its call interface and its argument block made once, so that sending it
// allocates nothing. It is not for concurrent use and must not be copied.
//
// libffi keeps the address of the argument types in the call interface and stores into both, unseen by Go's garbage
// collector. So everything that it is given lies in a message, which newMessage puts on the heap, or hangs from one.
type message struct {
	selector objc.Selector
	class    unsafe.Pointer // whose method implementation is
	method   unsafe.Pointer
	call     *ffi.CIF
	types    []*ffi.Type      // of receiver, selector and arguments; call points to it
	at       []int            // the first word of each of them
	pointers []unsafe.Pointer // to those words
	words    [8]uint64        // receiver, selector, arguments
	used     int              // of them
	result   uint64           // libffi stores 8 bytes also for a smaller type
	fault    unsafe.Pointer   // where the receiver of an NSError** stores
}

// How libffi passes an argument or a result. An MTLSize takes three words, all others one.
var (
	typeVoid    = ffi.TypeVoid
	typeID      = ffi.TypePointer // id, Class, SEL, NSError**, any other pointer
	typeUint    = ffi.TypeUint64  // NSUInteger, options
	typeInt     = ffi.TypeSint64  // NSInteger
	typeBool    = ffi.TypeUint8   // BOOL
	typeDouble  = ffi.TypeDouble
	typeMTLSize = ffi.MakeStructType([]*ffi.Type{ffi.TypeUint64, ffi.TypeUint64, ffi.TypeUint64})
)

// libffi fills in the size of a struct when it first sees the type, and takes no lock for it.
var _, _ = ffi.PrepCIF(typeVoid, []*ffi.Type{typeMTLSize})

// newMessage prepares a message. It must not be inlined: a message that the compiler sees not to escape would be put on a
// stack, which moves.
//
//go:noinline
func newMessage(selector string, result *ffi.Type, arguments ...*ffi.Type) *message {
	m := &message{selector: objc.Sel(selector), types: append([]*ffi.Type{typeID, typeID}, arguments...)}
	for _, t := range m.types {
		m.at = append(m.at, m.used)
		m.used++
		if t == typeMTLSize {
			m.used += 2
		}
	}
	m.pointers = make([]unsafe.Pointer, len(m.types))
	call, status := ffi.PrepCIF(result, m.types)
	if status != ffi.OK || m.used > len(m.words) || ffi.IsStruct(result) {
		panic("bridge: cannot prepare " + selector)
	}
	m.call = call
	m.words[1] = address(m.selector.Ptr())
	return m
}

// bind makes o the receiver, which is of that class. The method is looked up when the class is another than before:
// debug layers and captures wrap objects in classes of their own.
func (m *message) bind(o objc.Object, class objc.Class) {
	if o.IsNil() {
		panic(fmt.Sprintf("bridge: %s to nil", m.selector.Name()))
	}
	if class.Ptr() != m.class {
		m.class, m.method = class.Ptr(), class.MethodImplementation(m.selector).Ptr()
	}
	m.words[0] = address(o.Ptr())
}

// sendBound sends to the bound receiver.
func (m *message) sendBound(arguments ...uint64) *message {
	if 2+len(arguments) != m.used {
		panic(fmt.Sprintf("bridge: %d words to %s", len(arguments), m.selector.Name()))
	}
	copy(m.words[2:], arguments)
	for i, n := range m.at { // libffi may overwrite the pointers to structs
		m.pointers[i] = unsafe.Pointer(&m.words[n])
	}
	ffi.Call(m.call, m.method, unsafe.Pointer(&m.result), m.pointers)
	return m
}

// send sends to o.
func (m *message) send(o objc.Object, arguments ...uint64) *message {
	m.bind(o, o.Class())
	return m.sendBound(arguments...)
}

// The result of the message last sent.
func (m *message) object() objc.Object     { return objc.ObjectFrom(m.pointer()) }
func (m *message) pointer() unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&m.result)) }
func (m *message) uint() uint64            { return m.result }
func (m *message) bool() bool              { return m.result&0xff != 0 }
func (m *message) double() float64         { return math.Float64frombits(m.result) }

// faultAddress is an NSError** argument. What is stored there is autoreleased.
func (m *message) faultAddress() uint64 {
	m.fault = nil
	return address(unsafe.Pointer(&m.fault))
}

// address is a pointer as an argument. An object on the Go heap must be kept alive elsewhere while the message is sent.
func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// classNamed is a class as the receiver of a message.
func classNamed(name string) objc.Object { return objc.ObjectFrom(objc.GetClass(name).Ptr()) }
