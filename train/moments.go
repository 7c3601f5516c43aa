package train

import (
	"fmt"

	"coil/optim"
	"coil/run"
	"coil/run/safetensors"
)

// shape is the shape of the tensor in a file: a vector has one dimension.
func (p momentPart) shape() []int {
	if p.Rows == 1 {
		return []int{p.Cols}
	}
	return []int{p.Rows, p.Cols}
}

// readMoment reads what an optimizer kept, of all parameters in the order of m.
func readMoment(c run.Checkpoint, o optim.Optimizer, m *moment) ([]float32, error) {
	x := make([]float32, m.len)
	err := withFile(c, optimizerFile, func(f *safetensors.File) error {
		if _, flat := f.Lookup(m.name); flat {
			return readFlat(c, f, o, m, x)
		}
		for _, p := range m.parts {
			values, err := readTensor(f, p.key(), p.shape())
			if err != nil {
				return err
			}
			copy(x[p.offset:], values)
		}
		return nil
	})
	return x, err
}

// readFlat reads a checkpoint whose moments are one long tensor, as they were before they had the names of their parameters.
// They are in the order in which the parameters are in the checkpoint's own weights.
func readFlat(c run.Checkpoint, f *safetensors.File, o optim.Optimizer, m *moment, into []float32) error {
	var had []optim.Parameter
	err := withFile(c, weightsFile, func(f *safetensors.File) error {
		for _, info := range f.Tensors() {
			switch p := (optim.Parameter{Name: info.Name, Rows: 1}); len(info.Shape) {
			case 1:
				p.Cols = info.Shape[0]
				had = append(had, p)
			case 2:
				p.Rows, p.Cols = info.Shape[0], info.Shape[1]
				had = append(had, p)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, was := range momentsOf(o, had) {
		if was.name != m.name {
			continue
		}
		x, err := readTensor(f, m.name, []int{was.len})
		if err != nil {
			return err
		}
		at := map[string]momentPart{}
		for _, p := range was.parts {
			at[p.parameter] = p
		}
		for _, p := range m.parts {
			from, ok := at[p.parameter]
			if !ok || from.State != p.State {
				return fmt.Errorf("%w: no %s of the configuration's shape for %q", ErrOtherModel, m.name, p.parameter)
			}
			copy(into[p.offset:], x[from.offset:from.offset+from.Len()])
		}
	}
	return nil
}
