// Package train is the training loop: batches, schedule, optimizer step, evaluation, checkpoint, resume, stop.
package train

import (
	"errors"
	"fmt"
	"math"
	"time"

	"coil/backend"
	"coil/eval"
	"coil/model"
	"coil/run"
	"coil/task"
)

// Trainer trains one model. Not for concurrent use.
type Trainer struct {
	Config Config
	Model  *model.Model
	Task   task.Task
	Memory backend.Memory // of training and evaluation together

	backend   backend.Backend
	run       *run.Run
	state     *state
	steps     map[int]*step // by loop count
	evaluator *eval.Evaluator
	batches   [2]*batch
	done      int // steps that are done
	tokens    float64
	saved     int // step of the last checkpoint, -1 if there is none
	report    func(Report)
	last      Metrics // the last that were finite
}

// Report is what the trainer tells its caller as it goes.
type Report struct {
	Event   run.Event
	Metrics *Metrics     // of the last step, with a train event
	Result  *eval.Result // with an eval event
	Seconds float64      // that training took per step, without evaluation and checkpoints, with a train event
}

// Done is the number of steps that are done.
func (t *Trainer) Done() int { return t.done }

// New builds a trainer with fresh weights: everything that it will need is compiled and allocated here, or refused.
// report, which may be nil, is called with each event after it was written.
func New(c Config, b backend.Backend, report func(Report)) (*Trainer, error) {
	if report == nil {
		report = func(Report) {}
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	tk, err := c.Task.New()
	if err != nil {
		return nil, err
	}
	m, err := model.New(c.Model, c.Loops, len(tk.Vocabulary()), tk.Length())
	if err != nil {
		return nil, err
	}
	t := &Trainer{Config: c, Model: m, Task: tk, backend: b, report: report, steps: map[int]*step{}, saved: -1}
	if t.state, err = newState(b, m, c.Train); err != nil {
		return nil, err
	}
	if err := t.compile(); err != nil {
		return nil, err
	}
	first := m.Initialize(c.Train.Seed)
	if err := t.state.weights.Write(0, first); err != nil {
		return nil, err
	}
	if t.state.average != nil {
		if err := t.state.average.Write(0, first); err != nil {
			return nil, err
		}
	}
	for i := range t.batches {
		t.batches[i] = newBatch(tk, c.Train.Batch)
	}
	return t, nil
}

// compile makes the evaluator and the step with the largest loop count, which needs the most memory.
func (t *Trainer) compile() error {
	most := t.Model.Architecture.Count()
	if _, ok := t.Model.Loops.Random(); ok {
		most = t.Model.Loops.RandomMax
	}
	st, err := t.step(most)
	if err != nil {
		return t.advise(err)
	}
	batch := min(t.Config.Train.Batch, max(1, t.Config.Evaluate.Examples))
	plan, err := eval.Plan(t.backend, t.Model, t.state.evaluated(), batch, []int{t.Model.Architecture.Count()})
	if err != nil {
		return err
	}
	t.evaluator, err = eval.New(t.backend, t.Model, t.Task, t.state.evaluated(), batch, []int{t.Model.Architecture.Count()})
	if err != nil {
		return t.advise(err)
	}
	t.Memory = st.memory
	t.Memory.Accumulators += plan.Accumulators
	t.Memory.Activations += plan.Activations
	t.Memory.Workspace += plan.Workspace
	t.Memory.Batch += plan.Batch
	return nil
}

// advise says what to do about a lack of memory.
func (t *Trainer) advise(err error) error {
	if !errors.Is(err, backend.ErrMemory) {
		return err
	}
	advice := "take a smaller train.batch, model.width or sequence length"
	if !t.Config.Loops.Recompute && t.Model.Architecture.Count() > 1 {
		advice = "set loops.recompute = true, or " + advice
	}
	return fmt.Errorf("%w; %s", err, advice)
}

// cached is how many loop counts' programs are kept.
const cached = 8

// step returns the compiled step at a loop count.
func (t *Trainer) step(loops int) (*step, error) {
	if st := t.steps[loops]; st != nil {
		return st, nil
	}
	if len(t.steps) >= cached {
		for n, st := range t.steps { // the largest stays: its memory is planned for
			if n != t.Model.Loops.RandomMax {
				st.program.Close()
				delete(t.steps, n)
				break
			}
		}
	}
	st, err := compileStep(t.backend, t.Model, t.Config, t.state, t.Model.Architecture.WithCount(loops))
	if err != nil {
		return nil, err
	}
	t.steps[loops] = st
	return st, nil
}

// Close frees the programs and buffers.
func (t *Trainer) Close() {
	for _, st := range t.steps {
		st.program.Close()
	}
	if t.evaluator != nil {
		t.evaluator.Close()
	}
	t.state.weights.Free()
	for _, m := range t.state.moments {
		m.buffer.Free()
	}
	if t.state.average != nil {
		t.state.average.Free()
	}
}

// ErrStopped is the error of a run that was asked to stop and can be resumed.
var ErrStopped = errors.New("stopped")

// DivergedError says that a loss or gradient was not finite. The weights are those of before the step.
type DivergedError struct {
	Step       int     // the step that went wrong, counted from 1
	Loss, Norm float64 // of it
	Last       Metrics // of the step before
	Rate       float64
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("diverged at step %d: loss %g, gradient norm %g (the step before had loss %.4g, gradient norm %.3g, at learning rate %.3g); "+
		"take a lower train.rate, a longer train.warmup or a train.clip", e.Step, e.Loss, e.Norm, e.Last.Loss, e.Last.Norm, e.Rate)
}

// Run trains to the end of the configuration, in a run directory. stop is asked after every step; when it returns true
// the trainer saves a checkpoint and returns ErrStopped.
func (t *Trainer) Run(r *run.Run, stop func() bool) error {
	t.run = r
	kind := run.KindStart
	if t.done > 0 {
		kind = run.KindResume
	}
	if kind == run.KindStart { // Rewind has written the other
		if err := t.event(Report{Event: run.Event{Kind: kind, Step: t.done}}); err != nil {
			return err
		}
	}
	err := t.loop(stop)
	if err != nil && !errors.Is(err, ErrStopped) {
		// Nothing that was learnt is lost if it can be saved; the first error is the one to tell.
		if d := (*DivergedError)(nil); errors.As(err, &d) {
			err = errors.Join(err, t.save())
		}
		t.event(Report{Event: run.Event{Kind: run.KindError, Step: t.done, Text: err.Error()}})
	}
	return err
}

// window sums the metrics of the steps between two reports.
type window struct {
	steps          int
	loss, accuracy float64
	losses         []float64
	norm           float64
	seconds        float64
}

func (t *Trainer) loop(stop func() bool) error {
	c := t.Config
	random, isRandom := c.Loops.Random()
	var w window
	var m Metrics
	cur := 0
	t.batches[cur].fill(c.Train.Seed, t.done)
	for t.done < c.Train.Steps {
		begin := time.Now()
		loops := t.Model.Architecture.Count()
		if isRandom {
			loops = random.Draw(c.Train.Seed, uint64(t.done))
		}
		st, err := t.step(loops)
		if err != nil {
			return t.advise(err)
		}
		b := t.batches[cur]
		if err := st.start(c.Train, t.done, b); err != nil {
			return err
		}
		cur = 1 - cur
		t.batches[cur].fill(c.Train.Seed, t.done+1) // beside the step, where the backend returns early
		if err := st.finish(c, b.count, &m); err != nil {
			return err
		}
		if bad(m.Loss) || bad(m.Norm) {
			return &DivergedError{Step: t.done + 1, Loss: m.Loss, Norm: m.Norm, Last: t.last, Rate: c.Train.RateAt(t.done)}
		}
		t.keep(&m)
		t.done++
		t.tokens += float64(len(b.inputs[0]))
		w.add(&m, time.Since(begin).Seconds())

		stopped := stop != nil && stop()
		if t.done%c.Train.Report == 0 || t.done == c.Train.Steps || stopped {
			if err := t.reportWindow(&w, &m, loops); err != nil {
				return err
			}
		}
		last := t.done == c.Train.Steps
		if !last && c.Checkpoint.Every > 0 && t.done%c.Checkpoint.Every == 0 || last || stopped {
			if err := t.save(); err != nil {
				return err
			}
		}
		if stopped && !last {
			if err := t.event(Report{Event: run.Event{Kind: run.KindStop, Step: t.done}}); err != nil {
				return err
			}
			return ErrStopped
		}
		if !last && c.Evaluate.Every > 0 && t.done%c.Evaluate.Every == 0 {
			if err := t.evaluate(c.Evaluate.Examples, stop); err != nil && !errors.Is(err, eval.ErrStopped) {
				return err
			}
		}
	}
	return t.finish(stop)
}

// keep remembers the metrics of a good step.
func (t *Trainer) keep(m *Metrics) {
	t.last.Loss, t.last.Accuracy, t.last.Norm, t.last.Penalty = m.Loss, m.Accuracy, m.Norm, m.Penalty
}

// finish evaluates thoroughly when all steps are done.
func (t *Trainer) finish(stop func() bool) error {
	if t.saved != t.done {
		if err := t.save(); err != nil {
			return err
		}
	}
	if err := t.evaluate(t.Config.Evaluate.Final, stop); errors.Is(err, eval.ErrStopped) {
		return ErrStopped
	} else if err != nil {
		return err
	}
	return t.event(Report{Event: run.Event{Kind: run.KindEnd, Step: t.done}})
}

func bad(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

func (w *window) add(m *Metrics, seconds float64) {
	w.steps++
	w.loss += m.Loss
	w.accuracy += m.Accuracy
	w.norm += m.Norm
	w.seconds += seconds
	if len(m.Losses) != len(w.losses) { // another loop count
		w.losses = make([]float64, len(m.Losses))
	}
	copy(w.losses, m.Losses)
}

// reportWindow writes the mean over the steps since the last report.
func (t *Trainer) reportWindow(w *window, m *Metrics, loops int) error {
	n := float64(w.steps)
	c := t.Config
	v := map[string]run.Number{
		"loss": run.Number(w.loss / n), "accuracy": run.Number(w.accuracy / n), "grad_norm": run.Number(w.norm / n),
		"lr": run.Number(c.Train.RateAt(t.done - 1)), "tokens": run.Number(t.tokens),
		"tokens_per_second": run.Number(n * float64(len(t.batches[0].inputs[0])) / w.seconds),
	}
	if len(m.Losses) > 1 {
		for i, l := range m.Losses {
			v[fmt.Sprintf("loss_loop_%d", loops-len(m.Losses)+i+1)] = run.Number(l)
		}
	}
	if _, ok := c.Loops.Random(); ok {
		v["loops"] = run.Number(loops)
	}
	if c.Regularize.Active() {
		v["regularizer"] = run.Number(m.Penalty)
		for i, g := range t.Model.WeightGroups() {
			v["cosine_"+g.Name] = run.Number(m.Cosines[i])
		}
	}
	rep := Report{Event: run.Event{Kind: run.KindTrain, Step: t.done, Values: v}, Metrics: m, Seconds: w.seconds / n}
	*w = window{}
	return t.event(rep)
}

// HeldOutSeed draws the held-out examples of evaluations while training: the same ones each time, and for every run.
const HeldOutSeed = 0

func (t *Trainer) evaluate(examples int, stop func() bool) error {
	results, err := t.evaluator.Run(HeldOutSeed, examples, stop)
	if err != nil {
		return err
	}
	r := results[0]
	v := map[string]run.Number{"loss": run.Number(r.Loss), "accuracy": run.Number(r.Accuracy), "exact": run.Number(r.Exact),
		"examples": run.Number(r.Examples)}
	for _, k := range r.Kinds {
		v["accuracy "+k.Kind], v["exact "+k.Kind] = run.Number(k.Accuracy), run.Number(k.Exact)
	}
	return t.event(Report{Event: run.Event{Kind: run.KindEval, Step: t.done, Values: v}, Result: &r})
}

// event writes an event and tells the caller.
func (t *Trainer) event(r Report) error {
	r.Event.Time = time.Now()
	if err := t.run.Append(r.Event); err != nil {
		return err
	}
	t.report(r)
	return nil
}
