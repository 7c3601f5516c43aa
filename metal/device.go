package metal

// A Device is what the backend asks of a GPU. On a Mac it is the bridge to Metal, on Linux the emulator. All that is
// decided about launches is decided above it.
//
// Memory, pipelines and tickets are named by small numbers that the device gives out, so that a launch is plain data.
// No method but Poll and Condition is for concurrent use.
type Device interface {
	// Description says what the device is. It does not change.
	Description() Description

	// Library compiles one Metal source file, called name in messages. A fault in the source is an error that holds the
	// compiler's text.
	Library(name, source string) (Library, error)

	// Pipeline makes a kernel of a library ready, with its function constants set.
	Pipeline(lib Library, kernel string, constants []Constant) (Pipeline, error)

	// MaxThreads is the largest threadgroup that the pipeline can run with.
	MaxThreads(Pipeline) int

	// NewBuffer allocates memory that the GPU and the host share, all zero. It stays where it is until FreeBuffer.
	NewBuffer(bytes int) (Buffer, error)

	// Bytes is the memory of a buffer. The host must not touch what a launch in flight writes, nor write what one reads.
	Bytes(Buffer) []byte

	// FreeBuffer gives memory back. No launch in flight may use it.
	FreeBuffer(Buffer)

	// Submit encodes the lists, one after the other, into one command buffer and commits it. Launches run in order
	// where one has Barrier set, and in any order or at once between barriers; command buffers run in the order of
	// their submission. It keeps nothing of lists, and allocates at most a few words.
	Submit(lists [][]Launch, slot int) (Ticket, error)

	// Poll reports how far a submitted command buffer is. It reports the end only once: with it the ticket is
	// gone.
	Poll(Ticket) Progress

	// Reset drops the queue with its contents and makes a new one, as Metal requires after a command
	// buffer has failed. Buffers, libraries and pipelines stay; tickets are gone.
	Reset() error

	// Condition is what the system says of heat and power now.
	Condition() Condition

	// Close frees everything.
	Close() error
}

// Handles of a device's objects. The zero value means no object.
type (
	Library  uint32
	Pipeline uint32
	Buffer   uint32
	Ticket   uint32
)

// Description of a device.
type Description struct {
	Name             string // "Apple M3 Max"
	Family           int    // of GPUs as Metal counts them: Apple7 (M1) is 7, Apple8 (M2) 8, Apple9 (M3, M4) 9; 0 if none
	Unified          bool   // CPU and GPU share memory
	Tensors          bool   // it has units for Metal 4's products of tensors
	WorkingSet       int64  // bytes that the device recommends to use at most
	MaxBuffer        int64  // bytes of the largest buffer
	ThreadgroupBytes int    // memory of a threadgroup
	RegistryID       uint64
}

// bfloatFamily is the first family of GPUs that know the type bfloat.
const bfloatFamily = 6

// HasBFloat reports whether the GPU knows the type bfloat.
func (d Description) HasBFloat() bool { return d.Family >= bfloatFamily }

// Condition of the machine.
type Condition struct {
	Thermal  Thermal
	LowPower bool // the user has chosen low-power mode
}

// Thermal is the system's word for how hot the machine is.
type Thermal uint8

const (
	ThermalUnknown Thermal = iota
	ThermalNominal
	ThermalFair
	ThermalSerious
	ThermalCritical
)

func (t Thermal) String() string {
	return [...]string{"unknown", "nominal", "fair", "serious", "critical"}[t]
}

// Progress of a command buffer.
type Progress struct {
	Ended   bool
	Seconds float64 // that the GPU spent on it, once it has ended
	Err     error   // a *CommandError if it failed
}

// Codes of a CommandError, as MTLCommandBufferError has them.
const (
	CommandTimeout       = 2
	CommandPageFault     = 3
	CommandOutOfMemory   = 8
	CommandDeviceRemoved = 11
)

// CommandError is a command buffer that the GPU did not finish.
type CommandError struct {
	Code int    // MTLCommandBufferError
	Text string // in the system's words
}

func (e *CommandError) Error() string { return "command buffer failed: " + e.Text }

// Constant is a function constant: [[function_constant(Index)]].
type Constant struct {
	Index int
	Type  ConstantType
	Bits  uint32 // the value; 0 or 1 for a bool
}

// ConstantType is the type of a function constant.
type ConstantType uint8

const (
	ConstantBool ConstantType = iota
	ConstantInt
	ConstantUint
	ConstantFloat
)

// maxBinds is how many buffers a launch can bind.
const maxBinds = 12

// Launch is one dispatch of a kernel.
type Launch struct {
	Pipeline Pipeline
	Barrier  bool // wait until the launches before it have ended and their writes can be seen
	Binds    uint8
	Bind     [maxBinds]Bind // Bind[i] is [[buffer(i)]]
	Groups   [3]uint32      // threadgroups in the grid
	Threads  [3]uint32      // threads in a threadgroup
}

// Bind is memory given to a kernel: Buffer from byte Offset + slot·Slot on, where slot is what Submit was called with. What
// changes from step to step lies in slots, so that the host can fill one while the GPU works on another.
type Bind struct {
	Buffer Buffer
	Slot   uint32
	Offset uint64
}
