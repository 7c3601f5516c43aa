package doctor

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// TestChoose rehearses what a device may do wrong: the report has the variants that are right, with the reason, or the problem.
func TestChoose(t *testing.T) {
	const text = "program_source:3:1: error: unknown type name 'flaot'"
	pretend := func(g emulator.GPU) metal.Device { return emulatortest.Open(t, emulator.Options{GPU: g}) }
	cases := map[string]struct {
		device   metal.Device
		variants [3]string // of sums, matmul and attention
		reason   string    // against a faster one
		problem  string
	}{
		"the oldest GPU":               {pretend(emulator.GPU{Family: 5}), [3]string{"threadgroup memory", "plain", "unfused"}, "family Apple5", ""},
		"attention does not compile":   {pretend(emulator.GPU{Libraries: map[string]string{"attention": text}}), [3]string{"SIMD-group functions", "SIMD-group matrices", "unfused"}, text, ""},
		"attention has no pipeline":    {pretend(emulator.GPU{Pipelines: map[string]string{"attention_16": text, "attention_32": text, "attention_64": text}}), [3]string{"SIMD-group functions", "SIMD-group matrices", "unfused"}, text, ""},
		"attention is wrong":           {pretend(emulator.GPU{Wrong: map[string]bool{"attention_16": true, "attention_32": true, "attention_64": true}}), [3]string{"SIMD-group functions", "SIMD-group matrices", "unfused"}, "attention, float32: ", ""},
		"products are wrong":           {pretend(emulator.GPU{Wrong: map[string]bool{"matmul_nn_32": true, "matmul_nt_32": true, "matmul_tn_32": true}}), [3]string{"SIMD-group functions", "plain", "fused, scores in registers"}, "matmul, float32: ", ""},
		"SIMD-groups have no matrices": {pretend(emulator.GPU{Lacks: []string{"simdgroup_multiply_accumulate"}}), [3]string{"SIMD-group functions", "plain", "unfused"}, "air.simdgroup_multiply_accumulate", ""},
		"SIMD-groups add up wrongly":   {wrong{open(t), "simd_sum(", "1.5f * simd_sum("}, [3]string{"threadgroup memory", "SIMD-group matrices", "fused, scores in registers"}, "float32: ", ""},
		"the journal does not compile": {pretend(emulator.GPU{Libraries: map[string]string{"journal": text}}), [3]string{"threadgroup memory", "SIMD-group matrices", "fused, scores in registers"}, text, "shader journal does not compile"},
		"norms are wrong":              {pretend(emulator.GPU{Wrong: map[string]bool{"norm_forward_1": true, "norm_forward_2": true, "norm_forward_8": true}}), [3]string{"SIMD-group functions", "SIMD-group matrices", "fused, scores in registers"}, "", "norm, float32: "},
	}
	for _, name := range thorough.Cases(t, 9, "faults", slices.Sorted(maps.Keys(cases))) {
		x := cases[name]
		t.Run(name, func(t *testing.T) {
			r, err := Examine(x.device, Options{Short: true, less: some(24*thorough.Every(t, 6, "cases"), "matmul", "norm", "attention", "sums")})
			if err != nil {
				t.Fatal(err)
			}
			reasons := ""
			for i, v := range r.Variants {
				if reasons += v.Reason + "\n"; v.Name != x.variants[i] {
					t.Errorf("%s: %s, want %s", v.Subject, v.Name, x.variants[i])
				}
			}
			if !strings.Contains(reasons, x.reason) {
				t.Errorf("reasons %q do not say %q", reasons, x.reason)
			}
			problems := strings.Join(r.Problems, "\n")
			if x.problem == "" && problems != "" || !strings.Contains(problems, x.problem) {
				t.Errorf("problems %q, want %q", problems, x.problem)
			}
			for _, k := range r.Kernels {
				if x.problem == "" && len(k.Failures) > 0 && !k.Replaced {
					t.Errorf("%s, %s failed and was not replaced: %s", k.Subject, k.Precision, k.Failures[0])
				}
			}
			if b, err := json.Marshal(r); err != nil || !strings.Contains(string(b), `"variant":"`+x.variants[2]+`"`) {
				t.Errorf("as JSON: %v\n%s", err, b)
			}
		})
	}
}
