package eval

import (
	"coil/autodiff"
	"coil/backend"
	"coil/graph"
	"coil/model"
	"coil/task"
)

// Trained is a model to measure: the task that it was trained for, its weights, and the backend that runs it. What is made of it
// reads the weights as they are whenever it runs.
type Trained struct {
	Backend backend.Backend
	Model   *model.Model
	Task    task.Task
	Weights graph.Buffer
}

// forward is one pass of a model over a batch of sequences, with the outputs that are kept of it. It is recorded, then compiled,
// then run as often as wanted.
type forward struct {
	*graph.Recorder
	tape    *autodiff.Tape
	pass    *model.Pass
	tokens  graph.Index
	batch   int // sequences
	program backend.Program
	outputs []*output
	results []float32
}

// output is a tensor that is kept of a pass.
type output struct {
	graph.Tensor
	values []float32 // of the whole batch, group after group, once the pass has run
}

// forward starts the recording of a pass with a number of loops, for a batch in groups of a number of sequences.
func (t Trained) forward(batch, sequences, loops int) *forward {
	r := graph.NewRecorder(sequences, batch/sequences)
	f := &forward{Recorder: r, batch: batch, tape: autodiff.NewTape(r, false)}
	weights := r.Parameter(t.Weights)
	f.tokens = r.Input(t.Model.Length)
	f.pass = t.Model.Pass(f.tape, weights)
	f.pass.Architecture = t.Model.Architecture.WithCount(loops)
	return f
}

// output makes an output with that number of rows for each sequence.
func (f *forward) output(rows, cols int) *output {
	o := &output{f.Output(rows, cols), make([]float32, f.batch*rows*cols)}
	f.outputs = append(f.outputs, o)
	return o
}

// keep makes an output of a tensor of the body.
func (f *forward) keep(x graph.Tensor) *output {
	o := f.output(x.Rows/f.Sequences(), x.Cols)
	f.Record(&graph.Add{A: x, Y: o.Tensor, Alpha: 1})
	return o
}

// score makes outputs of the loss and of the correctness (1 or 0) at each position, if the model ended with the state x.
func (f *forward) score(x graph.Tensor, targets graph.Index) (loss, correct *output) {
	length := targets.Len / f.Sequences()
	loss, correct = f.output(length, 1), f.output(length, 1)
	f.pass.Loss(f.pass.Ending(x), autodiff.CrossEntropy{Targets: targets, Loss: loss.Tensor, Correct: correct.Tensor})
	return loss, correct
}

// compile ends the recording.
func (f *forward) compile(b backend.Backend) (err error) {
	f.program, err = b.Compile(f.Recorder)
	f.results = make([]float32, f.ResultLen())
	return err
}

// run runs the pass on inputs in the order in which they were recorded, and fills the results and the outputs.
func (f *forward) run(inputs ...[]int32) error {
	if err := f.program.Run(backend.Args{Inputs: inputs}); err != nil {
		return err
	}
	if err := f.program.Results(f.results); err != nil {
		return err
	}
	for _, o := range f.outputs {
		if err := f.program.Output(o.Tensor, o.values); err != nil {
			return err
		}
	}
	return nil
}

// Close frees the program.
func (f *forward) Close() { f.program.Close() }
