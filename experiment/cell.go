package experiment

import (
	"errors"
	"fmt"
	"math"
	"os"

	"coil/backend"
	"coil/eval"
	"coil/graph"
	"coil/metric"
	"coil/model"
	"coil/regularize"
	"coil/run"
	"coil/train"
)

// Measures is what was measured of a finished cell.
type Measures struct {
	// Config is the cell's configuration: the values of all keys. Measures of earlier versions do not have it.
	Config map[string]string `json:"config"`

	Model      string  `json:"model"`
	Layers     int     `json:"layers"` // parameters relative to one layer
	Depth      int     `json:"depth"`  // FLOPs relative to one layer
	Parameters int64   `json:"parameters"`
	FLOPs      int64   `json:"flops_per_token"` // of a forward pass, the mean over training
	Steps      int     `json:"steps"`
	Tokens     int64   `json:"tokens"`  // seen in training
	Seconds    float64 `json:"seconds"` // of training
	Backend    string  `json:"backend"`
	Device     string  `json:"device"`

	Metric  metric.Metric `json:"metric"` // by which the task is judged
	HeldOut eval.Result   `json:"held_out"`
	Loops   []eval.Result `json:"loops,omitempty"` // at other loop counts too
	Exits   []eval.Exit   `json:"exits,omitempty"` // of a learned exit, at the grid's thresholds
	// FreeExits are the training-free exits of looped models, in the order of eval.ExitRules.
	FreeExits []eval.ExitView `json:"free_exits,omitempty"`
	// Primitives is how a model of text answers the reasoning primitives: eval.Primitives.
	Primitives *eval.PrimitiveResult `json:"primitives,omitempty"`
	// Similarity is the cosine between neighbouring blocks, by kind of weight, of unlooped models: regularize.Similarity.
	Similarity map[string]run.Number `json:"similarity,omitempty"`
	History    []Moment              `json:"history"`
}

// Moment is an evaluation on the way.
type Moment struct {
	Step   int        `json:"step"`
	Loss   run.Number `json:"loss"`
	Metric float64    `json:"metric"`
}

// ErrBusy is the error of a cell that another process trains.
var ErrBusy = errors.New("another process trains it")

// Train brings a cell to its end: it starts the cell, continues it or only measures it, or does nothing if it is finished.
// next is as for [train.Trainer.Run], and report is called with what happens. The error is ErrBusy if another process has the
// cell.
func (f *Folder) Train(c Cell, b backend.Backend, report func(train.Report), next func() run.Command) error {
	state, who, err := f.State(c)
	switch {
	case err != nil:
		return err
	case state == Done:
		return nil
	case state == Running:
		return fmt.Errorf("%s: %w (%s)", c.Title(), ErrBusy, who)
	}
	from, err := f.trainEarly(c, b, report, next)
	if errors.Is(err, run.ErrLocked) {
		return fmt.Errorf("%s: %w", c.Title(), ErrBusy)
	} else if err != nil {
		return err
	}
	t, err := train.New(c.Config, b, report)
	if err != nil {
		return err
	}
	defer t.Close()
	r, err := f.begin(c, from, t, b)
	if errors.Is(err, run.ErrLocked) {
		return fmt.Errorf("%s: %w", c.Title(), ErrBusy)
	} else if err != nil {
		return err
	}
	defer r.Close()
	if c.finished(r) == nil { // by another process, since the cell was read
		return nil
	}
	if !ended(r) || t.Done() < c.Config.Train.Steps && c.Config.Train.Time == 0 {
		if err := t.Run(r, next); err != nil {
			return err
		}
	}
	m, err := f.measure(c, t, r, b)
	if err != nil {
		return err
	}
	return writeMeasures(r.Path(), m)
}

// begin makes the cell's run, with grown weights if it starts from a checkpoint, or opens it where it stopped. The error is
// run.ErrLocked if another process has it, or made it first.
func (f *Folder) begin(c Cell, from run.Checkpoint, t *train.Trainer, b backend.Backend) (r *run.Run, err error) {
	path := f.RunPath(c)
	if _, err := run.View(path); err != nil {
		return f.create(c, from, t, b)
	}
	if r, err = run.Open(path); err != nil {
		return nil, err
	}
	if err := resume(c, t, r); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (f *Folder) create(c Cell, from run.Checkpoint, t *train.Trainer, b backend.Backend) (r *run.Run, err error) {
	path := f.RunPath(c)
	if from.Path != "" {
		if err := t.Begin(from, c.grow.growth()); err != nil {
			return nil, err
		}
	}
	first, err := t.First()
	if err != nil {
		return nil, err
	}
	i := b.Info()
	err = f.exclusive(func() error {
		if _, err := run.View(path); err == nil {
			return fmt.Errorf("%w: another process has just made it", run.ErrLocked)
		}
		if err := c.Config.Task.Absolute(); err != nil {
			return err
		}
		r, err = run.CreateAt(path, c.Config.Encode(), run.Info{Name: c.Name, Args: os.Args, Seed: c.Seed,
			Backend: i.Name, Device: i.Device, Variants: train.Variants(i), Parameters: int64(t.Model.Size), WarmStart: t.WarmStart}, first...)
		return err
	})
	return r, err
}

// resume sets the trainer to where the run was left, after looking whether it is the run of this cell.
func resume(c Cell, t *train.Trainer, r *run.Run) error {
	if err := c.isOf(r); err != nil {
		return err
	}
	from, err := r.Latest()
	if err != nil && !errors.Is(err, run.ErrNoCheckpoint) {
		return err
	}
	if from.Path != "" {
		if err := t.Resume(from); err != nil {
			return err
		}
	} else if r.Info().WarmStart != nil {
		return fmt.Errorf("the run in %s was killed before it saved its first weights; remove it, and the cell starts again", r.Path())
	}
	if ended(r) {
		return nil
	}
	return r.Rewind(from.Step)
}

// ended reports whether the run has done all its steps and recorded it.
func ended(r *run.Run) bool {
	h, _ := r.History()
	return h.Ended()
}

// measure measures the weights that training has ended with.
func (f *Folder) measure(c Cell, t *train.Trainer, r *run.Run, b backend.Backend) (Measures, error) {
	m, i := t.Model, b.Info()
	a := m.Architecture
	out := Measures{Config: c.values(), Model: a.String(), Layers: a.Layers(), Depth: a.Depth(), Parameters: int64(m.Size), FLOPs: int64(c.Config.TrainingFLOPs(m)),
		Steps: c.Config.Train.Steps, Tokens: int64(c.Config.Train.Steps) * int64(c.Config.Train.Batch) * int64(m.Length),
		Backend: i.Name, Device: i.Device, Metric: t.Task.Metric()}
	h, _ := r.History() // lines that are garbled say nothing
	out.Seconds = h.Seconds
	losses := map[float64]run.Number{} // by step
	for _, p := range h.HeldOut.Points(run.Loss.Key()) {
		losses[p.Step] = run.Number(p.Y)
	}
	for _, p := range h.HeldOut.Points(run.Judged(t.Task.Metric()).Key()) {
		out.History = append(out.History, Moment{int(p.Step), losses[p.Step], p.Y})
	}
	checkpoint, err := r.Latest()
	if err != nil {
		return out, err
	}
	trained, err := train.LoadModel(b, m, t.Task, checkpoint)
	if err != nil {
		return out, err
	}
	defer trained.Weights.Free()
	results, err := heldOut(c, trained, loopCounts(a.Count(), f.Grid.Measure.Loops))
	if err != nil {
		return out, err
	}
	for _, res := range results {
		if res.Loops == a.Count() {
			out.HeldOut = res
		}
	}
	if len(results) > 1 {
		out.Loops = results
	}
	if q := f.Grid.Measure.Exits; len(q) > 0 && m.Loops.LearnedExit() {
		if out.Exits, err = exits(c, trained, q); err != nil {
			return out, err
		}
	}
	if f.Grid.Measure.FreeExits && a.Count() > 1 {
		if out.FreeExits, err = freeExits(c, trained); err != nil {
			return out, err
		}
	}
	if f.Grid.Measure.Primitives > 0 {
		if out.Primitives, err = f.primitives(c, trained); err != nil {
			return out, err
		}
	}
	if f.Grid.Measure.Similarity && a.Layers() == a.Depth() && a.Layers() > 1 {
		out.Similarity, err = similarity(m, trained.Weights, max(1, c.Config.Regularize.Block))
	}
	return out, err
}

// loopCounts returns the counts at which a model with this number of loops is evaluated.
func loopCounts(loops, times int) []int {
	if times == 0 || loops == 1 {
		return []int{loops}
	}
	var counts []int
	for n := 1; n <= loops*times; n++ {
		counts = append(counts, n)
	}
	return counts
}

// heldOut evaluates on the examples of training's last evaluation.
func heldOut(c Cell, m eval.Trained, counts []int) ([]eval.Result, error) {
	examples := c.Config.Evaluate.Final
	e, err := eval.New(m, min(examples, c.Config.Train.Batch), counts)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.Run(train.HeldOutSeed, examples, nil)
}

// exits measures a learned exit on the same examples.
func exits(c Cell, m eval.Trained, thresholds []float64) ([]eval.Exit, error) {
	examples := c.Config.Evaluate.Final
	g, err := eval.NewGateEvaluator(m, min(examples, c.Config.Train.Batch))
	if err != nil {
		return nil, err
	}
	defer g.Close()
	return g.Sweep(train.HeldOutSeed, examples, thresholds, nil)
}

// freeExits measures the training-free exits on the same examples.
func freeExits(c Cell, m eval.Trained) ([]eval.ExitView, error) {
	examples, loops := c.Config.Evaluate.Final, m.Model.Architecture.Count()
	k, err := eval.NewProbe(m, min(examples, c.Config.Train.Batch), loops)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	l := eval.NewLensStats(loops, len(m.Task.Kinds()), eval.ExitRules(loops))
	if err := k.Each(train.HeldOutSeed, examples, nil, l.Add); err != nil {
		return nil, err
	}
	return l.Exits(), nil
}

// primitives lets a model of text answer the reasoning primitives with the loops that it was trained with.
func (f *Folder) primitives(c Cell, m eval.Trained) (*eval.PrimitiveResult, error) {
	p, err := f.Grid.Measure.primitives(m.Task)
	if err != nil {
		return nil, err
	}
	results, err := p.Run(m, 4*c.Config.Train.Batch, []int{m.Model.Architecture.Count()}, nil)
	if err != nil {
		return nil, err
	}
	return &results[0], nil
}

// similarity is the mean cosine between neighbouring blocks of k layers, by kind of weight, and their mean.
func similarity(m *model.Model, weights graph.Buffer, k int) (map[string]run.Number, error) {
	x := make([]float32, m.Size)
	if err := weights.Read(0, x); err != nil {
		return nil, err
	}
	arena := graph.Tensor{Storage: 1, Rows: 1, Cols: m.Size, Stride: m.Size}
	values := map[string]run.Number{}
	var sum float64
	groups := m.WeightGroups()
	for _, g := range groups {
		var layers [][]float32
		for _, v := range g.Views(arena) {
			w := make([]float32, 0, v.Size())
			for row := range v.Rows {
				at := v.Offset + row*v.Stride
				w = append(w, x[at:at+v.Cols]...)
			}
			layers = append(layers, w)
		}
		r := regularize.Similarity(k, layers)
		values[g.Name] = run.Number(r)
		sum += r
	}
	if mean := sum / float64(len(groups)); !math.IsNaN(mean) {
		values[meanSimilarity] = run.Number(mean)
	}
	return values, nil
}

// meanSimilarity is the name of the mean over the kinds of weights.
const meanSimilarity = "mean"
