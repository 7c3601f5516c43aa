// Package graph records the operations of a program.
//
// A training step is the same list of operations every time; only the data and a few scalars change. So operations
// do not run when they are called: a [Recorder] writes them down with every shape and place resolved, a backend
// compiles the recording into a program, and the program is run once a step.
//
// A recording has two parts. The body runs once for each group of sequences of the batch (forward, loss,
// backward), and what it adds to accumulators (gradients, sums of losses) is summed over the groups. The update
// then runs once (clipping, optimizer, averages). How the groups are cut, and in which order their sums are added,
// depends on the batch alone and never on the number of workers, so the same data gives the same bits.
//
// The comment of an operation's struct is its formula, and the formula defines what the operation means: package
// conformance evaluates it in float64 and holds every backend to the result.
package graph

import (
	"fmt"
	"slices"
)

// An Op is one operation of a recording. The operations are the structs of this package.
type Op interface {
	// Name is the operation's name in errors and tables.
	Name() string
	// check returns an error if a shape is wrong.
	check() error
	// describe fills in the facts.
	describe(f *Facts)
}

// A Recorder writes down the operations of a program. The first error sticks: later calls do nothing, and
// a backend returns it when it compiles the recording.
type Recorder struct {
	sequences int
	groups    int
	storages  []Storage
	body      []Op
	update    []Op
	inUpdate  bool
	scalars   int
	inputs    int
	outputs   int
	results   []Tensor
	starts    []Start
	scope     Scope // of the next operation
	marks     []Mark
	err       error
}

// NewRecorder starts a recording for a batch of groups × sequences sequences.
func NewRecorder(sequences, groups int) *Recorder {
	r := &Recorder{sequences: sequences, groups: groups}
	if sequences < 1 || groups < 1 {
		r.Fail(fmt.Errorf("recorder: %d groups of %d sequences: both must be at least 1", groups, sequences))
	}
	return r
}

// Sequences is the number of sequences in a group.
func (r *Recorder) Sequences() int { return r.sequences }

// Groups is the number of groups in a batch.
func (r *Recorder) Groups() int { return r.groups }

// Err is the first error of the recording.
func (r *Recorder) Err() error { return r.err }

// Fail makes err the error of the recording, unless it has one.
func (r *Recorder) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// BeginUpdate ends the body: operations recorded from now on run once a step, after the accumulators are summed.
func (r *Recorder) BeginUpdate() { r.inUpdate = true }

// Body returns the operations that run once for each group.
func (r *Recorder) Body() []Op { return r.body }

// Update returns the operations that run once a step.
func (r *Recorder) Update() []Op { return r.update }

// Storages returns the storages; tensor t lives in Storages()[t.Storage-1].
func (r *Recorder) Storages() []Storage { return r.storages }

// Scalars is the number of scalars that a run must give.
func (r *Recorder) Scalars() int { return r.scalars }

// Inputs is the number of inputs that a run must give.
func (r *Recorder) Inputs() int { return r.inputs }

// Starts returns the inputs that hold start positions of sequences, with their limits.
func (r *Recorder) Starts() []Start { return r.starts }

// Results returns the tensors marked with Result.
func (r *Recorder) Results() []Tensor { return r.results }

func (r *Recorder) add(s Storage) int {
	r.storages = append(r.storages, s)
	return len(r.storages)
}

func (r *Recorder) matrix(s Storage, rows, cols int) Tensor {
	if rows < 1 || cols < 1 {
		r.Fail(fmt.Errorf("recorder: %s of shape [%d,%d]", s.Space, rows, cols))
		rows, cols = max(rows, 1), max(cols, 1)
	}
	s.Len = rows * cols
	return Tensor{Storage: r.add(s), Rows: rows, Cols: cols, Stride: cols}
}

// Parameter makes the whole of b a tensor of one row.
func (r *Recorder) Parameter(b Buffer) Tensor {
	r.alone(Parameter, b)
	return r.matrix(Storage{Space: Parameter, Buffer: b}, 1, b.Len())
}

// State makes a tensor with rowsPerSequence rows for each sequence. b holds the rows of the whole batch, sequence after
// sequence, so programs that divide the batch into other groups can share it.
func (r *Recorder) State(b Buffer, rowsPerSequence, cols int) Tensor {
	r.alone(State, b)
	t := r.matrix(Storage{Space: State, Buffer: b}, rowsPerSequence*r.sequences, cols)
	if n := t.Size() * r.groups; b.Len() != n {
		r.Fail(fmt.Errorf("recorder: state of %d values in a buffer of %d", n, b.Len()))
	}
	return t
}

// alone checks that a buffer that the body may write is recorded only once.
func (r *Recorder) alone(as Space, b Buffer) {
	for _, s := range r.storages {
		if (as == State || s.Space == State) && s.Buffer == b {
			r.Fail(fmt.Errorf("recorder: the buffer of a %s is already a %s", as, s.Space))
		}
	}
}

// Constant makes a tensor of data, which must not change afterwards.
func (r *Recorder) Constant(rows, cols int, data []float32) Tensor {
	if len(data) != rows*cols {
		r.Fail(fmt.Errorf("recorder: constant of shape [%d,%d] with %d values", rows, cols, len(data)))
	}
	return r.matrix(Storage{Space: Constant, Data: data}, rows, cols)
}

// Accumulator makes a tensor that is zero at the start of a step and summed over the groups.
func (r *Recorder) Accumulator(rows, cols int) Tensor {
	return r.matrix(Storage{Space: Accumulator}, rows, cols)
}

// Temporary makes a tensor of the current part. It has no value until an operation writes it.
func (r *Recorder) Temporary(rows, cols int) Tensor {
	return r.matrix(Storage{Space: Temporary, Update: r.inUpdate}, rows, cols)
}

// Input makes an index with perSequence values for each sequence of the batch.
func (r *Recorder) Input(perSequence int) Index {
	n := perSequence * r.sequences
	if n < 1 {
		r.Fail(fmt.Errorf("recorder: input of %d values a sequence", perSequence))
	}
	r.inputs++
	return Index{Storage: r.add(Storage{Space: Input, Len: n, Number: r.inputs - 1}), Len: n}
}

// Output makes a tensor with rowsPerSequence rows for each sequence, to be read with a program's Output.
func (r *Recorder) Output(rowsPerSequence, cols int) Tensor {
	r.outputs++
	return r.matrix(Storage{Space: Output, Number: r.outputs - 1}, rowsPerSequence*r.sequences, cols)
}

// Scalar makes a number that is given for each step.
func (r *Recorder) Scalar() Scalar {
	r.scalars++
	return Scalar(r.scalars)
}

// Result marks a tensor of the accumulators, parameters or update to be read with a program's Results after a step.
func (r *Recorder) Result(t Tensor) {
	if !t.Exists() || !t.Dense() {
		r.Fail(fmt.Errorf("recorder: a result must be a dense tensor, not %s", t.Shape()))
		return
	}
	if err := r.inBounds(t); err != nil {
		r.Fail(fmt.Errorf("recorder: result: %w", err))
		return
	}
	if s := r.storages[t.Storage-1]; s.Space == Output || s.Space == State || s.Space == Temporary && !s.Update {
		r.Fail(fmt.Errorf("recorder: %s of the body can't be a result", s.Space))
	}
	r.results = append(r.results, t)
}

// Record appends op to the current part.
func (r *Recorder) Record(op Op) {
	if r.err != nil {
		return
	}
	if err := r.examine(op); err != nil {
		r.Fail(fmt.Errorf("%s: %w", op.Name(), err))
		return
	}
	ops := r.part()
	*ops = append(*ops, op)
	if !r.inUpdate {
		r.mark()
	}
}

// Current returns the operations recorded so far of the part that is being recorded.
func (r *Recorder) Current() []Op { return *r.part() }

func (r *Recorder) part() *[]Op {
	if r.inUpdate {
		return &r.update
	}
	return &r.body
}

// inBounds checks that t lies in its storage.
func (r *Recorder) inBounds(t Tensor) error {
	if t.Storage < 0 || t.Storage > len(r.storages) {
		return fmt.Errorf("storage %d is not of this recorder", t.Storage)
	}
	switch s := r.storages[t.Storage-1]; {
	case t.Rows < 1 || t.Cols < 1 || t.Stride < t.Cols && t.Rows > 1:
		return fmt.Errorf("operand of shape [%d,%d] with stride %d", t.Rows, t.Cols, t.Stride)
	case t.Offset < 0 || t.Offset+t.span() > s.Len:
		return fmt.Errorf("operand %s at %d does not fit its storage of %d", t.Shape(), t.Offset, s.Len)
	case s.Space == Input:
		return fmt.Errorf("operand %s is an index", t.Shape())
	}
	return nil
}

// examine checks that operands lie in their storages and may be used so, then the operation's own rules.
func (r *Recorder) examine(op Op) error {
	v := Describe(op)
	for i, ts := range [][]Tensor{v.Reads, v.Writes} {
		for _, t := range ts {
			if err := r.inBounds(t); err != nil {
				return err
			}
			switch s := r.storages[t.Storage-1]; {
			case i == 1 && s.Space == Constant:
				return fmt.Errorf("writes a constant")
			case i == 1 && s.Space == Parameter && !r.inUpdate:
				return fmt.Errorf("writes a parameter in the body, where groups run side by side")
			case i == 1 && s.Space == Accumulator && !r.inUpdate && !slices.Contains(v.Reads, t):
				return fmt.Errorf("writes over an accumulator in the body, which may only add to it")
			case r.inUpdate && (s.Space == Output || s.Space == State):
				return fmt.Errorf("%s of groups has no place in the update", s.Space)
			case s.Space == Temporary && s.Update != r.inUpdate:
				return fmt.Errorf("a temporary of the other part")
			case i == 0 && (s.Space == Temporary || s.Space == Output) && !s.written:
				return fmt.Errorf("reads %s memory that nothing has written", s.Space)
			}
		}
	}
	for _, x := range v.Indices {
		if x.Storage < 1 || x.Storage > len(r.storages) || r.storages[x.Storage-1].Space != Input {
			return fmt.Errorf("index %d is not an input", x.Storage)
		}
		if x.Offset < 0 || x.Len < 1 || x.Offset+x.Len > r.storages[x.Storage-1].Len {
			return fmt.Errorf("index of %d values at %d does not fit its input", x.Len, x.Offset)
		}
		if r.inUpdate {
			return fmt.Errorf("an input has no place in the update")
		}
	}
	for _, s := range v.Scalars {
		if s < 0 || int(s) > r.scalars {
			return fmt.Errorf("scalar %d is not of this recorder", s)
		}
	}
	if err := op.check(); err != nil {
		return err
	}
	for _, t := range v.Writes {
		r.storages[t.Storage-1].written = true
	}
	for _, s := range v.Starts {
		if !slices.Contains(r.starts, s) {
			r.starts = append(r.starts, s)
		}
	}
	return nil
}
