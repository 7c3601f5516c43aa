package metal

import (
	"fmt"
	"slices"
	"strings"

	"coil/backend"
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
}

// The subjects, and their variants.
const (
	attentionSubject   = "attention"
	attentionRegisters = "fused, scores in registers"
	attentionFused     = "fused"
	attentionUnfused   = "unfused"
)

// subjects is the list of them. A new variant is an entry here, and a case in the lowering of its operations.
var subjects = []subject{
	{attentionSubject, []string{"attention"}, []variant{
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

// Variants say which variant is used for each subject, and why none that is faster.
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

// Plainer returns v with the next plainer variant of a subject, because of a reason; false if there is none.
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

// check returns an error if v is not one variant of each subject, as it may be if it was written by another coil.
func (v Variants) check() error {
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

// Suite are the parts of the conformance suite that prove the variant of a subject.
func Suite(subject string) []string { return find(subject).suite }

// KernelError is a kernel that the GPU, or Apple's compiler for it, does not take.
type KernelError struct {
	Subject string // of the variants that it is of; "" if there is no other kernel for its work
	Shader  string // the file
	Kernel  string // "" if the whole file does not compile
	Device  string
	Err     error // in the system's words
}

func (e *KernelError) Error() string {
	what := "shader " + e.Shader
	if e.Kernel != "" {
		what = fmt.Sprintf("kernel %s of shader %s", e.Kernel, e.Shader)
	}
	return fmt.Sprintf("metal: %s does not compile for %s, and nothing else does its work: %s\n"+
		"please send the report that `coil doctor --json > report.json` writes; until then train with --backend cpu", what, e.Device, e.Err)
}

func (e *KernelError) Unwrap() error { return e.Err }

// reason is the error as the reason against a variant.
func (e *KernelError) reason() string {
	what := "shader " + e.Shader
	if e.Kernel != "" {
		what = fmt.Sprintf("kernel %s of shader %s", e.Kernel, e.Shader)
	}
	return fmt.Sprintf("%s does not compile: %s", what, strings.TrimSpace(e.Err.Error()))
}

// Variants are those in use now: they may become plainer when a program is compiled.
func (m *Metal) Variants() Variants { return slices.Clone(m.variants) }

// degrade takes a plainer variant where a kernel failed. It reports whether there is one.
func (m *Metal) degrade(e *KernelError) bool {
	v, ok := m.variants.Plainer(m.device.Description(), e.Subject, e.reason())
	m.variants = v
	return ok
}
