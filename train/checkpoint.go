package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"coil/backend"
	"coil/config"
	"coil/eval"
	"coil/graph"
	"coil/model"
	"coil/run"
	"coil/run/safetensors"
	"coil/task"
)

// The files of a checkpoint. The names in weights and average are those of [model.Parameter].
const (
	weightsFile   = "model.safetensors"
	averageFile   = "average.safetensors"
	optimizerFile = "optimizer.safetensors"
)

// position is the rest of a training state. Data and loop counts are functions of the seed and the step, so these two
// are also the position in the data and the state of every random stream.
type position struct {
	Step   int     `json:"step"`
	Tokens float64 `json:"tokens"`
	Loss   float64 `json:"loss"` // of the last step, as is the next
	Norm   float64 `json:"grad_norm"`
	// Config is what must not change on the way: see [config.Config.FixedKeys].
	Config map[string]string `json:"config"`
}

// circumstances describe how a training state was computed. Checkpoints of format 1 lack them.
type circumstances struct {
	// Kernels are those of the backend: only equal kernels compute equal bits.
	Kernels string `json:"kernels"`
	// Diverged says that the next step was not finite, so something may be wrong with the weights.
	Diverged bool `json:"diverged,omitempty"`
	// Config has the keys that may change.
	Config map[string]string `json:"config"`
	// Corpus identifies the text of a task that has any.
	Corpus string `json:"corpus,omitempty"`
}

// fingerprint identifies the text of a task, "" if it has none.
func fingerprint(t task.Task) string {
	if l, ok := t.(task.Language); ok {
		return l.Corpus().Fingerprint()
	}
	return ""
}

// circumstancesOf decodes those of a checkpoint; they are empty if it lacks them.
func circumstancesOf(c run.Checkpoint) circumstances {
	var about circumstances
	if c.About != nil && json.Unmarshal(c.About, &about) != nil {
		return circumstances{}
	}
	return about
}

// checkpoint saves, and removes the checkpoints that are too old. What can't be removed is noted, once.
func (t *Trainer) checkpoint() error {
	if err := t.save(false); err != nil {
		return err
	}
	keep := t.Config.Checkpoint.Keep
	if keep == 0 {
		return nil
	}
	return t.noteOnce(&t.unremoved, t.run.Prune(keep))
}

// noteOnce notes an error that does not end training, unless it was the last one noted.
func (t *Trainer) noteOnce(last *string, err error) error {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == *last {
		return nil
	}
	*last = text
	if text == "" {
		return nil
	}
	return t.note(text)
}

// note writes something to read among the events.
func (t *Trainer) note(text string) error {
	return t.event(Report{Event: run.Event{Kind: run.KindNote, Step: t.done, Text: text}})
}

// save writes a checkpoint, unless this step has one already. Weights that are not finite are refused, so that they
// never take the place of a good checkpoint.
func (t *Trainer) save(diverged bool) error {
	if t.saved == t.done {
		return nil
	}
	defer t.activity.enter(t.activity.enter(run.PhaseSaving))
	s, err := t.snapshot(diverged)
	if err != nil {
		return err
	}
	if _, err := t.run.SaveSnapshot(t.done, s); err != nil {
		return err
	}
	t.saved = t.done
	return t.event(Report{Event: run.Event{Kind: run.KindCheckpoint, Step: t.done, Seconds: new(run.Number(t.seconds))}})
}

// First returns the checkpoint that a run must have from its beginning if its weights came from another run or were given,
// because nothing else could restore them. It is empty if the first weights come from the seed.
func (t *Trainer) First() ([]run.Snapshot, error) {
	if t.WarmStart == nil && !t.given || t.done > 0 {
		return nil, nil
	}
	s, err := t.snapshot(false)
	if err != nil {
		return nil, err
	}
	return []run.Snapshot{s}, nil
}

// snapshot is the training state.
func (t *Trainer) snapshot(diverged bool) (run.Snapshot, error) {
	var s run.Snapshot
	weights := make([]float32, t.Model.Size)
	if err := t.state.weights.Read(0, weights); err != nil {
		return s, err
	}
	if slices.ContainsFunc(weights, func(x float32) bool { return notFinite(float64(x)) }) {
		return s, &DivergedError{Step: t.done, Loss: t.last.Loss, Norm: t.last.Norm, Overflow: true, Rate: t.Config.Train.RateAt(t.done-1, t.share)}
	}
	meta := map[string]string{"format": "coil", "layers": t.Config.Model.Layers}
	s.Files = []run.FileWriter{
		{Name: weightsFile, Write: func(w io.Writer) error { return writeParameters(w, t.Model, weights, meta) }},
		{Name: optimizerFile, Write: func(w io.Writer) error {
			var ts []safetensors.Tensor
			for _, m := range t.state.moments {
				x := make([]float32, m.len)
				if err := m.buffer.Read(0, x); err != nil {
					return err
				}
				for _, p := range m.parts {
					ts = append(ts, safetensors.Tensor{Name: p.key(), Shape: p.shape(), Data: x[p.offset : p.offset+p.Len()]})
				}
			}
			return safetensors.Write(w, ts, meta)
		}},
	}
	if t.state.average != nil {
		s.Files = append(s.Files, run.FileWriter{Name: averageFile, Write: func(w io.Writer) error {
			x := make([]float32, t.Model.Size)
			if err := t.state.average.Read(0, x); err != nil {
				return err
			}
			return writeParameters(w, t.Model, x, meta)
		}})
	}
	s.Meta = position{t.done, t.tokens, t.last.Loss, t.last.Norm, t.Config.FixedKeys()}
	s.About = circumstances{kernels(t.backend.Info()), diverged, free(&t.Config), fingerprint(t.Task)}
	return s, nil
}

// kernels names the kernels by which a backend computes.
func kernels(i backend.Info) string {
	s := i.Name + " " + i.Kernels
	for _, v := range i.Variants {
		s += fmt.Sprintf(", %s: %s", v.Subject, v.Name)
	}
	return s
}

// MayChange reports whether a key may have another value when a run continues.
func MayChange(key string) bool {
	c := config.Default()
	return !c.Fixed(key) && !strings.HasPrefix(key, "task.")
}

// free are the keys that may change on the way, with their values.
func free(c *config.Config) map[string]string {
	values := map[string]string{}
	for _, k := range c.Keys() {
		if MayChange(k.Name) {
			values[k.Name] = k.Value()
		}
	}
	return values
}

func writeParameters(w io.Writer, m *model.Model, x []float32, meta map[string]string) error {
	var ts []safetensors.Tensor
	for _, p := range m.Parameters {
		ts = append(ts, safetensors.Tensor{Name: p.Name, Shape: shapeOf(p), Data: x[p.Offset : p.Offset+p.Size()]})
	}
	return safetensors.Write(w, ts, meta)
}

// shapeOf is the shape of a parameter in a file: a vector has one dimension.
func shapeOf(p model.Parameter) []int {
	if !p.Decay && p.Rows == 1 && p.LoopRows == 0 { // a matrix of one row is still a matrix
		return []int{p.Cols}
	}
	return []int{p.Rows, p.Cols}
}

// ErrOtherModel is the error of a checkpoint that does not fit the configuration.
var ErrOtherModel = errors.New("the checkpoint is of another model")

// positionAt decodes the facts of a checkpoint beside its files.
func positionAt(c run.Checkpoint) (position, error) {
	var p position
	if err := json.Unmarshal(c.Meta, &p); err != nil {
		return p, fmt.Errorf("%w: checkpoint %s is not of a training run", ErrOtherModel, c.Path)
	}
	return p, nil
}

// Agrees returns an error, an ErrOtherModel that names the first key, if a checkpoint was trained with another value of a key
// that must not change.
func Agrees(c *config.Config, with run.Checkpoint) error {
	p, err := positionAt(with)
	if err != nil {
		return err
	}
	if err := c.Agrees(p.Config); err != nil {
		return fmt.Errorf("%w: %s was trained with %w", ErrOtherModel, with.Path, err)
	}
	return nil
}

// Changes lists the keys that may change and have another value than at a checkpoint: "train.rate = 0.1, was 0.01". known is
// false if the checkpoint lacks them, as in format 1.
func Changes(c *config.Config, since run.Checkpoint) (changes []string, known bool) {
	about := circumstancesOf(since)
	if about.Config == nil {
		return nil, false
	}
	now := free(c)
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if had, ok := about.Config[key]; ok && had != now[key] {
			changes = append(changes, fmt.Sprintf("%s = %s, was %s", key, now[key], had))
		}
	}
	return changes, true
}

// Verify returns an error unless a checkpoint whose bytes are whole holds what the configuration's model and optimizer need, in
// numbers that are finite.
func Verify(c *config.Config, checkpoint run.Checkpoint) error {
	if err := Agrees(c, checkpoint); err != nil {
		return err
	}
	tk, err := c.Task.New()
	if err != nil {
		return err
	}
	m, err := model.New(c.Model, c.Loops, len(tk.Vocabulary()), tk.Length())
	if err != nil {
		return err
	}
	o, err := c.Train.NewOptimizer()
	if err != nil {
		return err
	}
	for _, x := range momentsOf(o, optimized(m)) {
		if _, err := readMoment(checkpoint, o, x); err != nil {
			return err
		}
	}
	for _, file := range checkpoint.Files {
		err := withFile(checkpoint, file.Name, func(f *safetensors.File) error {
			for _, p := range m.Parameters {
				if file.Name == optimizerFile {
					break
				}
				if _, err := readTensor(f, p.Name, shapeOf(p)); err != nil {
					return err
				}
			}
			return finite(f)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// finite returns an error that names the first tensor with a number that is not finite.
func finite(f *safetensors.File) error {
	for _, info := range f.Tensors() {
		x := make([]float32, info.Size/4)
		if err := f.Read(info.Name, x); err != nil {
			return err
		}
		if slices.ContainsFunc(x, func(x float32) bool { return notFinite(float64(x)) }) {
			return fmt.Errorf("tensor %q has numbers that are not finite", info.Name)
		}
	}
	return nil
}

// Resume loads a checkpoint into a new trainer.
func (t *Trainer) Resume(c run.Checkpoint) error {
	p, err := positionAt(c)
	if err != nil {
		return err
	}
	if err := LoadWeights(c, t.Model, t.state.weights, false); err != nil {
		return err
	}
	if err := Agrees(&t.Config, c); err != nil {
		return err
	}
	if t.state.average != nil {
		if err := LoadWeights(c, t.Model, t.state.average, true); err != nil {
			return err
		}
	}
	for _, m := range t.state.moments {
		x, err := readMoment(c, t.state.optimizer, m)
		if err != nil {
			return err
		}
		if err := m.buffer.Write(0, x); err != nil {
			return err
		}
	}
	t.done, t.tokens, t.saved, t.last = p.Step, p.Tokens, p.Step, Metrics{Loss: p.Loss, Norm: p.Norm}
	t.remarks = nil
	if changes, _ := Changes(&t.Config, c); changes != nil {
		t.remarks = append(t.remarks, "since the checkpoint, these keys have changed: "+strings.Join(changes, "; "))
	}
	if had := circumstancesOf(c).Corpus; had != "" && had != fingerprint(t.Task) {
		t.remarks = append(t.remarks, "the text is not that of the checkpoint: from here on, training sees other sequences than it would have seen")
	}
	if had, now := circumstancesOf(c).Kernels, kernels(t.backend.Info()); had != "" && had != now {
		t.remarks = append(t.remarks, fmt.Sprintf("the checkpoint was computed by the kernels %s, and these are %s: results are as accurate, but not bit for bit those of a run with the old kernels throughout", had, now))
	}
	return nil
}

// Load makes the task and the model of a configuration, on a backend, with the weights of a checkpoint that evaluation uses.
// The caller frees the weights.
func Load(b backend.Backend, c config.Config, from run.Checkpoint) (eval.Trained, error) {
	t, err := c.Task.New()
	if err != nil {
		return eval.Trained{}, err
	}
	m, err := model.New(c.Model, c.Loops, len(t.Vocabulary()), t.Length())
	if err != nil {
		return eval.Trained{}, err
	}
	return LoadModel(b, m, t, from)
}

// LoadModel is Load for callers that have the model and its task.
func LoadModel(b backend.Backend, m *model.Model, t task.Task, from run.Checkpoint) (eval.Trained, error) {
	if err := task.Prepare(t, nil); err != nil {
		return eval.Trained{}, err
	}
	weights, err := b.NewBuffer(m.Size)
	if err != nil {
		return eval.Trained{}, err
	}
	if err := LoadWeights(from, m, weights, true); err != nil {
		weights.Free()
		return eval.Trained{}, err
	}
	return eval.Trained{Backend: b, Model: m, Task: t, Weights: weights}, nil
}

// LoadWeights reads the weights of a checkpoint into a buffer: with average those that evaluation uses, if the
// checkpoint has an average.
func LoadWeights(c run.Checkpoint, m *model.Model, b graph.Buffer, average bool) error {
	name := weightsFile
	if average {
		name = evaluatedFile(c)
	}
	return withFile(c, name, func(f *safetensors.File) error {
		for _, p := range m.Parameters {
			if err := readInto(f, p.Name, shapeOf(p), b, p.Offset); err != nil {
				return err
			}
		}
		if n := len(f.Tensors()); n != len(m.Parameters) {
			return fmt.Errorf("%w: it has %d tensors, the configuration's model %d", ErrOtherModel, n, len(m.Parameters))
		}
		return nil
	})
}

// evaluatedFile is the file with the weights that evaluation uses.
func evaluatedFile(c run.Checkpoint) string {
	if slices.ContainsFunc(c.Files, func(f run.CheckpointFile) bool { return f.Name == averageFile }) {
		return averageFile
	}
	return weightsFile
}

func withFile(c run.Checkpoint, name string, read func(*safetensors.File) error) error {
	file, size, err := c.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	f, err := safetensors.Read(file, size)
	if err == nil {
		err = read(f)
	}
	switch {
	case errors.Is(err, safetensors.ErrFormat):
		return fmt.Errorf("%s is %w: %w", file.Name(), run.ErrDamaged, err)
	case err != nil:
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	return nil
}

// readInto reads a tensor of the given shape to a place in a buffer.
func readInto(f *safetensors.File, name string, shape []int, b graph.Buffer, offset int) error {
	x, err := readTensor(f, name, shape)
	if err != nil {
		return err
	}
	return b.Write(offset, x)
}

func readTensor(f *safetensors.File, name string, shape []int) ([]float32, error) {
	info, ok := f.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("%w: no tensor %q", ErrOtherModel, name)
	}
	n := 1
	same := len(info.Shape) == len(shape)
	for i, s := range shape {
		n *= s
		same = same && info.Shape[i] == s
	}
	if !same {
		return nil, fmt.Errorf("%w: tensor %q has the shape %v, the configuration's %v", ErrOtherModel, name, info.Shape, shape)
	}
	x := make([]float32, n)
	return x, f.Read(name, x)
}
