package theory

import (
	"math"

	"coil/model"
	"coil/run"
	"coil/task"
)

// A Tracer follows the example of a construction through a model that has its weights, or had them before it was trained on.
type Tracer struct {
	example Example
	steps   int
	width   int
	saved   *Trainable
	m       *model.Model
}

// NewTracer returns the tracer of the construction whose run has the task and the model, or nil if there is none. The weights of a
// trained model that was compiled into one layer can't be recognized.
func NewTracer(of task.Config, m *model.Model) *Tracer {
	c, err := constructionOf(of, m)
	if c == nil || err != nil {
		return nil
	}
	saved, err := c.Trainable()
	if err != nil {
		return nil
	}
	want, have := saved.Config, m.Config
	have.InitStd = want.InitStd
	if want != have {
		return nil
	}
	return &Tracer{example: c.Examples[0], steps: len(c.Examples[0].Exact(Arithmetic{})), width: c.Model.Width, saved: saved, m: m}
}

// constructionOf is the construction that a run on the task would have; nil if there is none.
func constructionOf(of task.Config, m *model.Model) (*Construction, error) {
	teacher := of.Teacher
	shape := Shape{Layers: teacher.Layers, Width: teacher.Width, Heads: teacher.Heads, HeadWidth: teacher.HeadWidth, Hidden: teacher.Hidden}
	switch {
	case of.Name == "group-word" && of.Start == 1 && len(of.GroupWord.Lengths) == 1:
		g, err := NamedGroup(of.GroupWord.Group)
		if err != nil {
			return nil, err
		}
		return NewComposition(CompositionConfig{Group: g, Length: of.GroupWord.Lengths[0], Sharpness: 200, Examples: 1})
	case of.Name == "p-hop" && of.Start == 2:
		return NewHops(HopsConfig{Hops: of.PHop.Hops, Length: of.PHop.Length, Letters: of.PHop.Letters, Sharpness: 50, Examples: 1})
	case of.Name == "teacher" && of.Start == 0 && teacher.Write > 0:
		return NewThought(ThoughtConfig{Shape: shape, Vocabulary: teacher.Vocabulary, Prompt: teacher.Prompt, Tokens: teacher.Write, Scale: teacher.Scale,
			Gap: 1e-6, Sharpness: 200, Examples: 1, Seed: teacher.Weights})
	case of.Name == "teacher" && of.Start == 1 && teacher.Write == 0 && teacher.Layers > 1:
		return NewLooped(LoopedConfig{Shape: shape, Schedule: teacher.Network().Schedule, Vocabulary: teacher.Vocabulary, Length: teacher.Prompt, Scale: teacher.Network().Scale,
			Examples: 1, Seed: teacher.Weights})
	case of.Name == "teacher" && of.Start == 0 && teacher.Write == 0:
		return NewUnrolled(UnrolledConfig{Architecture: m.Architecture, Shape: shape, Vocabulary: teacher.Vocabulary, Length: teacher.Prompt,
			Scale: teacher.Network().Scale, Examples: 1, Seed: teacher.Weights})
	}
	return nil, nil
}

// moved is how far a weight of the embedding may be from the construction's before the coordinates of the state count as something
// else.
const moved = 0.5

// Trace follows the example through the model with these weights. It returns nil if the coordinates of the state are no longer what
// the construction makes of them, or the weights are not those that [FromTrained] takes.
func (t *Tracer) Trace(arena []float32) *run.Trace {
	w := trainedWeights{t.m, arena}
	tokens, positions := w.matrix("embedding.weight"), w.matrix("positions.weight")
	if !alike(tokens, t.saved.tokens) || !alike(positions, t.saved.positions) {
		return nil
	}
	m, err := FromTrained(t.m, arena)
	if err != nil {
		return nil
	}
	text := t.example.Tokens()
	d := &Decoder{Model: m, Tokens: tokens, Positions: positions}
	d.widen()
	var states [][][]float64
	layers := m.Depth() / t.steps
	m.Run(d.embed(text), Arithmetic{}, func(depth int, x [][]float64) {
		if depth%layers == 0 {
			state := convert[float64](x)
			for i := range state {
				state[i] = state[i][:t.width]
			}
			states = append(states, state)
		}
	})
	return t.example.Trace(states)
}

// alike reports whether the numbers of a matrix are about those of another, which may have fewer columns: what is beyond them is 0.
func alike(matrix, want [][]float64) bool {
	for i, row := range want {
		for j, v := range matrix[i] {
			var is float64
			if j < len(row) {
				is = row[j]
			}
			if !(math.Abs(v-is) <= moved) {
				return false
			}
		}
	}
	return true
}
