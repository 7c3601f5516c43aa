package doctor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"coil/metal"
	"coil/shaders"
)

// Verdict is what a first run remembers of a GPU, for as long as chip, system and shaders are the same.
type Verdict struct {
	Chip     string         `json:"chip"`
	Build    string         `json:"build"` // of the operating system
	Shaders  string         `json:"shaders"`
	Time     time.Time      `json:"time"`
	Problems []string       `json:"problems"`
	Variants metal.Variants `json:"variants"` // of kernels, with which it computes what it should
	// TensorShapes are the shapes of products that were tried with Metal 4's tensor operations, and whether they use them.
	TensorShapes map[string]bool `json:"tensor_shapes,omitempty"`

	path string
}

// Tensors are the tensor operations that products may use. What probes find is remembered with the verdict; a failure to
// write it costs a probe the next time.
func (v *Verdict) Tensors() *metal.Tensors {
	return &metal.Tensors{Shapes: v.TensorShapes, Remember: func(shapes map[string]bool) {
		v.TensorShapes = shapes
		remember(v.path, *v)
	}}
}

// FirstRun examines a device shortly, unless it has been found well before. open opens the device; it is closed again.
// folder is where verdicts are kept, which may be missing. The verdict has the variants of kernels to use; examined says whether
// there was anything to do.
func FirstRun(folder string, open func() (metal.Device, error), o Options) (v *Verdict, examined bool, err error) {
	d, err := open()
	if err != nil {
		return nil, false, err
	}
	want := Verdict{Chip: d.Description().Name, Build: system().Build, Shaders: fingerprint()}
	want.path = filepath.Join(folder, "metal-"+sum(want.Chip, want.Build, want.Shaders)+".json")
	if v, ok := known(want); ok {
		return v, false, d.Close()
	}
	o.Short = true
	r, err := Examine(d, o)
	if err != nil {
		return nil, true, err
	}
	if r.Stopped {
		return nil, true, ErrStopped
	}
	if len(r.Problems) > 0 {
		return nil, true, fmt.Errorf("this GPU (%s, %s) computes wrong results: %s\nplease send the report that `coil doctor --json > report.json` writes; until a fix, train with --backend cpu",
			want.Chip, r.System.OS, r.Problems[0])
	}
	want.Time, want.Problems, want.Variants = r.Time, r.Problems, r.Variants
	return &want, true, remember(want.path, want)
}

// ErrStopped is the error of an examination that was asked to stop.
var ErrStopped = errors.New("stopped")

// known reports whether the file has a good verdict for the same device as want. A file that can't be read has none.
func known(want Verdict) (*Verdict, bool) {
	b, err := os.ReadFile(want.path)
	if err != nil {
		return nil, false
	}
	v := Verdict{path: want.path}
	ok := json.Unmarshal(b, &v) == nil && v.Chip == want.Chip && v.Build == want.Build && v.Shaders == want.Shaders && len(v.Problems) == 0 &&
		v.Variants.Check() == nil
	return &v, ok
}

// remember writes the verdict whole or not at all.
func remember(path string, v Verdict) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "metal-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all is well
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	err = os.Rename(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// fingerprint of all shaders, in all their forms.
func fingerprint() string {
	all := []string{shaders.Source(shaders.Tensors)}
	for _, name := range shaders.Names() {
		all = append(all, shaders.Source(name), shaders.Source(name, metal.Plainest().Definitions(metal.Description{})...))
	}
	return sum(all...)
}

func sum(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
