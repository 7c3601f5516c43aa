package theory

import (
	"fmt"
	"math"
	"strings"

	"coil/model"
	"coil/task"
)

// Trainable is a construction as a model of package model on a task: without norms, with learned positions that are what the
// construction gives a position to know, and with a head that reads the answer.
//
// No task has a token # before its sequences, so [Loop] has no part in it: the layers of p-hop are those of a model k⊗(a, b, …),
// and words have 2, 4, 8, … elements, for which the identity at position 0 isn't needed.
type Trainable struct {
	Config model.Config
	Task   task.Config

	model     *Model
	tokens    [][]float64 // what a token adds to the state
	positions [][]float64 // and a position
	head      [][]float64 // of each token, what its logit is the product of with the state
}

// certain is the factor of logits: the right answer has a cross-entropy of about exp(−certain).
const certain = 20

// TrainableComposition is the model of [NewComposition] for the task group-word.
func TrainableComposition(cfg CompositionConfig) (*Trainable, error) {
	n := cfg.Length
	if err := checkWord(n); err != nil {
		return nil, err
	}
	if err := checkSharpness(cfg.Sharpness); err != nil {
		return nil, err
	}
	if n&(n-1) != 0 {
		return nil, fmt.Errorf("words of %d elements: a run needs a power of 2, as its task has no token for the identity that other lengths need", n)
	}
	const most = 1 << 10
	if cfg.Group.Order() > most {
		return nil, fmt.Errorf("group %s has %d elements, and the model a hidden unit for each pair: a run takes at most %d", cfg.Group.Name, cfg.Group.Order(), most)
	}
	c := newComposition(cfg.Group, n, cfg.Sharpness)
	t := &Trainable{model: c.model(), Task: task.Default()}
	t.Task.Name = "group-word"
	t.Task.GroupWord = task.GroupWord{Group: cfg.Group.Name, Lengths: []int{n}, Evaluate: []int{}, Loss: "last"}
	x := c.input(make([]int, n))
	for i := 1; i <= n; i++ {
		clear(x[i][:c.m])
		t.positions = append(t.positions, x[i])
	}
	for element := range cfg.Group.Order() {
		token, head := make([]float64, c.width), make([]float64, c.width)
		code(token[:c.m], element)
		for j, v := range token {
			head[j] = certain / 2 * v // other codes are at least 2 behind
		}
		t.tokens, t.head = append(t.tokens, token), append(t.head, head)
	}
	return t, t.configure()
}

// TrainableHops is the model of [NewHops], before it is compiled into one layer, for the task p-hop. Positions that don't
// have as many hops, and so no target, get any answer.
func TrainableHops(cfg HopsConfig) (*Trainable, error) {
	if err := checkHops(cfg.Hops, cfg.Length, cfg.Letters); err != nil {
		return nil, err
	}
	if err := checkSharpness(cfg.Sharpness); err != nil {
		return nil, err
	}
	h := newHops(cfg.Hops, cfg.Length, cfg.Letters, cfg.Sharpness)
	t := &Trainable{model: h.model(), Task: task.Default()}
	t.Task.Name = "p-hop"
	t.Task.PHop = task.PHop{Letters: cfg.Letters, Length: cfg.Length, Hops: cfg.Hops, Sampler: "no-repeats", Loss: "every"}
	x := h.input(make([]int, cfg.Length))
	for i := 1; i <= cfg.Length; i++ {
		clear(x[i][:cfg.Letters])
		t.positions = append(t.positions, x[i])
	}
	for letter := range cfg.Letters {
		token, head := make([]float64, h.width), make([]float64, h.width)
		token[letter], head[h.answer+letter] = 1, certain
		t.tokens, t.head = append(t.tokens, token), append(t.head, head)
	}
	return t, t.configure()
}

// configure returns an error if the task has too few questions. It finds the architecture, and sizes that hold the construction's: heads of a width that is a power of 4, so that the
// factor 1/√w of their scores is a power of 2, and as many as fill the width of the state.
func (t *Trainable) configure() error {
	a, rolled := Roll(t.model)
	t.model = rolled
	built := measured(rolled)
	w := 1
	for w < built["head width"] {
		w *= 4
	}
	heads := max(built["heads"], (rolled.Width+w-1)/w)
	t.Config = model.Default()
	t.Config.Layers, t.Config.Width, t.Config.Heads, t.Config.Hidden = strings.ReplaceAll(a.String(), "⊗", "x"), heads*w, heads, max(1, built["hidden size"])
	t.Config.Norm, t.Config.Activation, t.Config.Positions = "none", "relu", "learned"
	if _, err := t.Task.New(); err != nil {
		return err
	}
	_, err := t.Config.Check(model.Loops{})
	return err
}

// Arena returns the parameters of m, which has t's configuration and the vocabulary and length of its task. Biases of
// attention are 0.
func (t *Trainable) Arena(m *model.Model) []float32 {
	x := make([]float32, m.Size)
	at := map[string]model.Parameter{}
	for _, p := range m.Parameters {
		at[p.Name] = p
	}
	set := func(name string, row, col int, v float64) {
		p := at[name]
		x[p.Offset+row*p.Cols+col] = float32(v)
	}
	vectors := func(name string, rows [][]float64) {
		for i, row := range rows {
			for j, v := range row {
				set(name, i, j, v)
			}
		}
	}
	vectors("embedding.weight", t.tokens)
	vectors("positions.weight", t.positions)
	for token, row := range t.head {
		for j, v := range row {
			set("head.weight", j, token, v)
		}
	}
	d, w := m.Config.Width, m.Config.Width/m.Config.Heads
	for i := range t.model.Layers {
		l := &t.model.Layers[i]
		name := fmt.Sprintf("layers.%d.", i)
		for h, head := range l.Heads {
			for part, rows := range [][]Row{head.Query, head.Key, head.Value} {
				factor := 1.0
				if part == 0 {
					factor = t.model.Scale * math.Sqrt(float64(w))
				}
				for c, r := range rows {
					for _, term := range r {
						set(name+"attention.qkv.weight", term.Index, part*d+h*w+c, factor*term.Weight)
					}
				}
			}
			for c, r := range head.Out {
				for _, term := range r {
					set(name+"attention.out.weight", h*w+c, term.Index, term.Weight)
				}
			}
		}
		var neurons []Neuron
		for k := range l.Tables {
			neurons = append(neurons, l.Tables[k].neurons()...)
		}
		for j, n := range append(neurons, l.Neurons...) {
			for _, term := range n.In {
				set(name+"feedforward.in.weight", term.Index, j, term.Weight)
			}
			set(name+"feedforward.in.bias", 0, j, n.Bias)
			for _, term := range n.Out {
				set(name+"feedforward.out.weight", j, term.Index, term.Weight)
			}
		}
		for _, term := range l.Bias {
			set(name+"feedforward.out.bias", 0, term.Index, term.Weight)
		}
	}
	return x
}
