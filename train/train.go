// Package train is the training loop: batches, schedule, optimizer step, evaluation, checkpoint, resume, stop.
package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"coil/backend"
	"coil/config"
	"coil/eval"
	"coil/model"
	"coil/run"
	"coil/task"
	"coil/theory"
)

// Trainer trains one model. Not for concurrent use.
type Trainer struct {
	Config    config.Config
	Model     *model.Model
	Task      task.Task
	Memory    backend.Memory // of training and evaluation together
	WarmStart *run.WarmStart // of the first weights, if Begin has given them

	backend   backend.Backend
	run       *run.Run
	state     *state
	sequences int                   // of a group
	steps     map[int]*compiledStep // by loop count
	used      []int                 // their loop counts, the least recently used first
	cached    int                   // how many of them are kept
	evaluator *eval.Evaluator
	samples   eval.Samples
	tracer    *theory.Tracer // nil unless the model has the weights of a construction
	evaluated int            // loops of evaluator and samples
	batches   [3]*batch      // one that a step reads, one that waits for the next, one that is being filled
	done      int            // steps that are done
	loops     int            // of the newest of them, by a schedule of loops; else the model's own
	tokens    float64
	seconds   float64          // of training
	share     float64          // of train.time by which the next step's rate goes: that of the seconds in the newest setup or train event
	saved     int              // step of the last checkpoint, -1 if there is none
	now       func() time.Time // by which the steps are timed
	report    func(Report)
	last      Metrics // the last that were finite
	steering  pendingCommands
	remarks   []string // on the checkpoint or the weights with which the run starts
	given     bool     // the first weights are those of BeginWith
	unremoved string   // the last note on checkpoints that could not be removed
	unasked   string   // and of requests that can't be read
	activity  activity
	observer  observer
	peak      float64 // FLOP/s of the device; 0 if not known
}

// Report is the trainer's report to its caller.
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
func New(c config.Config, b backend.Backend, report func(Report)) (*Trainer, error) {
	tk, err := makeTask(c)
	if err != nil {
		return nil, err
	}
	return NewOn(tk, c, b, report)
}

// NewOn is New for callers that have made the task of c, and perhaps prepared it.
func NewOn(tk task.Task, c config.Config, b backend.Backend, report func(Report)) (*Trainer, error) {
	t, err := assemble(tk, c, b, report)
	if err != nil {
		return nil, err
	}
	if err := t.Model.InitializeParts(c.Train.Seed, t.state.begin); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Compile builds a trainer without weights. Its programs can be examined, but must not run.
func Compile(c config.Config, b backend.Backend) (*Trainer, error) {
	tk, err := makeTask(c)
	if err != nil {
		return nil, err
	}
	return assemble(tk, c, b, nil)
}

// makeTask makes the task of a configuration, and checks all of that.
func makeTask(c config.Config) (task.Task, error) {
	tk, err := c.Task.New()
	return tk, c.CheckMade(err)
}

// assemble builds a trainer with everything but weights.
func assemble(tk task.Task, c config.Config, b backend.Backend, report func(Report)) (*Trainer, error) {
	if report == nil {
		report = func(Report) {}
	}
	m, err := model.New(c.Model, c.Loops, len(tk.Vocabulary()), tk.Length())
	if err != nil {
		return nil, err
	}
	if err := task.Prepare(tk, nil); err != nil {
		return nil, err
	}
	t := &Trainer{Config: c, Model: m, Task: tk, backend: b, report: report, steps: map[int]*compiledStep{}, saved: -1, loops: m.Architecture.Count(), now: time.Now,
		tracer: theory.NewTracer(c.Task, m)}
	if t.state, err = newState(b, m, c.Train); err != nil {
		return nil, t.advise(err)
	}
	if err := t.compile(); err != nil {
		t.Close()
		return nil, t.advise(err)
	}
	for i := range t.batches {
		t.batches[i] = newBatch(tk, c.Train.Batch)
	}
	return t, nil
}

// compile makes the evaluator and the step with the largest loop count, which needs the most memory. If the backend's preferred
// groups of sequences do not fit, or are larger than a micro-batch, it uses smaller ones.
func (t *Trainer) compile() error {
	batch := t.Config.Train.Batch
	t.sequences = t.backend.GroupSize(batch, t.Model.Length)
	for t.sequences > batch/t.Config.Train.Accumulate || batch%t.sequences != 0 {
		t.sequences--
	}
	for {
		err := t.compileGroups()
		if t.sequences == 1 || !errors.Is(err, backend.ErrMemory) {
			return err
		}
		t.closePrograms()
		for t.sequences--; batch%t.sequences != 0; t.sequences-- {
		}
	}
}

func (t *Trainer) compileGroups() error {
	most, counts := t.Model.Architecture.Count(), 1
	if _, ok := t.Model.Loops.Random(); ok {
		most, counts = t.Model.Loops.RandomMax, t.Model.Loops.RandomMax
	} else if s := t.Model.Loops.Scheduled(); s != nil { // none of them is more than the model's own
		counts = len(s.Counts())
	}
	st, err := t.step(most)
	if err != nil {
		return err
	}
	programs, err := t.compileEvaluation(st.memory)
	if err != nil {
		return err
	}
	for t.cached = 1; t.cached < min(counts, mostCached); t.cached++ {
		programs = append(programs, st.memory)
		more := backend.Together(t.backend, programs...)
		if more.Total() > t.backend.Info().Memory {
			break
		}
		t.Memory = more
	}
	return nil
}

// compileEvaluation makes the programs of evaluations, if their memory fits beside that of training, and returns all memories.
func (t *Trainer) compileEvaluation(training backend.Memory) ([]backend.Memory, error) {
	loops := t.Model.Architecture.Count()
	evaluation, err := eval.Plan(t.trained(), t.evaluationBatch(), eval.LensCounts(loops))
	if err != nil {
		return nil, err
	}
	samples, err := eval.PlanSamples(t.trained(), loops, HeldOutSeed)
	if err != nil {
		return nil, err
	}
	programs := []backend.Memory{training, evaluation, samples}
	t.Memory = backend.Together(t.backend, programs...)
	if have := t.backend.Info().Memory; t.Memory.Total() > have {
		return nil, &backend.MemoryError{Need: t.Memory, Have: have}
	}
	return programs, t.evaluateAt(loops)
}

// trained is the model as it is evaluated.
func (t *Trainer) trained() eval.Trained {
	return eval.Trained{Backend: t.backend, Model: t.Model, Task: t.Task, Weights: t.state.evaluated()}
}

// evaluationBatch is how many examples an evaluation takes at a time.
func (t *Trainer) evaluationBatch() int {
	return min(t.Config.Train.Batch, max(1, t.Config.Evaluate.Examples))
}

// evaluateAt makes the programs of evaluations with a number of loops, unless they are there.
func (t *Trainer) evaluateAt(loops int) (err error) {
	if t.evaluator != nil && t.samples != nil && t.evaluated == loops {
		return nil
	}
	t.closeEvaluation()
	t.evaluated = loops
	if t.evaluator, err = eval.New(t.trained(), t.evaluationBatch(), eval.LensCounts(loops)); err != nil {
		return err
	}
	t.samples, err = eval.NewSamples(t.trained(), loops, HeldOutSeed)
	return err
}

func (t *Trainer) closeEvaluation() {
	if t.evaluator != nil {
		t.evaluator.Close()
		t.evaluator = nil
	}
	if t.samples != nil {
		t.samples.Close()
		t.samples = nil
	}
}

// advise says what to do about a lack of memory.
func (t *Trainer) advise(err error) error {
	lack := (*backend.MemoryError)(nil)
	if !errors.As(err, &lack) {
		return err
	}
	if lack.Need.Buffers > lack.Have {
		return fmt.Errorf("%w; take a smaller model.width or model.hidden, or fewer layers", err)
	}
	advice := "take a smaller train.batch, a larger train.accumulate, or a smaller model.width or sequence length"
	if !t.Config.Loops.Recompute && t.Model.Architecture.Count() > 1 {
		advice = "set loops.recompute = true, or " + advice
	}
	return fmt.Errorf("%w; %s", err, advice)
}

// mostCached is how many loop counts' programs are kept, if there is the memory.
const mostCached = 8

// step returns the compiled step at a loop count.
func (t *Trainer) step(loops int) (*compiledStep, error) {
	st := t.steps[loops]
	if st == nil {
		var err error
		if st, err = compileStep(t.backend, t.Model, t.Config, t.sequences, t.state, t.Model.Architecture.WithCount(loops)); err != nil {
			return nil, err
		}
		t.steps[loops] = st
	}
	t.used = append(slices.DeleteFunc(t.used, func(n int) bool { return n == loops }), loops)
	return st, nil
}

// makeRoom frees the program that was not used for longest, of those that are not in flight, if there are too many for one
// more loop count. It returns false if all are in flight.
func (t *Trainer) makeRoom(loops int, flying []inFlight) bool {
	if t.steps[loops] != nil || len(t.steps) < t.cached {
		return true
	}
	for i, n := range t.used {
		st := t.steps[n]
		if !slices.ContainsFunc(flying, func(f inFlight) bool { return f.step == st }) {
			t.activity.runs(nil)
			st.program.Close()
			delete(t.steps, n)
			t.used = slices.Delete(t.used, i, i+1)
			return true
		}
	}
	return false
}

// Close frees the programs and buffers.
func (t *Trainer) Close() {
	t.closePrograms()
	t.state.free()
}

func (t *Trainer) closePrograms() {
	t.activity.runs(nil)
	for _, st := range t.steps {
		st.program.Close()
	}
	clear(t.steps)
	t.used = t.used[:0]
	t.closeEvaluation()
}

// ErrStopped is the error of a run that was asked to stop and can be resumed.
var ErrStopped = errors.New("stopped")

// DivergedError says that a loss, a gradient or a weight was not finite. A step whose gradient is not finite changes
// nothing, so the weights are those from before.
type DivergedError struct {
	Step       int     // the step that went wrong, counted from 1
	Loss, Norm float64 // of it
	Overflow   bool    // these were finite, and the weights after the step are not
	Last       Metrics // of the step before; zero if there was none
	Rate       float64

	passed bool // later steps have changed the weights since
}

func (e *DivergedError) Error() string {
	s := fmt.Sprintf(divergedText+"%d: loss %.4g, gradient norm %.3g", e.Step, e.Loss, e.Norm)
	switch {
	case e.Overflow:
		s += ", and weights that are not finite after it"
	case e.Step > 1:
		s += fmt.Sprintf(" (the step before had loss %.4g, gradient norm %.3g)", e.Last.Loss, e.Last.Norm)
	}
	return fmt.Sprintf("%s, at learning rate %.3g; take a lower train.rate, a longer train.warmup or a tighter train.clip", s, e.Rate)
}

// Run trains to the end of the configuration, in a run directory. After every step, while evaluating and while paused, it takes
// commands from next, if not nil, until there are none, and from the run's directory. When one is to stop, the
// trainer saves a checkpoint and returns ErrStopped.
func (t *Trainer) Run(r *run.Run, next func() run.Command) error {
	end, err := r.CatchCrashes(t.done)
	if err != nil { // no reason not to train
		end = func() {}
		t.remarks = append(t.remarks, err.Error())
	}
	err = t.train(r, next)
	end()
	return err
}

func (t *Trainer) train(r *run.Run, next func() run.Command) error {
	t.run, t.steering = r, pendingCommands{next: next}
	h, _ := r.History() // garbled lines are ignored
	t.seconds = h.SecondsAt(t.done)
	defer t.activity.enter(run.PhaseDone)
	if t.done == 0 { // otherwise, Rewind has recorded that the run continues
		if err := t.event(Report{Event: run.Event{Kind: run.KindStart}}); err != nil {
			return err
		}
	}
	if r, ok := t.backend.(backend.Rated); ok {
		t.peak = r.Peak()
	}
	if err := t.event(Report{Event: run.Event{Kind: run.KindSetup, Step: t.done, Setup: t.setup(), Seconds: new(run.Number(t.seconds))}}); err != nil {
		return err
	}
	t.share = t.usedNow()
	err := t.keepFirst()
	for _, text := range t.remarks {
		err = errors.Join(err, t.note(text))
	}
	if err == nil {
		err = t.loop()
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrStopped) {
		return errors.Join(err, t.event(Report{Event: run.Event{Kind: run.KindStop, Step: t.done}}))
	}
	// The weights of before a step whose gradient was not finite are there still, and not lost if they can be saved. But
	// something may be wrong with them, so they push out no older checkpoint.
	if d := (*DivergedError)(nil); errors.As(err, &d) && notFinite(d.Norm) && !d.passed {
		err = errors.Join(err, t.save(true))
	}
	// If this fails too, report the first error.
	t.event(Report{Event: run.Event{Kind: run.KindError, Step: t.done, Text: err.Error()}})
	return err
}

// keepFirst saves the first weights before they change, if requested or if they came from another run, because nothing else
// could restore them. The checkpoint of step 0 already has them if the run was made with First.
func (t *Trainer) keepFirst() error {
	if t.done > 0 || t.WarmStart == nil && !t.Config.Checkpoint.First {
		return nil
	}
	if t.WarmStart == nil {
		return t.save(false)
	}
	if err := t.note("starts with the weights of " + t.WarmStart.String()); err != nil {
		return err
	}
	if cs, err := t.run.Checkpoints(); err == nil && len(cs) > 0 && cs[0].Step == 0 {
		t.saved = 0
		return t.event(Report{Event: run.Event{Kind: run.KindCheckpoint}})
	}
	return t.save(false)
}

// window sums the metrics of the steps between two reports.
type window struct {
	steps          int
	loss, accuracy float64
	norm           float64
	seconds        float64
	waited         float64 // seconds of those that were spent waiting for batches
	flops          float64 // of the model
}

// longestWindow is how many seconds of slow steps may pass without a report.
const longestWindow = 2

// inFlight is a step that was started and whose results were not read.
type inFlight struct {
	step   *compiledStep
	count  int // targets in its batch
	loops  int
	varies bool          // loops may differ from step to step
	used   float64       // share of train.time by which its rate went
	waited time.Duration // for the batch

	profiled bool // its operations are measured
}

// loop keeps as many steps in flight as the backend permits, so that the next is ready when one ends.
func (t *Trainer) loop() error {
	c := t.Config
	t.activity.done(t.done)
	t.activity.enter(run.PhaseTraining)
	var w window
	var m Metrics
	data := startFeed(t.batches[:], c.Train.Seed, t.done, c.Train.Steps)
	defer data.stop()
	var flying []inFlight
	held := false // no step starts before pending commands are done
	for len(flying) > 0 || !t.ended() {
		begin := t.now()
		for !held && t.mayStart(len(flying)) {
			f, err := t.start(data, t.done+len(flying), flying)
			if err != nil {
				return err
			}
			if f.step == nil {
				break
			}
			flying = append(flying, f)
		}
		f := flying[0]
		flying = append(flying[:0], flying[1:]...)
		t.activity.runs(f.step)
		if err := f.step.finish(c, f.count, &m); err != nil {
			return err
		}
		if f.profiled {
			t.observer.profiled(f.step)
		}
		if notFinite(m.Loss) || notFinite(m.Norm) {
			return &DivergedError{Step: t.done + 1, Loss: m.Loss, Norm: m.Norm, Last: t.last, Rate: c.Train.RateAt(t.done, f.used), passed: len(flying) > 0}
		}
		t.keep(&m)
		t.done++
		if c.Loops.Schedule != "" {
			t.loops = f.loops
		}
		t.activity.done(t.done)
		t.tokens += float64(t.batchTokens())
		took := t.now().Sub(begin)
		t.seconds += took.Seconds()
		w.add(&m, took, f.waited)
		w.flops += float64(t.Model.TrainFLOPsAt(f.loops)) * float64(t.batchTokens())
		if err := t.ask(); err != nil {
			return err
		}
		// With a budget of time, each report gives the schedule the time, so no step may be in flight.
		slow, timed := w.seconds > longestWindow, c.Train.Time > 0
		held = t.steering.pending() || t.ended() || timed && slow
		last := len(flying) == 0
		if due(c.Train.Report, t.done) || held && last || slow && !timed {
			if err := t.reportWindow(&w, &m, f); err != nil {
				return err
			}
		}
		if last && t.ended() {
			break
		}
		if !last { // the weights are those of a later step
			continue
		}
		if err := t.between(); err != nil {
			return err
		}
		held = false
	}
	return t.finish()
}

// mayStart reports whether another step may start while a number of steps are in flight: not past the end, and not past a step
// after which the weights are read.
func (t *Trainer) mayStart(flying int) bool {
	c, next := t.Config, t.done+flying
	switch {
	case flying == 0:
		return true
	case flying >= t.backend.Info().Depth || next == c.Train.Steps:
		return false
	}
	return !due(c.Evaluate.Every, next) && !due(c.Checkpoint.Every, next) && !(c.Train.Time > 0 && due(c.Train.Report, next))
}

// ended reports whether the steps are done, or the time is used.
func (t *Trainer) ended() bool { return t.done >= t.Config.Train.Steps || t.usedNow() >= 1 }

// usedNow is the share of train.time that training has taken, 0 without one.
func (t *Trainer) usedNow() float64 {
	if t.Config.Train.Time == 0 {
		return 0
	}
	return min(1, t.seconds/t.Config.Train.Time)
}

// start starts the step with that number. It starts none if its program would have to replace one in flight.
func (t *Trainer) start(data *feed, number int, flying []inFlight) (inFlight, error) {
	c := t.Config
	f := inFlight{used: t.share}
	f.loops, f.varies = c.LoopsAt(t.Model, number, t.share)
	if !t.makeRoom(f.loops, flying) {
		return f, nil
	}
	st, err := t.step(f.loops)
	if err != nil {
		return f, t.advise(err)
	}
	var b *batch
	b, f.waited = data.next()
	f.count = b.count
	if f.profiled = due(c.Train.Report, number+1); f.profiled { // one step of each report
		t.observer.profile(st)
	}
	if len(flying) == 0 {
		t.activity.runs(st)
	}
	if err := st.start(c.Train, number, t.share, b); err != nil {
		return f, err
	}
	data.empty <- b // the backend keeps no reference to it
	f.step = st
	return f, nil
}

// batchTokens are the tokens of a step.
func (t *Trainer) batchTokens() int { return t.Config.Train.Batch * t.Model.Length }

// due reports whether something that happens every few steps happens at this one; every = 0 is never.
func due(every, step int) bool { return every > 0 && step%every == 0 }

// keep remembers the metrics of a good step.
func (t *Trainer) keep(m *Metrics) {
	t.last.Loss, t.last.Accuracy, t.last.Norm, t.last.Penalty = m.Loss, m.Accuracy, m.Norm, m.Penalty
}

// finish saves, and evaluates thoroughly, when training has ended.
func (t *Trainer) finish() error {
	if err := t.checkpoint(); err != nil {
		return err
	}
	t.loops = t.Model.Architecture.Count() // as whoever evaluates the run afterwards
	if err := t.evaluate(t.Config.Evaluate.Final); err != nil {
		return err
	}
	return t.event(Report{Event: run.Event{Kind: run.KindEnd, Step: t.done}})
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

func (w *window) add(m *Metrics, took, waited time.Duration) {
	w.steps++
	w.loss += m.Loss
	w.accuracy += m.Accuracy
	w.norm += m.Norm
	w.seconds += took.Seconds()
	w.waited += waited.Seconds()
}

// reportWindow writes the mean over the steps since the last report; f is the last of them.
func (t *Trainer) reportWindow(w *window, m *Metrics, f inFlight) error {
	n := float64(w.steps)
	c := t.Config
	v := &run.Train{Loss: new(run.Number(w.loss / n)), Accuracy: new(run.Number(w.accuracy / n)), GradNorm: new(run.Number(w.norm / n)),
		Rate: new(run.Number(c.Train.RateAt(t.done-1, f.used))), Tokens: new(run.Number(t.tokens)),
		TokensPerSecond: new(run.Number(n * float64(t.batchTokens()) / w.seconds)), DataWait: new(run.Number(w.waited / w.seconds)),
		Seconds: new(run.Number(t.seconds)), Machine: t.observer.machine(t.backend), Times: t.observer.shares, Loops: m.loops(f.loops)}
	t.observer.shares = nil
	if t.peak > 0 {
		v.Utilization = new(run.Number(w.flops / w.seconds / t.peak))
	}
	if len(m.Exits) > 0 {
		v.Exit = run.Exit{Loop: new(run.Number(m.ExitLoop())), Entropy: new(run.Number(m.Entropy))}
	}
	if l, ok := t.Task.(task.Language); ok {
		v.Epoch = new(run.Number(float64(t.done) * float64(c.Train.Batch) / float64(l.Sequences(task.Train).Len())))
	}
	if f.varies {
		v.LoopCount = new(run.Number(f.loops))
	}
	if c.Regularize.Active() {
		v.Regularizer = new(run.Number(m.Penalty))
		v.Cosines = map[string]run.Number{}
		for i, g := range t.Model.WeightGroups() {
			v.Cosines[g.Name] = run.Number(m.Cosines[i])
		}
	}
	rep := Report{Event: run.Event{Kind: run.KindTrain, Step: t.done, Train: v}, Metrics: m, Seconds: w.seconds / n}
	*w = window{}
	t.share = t.usedNow()
	return t.event(rep)
}

// HeldOutSeed draws the held-out examples of evaluations while training: the same ones each time, and for every run.
const HeldOutSeed = 0

func (t *Trainer) evaluate(examples int) error {
	defer t.activity.enter(t.activity.enter(run.PhaseEvaluating))
	if err := t.evaluateAt(t.loops); err != nil {
		return t.advise(err)
	}
	results, err := t.evaluator.Run(HeldOutSeed, examples, t.stopAsked)
	if errors.Is(err, eval.ErrStopped) {
		return ErrStopped
	} else if err != nil {
		return err
	}
	samples, err := t.samples.Run()
	if err != nil {
		return err
	}
	r := results[len(results)-1]
	v := &run.Eval{Score: score(r.Score), Examples: new(run.Number(r.Examples)), Samples: samples}
	for _, k := range r.Kinds {
		v.Kinds = append(v.Kinds, run.KindScore{Kind: k.Kind, Score: run.Score{Accuracy: new(run.Number(k.Accuracy)), Exact: new(run.Number(k.Exact))}})
	}
	if v.Trace, err = t.trace(); err != nil {
		return err
	}
	for _, r := range results {
		v.Loops = append(v.Loops, run.LoopScore{Loop: r.Loops, Score: score(r.Score), Change: new(r.Change)})
	}
	return t.event(Report{Event: run.Event{Kind: run.KindEval, Step: t.done, Eval: v}, Result: &r})
}

// trace follows the example of the construction whose weights the model began with; nil if there is none.
func (t *Trainer) trace() (*run.Trace, error) {
	if t.tracer == nil {
		return nil, nil
	}
	weights := make([]float32, t.Model.Size)
	if err := t.state.evaluated().Read(0, weights); err != nil {
		return nil, err
	}
	return t.tracer.Trace(weights), nil
}

// score is a score as events have it.
func score(s eval.Score) run.Score {
	v := run.Score{Loss: new(s.Loss), Accuracy: new(run.Number(s.Accuracy)), Exact: new(run.Number(s.Exact))}
	if s.BitsPerByte > 0 {
		v.Exact, v.BitsPerByte = nil, new(s.BitsPerByte)
	}
	return v
}

// event writes an event and reports it to the caller.
func (t *Trainer) event(r Report) error {
	r.Event.Time = time.Now()
	if err := t.run.Append(r.Event); err != nil {
		return err
	}
	t.report(r)
	return nil
}
