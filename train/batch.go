package train

import (
	"time"

	"coil/task"
)

// batch is the data of one step. Which examples it has is a function of the seed and the step's number alone, so a
// resumed run sees the data that an unbroken one would have.
type batch struct {
	inputs  [][]int32 // tokens, targets
	count   int       // of targets
	sampler task.Sampler
	example task.Example
}

func newBatch(t task.Task, size int) *batch {
	n := size * t.Length()
	return &batch{inputs: [][]int32{make([]int32, n), make([]int32, n)}, sampler: t.NewSampler(), example: task.NewExample(t)}
}

// fill draws the examples of a step: those with the indices step·size to (step+1)·size of the training split.
func (b *batch) fill(seed uint64, step int) {
	length := len(b.example.Tokens)
	size := len(b.inputs[0]) / length
	b.count = 0
	for i := range size {
		sample(b.sampler, seed, step, size, i, &b.example)
		copy(b.inputs[0][i*length:], b.example.Tokens)
		copy(b.inputs[1][i*length:], b.example.Targets)
		for _, t := range b.example.Targets {
			if t != task.Ignore {
				b.count++
			}
		}
	}
}

// Batch returns the examples that a run with this seed sees in a step, counted from 0.
func Batch(t task.Task, size int, seed uint64, step int) []task.Example {
	s := t.NewSampler()
	examples := make([]task.Example, size)
	for i := range examples {
		examples[i] = task.NewExample(t)
		sample(s, seed, step, size, i, &examples[i])
	}
	return examples
}

// sample draws the example with that number in the batch of a step.
func sample(s task.Sampler, seed uint64, step, size, number int, ex *task.Example) {
	s.Sample(seed, uint64(step)*uint64(size)+uint64(number), task.Train, ex)
}

// feed fills the batches of consecutive steps, in order, on its own goroutine: in parallel to the steps that use them, and
// ahead of them by the number of batches in rotation.
type feed struct {
	empty, full chan *batch // each has room for all batches
	ended       chan struct{}
}

// startFeed starts with the step from and ends before the step to, or when it is stopped.
func startFeed(batches []*batch, seed uint64, from, to int) *feed {
	f := &feed{make(chan *batch, len(batches)), make(chan *batch, len(batches)), make(chan struct{})}
	for _, b := range batches {
		f.empty <- b
	}
	go func() {
		defer close(f.ended)
		for step := from; step < to; step++ {
			b, ok := <-f.empty
			if !ok {
				return
			}
			b.fill(seed, step)
			f.full <- b
		}
	}()
	return f
}

// next returns the batch of the next step, and how long that took to come. The caller gives it back to empty.
func (f *feed) next() (*batch, time.Duration) {
	begin := time.Now()
	b := <-f.full
	return b, time.Since(begin)
}

// stop returns when the goroutine has ended; all it may still do is fill the batch that it has begun.
func (f *feed) stop() {
	close(f.empty)
	for range f.empty { // unused batches must not be filled now
	}
	<-f.ended
}
