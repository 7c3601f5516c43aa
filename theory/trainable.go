package theory

import (
	"fmt"
	"math"
	"strings"

	"coil/model"
	"coil/task"
)

// Trainable is a construction as a model of package model on a task that it solves: without norms, with learned positions that
// are what the construction gives a position to know, and with a head that reads the answer.
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

// Trainable returns the construction as a model that a run can have.
func (c *Construction) Trainable() (*Trainable, error) {
	t, err := c.trainable()
	if err != nil {
		return nil, err
	}
	return t, t.configure()
}

// vectorsOf are the vectors of positions: what the state of an input is without its tokens.
func (t *Trainable) vectorsOf(input [][]float64, tokens ...Slot) {
	for _, row := range input {
		v := append([]float64{}, row...)
		for _, s := range tokens {
			clear(v[s.At : s.At+s.Width])
		}
		t.positions = append(t.positions, v)
	}
}

// token adds a token: what it adds to the state, and what its logit reads.
func (t *Trainable) token(in, head Row) {
	dense := func(r Row) []float64 {
		v := make([]float64, t.model.Width)
		add(r, 1, v)
		return v
	}
	t.tokens, t.head = append(t.tokens, dense(in)), append(t.head, dense(head))
}

// trainable is the model of the type composition for the task group-word, with # in front.
func (c composition) trainable() (*Trainable, error) {
	const most = 1 << 22 // the largest model.hidden
	if units := c.group.Order() * c.group.Order(); units+6*c.m > most {
		return nil, fmt.Errorf("group %s has %d elements, and so the layer %d hidden units: the model of a run takes at most %d", c.group.Name, c.group.Order(), units+6*c.m, most)
	}
	t := &Trainable{model: c.model(), Task: task.Default()}
	t.Task.Name, t.Task.Start = "group-word", 1
	t.Task.GroupWord = task.GroupWord{Group: c.group.Name, Lengths: []int{c.n}, Evaluate: []int{}, Loss: "last"}
	t.vectorsOf(c.input(make([]int, c.n)), Slot{At: 0, Width: c.m})
	element := func(number int, factor float64) Row {
		v := make([]float64, c.m)
		code(v, number)
		r := make(Row, c.m)
		for j := range r {
			r[j] = Term{j, factor * v[j]}
		}
		return r
	}
	for number := range c.group.Order() {
		t.token(element(number, 1), element(number, certain/2)) // other codes are at least 2 behind
	}
	t.token(element(c.group.identity, 1), nil)
	return t, nil
}

// trainable is the compiled layer for the task p-hop, with # in front of the position 0 that stands before the letters.
func (c hops) trainable(l *Looped) (*Trainable, error) {
	t := &Trainable{model: l.Model, Task: task.Default()}
	t.Task.Name, t.Task.Start = "p-hop", 2
	t.Task.PHop = task.PHop{Letters: c.letters, Length: c.n, Hops: c.p, Sampler: "no-repeats", Loss: "every"}
	t.vectorsOf(l.Input(c.input(make([]int, c.n))), Slot{At: 0, Width: c.letters})
	for letter := range c.letters {
		t.token(unit(letter), Row{{c.answer + letter, certain}})
	}
	t.token(nil, nil)
	return t, nil
}

// trainable is the model of the type thought for the task teacher, whose dummies are its own.
func (c thought) trainable(of task.Teacher) (*Trainable, error) {
	t := &Trainable{model: c.model(), Task: task.Default()}
	t.Task.Name, t.Task.Teacher = "teacher", of
	t.vectorsOf(c.input(make([]int, c.n), 1), Slot{At: c.e, Width: len(c.Tokens)})
	for token := range c.Tokens {
		t.token(unit(c.e+token), Row{{c.e + token, certain}})
	}
	t.token(nil, nil)
	return t, nil
}

// trainable is a decoder as it is.
func (d *Decoder) trainable(of task.Config) (*Trainable, error) {
	return &Trainable{model: d.Model, Task: of, tokens: d.Tokens, positions: d.Positions, head: d.Head}, nil
}

// looped is the decoder's layers compiled into one, with # in front of the sequences. What occurs in its scores and neurons may be
// eight times as large as on these inputs.
func (d *Decoder) looped(of task.Config, inputs [][][]float64) (*Trainable, error) {
	l, err := loopFor(d.Model, 16, inputs...)
	if err != nil {
		return nil, err
	}
	t := &Trainable{model: l.Model, Task: of}
	t.Task.Start++
	t.vectorsOf(l.Input(d.Positions))
	for token, row := range d.Tokens {
		t.token(full([][]float64{row})[0], full(d.Head[token : token+1])[0])
	}
	// The turn has R − 1 ones, so that the logit of # is below all others.
	var never Row
	for r := range d.Layers {
		never = append(never, Term{l.turn(r), -powerOf2(16 * d.largestLogit(inputs))})
	}
	t.token(nil, never)
	return t, nil
}

// largestLogit is that in size on some inputs.
func (d *Decoder) largestLogit(inputs [][][]float64) float64 {
	var largest float64
	for _, x := range inputs {
		for _, row := range d.Run(x, Arithmetic{}, nil) {
			for _, head := range d.Head {
				largest = max(largest, math.Abs(product(head, row)))
			}
		}
	}
	return largest
}

// configure finds the architecture, with the sizes of the construction. It returns an error if the task has too few questions.
func (t *Trainable) configure() error {
	a, rolled := Roll(t.model)
	t.model = rolled
	built := measured(rolled)
	t.Config = model.Default()
	t.Config.Layers, t.Config.Width, t.Config.Hidden = strings.ReplaceAll(a.String(), "⊗", "x"), rolled.Width, max(1, built["hidden size"])
	t.Config.Heads, t.Config.HeadWidth, t.Config.AttentionScale = built["heads"], built["head width"], rolled.Scale
	t.Config.Norm, t.Config.Activation, t.Config.Positions, t.Config.QKVBias = "none", "relu", "learned", false
	if err := t.Task.Check(); err != nil {
		return err
	}
	if _, err := t.Task.New(); err != nil {
		return err
	}
	_, err := t.Config.Check(model.Loops{})
	return err
}

// Arena returns the parameters of m, which has t's configuration, or hard attention without a scale, and the vocabulary and length
// of its task. The bias of attention's result is 0.
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
	heads := m.Config.Layout()
	for i := range t.model.Layers {
		l := &t.model.Layers[i]
		name := fmt.Sprintf("layers.%d.", i)
		for h, head := range l.Heads {
			for part, rows := range [][]Row{head.Query, head.Key, head.Value} {
				first := part*heads.Keys() + h*heads.Width
				for c, r := range rows {
					for _, term := range r {
						set(name+"attention.qkv.weight", term.Index, first+c, term.Weight)
					}
				}
			}
			for c, r := range head.Out {
				for _, term := range r {
					set(name+"attention.out.weight", h*heads.Width+c, term.Index, term.Weight)
				}
			}
		}
		j := 0
		for n := range l.neurons() {
			for _, term := range n.In {
				set(name+"feedforward.in.weight", term.Index, j, term.Weight)
			}
			set(name+"feedforward.in.bias", 0, j, n.Bias)
			for _, term := range n.Out {
				set(name+"feedforward.out.weight", j, term.Index, term.Weight)
			}
			j++
		}
		for _, term := range l.Bias {
			set(name+"feedforward.out.bias", 0, term.Index, term.Weight)
		}
	}
	return x
}
