package doctor

import (
	"fmt"
	"math"
	"slices"

	"coil/backend/conformance"
	"coil/metal"
	"coil/shaders"
)

// compile compiles every shader in the form that the variants want, and where one fails in the form that the next plainer
// ones want. What fails in every form is a problem.
func (r *Report) compile(d metal.Device, tell func(any)) bool {
	x := d.Description()
	for _, name := range shaders.Names() {
		for {
			source := shaders.Source(name, r.Variants.Definitions(x)...)
			s := Shader{Name: name, Form: r.Variants.Definitions(x)}
			seconds, err := timed(func() error { _, err := d.Library(name, source); return err })
			if s.Seconds = seconds; err != nil {
				s.Error = err.Error()
			}
			r.Shaders = append(r.Shaders, s)
			tell(s)
			if err == nil {
				break
			}
			reason := fmt.Sprintf("shader %s does not compile: %v", name, err)
			for source == shaders.Source(name, r.Variants.Definitions(x)...) && r.Variants.Uses(name) {
				v, ok := r.Variants.Plainer(x, metal.SubjectOf(name), reason)
				if !ok {
					r.problem("shader %s does not compile", name)
					break
				}
				r.Variants = v
			}
			if len(r.Problems) > 0 || !r.Variants.Uses(name) {
				break
			}
		}
	}
	return len(r.Problems) == 0
}

// prover runs the conformance suite.
type prover struct {
	*Report
	device  metal.Device
	o       Options
	tell    func(any)
	stopped func() bool
}

// precision is in which the suite is run.
func precision(bfloat bool) string {
	if bfloat {
		return "bfloat16"
	}
	return "float32"
}

// prove runs the whole suite in one precision, and chooses plainer variants where faster ones fail. It repeats whatever was
// proved with a variant that is replaced later.
func (p *prover) prove(bfloat bool) error {
	suite := p.o.suite()
	proved := map[string]bool{}
	for {
		next := slices.IndexFunc(suite, func(s string) bool { return !proved[s] })
		if next < 0 || p.stopped() && len(p.Kernels) > 0 {
			return nil
		}
		part := suite[next]
		before := p.Variants
		f, err := p.run(part, bfloat, p.Variants)
		if err != nil {
			return err
		}
		if len(f.Failures) > 0 {
			better, err := p.blame(part, bfloat, f)
			if err != nil {
				return err
			}
			f.Replaced = better
			if !better {
				p.problem("%s, %s: %d wrong", f.Subject, f.Precision, len(f.Failures))
			}
		}
		p.Kernels = append(p.Kernels, f)
		p.tell(f)
		proved[part] = !f.Replaced
		for i, v := range p.Variants {
			if v.Name != before[i].Name {
				for _, s := range metal.Suite(v.Subject) {
					if s != part || f.Replaced {
						proved[s] = false
					}
				}
			}
		}
	}
}

// run runs a part of the suite with some variants. Those that it finds to fail it replaces in the report.
func (p *prover) run(part string, bfloat bool, v metal.Variants) (Finding, error) {
	m, err := metal.New(keepOpen{p.device}, metal.Options{BFloat16: bfloat, Variants: v})
	if err != nil {
		return Finding{}, err
	}
	c := conformance.Options{Subjects: []string{part}}
	if p.o.Short {
		c.Every = every
	}
	if p.o.less != nil {
		c.Every = p.o.less.every
	}
	if part == "attention" { // of its few cases, each width of heads has other kernels
		c.Every /= 6
	}
	if bfloat {
		c.BFloat = metal.BFloats
	}
	var f Finding
	seconds, _ := timed(func() error {
		conformance.Check(m, c, func(x conformance.Finding) bool {
			f = Finding{Subject: x.Subject, Precision: precision(bfloat), Trials: x.Trials, Worst: min(x.Worst, math.MaxFloat32), Failures: x.Failures}
			return true
		})
		return nil
	})
	f.Seconds = seconds
	if len(f.Failures) == 0 {
		p.Variants = m.Variants()
	}
	return f, m.Close()
}

// blame looks for the subject whose variant makes a part of the suite fail: with a plainer one it does not. It reports
// whether there is one.
func (p *prover) blame(part string, bfloat bool, f Finding) (bool, error) {
	had, d := p.Variants, p.device.Description()
	reason := fmt.Sprintf("%s, %s: %s; the first: %s", f.Subject, f.Precision, wrongIn(f), f.Failures[0])
	var suspects []string
	for _, v := range had {
		if slices.Contains(metal.Suite(v.Subject), part) {
			suspects = append([]string{v.Subject}, suspects...) // the most specialized first
		}
	}
	together := had
	for _, s := range suspects {
		for v, ok := had.Plainer(d, s, reason); ok; v, ok = v.Plainer(d, s, reason) {
			if ok, err := p.passes(part, bfloat, v); ok || err != nil {
				return ok, err
			}
		}
		for v, ok := together.Plainer(d, s, reason); ok; v, ok = v.Plainer(d, s, reason) {
			together = v
		}
	}
	if len(suspects) < 2 {
		return false, nil
	}
	return p.passes(part, bfloat, together)
}

// passes reports whether a part of the suite passes with some variants, which the report then has.
func (p *prover) passes(part string, bfloat bool, v metal.Variants) (bool, error) {
	f, err := p.run(part, bfloat, v)
	return err == nil && len(f.Failures) == 0, err
}

func wrongIn(f Finding) string {
	return fmt.Sprintf("%d of %d trials wrong", len(f.Failures), f.Trials)
}
