package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"coil/autodiff"
	"coil/graph"
	"coil/model"
	"coil/task"
)

// MostShots is how many questions with answers stand before each question of a primitive, as far as the model's sequences have
// room for them (arXiv 2409.19044 and 2502.17416 have five).
const MostShots = 5

// PrimitiveScore is how a model of text answers the questions of a reasoning primitive: it chooses the number of the question that
// it finds likeliest.
type PrimitiveScore struct {
	Kind      string  `json:"kind,omitempty"` // "" for all kinds together
	Questions int     `json:"questions"`
	Shots     float64 `json:"shots"`    // mean over questions
	Accuracy  float64 `json:"accuracy"` // share of questions with the right choice
	Chance    float64 `json:"chance"`   // share that a blind choice gets right, on average
}

// PrimitiveResult is the scores at one loop count: of all kinds together, each with the same weight, and of each.
type PrimitiveResult struct {
	Loops int `json:"loops"`
	PrimitiveScore
	Kinds []PrimitiveScore `json:"kinds"`
}

// Primitives are the questions of [task.Primitives] as the tokens of a language.
type Primitives struct {
	kinds     []string
	questions []primitive // of the first kind, then of the second, …
	prompt    int         // most tokens of a prompt
	answer    int         // most tokens of a choice
}

type primitive struct {
	kind, shots int
	prompt      []int32
	choices     [][]int32
	right       int
}

// NewPrimitives makes the first questions of each kind that the seed draws, each with as many shots as leave it and its choices
// within length tokens, up to MostShots. It is an error if a question has no room even without shots.
func NewPrimitives(l task.Language, length int, seed uint64, each int) (*Primitives, error) {
	source, err := task.NewPrimitives(MostShots)
	if err != nil {
		return nil, err
	}
	encoder := l.Tokenizer().NewEncoder()
	var failed error
	encode := func(text string) []int32 {
		tokens, err := encoder.Encode(nil, []byte(text))
		failed = errors.Join(failed, err)
		return tokens
	}
	p := &Primitives{kinds: source.Kinds()}
	var shots [][][]int32 // of each question
	for kind := range p.kinds {
		for i := range each {
			text := source.Question(seed, uint64(i), kind)
			q := primitive{kind: kind, right: text.Right, prompt: encode(text.Question)}
			for _, choice := range text.Choices {
				q.choices = append(q.choices, encode(choice))
				p.answer = max(p.answer, len(q.choices[len(q.choices)-1]))
			}
			var before [][]int32
			for _, shot := range text.Shots {
				before = append(before, encode(shot))
			}
			p.questions, shots = append(p.questions, q), append(shots, before)
		}
	}
	if failed != nil {
		return nil, fmt.Errorf("the reasoning primitives as tokens: %w", failed)
	}
	longest := slices.MaxFunc(p.questions, func(a, b primitive) int { return len(a.prompt) - len(b.prompt) })
	if n := len(longest.prompt) + p.answer; n > length {
		return nil, fmt.Errorf("a question of the primitive %q has %d tokens with its answer, and the model's sequences have %d: it takes a model that is trained with task.text.length = %d or more",
			p.kinds[longest.kind], n, length, n)
	}
	for i := range p.questions {
		q := &p.questions[i]
		for len(shots[i]) > 0 { // the last stands next to the question
			last := shots[i][len(shots[i])-1]
			if len(last)+len(q.prompt)+p.answer > length {
				break
			}
			q.prompt, q.shots, shots[i] = slices.Concat(last, q.prompt), q.shots+1, shots[i][:len(shots[i])-1]
		}
		p.prompt = max(p.prompt, len(q.prompt))
	}
	return p, nil
}

// Tokens is how many tokens a model reads for all answers at one loop count.
func (p *Primitives) Tokens() int {
	tokens := 0
	for _, q := range p.questions {
		tokens += p.prompt + len(q.choices)*p.answer
	}
	return tokens
}

// Run lets a model answer at each loop count, batch questions at a time. stop, if not nil, is called between batches; when it
// returns true, Run ends with ErrStopped.
func (p *Primitives) Run(m Trained, batch int, counts []int, stop func() bool) ([]PrimitiveResult, error) {
	var results []PrimitiveResult
	for _, n := range counts {
		r, err := p.at(m, min(batch, len(p.questions)), n, stop)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// reader reads prompts once, and then each of their choices.
type reader struct {
	prompt, choice *forward
	loss           *output
	begin, at      []int32 // positions of the first tokens: of the prompts, and of their last tokens
	batch          [2][]int32
	targets        []int32
}

// newReader records and compiles the passes.
func (p *Primitives) newReader(m Trained, cache *model.Cache, batch int) (*reader, error) {
	r := &reader{begin: make([]int32, batch), at: make([]int32, batch), targets: make([]int32, batch*p.answer)}
	for i, n := range []int{p.prompt, p.answer} {
		r.batch[i] = make([]int32, batch*n)
	}
	r.prompt, _ = m.continued(cache, batch, p.prompt)
	var state graph.Tensor
	r.choice, state = m.continued(cache, batch, p.answer)
	targets := r.choice.Input(p.answer)
	r.loss = r.choice.output(p.answer, 1)
	correct := r.choice.output(p.answer, 1)
	r.choice.pass.Loss(state, autodiff.CrossEntropy{Targets: targets, Loss: r.loss.Tensor, Correct: correct.Tensor})
	if err := r.prompt.compile(m.Backend); err != nil {
		return nil, err
	}
	if err := r.choice.compile(m.Backend); err != nil {
		r.prompt.Close()
		return nil, err
	}
	return r, nil
}

// at measures a model at one loop count.
func (p *Primitives) at(m Trained, batch, loops int, stop func() bool) (PrimitiveResult, error) {
	result := PrimitiveResult{Loops: loops, Kinds: make([]PrimitiveScore, len(p.kinds))}
	a := m.Model.Architecture.WithCount(loops)
	failed := func(err error) (PrimitiveResult, error) {
		return result, fmt.Errorf("reasoning primitives of %s: %w", a, err)
	}
	// The pass over a prompt is as wide as the longest prompt. What it puts into the cache behind a shorter one is overwritten, or
	// is behind everything that reads it.
	cache, err := m.Model.NewCache(m.Backend, a, batch, p.prompt+p.answer)
	if err != nil {
		return failed(err)
	}
	defer cache.Free()
	r, err := p.newReader(m, cache, batch)
	if err != nil {
		return failed(err)
	}
	defer r.prompt.Close()
	defer r.choice.Close()
	right := make([]int, len(p.kinds))
	for first := 0; first < len(p.questions); first += batch {
		if stop != nil && stop() {
			return result, ErrStopped
		}
		questions := p.questions[first:min(first+batch, len(p.questions))]
		chosen, err := r.choose(questions)
		if err != nil {
			return failed(err)
		}
		for i, q := range questions {
			k := &result.Kinds[q.kind]
			k.Questions++
			k.Shots += float64(q.shots)
			k.Chance += 1 / float64(len(q.choices))
			if chosen[i] == q.right {
				right[q.kind]++
			}
		}
	}
	for i := range result.Kinds {
		k := &result.Kinds[i]
		n := float64(k.Questions)
		k.Kind, k.Shots, k.Chance, k.Accuracy = p.kinds[i], k.Shots/n, k.Chance/n, float64(right[i])/n
		result.Questions += k.Questions
		result.Shots += k.Shots / float64(len(p.kinds))
		result.Chance += k.Chance / float64(len(p.kinds))
		result.Accuracy += k.Accuracy / float64(len(p.kinds))
	}
	return result, nil
}

// choose returns the likeliest choice of each question, the first of equal ones, or −1 if no probability is a number.
func (r *reader) choose(questions []primitive) ([]int, error) {
	prompts, width := r.batch[0], len(r.batch[0])/len(r.at)
	clear(prompts)
	most := 0
	for i, q := range questions {
		copy(prompts[i*width:][:width], q.prompt)
		r.at[i] = int32(len(q.prompt) - 1)
		most = max(most, len(q.choices))
	}
	if err := r.prompt.run(prompts, r.begin); err != nil {
		return nil, err
	}
	chosen, least := make([]int, len(questions)), make([]float64, len(questions))
	for i := range chosen {
		chosen[i], least[i] = -1, math.Inf(1)
	}
	n := len(r.targets) / len(r.at)
	for c := range most {
		for i := range r.targets {
			r.batch[1][i], r.targets[i] = 0, task.Ignore
		}
		for i, q := range questions {
			if c >= len(q.choices) {
				continue
			}
			copy(r.targets[i*n:], q.choices[c])
			r.batch[1][i*n] = q.prompt[len(q.prompt)-1]
			copy(r.batch[1][i*n+1:], q.choices[c][:len(q.choices[c])-1])
		}
		if err := r.choice.run(r.batch[1], r.at, r.targets); err != nil {
			return nil, err
		}
		for i, q := range questions {
			if c >= len(q.choices) {
				continue
			}
			nats := 0.0
			for j := range q.choices[c] {
				nats += float64(r.loss.values[i*n+j])
			}
			if nats < least[i] {
				chosen[i], least[i] = c, nats
			}
		}
	}
	return chosen, nil
}
