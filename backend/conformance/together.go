package conformance

import (
	"math"
	"slices"
	"sync"
	"testing"

	"coil/backend"
)

// Named is a backend with the name that its failures carry.
type Named struct {
	Name string
	backend.Backend
}

// RunTogether runs the suite on several backends side by side, as [Run] does on one. They share the reference, which takes
// most of the time.
func RunTogether(t *testing.T, backends []Named, o Options) {
	for _, subject := range subjects() {
		if !o.wants(subject.name) {
			continue
		}
		t.Run(subject.name, func(t *testing.T) {
			shared := newAnswers(len(backends))
			checkers := make([]checker, len(backends))
			var wg sync.WaitGroup
			for i, b := range backends {
				wg.Go(func() {
					s := newSuite(&checkers[i], b, o)
					s.shared = shared
					defer func() { shared.leave(s.asked) }()
					checkers[i].run(func() { subject.hold(s) })
				})
			}
			wg.Wait()
			for i, c := range checkers {
				for _, f := range c.failures {
					t.Errorf("%s: %s", backends[i].Name, f)
				}
			}
		})
	}
}

// answers hands the references of one suite after the other to all suites that run the same cases. The suites keep step:
// an answer is dropped when all of them have it, and only then is there a next one.
type answers struct {
	mu     sync.Mutex
	change sync.Cond
	suites int
	number int // of the answer, from 1 on; 0 before the first
	left   int // suites that have not taken it
	given  given
	ref    *reference
}

func newAnswers(suites int) *answers {
	a := &answers{suites: suites}
	a.change.L = &a.mu
	return a
}

// take returns the answer with a number, which the first suite that asks for it computes. It is nil if it was computed from
// other operands than x: after a step, backends differ in their rounding.
func (a *answers) take(number int, x given, make func() *reference) *reference {
	a.mu.Lock()
	defer a.mu.Unlock()
	for number != a.number && a.left > 0 {
		a.change.Wait()
	}
	if number != a.number {
		a.number, a.left, a.given, a.ref = number, a.suites, x, make()
	}
	a.left--
	a.change.Broadcast()
	if !a.given.equal(x) {
		return nil
	}
	return a.ref
}

// leave says that a suite asks for no more, and how many answers it has taken.
func (a *answers) leave(taken int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.suites--; taken < a.number {
		a.left--
	}
	a.change.Broadcast()
}

// given is what the results of a program follow from.
type given struct {
	buffers [][]float32 // by storage; nil: it has none
	step    backend.Args
}

// given reads what p is given now.
func (c *trial) given() given {
	x := given{buffers: make([][]float32, len(c.Storages())), step: backend.Args{Scalars: slices.Clone(c.scalars)}}
	for _, in := range c.inputs { // which the trial draws again
		x.step.Inputs = append(x.step.Inputs, slices.Clone(in))
	}
	for i, s := range c.Storages() {
		if s.Buffer != nil {
			x.buffers[i] = make([]float32, s.Buffer.Len())
			if err := s.Buffer.Read(0, x.buffers[i]); err != nil {
				c.Fatalf("%s: %v", c.label, err)
			}
		}
	}
	return x
}

// answer is the reference's answer to x.
func (s *suite) answer(x given, of func(given) *reference) *reference {
	if s.shared != nil {
		s.asked++
		if r := s.shared.take(s.asked, x, func() *reference { return of(x) }); r != nil {
			return r
		}
	}
	return of(x)
}

func (x given) equal(y given) bool {
	same := func(a, b []float32) bool {
		return slices.EqualFunc(a, b, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
	}
	return slices.EqualFunc(x.buffers, y.buffers, same) && same(x.step.Scalars, y.step.Scalars) &&
		slices.EqualFunc(x.step.Inputs, y.step.Inputs, slices.Equal)
}
