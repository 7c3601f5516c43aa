// Package cpu is the pure-Go backend.
//
// Each worker takes groups of sequences and runs the whole body for one, forward and backward, before the next,
// so that activations stay in its cache. Gradients are added up in replicas: a replica is a copy of the accumulators and a
// fixed list of groups. The replicas depend on the batch alone, so the sums are the same bits for any number of workers.
package cpu

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"coil/backend"
	"coil/backend/cpu/gemm"
	"coil/backend/cpu/vector"
	"coil/graph"
)

// Options of the backend. The zero value means: everything that the machine has.
type Options struct {
	Workers int    // 0: one for each processor
	Kernels string // "", "avx512", "avx2", "neon", "portable"
	Memory  int64  // bytes; 0: the machine's memory
}

// KernelVariable is the environment variable that chooses the kernels where Options does not.
const KernelVariable = "COIL_CPU"

// CPU is a backend. Its goroutines, one for each worker but the caller's, live until Close.
type CPU struct {
	info backend.Info
	gemm *gemm.Kernel
	vec  *vector.Kernels
	pool *pool

	headFloats int // about how many logits of a head a worker holds at a time
	laneMemory int // bytes of activations that lanes of long sequences may have for each worker
	crowdedRow int // floats; rows of a multiple of it get gaps

	mu       sync.Mutex
	buffers  int64 // bytes of buffers
	programs int64 // other bytes that programs hold
	slabs    slabs
}

// New starts a backend.
func New(o Options) (*CPU, error) {
	from := "option"
	if o.Kernels == "" {
		o.Kernels, from = os.Getenv(KernelVariable), KernelVariable
	}
	g, err := gemm.Choose(o.Kernels)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", from, o.Kernels, err)
	}
	v, err := vector.Choose(g.Name) // there are both for each name
	if err != nil {
		return nil, err
	}
	if o.Workers < 0 {
		return nil, fmt.Errorf("%d workers: want at least 1, or 0 for one for each processor", o.Workers)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Memory == 0 {
		o.Memory = machineMemory()
	}
	c := &CPU{gemm: g, vec: v, pool: newPool(o.Workers), headFloats: headFloats, laneMemory: laneMemory, crowdedRow: crowdedRow, slabs: slabs{live: map[*program]bool{}}}
	c.info = backend.Info{Name: "cpu", Device: deviceName(), Kernels: g.Name, Workers: o.Workers, Memory: o.Memory, Depth: 1}
	return c, nil
}

// Info describes the processor and the kernels chosen for it.
func (c *CPU) Info() backend.Info { return c.info }

// Close ends the workers.
func (c *CPU) Close() error {
	c.pool.close()
	return nil
}

// groupTokens is about how many tokens a group holds: enough rows to use a packed weight well, few enough that
// activations of a small model stay in a core's cache.
const groupTokens = 512

// GroupSize returns the largest divisor of batch with at most 512 tokens, or fewer sequences where the batch would
// otherwise be less than eight groups, so that eight workers have one each.
func (c *CPU) GroupSize(batch, length int) int {
	limit := max(1, min(groupTokens/length, batch/8))
	for g := limit; g > 1; g-- {
		if batch%g == 0 {
			return g
		}
	}
	return 1
}

// fits returns an error if the free memory is less than need; its Buffers are new ones. The caller holds the lock.
func (c *CPU) fits(need backend.Memory) error {
	need.Buffers += c.buffers
	if have := c.info.Memory - c.programs; need.Total() > have {
		return &backend.MemoryError{Need: need, Have: have}
	}
	return nil
}

type buffer struct {
	c    *CPU
	data []float32
}

// NewBuffer allocates zeros.
func (c *CPU) NewBuffer(n int) (graph.Buffer, error) {
	if n < 1 {
		return nil, fmt.Errorf("buffer of %d values", n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.fits(backend.Memory{Buffers: int64(n) * 4}); err != nil {
		return nil, err
	}
	c.buffers += int64(n) * 4
	data := make([]float32, n)
	hugePages(data)
	return &buffer{c, data}, nil
}

func (b *buffer) Len() int { return len(b.data) }

func (b *buffer) Write(offset int, src []float32) error {
	if offset < 0 || offset+len(src) > len(b.data) {
		return fmt.Errorf("buffer of %d values: write of %d at %d", len(b.data), len(src), offset)
	}
	copy(b.data[offset:], src)
	return nil
}

func (b *buffer) Read(offset int, dst []float32) error {
	if offset < 0 || offset+len(dst) > len(b.data) {
		return fmt.Errorf("buffer of %d values: read of %d at %d", len(b.data), len(dst), offset)
	}
	copy(dst, b.data[offset:])
	return nil
}

func (b *buffer) Free() {
	b.c.mu.Lock()
	b.c.buffers -= int64(len(b.data)) * 4
	b.c.mu.Unlock()
	b.data = nil
}
