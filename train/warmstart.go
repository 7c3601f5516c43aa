package train

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"coil/config"
	"coil/loop"
	"coil/model"
	"coil/run"
	"coil/run/safetensors"
)

// Parameters that start with exitGate only read the state, so they may start as in any run, or be left behind.
const exitGate = "exit."

// Begin gives a trainer that has not trained the weights of a checkpoint of another run: those that evaluation uses
// there. Steps and moments begin anew. Layers that the checkpoint has not got are grown from its own, as g says. All
// other parameters must have the shapes that they have there; only of what belongs to the loops by their numbers, a model of fewer loops
// takes that of the first, and one of more repeats that of the last, as evaluation at other loop counts does. A learned exit that is not
// there begins as in any run, and one that is not wanted is left behind.
//
// Run then saves these weights as the checkpoint of step 0, and the other run is needed no more. The error of a tensor
// that does not fit is ErrOtherModel, that of a growth which does not end at the model [loop.ErrGrowth].
func (t *Trainer) Begin(c run.Checkpoint, g loop.Growth) error {
	had, err := configAt(c)
	if err != nil {
		return err
	}
	a, err := loop.Parse(had["model.layers"])
	if err != nil {
		return fmt.Errorf("checkpoint %s: model.%w", c.Path, err)
	}
	to := t.Model.Architecture
	if had, want := a.Layers(), to.Layers(); g == (loop.Growth{}) && had != want {
		advice := ""
		if had < want {
			advice = "; layers can be added by " + strings.Join(loop.Methods(), ", ")
		}
		return fmt.Errorf("%w: %s is of %s, the configuration of %s (layers: %d, not %d)%s", ErrOtherModel, c.Path, a, to, want, had, advice)
	}
	layers, err := a.Grow(to, g)
	if err != nil {
		return err
	}
	if g.Method == "unroll" {
		if err := t.unrolls(had); err != nil {
			return err
		}
	}
	arena := t.Model.Initialize(t.Config.Train.Seed)
	if err := withFile(c, evaluatedFile(c), func(f *safetensors.File) error { return inherit(f, t.Model, layers, arena) }); err != nil {
		return err
	}
	if err := t.state.begin(0, arena); err != nil {
		return err
	}
	path, err := filepath.Abs(filepath.Dir(filepath.Dir(c.Path)))
	if err != nil {
		return err
	}
	t.WarmStart = &run.WarmStart{Run: path, Step: c.Step, Model: a.String(), Grown: g.String(), Changed: t.changed(had)}
	return nil
}

// BeginWith gives a trainer that has not trained first weights that were made elsewhere, in the order of its model's parameters.
// The run notes the remark, which says where they come from. It must be made with the checkpoint of [Trainer.First].
func (t *Trainer) BeginWith(weights []float32, remark string) error {
	if len(weights) != t.Model.Size {
		panic("train: weights of another model")
	}
	t.given, t.remarks = true, append(t.remarks, remark)
	return t.state.begin(0, weights)
}

// configAt is what the configuration was at a checkpoint: the values of [config.Config.FixedKeys], texts without quotes.
func configAt(c run.Checkpoint) (map[string]string, error) {
	p, err := positionAt(c)
	if err != nil {
		return nil, err
	}
	had := config.FixedBefore(p.Config)
	for key, v := range had {
		if text, err := strconv.Unquote(v); err == nil {
			had[key] = text
		}
	}
	return had, nil
}

// unrolls returns an error if a loop is more than its layers, before or after.
func (t *Trainer) unrolls(had map[string]string) error {
	m := t.Config.Model
	for _, key := range []struct{ name, plain, now string }{
		{"model.injection", "none", string(m.Injection)},
		{"model.loop_embedding", "false", strconv.FormatBool(m.LoopEmbedding)},
		{"model.loop_norm", "false", strconv.FormatBool(m.LoopNorm)},
		{"model.residual_scale", "none", string(m.ResidualScale)},
		{"model.carry", "state", string(m.Carry)},
		{"model.hyper_connections", "0", strconv.Itoa(m.Streams)},
	} {
		for _, v := range []string{had[key.name], key.now} {
			if v == key.plain {
				continue
			}
			if key.plain == "none" || key.plain == "state" {
				v = strconv.Quote(v)
			}
			return fmt.Errorf("%w: with %s = %s a loop does more than its layers, and can't be unrolled", loop.ErrGrowth, key.name, v)
		}
	}
	return nil
}

// changed lists the keys of the model that had another value, with that; layers aside.
func (t *Trainer) changed(had map[string]string) []string {
	var changed []string
	now := t.Config.FixedKeys()
	for _, key := range slices.Sorted(maps.Keys(now)) {
		v := now[key]
		if text, err := strconv.Unquote(v); err == nil {
			v = text
		}
		if strings.HasPrefix(key, "model.") && key != "model.layers" && had[key] != v {
			changed = append(changed, fmt.Sprintf("%s = %s", key, had[key]))
		}
	}
	return changed
}

// inherit reads the parameters of m from a file in which layer layers[i] is what layer i of m begins as.
func inherit(f *safetensors.File, m *model.Model, layers []int, arena []float32) error {
	taken := map[string]bool{}
	for _, p := range m.Parameters {
		name, into := p.Counterpart(layers), arena[p.Offset:p.Offset+p.Size()]
		taken[name] = true
		shape := shapeOf(p)
		info, ok := f.Lookup(name)
		if !ok && strings.HasPrefix(name, exitGate) {
			continue
		}
		if n := p.LoopRows; ok && n > 0 && len(info.Shape) == 2 && info.Shape[0] > 0 && info.Shape[0]%n == 0 {
			shape[0] = info.Shape[0]
		}
		x, err := readTensor(f, name, shape)
		if err != nil {
			return err
		}
		for n := copy(into, x); n < len(into); {
			n += copy(into[n:], x[len(x)-p.LoopRows*p.Cols:])
		}
	}
	for _, info := range f.Tensors() {
		if !taken[info.Name] && !strings.HasPrefix(info.Name, exitGate) {
			return fmt.Errorf("%w: tensor %q of the shape %v is not in the configuration's", ErrOtherModel, info.Name, info.Shape)
		}
	}
	return nil
}
