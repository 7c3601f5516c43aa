package doctor

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coil/backend/conformance"
	"coil/config"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// wrong is a GPU that gets a kernel wrong.
type wrong struct {
	metal.Device
	from, to string
}

func (w wrong) Library(name, source string) (metal.Library, error) {
	return w.Device.Library(name, strings.ReplaceAll(source, w.from, w.to))
}

// some is an examination of a part of the cases; unless the tests run in full, only of the named parts of the suite.
func some(every int, parts ...string) *less {
	if thorough.On() {
		parts = nil
	}
	return &less{every: every, parts: parts}
}

// small are sizes that an emulator computes in no time.
var small = sizes{tokens: 32, width: 128, length: 32, classes: 96, weights: 1000}

func open(t *testing.T) metal.Device { return emulatortest.Open(t, emulator.Options{}) }

func TestShort(t *testing.T) {
	told, subjects := 0, thorough.Cases(t, 4, "subjects", conformance.Subjects())
	r, err := Examine(open(t), Options{Short: true, Progress: func(any) { told++ }, less: &less{every: every * thorough.Every(t, 10, "cases"), parts: subjects}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) > 0 {
		t.Errorf("problems: %q", r.Problems)
	}
	if told != len(r.Shaders)+len(r.Kernels) || len(r.Shaders) < 8 || len(r.Kernels) != 2*len(subjects) {
		t.Errorf("%d shaders, %d findings, %d reports of progress", len(r.Shaders), len(r.Kernels), told)
	}
	trials := 0
	for _, k := range r.Kernels {
		if k.Worst > 1 {
			t.Errorf("%s: error %.2f of what is tolerated, and no problem", k.Subject, k.Worst)
		}
		trials += k.Trials
	}
	if trials < 10 || thorough.On() && trials < 100 {
		t.Errorf("only %d trials", trials)
	}
	if b, err := json.Marshal(r); err != nil || !strings.Contains(string(b), `"problems":[]`) {
		t.Errorf("as JSON: %v\n%s", err, b)
	}
}

// TestFull is the whole examination of a GPU whose arithmetic is as wrong as the Metal Shading Language Specification allows:
// denormal numbers are flushed, and precise functions are as far off as they may be. Its verdict is that all is well.
func TestFull(t *testing.T) {
	thorough.Skip(t)
	d := emulatortest.Open(t, emulator.Options{Flush: true, Functions: emulator.WorstPrecise})
	part := &less{every: 8, sizes: small, presets: []string{config.DefaultPreset}, batch: 1}
	r, err := Examine(named{d}, Options{less: part})
	if err != nil {
		t.Fatal(err)
	}
	measuresAll(t, r)
	if len(r.Problems) > 0 {
		t.Errorf("problems: %q", r.Problems)
	}
	for _, k := range r.Kernels {
		if k.Worst > 1 || len(k.Failures) > 0 {
			t.Errorf("%s, %s: error %.2f of what is tolerated, failures %q", k.Subject, k.Precision, k.Worst, k.Failures)
		}
	}
	if len(r.Kernels) != 2*len(Options{less: part}.suite()) || len(r.Speeds) != len(small.subjects())+1 || len(r.Steps) != 1 || r.Steps[0].Predicted <= 0 || r.Steps[0].Commands < 1 {
		t.Errorf("%d findings, %d speeds, steps %+v", len(r.Kernels), len(r.Speeds), r.Steps)
	}
}

func TestProblems(t *testing.T) {
	for name, x := range map[string]struct{ from, to, says string }{
		"a shader that does not compile":  {"kernel void journal_copy", "kernel viod journal_copy", "journal does not compile"},
		"a kernel that computes nonsense": {"0.044715f", "0.54715f", "activation, float32"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Examine(wrong{open(t), x.from, x.to}, Options{Short: true, less: some(60, "activation")})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(r.Problems, "\n"), x.says) {
				t.Errorf("problems %q do not say %q", r.Problems, x.says)
			}
		})
	}
}

func TestStop(t *testing.T) {
	r, err := Examine(open(t), Options{Short: true, Stop: func() bool { return true }})
	if err != nil || !r.Stopped || len(r.Kernels) != 1 {
		t.Errorf("%v, stopped %v after %d findings", err, r.Stopped, len(r.Kernels))
	}
}

func TestFirstRun(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "coil")
	opened := 0
	first := func(d metal.Device) (bool, error) {
		v, examined, err := FirstRun(folder, func() (metal.Device, error) { opened++; return d, nil }, Options{less: some(60, "activation", "state")})
		if err == nil && v.Variants.Check() != nil {
			t.Errorf("variants %v", v.Variants)
		}
		return examined, err
	}
	expect := func(label string, d metal.Device, want bool) {
		t.Helper()
		if examined, err := first(d); err != nil || examined != want {
			t.Errorf("%s: examined %v, %v; want %v", label, examined, err, want)
		}
	}
	if examined, err := first(wrong{open(t), "0.044715f", "0.54715f"}); err == nil || !examined || !strings.Contains(err.Error(), "coil doctor") {
		t.Errorf("a wrong GPU: examined %v, %v", examined, err)
	}
	expect("after a wrong one", open(t), true)
	expect("again", open(t), false)
	verdicts, _ := filepath.Glob(filepath.Join(folder, "*"))
	if len(verdicts) != 1 {
		t.Fatalf("files %q, want one verdict", verdicts)
	}
	if err := os.WriteFile(verdicts[0], []byte(`{"chip": "em`), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("with a garbled verdict", open(t), true)
	if _, _, err := FirstRun(folder, func() (metal.Device, error) { return nil, os.ErrNotExist }, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no device: %v", err)
	}
}
