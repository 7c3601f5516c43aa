package train

import "coil/task"

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
		b.sampler.Sample(seed, uint64(step)*uint64(size)+uint64(i), task.Train, &b.example)
		copy(b.inputs[0][i*length:], b.example.Tokens)
		copy(b.inputs[1][i*length:], b.example.Targets)
		for _, t := range b.example.Targets {
			if t != task.Ignore {
				b.count++
			}
		}
	}
}
