package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"coil/autodiff"
	"coil/backend"
	"coil/graph"
	"coil/model"
	"coil/run"
	"coil/task"
)

const (
	// promptCount is how many pieces of text are continued.
	promptCount = 2
	// promptTokens and writtenTokens are the most tokens of a prompt, and after it.
	promptTokens, writtenTokens = 64, 64
	// temperature divides the logits before a token is drawn: below 1, likely tokens become likelier.
	temperature = 0.8
)

// continuations lets a model of text write on after the beginning of held-out sequences, at several loop counts. Each token is
// drawn with the probability that the model gives it, at a temperature of 0.8, with the same random numbers each time.
type continuations struct {
	task    task.Language
	seed    uint64
	prompts []task.Example
	begin   int // tokens of a prompt
	writers []*writer
}

// writer continues the prompts at one loop count.
type writer struct {
	loops        int
	cache        *model.Cache
	prompt, next *chunk
}

// chunk is a pass over the next tokens of each sequence, which gives the logits after the last.
type chunk struct {
	*forward
	at     []int32 // position of the first token of each sequence
	logits *output
}

// newContinuations records the passes.
func newContinuations(t Trained, loops int, seed uint64) (*continuations, error) {
	c := &continuations{task: t.Task.(task.Language), seed: seed, prompts: drawSamples(t.Task, seed)[:promptCount]}
	length := t.Task.Length()
	c.begin = min(length/2, promptTokens)
	context := c.begin + min(length-c.begin, writtenTokens)
	counts := []int{1, (loops + 1) / 2, loops}
	for _, n := range slices.Compact(counts) {
		cache, err := t.Model.NewCache(t.Backend, t.Model.Architecture.WithCount(n), promptCount, context)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.writers = append(c.writers, &writer{n, cache, t.chunk(cache, c.begin), t.chunk(cache, 1)})
	}
	return c, nil
}

// chunk records a pass over n tokens of each prompt.
func (t Trained) chunk(cache *model.Cache, n int) *chunk {
	f, state := t.continued(cache, promptCount, n)
	logits := f.output(1, t.Model.Vocabulary)
	f.pass.Logits(state.RowRange(n-1, n), logits.Tensor)
	return &chunk{f, make([]int32, promptCount), logits}
}

// continued starts the recording of a pass over n tokens of each of a number of sequences, which attends to the positions in a
// cache. Its inputs are the tokens, and the position of each sequence's first. It returns the state that the head reads.
func (t Trained) continued(cache *model.Cache, sequences, n int) (*forward, graph.Tensor) {
	r := graph.NewRecorder(1, sequences)
	f := &forward{Recorder: r, batch: sequences, tape: autodiff.NewTape(r, false)}
	weights := r.Parameter(t.Weights)
	f.tokens = r.Input(n)
	at := r.Input(1)
	f.pass = t.Model.Pass(f.tape, weights)
	f.pass.Architecture, f.pass.Length = cache.Architecture, n
	f.pass.Continue(cache, at)
	return f, f.pass.FinalState(f.tokens)
}

// plan is the memory of all passes and their caches.
func (c *continuations) plan(b backend.Backend) (backend.Memory, error) {
	var all []backend.Memory
	for _, w := range c.writers {
		for _, x := range []*chunk{w.prompt, w.next} {
			m, err := b.Plan(x.Recorder)
			if err != nil {
				return backend.Memory{}, err
			}
			if x == w.next {
				m.State = 0 // the caches are those of the prompt
			}
			all = append(all, m)
		}
	}
	return backend.Together(b, all...), nil
}

// compile ends the recording.
func (c *continuations) compile(b backend.Backend) error {
	for _, w := range c.writers {
		for _, x := range []*chunk{w.prompt, w.next} {
			if err := x.compile(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close frees the programs and caches.
func (c *continuations) Close() {
	for _, w := range c.writers {
		for _, x := range []*chunk{w.prompt, w.next} {
			if x.program != nil {
				x.Close()
			}
		}
		w.cache.Free()
	}
	c.writers = nil
}

// Run continues each prompt at each loop count.
func (c *continuations) Run() ([]run.Sample, error) {
	said := make([][][]int32, len(c.writers)) // by writer and prompt
	for i, w := range c.writers {
		var err error
		if said[i], err = c.write(w); err != nil {
			return nil, fmt.Errorf("continuing text with %d loops: %w", w.loops, err)
		}
	}
	var samples []run.Sample
	for p, ex := range c.prompts {
		for i, w := range c.writers {
			to := c.begin - 1 + len(said[i][p])
			samples = append(samples, run.Sample{Kind: c.task.Kinds()[ex.Kind], Loops: w.loops, Question: task.Render(c.task, ex.Tokens[:c.begin]),
				Want: task.Render(c.task, ex.Targets[c.begin-1:to]), Said: task.Render(c.task, said[i][p])})
		}
	}
	return samples, nil
}

// write returns what follows each prompt.
func (c *continuations) write(w *writer) ([][]int32, error) {
	said := make([][]int32, len(c.prompts))
	var random []*rand.Rand
	var tokens []int32
	for p, ex := range c.prompts {
		tokens = append(tokens, ex.Tokens[:c.begin]...)
		random = append(random, rand.New(rand.NewPCG(c.seed, uint64(p))))
	}
	pass := w.prompt
	for at := c.begin; at < w.cache.Context; at++ {
		if err := pass.run(tokens, pass.at); err != nil {
			return nil, err
		}
		tokens = tokens[:0]
		for p := range said {
			logits := pass.logits.values[p*len(pass.logits.values)/len(said):][:len(pass.logits.values)/len(said)]
			next := draw(logits, random[p])
			said[p] = append(said[p], next)
			tokens = append(tokens, next)
			w.next.at[p] = int32(at)
		}
		pass = w.next
	}
	return said, nil
}

// draw draws a token with the probabilities softmax(logits/temperature).
func draw(logits []float32, random *rand.Rand) int32 {
	most := float64(slices.Max(logits))
	weight := func(x float32) float64 { return math.Exp((float64(x) - most) / temperature) }
	total := 0.0
	for _, x := range logits {
		total += weight(x)
	}
	rest := random.Float64() * total
	for i, x := range logits {
		if rest -= weight(x); rest < 0 {
			return int32(i)
		}
	}
	return int32(len(logits) - 1) // rounding, or logits that are not finite
}
