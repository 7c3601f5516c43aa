package metal_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"coil/backend/conformance"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/shaders"
	"coil/thorough"
)

// gpu opens an emulator that pretends to be a GPU.
func gpu(t *testing.T, g emulator.GPU) *emulator.Device {
	t.Helper()
	return emulatortest.Open(t, emulator.Options{GPU: g})
}

// oldest is the virtual GPU of a Mac in a virtual machine: the least that New takes.
var oldest = emulator.GPU{Family: 5}

// named is the variant of a subject.
func named(v metal.Variants, subject string) (name, reason string) {
	for _, x := range v {
		if x.Subject == subject {
			return x.Name, x.Reason
		}
	}
	return "", ""
}

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
	if d := far(want.weights, got.weights); !(d < 1e-4) {
		t.Errorf("weights are %.2g away", d)
	}
}

// TestOldestGPU: a GPU of the least family uses the plainest kernels, and says why.
func TestOldestGPU(t *testing.T) {
	b := on(t, gpu(t, oldest), metal.Options{})
	defer b.Close()
	for subject, want := range map[string][2]string{
		"sums":      {"threadgroup memory", "SIMD-group functions: family Apple5"},
		"matmul":    {"plain", "SIMD-group matrices: family Apple5"},
		"attention": {"unfused", "fused: family Apple5"},
	} {
		if name, reason := named(b.Variants(), subject); name != want[0] || !strings.HasPrefix(reason, want[1]) {
			t.Errorf("%s: %q because %q, want %q because %q", subject, name, reason, want[0], want[1])
		}
	}
	for family, want := range map[int]string{4: "needs Apple5", -1: "needs Apple5"} {
		if _, err := metal.New(gpu(t, emulator.GPU{Family: family}), metal.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("family %d: %v", family, err)
		}
	}
	if _, err := metal.New(gpu(t, oldest), metal.Options{BFloat16: true}); err == nil || !strings.Contains(err.Error(), "--bfloat16 needs a GPU of family Apple6") {
		t.Errorf("bfloat: %v", err)
	}
	other := append(metal.Variants{}, b.Variants()...)
	other[0].Name = "magic"
	if _, err := metal.New(gpu(t, oldest), metal.Options{Variants: other}); err == nil || !strings.Contains(err.Error(), "magic") {
		t.Errorf("a variant that does not exist: %v", err)
	}
}

// TestOldestConformance: the whole suite holds with the plainest kernels, on a GPU that has nothing else.
func TestOldestConformance(t *testing.T) {
	t.Parallel()
	thorough.Skip(t)
	b := on(t, gpu(t, oldest), metal.Options{})
	defer b.Close()
	conformance.Run(t, b, conformance.Options{})
}

// TestPlainChecked watches every access to memory of the plainest kernels, in both precisions.
func TestPlainChecked(t *testing.T) {
	thorough.Skip(t)
	for i, order := range []emulator.Order{emulator.Random, emulator.Reverse} {
		p := precisions[i]
		t.Run(fmt.Sprintf("%s, %s", order, p.name), func(t *testing.T) {
			t.Parallel()
			d := &strict{Device: emulatortest.Open(t, emulator.Options{Checked: true, Order: order, Seed: 7})}
			o := p.options
			o.Variants = metal.Plainest()
			b := on(t, d, o)
			defer b.Close()
			d.watch(b)
			suite := p.suite
			suite.Every = 6
			conformance.Run(t, b, suite)
		})
	}
}

// TestOldestTraining: every kind of model trains on the plainest kernels as on the CPU.
func TestOldestTraining(t *testing.T) {
	thorough.Skip(t)
	all := configurations()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		t.Run(name, func(t *testing.T) {
			want, err := trainOn(t, c, onCPU(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			b := on(t, gpu(t, oldest), metal.Options{})
			defer b.Close()
			got, err := trainOn(t, c, b, nil)
			if err != nil {
				t.Fatal(err)
			}
			sameLosses(t, got, want)
		})
	}
}

// TestSmallThreadgroups: where pipelines allow fewer threads than is wished, threadgroups are smaller, or another kernel does
// the work.
func TestSmallThreadgroups(t *testing.T) {
	thorough.Skip(t)
	for _, threads := range []int{64, 96, 128, 256} {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			t.Parallel()
			b := on(t, gpu(t, emulator.GPU{MaxThreads: threads}), metal.Options{})
			defer b.Close()
			parts := conformance.Subjects()
			if threads < 160 { // the suite has a norm whose rows take as many
				parts = slices.DeleteFunc(parts, func(s string) bool { return s == "norm" })
			}
			conformance.Run(t, b, conformance.Options{Every: 7, Subjects: parts})
			name, reason := named(b.Variants(), "matmul")
			if plain := threads < 128; plain != (name == "plain") || plain != strings.Contains(reason, "128 threads") {
				t.Errorf("matmul: %q because %q", name, reason)
			}
		})
	}
	b := on(t, gpu(t, emulator.GPU{MaxThreads: 32}), metal.Options{})
	defer b.Close()
	_, err := trainOn(t, tiny(), b, nil)
	fault := (*metal.KernelError)(nil)
	if !errors.As(err, &fault) || !strings.Contains(err.Error(), "64 threads") || !strings.Contains(err.Error(), "coil doctor --json") {
		t.Errorf("32 threads: %v", err)
	}
}

// A shader or a kernel that fails, and what does its work then; "" if nothing does.
var kernelFaults = []struct {
	name    string
	gpu     emulator.GPU
	subject string // whose variant is replaced
	variant string // by which
	says    []string
}{
	{"attention does not compile", emulator.GPU{Libraries: map[string]string{"attention": faultText}}, "attention", "unfused", []string{"shader attention does not compile", faultText}},
	{"attention has no pipeline", emulator.GPU{Pipelines: map[string]string{"attention_dkv_16": faultText}}, "attention", "unfused", []string{"kernel attention_dkv_16 of shader attention", faultText}},
	{"matmul has no pipeline", emulator.GPU{Pipelines: map[string]string{"matmul_tn_32": faultText}}, "matmul", "plain", []string{"kernel matmul_tn_32", faultText}},
	{"no matrices", emulator.GPU{Lacks: []string{"simdgroup_multiply_accumulate"}}, "matmul", "plain", []string{"air.simdgroup_multiply_accumulate"}},
	{"no sums of SIMD-groups", emulator.GPU{Lacks: []string{"simd_sum"}}, "sums", "threadgroup memory", []string{"air.simd_sum"}},
	{"no maxima of SIMD-groups", emulator.GPU{Lacks: []string{"simd_max"}}, "sums", "threadgroup memory", []string{"air.simd_max"}},
	{"norm does not compile", emulator.GPU{Libraries: map[string]string{"norm": faultText}}, "", "", []string{"shader norm does not compile", faultText}},
	{"matmul does not compile", emulator.GPU{Libraries: map[string]string{"matmul": faultText}}, "", "", []string{"shader matmul does not compile", faultText}},
	{"journal has no pipeline", emulator.GPU{Pipelines: map[string]string{"journal_gate": faultText}}, "", "", []string{"kernel journal_gate of shader journal", faultText}},
	{"plain products fail as well", emulator.GPU{Family: 5, Pipelines: map[string]string{"plain_nn_32": faultText}}, "", "", []string{"kernel plain_nn_32 of shader matmul", faultText}},
}

const faultText = "program_source:3:1: error: unknown type name 'flaot'"

// TestDegrade: where a shader does not compile or a kernel has no pipeline, training goes on with a plainer variant, or says
// what is wrong and what to send.
func TestDegrade(t *testing.T) {
	thorough.Skip(t)
	want, err := trainOn(t, tiny(), onCPU(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range kernelFaults {
		t.Run(x.name, func(t *testing.T) {
			b := on(t, gpu(t, x.gpu), metal.Options{})
			defer b.Close()
			got, err := trainOn(t, tiny(), b, nil)
			if x.subject == "" {
				if err == nil {
					t.Fatal("no error")
				}
				for _, s := range append(x.says, "coil doctor --json", "--backend cpu") {
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
			name, reason := named(b.Variants(), x.subject)
			for _, s := range x.says {
				if name != x.variant || !strings.Contains(reason, s) {
					t.Errorf("%s: %q because %q, want %q because %q", x.subject, name, reason, x.variant, s)
				}
			}
		})
	}
}

// TestForms: every form of every shader compiles.
func TestForms(t *testing.T) {
	for _, family := range thorough.Cases(t, 3, "families", []int{9, 5, 6}) {
		d := gpu(t, emulator.GPU{Family: family})
		for _, v := range []metal.Variants{metal.Preferred(d.Description()), metal.Plainest()} {
			for _, name := range shaders.Names() {
				if !v.Uses(name) {
					continue
				}
				if _, err := d.Library(name, shaders.Source(name, v.Definitions(d.Description())...)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
