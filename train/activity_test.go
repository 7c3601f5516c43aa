package train

import (
	"sync/atomic"
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/config"
	"coil/graph"
	"coil/run"

	"github.com/google/go-cmp/cmp"
)

// slowly is a backend whose programs run their operations one by one and report their position.
type slowly struct {
	backend.Backend
	at func() // called at each operation
}

type slowProgram struct {
	backend.Program
	at       func()
	ops      int
	position atomic.Int32
}

func (b *slowly) Compile(r *graph.Recorder) (backend.Program, error) {
	p, err := b.Backend.Compile(r)
	if err != nil {
		return nil, err
	}
	s := &slowProgram{Program: p, at: b.at, ops: len(r.Body())}
	s.position.Store(-1)
	return s, nil
}

func (p *slowProgram) Position() int { return int(p.position.Load()) }

func (p *slowProgram) Run(s backend.Args) error {
	for i := range p.ops + 1 { // and the update
		p.position.Store(int32(i))
		p.at()
	}
	p.position.Store(-1)
	return p.Program.Run(s)
}

// A trainer reports which loop runs: forward in order, then back as far as gradients go, and no loop in the update of the
// weights, between steps and in evaluations.
func TestNowTellsTheLoop(t *testing.T) {
	for name, k := range map[string]struct {
		change func(*config.Config)
		want   []int // the loops of a step, backward ones negative, 0 for everything else
	}{
		"looped": {func(c *config.Config) { c.Model.Layers = "1x3" }, []int{0, 1, 2, 3, 0, -3, -2, -1, 0}},
		"middle, recomputed": {func(c *config.Config) { c.Model.Layers, c.Loops.Recompute = "2x(1,3,1)", true },
			[]int{0, 1, 2, 3, 0, -3, -2, -1, 0}},
		"truncated": {func(c *config.Config) {
			c.Model.Layers, c.Model.Injection, c.Loops.Truncate = "1x4", "add", 2
		}, []int{0, 1, 2, 3, 4, 0, -4, -3, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			c := tiny()
			c.Train.Steps, c.Checkpoint.Every, c.Evaluate.Every = 2, 0, 1
			k.change(&c)
			var tr *Trainer
			var seen []int
			see := func() {
				now := tr.Activity()
				if now.Backward {
					now.Loop = -now.Loop
				}
				if now.Loop != 0 && now.Phase != run.PhaseTraining {
					t.Errorf("loop %d while %s", now.Loop, now.Phase)
				}
				if n := len(seen); n == 0 || seen[n-1] != now.Loop {
					seen = append(seen, now.Loop)
				}
			}
			tr, err := New(c, &slowly{newBackend(t, cpu.Options{Workers: 1}), see}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			if err := tr.Run(newRun(t, c), nil); err != nil {
				t.Fatal(err)
			}
			want := append(k.want[:len(k.want):len(k.want)], k.want[1:]...)
			if d := cmp.Diff(want, seen); d != "" {
				t.Error(d)
			}
			if at := tr.Activity(); at.Loop != 0 || at.Backward {
				t.Errorf("after the end: %+v", at)
			}
		})
	}
}

// A goroutine that watches a run sees every loop, forward and backward, even when programs come and go.
func TestNowFromOutside(t *testing.T) {
	c := tiny()
	c.Model.Layers, c.Loops.RandomMean, c.Loops.RandomMax = "1x2", 2, 3
	c.Train.Steps, c.Evaluate.Every, c.Checkpoint.Every = 20000, 0, 0
	tr := newTrainer(t, c, 1)
	tr.cached = 1
	var all atomic.Bool
	watched := make(chan map[[2]int]bool)
	end := make(chan struct{})
	go func() {
		seen := map[[2]int]bool{}
		for {
			now, backward := tr.Activity(), 0
			if now.Backward {
				backward = 1
			}
			if now.Loop != 0 {
				seen[[2]int{now.Loop, backward}] = true
			}
			all.Store(len(seen) == 2*c.Loops.RandomMax)
			select {
			case <-end:
				watched <- seen
				return
			default:
			}
		}
	}()
	err := tr.Run(newRun(t, c), func() run.Command {
		if all.Load() {
			return run.Stop
		}
		return ""
	})
	close(end)
	if seen := <-watched; len(seen) != 2*c.Loops.RandomMax {
		t.Errorf("of %d loops, forward and backward, these were seen: %v; %v", c.Loops.RandomMax, seen, err)
	}
}
