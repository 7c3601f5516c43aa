package metal_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"coil/metal"
)

// sameLosses compares the losses of two runs.
func sameLosses(t *testing.T, got, want trained) {
	t.Helper()
	if len(got.losses) != len(want.losses) || len(want.losses) == 0 {
		t.Fatalf("%d losses, want %d", len(got.losses), len(want.losses))
	}
	for i, l := range want.losses {
		if d := math.Abs(got.losses[i]-l) / l; !(d < 2e-5) {
			t.Errorf("step %d: loss %.8g, want %.8g", i+1, got.losses[i], l)
		}
	}
}

// TestLibraryFails: where a shader does not compile, training goes on with a plainer variant, or says what is wrong.
func TestLibraryFails(t *testing.T) {
	want, err := trainOn(t, tiny(), onCPU(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	const text = "program_source:3:1: error: unknown type name 'flaot'"
	for file, plainer := range map[string]string{"attention": "unfused", "norm": "", "matmul": "", "journal": ""} {
		t.Run(file, func(t *testing.T) {
			d := newFailing(t)
			d.library = func(name string) error {
				if name == file {
					return errors.New(text)
				}
				return nil
			}
			b := on(t, d, metal.Options{})
			defer b.Close()
			got, err := trainOn(t, tiny(), b, nil)
			if plainer == "" {
				if err == nil {
					t.Fatal("no error")
				}
				for _, s := range []string{file, text, "coil doctor --json", "--backend cpu"} {
					if !strings.Contains(err.Error(), s) {
						t.Errorf("error %q does not say %q", err, s)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sameLosses(t, got, want)
			for _, v := range b.Info().Variants {
				if v.Subject == file && (v.Name != plainer || !strings.Contains(v.Reason, text)) {
					t.Errorf("%+v, want variant %s because of %q", v, plainer, text)
				}
			}
		})
	}
}
