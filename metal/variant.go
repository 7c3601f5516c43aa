package metal

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"coil/backend"
	"coil/shaders"
)

// A subject is a kind of work for which there are several kernels.
type subject struct {
	name string
	// suite are the parts of the conformance suite that prove a variant.
	suite []string
	// variants are the ways to do the work, the fastest first. The last one runs on every GPU that New takes.
	variants []variant
}

// variant is one way to do the work of a subject.
type variant struct {
	name string
	// needs says what a GPU lacks for the variant, "" if it seems to have everything; nil: nothing is needed.
	needs func(Description) string
	// defines chooses the form of the shaders, if there are several; see package shaders.
	defines string
}

// The subjects, and their variants.
const (
	sumsSubject = "sums" // over threads: of every kernel that is of no other subject
	sumsSIMD    = "SIMD-group functions"
	sumsPlain   = "threadgroup memory"

	matmulSubject  = "matmul"
	matmulMatrices = "SIMD-group matrices"
	matmulPlain    = "plain"

	attentionSubject   = "attention"
	attentionRegisters = "fused, scores in registers"
	attentionFused     = "fused"
	attentionUnfused   = "unfused"
)

// subjects is the list of them. A new variant is an entry here, and a case in the lowering of its operations.
var subjects = []subject{
	{sumsSubject, []string{"norm", "attention", "hard attention", "cached attention", "embedding", "cross-entropy", "sums", "cosine", "adafactor", "training"}, []variant{
		{name: sumsSIMD, needs: family(7, "SIMD-group functions for sums")},
		{name: sumsPlain, defines: shaders.PlainSums},
	}},
	{matmulSubject, []string{"matmul", "matmul epilogue", "attention", "training"}, []variant{
		{name: matmulMatrices, needs: family(7, "SIMD-group matrices")},
		{name: matmulPlain, defines: shaders.PlainMatmul},
	}},
	{attentionSubject, []string{"attention", "training"}, []variant{
		{name: attentionRegisters, needs: family(7, "SIMD-group matrices")},
		{name: attentionFused, needs: family(7, "SIMD-group matrices")},
		{name: attentionUnfused},
	}},
}

// family is a need of GPUs of a family of Apple's or a later one, for the feature that it brings.
func family(least int, feature string) func(Description) string {
	return func(d Description) string {
		if d.Family < least {
			return fmt.Sprintf("family Apple%d has no %s", d.Family, feature)
		}
		return ""
	}
}

// Variants say which variant is used for each subject, and why no faster one.
type Variants []backend.Variant

// Preferred are the fastest variants that a device seems to have everything for.
func Preferred(d Description) Variants {
	var v Variants
	for _, s := range subjects {
		v = append(v, s.first(d, 0, ""))
	}
	return v
}

// first is the first variant from number i on that the device has everything for, with the reason against those before.
func (s subject) first(d Description, i int, reason string) backend.Variant {
	for ; i < len(s.variants)-1; i++ {
		lack := ""
		if s.variants[i].needs != nil {
			lack = s.variants[i].needs(d)
		}
		if lack == "" {
			break
		}
		reason = s.variants[i].name + ": " + lack
	}
	return backend.Variant{Subject: s.name, Name: s.variants[i].name, Reason: reason}
}

// of is the variant of a subject.
func (v Variants) of(subject string) string {
	i := slices.IndexFunc(v, func(x backend.Variant) bool { return x.Subject == subject })
	if i < 0 {
		panic("metal: no subject " + subject)
	}
	return v[i].Name
}

// Plainer returns v with the next plainer variant of a subject, and the reason; false if there is none.
func (v Variants) Plainer(d Description, subject, reason string) (Variants, bool) {
	for i, x := range v {
		if x.Subject != subject {
			continue
		}
		s := find(subject)
		at := s.number(x.Name)
		if at+1 == len(s.variants) {
			return v, false
		}
		v = slices.Clone(v)
		v[i] = s.first(d, at+1, x.Name+": "+reason)
		return v, true
	}
	return v, false
}

// Plainest are the variants that run on every GPU.
func Plainest() Variants {
	var v Variants
	for _, s := range subjects {
		v = append(v, backend.Variant{Subject: s.name, Name: s.variants[len(s.variants)-1].name})
	}
	return v
}

// Degraded reports whether any variant is not the fastest one that there is.
func (v Variants) Degraded() bool {
	return slices.ContainsFunc(v, func(x backend.Variant) bool { return x.Reason != "" })
}

// Check returns an error if v is not one variant of each subject, as it may be if it was written by another coil.
func (v Variants) Check() error {
	if len(v) != len(subjects) {
		return fmt.Errorf("metal: variants of %d subjects, there are %d", len(v), len(subjects))
	}
	for i, s := range subjects {
		if v[i].Subject != s.name || s.number(v[i].Name) < 0 {
			return fmt.Errorf("metal: no variant %s of %s", v[i].Name, v[i].Subject)
		}
	}
	return nil
}

func find(name string) subject {
	return subjects[slices.IndexFunc(subjects, func(s subject) bool { return s.name == name })]
}

func (s subject) number(name string) int {
	return slices.IndexFunc(s.variants, func(v variant) bool { return v.name == name })
}

// SubjectOf is the subject of the variants that a file of shaders is of.
func SubjectOf(file string) string {
	switch file {
	case "matmul":
		return matmulSubject
	case "attention", "layout":
		return attentionSubject
	case shaders.Tensors:
		return shaders.Tensors
	}
	return sumsSubject
}

// Uses reports whether the variants use a file of shaders.
func (v Variants) Uses(file string) bool {
	return SubjectOf(file) != attentionSubject || v.of(attentionSubject) != attentionUnfused
}

// Suite returns the parts of the conformance suite that test the variant of a subject, among others.
func Suite(subject string) []string { return find(subject).suite }

// Definitions are those of package shaders that the variants want on a device.
func (v Variants) Definitions(d Description) []string {
	var all []string
	if !d.HasBFloat() {
		all = append(all, shaders.NoBFloat)
	}
	for i, s := range subjects {
		if x := s.variants[s.number(v[i].Name)].defines; x != "" {
			all = append(all, x)
		}
	}
	return all
}

// KernelError is a kernel that the GPU, or Apple's compiler for it, does not take.
type KernelError struct {
	Subject string // of the variants that it is of
	Shader  string // the file
	Kernel  string // "" if the whole file does not compile
	Device  string
	Err     error // in the system's words
}

// what names what failed.
func (e *KernelError) what() string {
	if e.Kernel == "" {
		return fmt.Sprintf("shader %s does not compile", e.Shader)
	}
	return fmt.Sprintf("kernel %s of shader %s can't be run", e.Kernel, e.Shader)
}

func (e *KernelError) Error() string {
	return fmt.Sprintf("metal: %s on %s, and no other variant does its work: %s\n"+
		"please send the report that `coil doctor --json > report.json` writes; until then train with --backend cpu",
		e.what(), e.Device, strings.TrimSpace(e.Err.Error()))
}

func (e *KernelError) Unwrap() error { return e.Err }

// threadsError is a pipeline with fewer threads than were wished.
type threadsError struct{ wished, most int }

func (e *threadsError) Error() string {
	return fmt.Sprintf("it needs %d threads in a threadgroup and this GPU gives it %d", e.wished, e.most)
}

// reason is the error as the reason against a variant.
func (e *KernelError) reason() string { return e.what() + ": " + strings.TrimSpace(e.Err.Error()) }

// Variants are those in use now: they may become plainer when a program is compiled.
func (m *Metal) Variants() Variants { return slices.Clone(m.variants) }

// degrade makes the best of a kernel that failed: smaller threadgroups, or a plainer variant. It reports whether there is
// anything else to try.
func (m *Metal) degrade(e *KernelError) bool {
	if t := (*threadsError)(nil); errors.As(e.Err, &t) {
		limit := simdWidth
		for limit*2 <= t.most {
			limit *= 2
		}
		if had := m.limits[e.Kernel]; limit <= t.most && (had == 0 || limit < had) {
			m.limits[e.Kernel] = limit
			return true
		}
	}
	if e.Subject == shaders.Tensors {
		m.tensors.Off = e.reason()
		return true
	}
	v, ok := m.variants.Plainer(m.device.Description(), e.Subject, e.reason())
	m.variants = v
	clear(m.sources)
	return ok
}
