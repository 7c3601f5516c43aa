package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"coil/encode"
	"coil/run"
)

// resultFormat is the version of a file of results.
const resultFormat = 1

// Result is what coil bench has measured.
type Result struct {
	Format         int      `json:"coil_bench"`
	Device         string   `json:"device"`
	Kernels        string   `json:"kernels"`
	Workers        int      `json:"workers"`
	Parts          []string `json:"parts"`
	Configurations []string `json:"configurations"`
	FixedShapes    bool     `json:"fixed_shapes"` // matmuls of Shapes instead of the model's
	Peak           float64  `json:"usual_peak"`   // the upper quartile of the peaks of multiply-adds, FLOP/s

	Machine    *Machine     `json:"machine,omitempty"`
	Matmuls    []Matmuls    `json:"matmuls,omitempty"`
	Operations []Operations `json:"operations,omitempty"`
	Steps      []Step       `json:"steps,omitempty"`
	Cores      []Cores      `json:"cores,omitempty"`
	Resident   int64        `json:"peak_resident_bytes"`           // of the process that measured, all configurations together
	Files      int64        `json:"resident_file_bytes,omitempty"` // of these, pages of files: the program's own
}

// Finish computes the figures from the rounds, which it needs all of: the upper quartile of all peaks decides which are discarded.
func (m *Meter) Finish(r *Result) {
	i := m.cpu.Info()
	r.Format, r.Device, r.Kernels, r.Workers, r.Peak = resultFormat, i.Device, i.Kernels, i.Workers, m.usual()
	r.finish()
}

func (r *Result) finish() {
	if r.Machine != nil {
		r.Machine.finish(r.Peak)
	}
	for i := range r.Matmuls {
		r.Matmuls[i].finish(r.Peak)
	}
	for i := range r.Operations {
		r.Operations[i].finish(r.Peak)
	}
	for i := range r.Steps {
		r.Steps[i].finish(r.Peak)
	}
}

// Counted is a row of a result, and how many rounds it has.
type Counted struct {
	Name string
	Count
}

// Counts lists the rounds of all that was measured.
func (r *Result) Counts() []Counted {
	var cs []Counted
	for _, s := range r.Steps {
		cs = append(cs, Counted{"steps of " + s.Name, s.Count})
	}
	if r.Machine != nil {
		cs = append(cs, Counted{"the machine", r.Machine.Count})
	}
	for _, x := range r.Matmuls {
		for _, s := range x.Shapes {
			cs = append(cs, Counted{"matmul " + s.String(), s.Count})
		}
	}
	for _, o := range r.Operations {
		cs = append(cs, Counted{"operations of " + o.Name, o.Count})
	}
	return cs
}

// Save writes the result to a file that [Load] reads.
func (r *Result) Save(path string) error {
	var b bytes.Buffer
	if err := encode.JSON(&b, r); err != nil {
		return err
	}
	if err := run.ReplaceFile(path, b.Bytes()); err != nil {
		return fmt.Errorf("write the result to %s: %w", path, reason(err))
	}
	return nil
}

// Load reads the result that [Result.Save] wrote.
func Load(path string) (*Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the result in %s: %w", path, reason(err))
	}
	var head struct {
		Format *int `json:"coil_bench"`
	}
	if json.Unmarshal(b, &head) != nil || head.Format == nil {
		return nil, fmt.Errorf("%s: not a result of coil bench; coil bench --save FILE writes one", path)
	}
	if *head.Format != resultFormat {
		return nil, fmt.Errorf("%s: a result in format %d of another version of coil; this one reads format %d", path, *head.Format, resultFormat)
	}
	r := &Result{}
	if json.Unmarshal(b, r) != nil {
		return nil, fmt.Errorf("%s: the result is damaged: a value has the wrong type; measure again with --save", path)
	}
	if what := r.fault(); what != "" {
		return nil, fmt.Errorf("%s: the result is damaged: %s; measure again with --save", path, what)
	}
	r.finish()
	return r, nil
}

// reason is what the system says about a file, without its name.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// fault says what no measurement gives, or nothing.
func (r *Result) fault() string {
	positive := func(x float64) bool { return x > 0 && x <= math.MaxFloat64 }
	measured := len(r.Counts()) > 0
	if measured && !positive(r.Peak) || r.Workers < 1 {
		return fmt.Sprintf("a usual peak of %g with %d workers", r.Peak, r.Workers)
	}
	rounds := func(name string, rs Rounds) string {
		if len(rs) > MoreRounds*MostRounds || len(rs.quiet(r.Peak)) > MostRounds {
			return fmt.Sprintf("%s has %d rounds, more than coil bench measures", name, len(rs))
		}
		for i, x := range rs {
			if !positive(x.Seconds) || !positive(x.Before) || !positive(x.After) {
				return fmt.Sprintf("round %d of %s: %g seconds between peaks of %g and %g", i+1, name, x.Seconds, x.Before, x.After)
			}
		}
		return ""
	}
	var faults []string
	if r.Machine != nil {
		faults = append(faults, rounds("the machine", r.Machine.Rounds))
	}
	for _, s := range r.Steps {
		faults = append(faults, rounds("the steps of "+s.Name, s.Rounds))
	}
	for _, x := range r.Matmuls {
		for _, s := range x.Shapes {
			for i := range layouts {
				faults = append(faults, rounds("matmul "+s.String(), s.layout(i).Rounds))
			}
			if len(s.NT.Rounds) != len(s.NN.Rounds) || len(s.TN.Rounds) != len(s.NN.Rounds) {
				faults = append(faults, "matmul "+s.String()+" lacks rounds")
			}
		}
	}
	for _, x := range r.Operations {
		faults = append(faults, rounds("the operations of "+x.Name, x.Rounds))
		for _, o := range x.Ops {
			if len(o.Took) != len(x.Rounds) {
				faults = append(faults, fmt.Sprintf("%s of %s has %d times in %d rounds", o.Name, x.Name, len(o.Took), len(x.Rounds)))
			}
			for _, t := range o.Took {
				if !positive(t) {
					faults = append(faults, fmt.Sprintf("%s of %s took %g seconds", o.Name, x.Name, t))
				}
			}
		}
	}
	for _, f := range faults {
		if f != "" {
			return f
		}
	}
	return ""
}
