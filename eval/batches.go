package eval

import (
	"errors"

	"coil/task"
)

// ErrStopped is the error of an evaluation that was asked to stop.
var ErrStopped = errors.New("evaluation stopped")

// batches draws examples of a task, held out unless Split says otherwise, batch after batch.
type batches struct {
	task    task.Task
	Split   task.Split // that examples are drawn from
	batch   int        // examples at a time
	sampler task.Sampler
	example task.Example
	tokens  []int32 // of the batch, example after example
	targets []int32
}

func newBatches(t task.Task, batch int) batches {
	n := batch * t.Length()
	return batches{task: t, Split: task.HeldOut, batch: batch, sampler: t.NewSampler(), example: task.NewExample(t), tokens: make([]int32, n), targets: make([]int32, n)}
}

// eachBatch draws the first examples of each kind with the seed, as many as examples says, and calls f for each batch, which has
// n examples of the kind from example first on. The rest of a batch repeats earlier examples, which do not count. eachBatch
// calls stop, if not nil, before each batch; when it returns true, eachBatch returns ErrStopped. Of a task with fewer examples it
// draws each once.
func (b *batches) eachBatch(seed uint64, examples int, stop func() bool, f func(kind, first, n int) error) error {
	length := b.task.Length()
	examples = task.Limit(b.task, b.Split, examples)
	for kind := range b.task.Kinds() {
		for first := 0; first < examples; first += b.batch {
			if stop != nil && stop() {
				return ErrStopped
			}
			n := min(b.batch, examples-first)
			for i := range n {
				b.sampler.SampleKind(seed, uint64(first+i), b.Split, kind, &b.example)
				copy(b.tokens[i*length:], b.example.Tokens)
				copy(b.targets[i*length:], b.example.Targets)
			}
			if err := f(kind, first, n); err != nil {
				return err
			}
		}
	}
	return nil
}
