package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"coil/backend"
	"coil/model"
	"coil/run"
	"coil/run/safetensors"
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

// checkpoint saves, and removes the checkpoints that are too old.
func (t *Trainer) checkpoint() error {
	if err := t.save(); err != nil {
		return err
	}
	if keep := t.Config.Checkpoint.Keep; keep > 0 {
		return t.run.Prune(keep)
	}
	return nil
}

// save writes a checkpoint, unless this step has one already. Weights that are not finite are refused, so that they
// never take the place of a good checkpoint.
func (t *Trainer) save() error {
	if t.saved == t.done {
		return nil
	}
	defer t.now.enter(t.now.enter(run.PhaseSaving))
	weights := make([]float32, t.Model.Size)
	if err := t.state.weights.Read(0, weights); err != nil {
		return err
	}
	if slices.ContainsFunc(weights, func(x float32) bool { return bad(float64(x)) }) {
		return &DivergedError{Step: t.done, Loss: t.last.Loss, Norm: t.last.Norm, Overflow: true, Rate: t.Config.Train.RateAt(t.done - 1)}
	}
	meta := map[string]string{"format": "coil", "layers": t.Config.Model.Layers}
	files := []run.FileWriter{
		{Name: weightsFile, Write: func(w io.Writer) error { return writeParameters(w, t.Model, weights, meta) }},
		{Name: optimizerFile, Write: func(w io.Writer) error {
			var ts []safetensors.Tensor
			for _, m := range t.state.moments {
				x := make([]float32, m.buffer.Len())
				if err := m.buffer.Read(0, x); err != nil {
					return err
				}
				ts = append(ts, safetensors.Tensor{Name: m.name, Shape: []int{len(x)}, Data: x})
			}
			return safetensors.Write(w, ts, meta)
		}},
	}
	if t.state.average != nil {
		files = append(files, run.FileWriter{Name: averageFile, Write: func(w io.Writer) error {
			x := make([]float32, t.Model.Size)
			if err := t.state.average.Read(0, x); err != nil {
				return err
			}
			return writeParameters(w, t.Model, x, meta)
		}})
	}
	p := position{t.done, t.tokens, t.last.Loss, t.last.Norm, t.Config.FixedKeys()}
	if _, err := t.run.Save(t.done, p, files); err != nil {
		return err
	}
	t.saved = t.done
	return t.event(Report{Event: run.Event{Kind: run.KindCheckpoint, Step: t.done}})
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
	if !p.Decay {
		return []int{p.Cols}
	}
	return []int{p.Rows, p.Cols}
}

// ErrOtherModel is the error of a checkpoint that does not fit the configuration.
var ErrOtherModel = errors.New("the checkpoint is of another model")

// Resume loads a checkpoint into a new trainer.
func (t *Trainer) Resume(c run.Checkpoint) error {
	var p position
	if err := json.Unmarshal(c.Meta, &p); err != nil {
		return fmt.Errorf("checkpoint %s: %w", c.Path, err)
	}
	if err := LoadWeights(c, t.Model, t.state.weights, false); err != nil {
		return err
	}
	if err := t.Config.Agrees(p.Config); err != nil {
		return fmt.Errorf("%w: %s was trained with %w", ErrOtherModel, c.Path, err)
	}
	if t.state.average != nil {
		if err := LoadWeights(c, t.Model, t.state.average, true); err != nil {
			return err
		}
	}
	err := withFile(c, optimizerFile, func(f *safetensors.File) error {
		for _, m := range t.state.moments {
			if err := readInto(f, m.name, []int{m.buffer.Len()}, m.buffer, 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.done, t.tokens, t.saved, t.last = p.Step, p.Tokens, p.Step, Metrics{Loss: p.Loss, Norm: p.Norm}
	return nil
}

// LoadWeights reads the weights of a checkpoint into a buffer: with average those that evaluation uses, if the
// checkpoint has an average.
func LoadWeights(c run.Checkpoint, m *model.Model, b backend.Buffer, average bool) error {
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
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	return nil
}

// readInto reads a tensor of the given shape to a place in a buffer.
func readInto(f *safetensors.File, name string, shape []int, b backend.Buffer, offset int) error {
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
