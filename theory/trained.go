package theory

import (
	"fmt"
	"strings"

	"coil/model"
	"coil/task"
)

// FromTrained returns the layers of a model of package model, on the schedule of its loops, in the architecture of the proofs. The
// error of a model of another architecture names the key that would have to be different.
//
// That architecture has no biases in attention. If the model has some that aren't 0, the state has one more coordinate, which must
// be 1 at every position: queries, keys and values read their biases from it, and one more head, which attends to all alike, adds
// those of attention's output.
func FromTrained(m *model.Model, arena []float32) (*Model, error) {
	const most = 1 << 24
	if m.Size > most {
		return nil, fmt.Errorf("the model has %d parameters, want at most %d", m.Size, most)
	}
	c := m.Config
	for _, k := range []struct {
		fits      bool
		key, want string
	}{
		{c.Norm == "none", "model.norm", `"none"`},
		{c.Activation == "relu", "model.activation", `"relu"`},
		{c.Positions == "learned" || c.Positions == "none", "model.positions", `"learned" or "none"`},
		{c.Injection == "none", "model.injection", `"none"`},
		{!c.LoopEmbedding, "model.loop_embedding", "false"},
		{!c.QKNorm, "model.qk_norm", "false"},
		{c.LogitSoftcap == 0, "model.logit_softcap", "0"},
		{c.ResidualScale == "none", "model.residual_scale", `"none"`},
		{c.Attention == "softmax", "model.attention", `"softmax"`},
	} {
		if !k.fits {
			return nil, fmt.Errorf("the model isn't of the architecture of the proofs: that has %s = %s", k.key, k.want)
		}
	}
	w := trainedWeights{m, arena}
	heads := c.Layout()
	one := c.Width // the coordinate that is 1
	biased := false
	for i := range m.Architecture.Layers() {
		for _, bias := range []string{"qkv", "out"} {
			biased = biased || len(w.vector(fmt.Sprintf("layers.%d.attention.%s.bias", i, bias))) > 0
		}
	}
	var layers []Layer
	for i := range m.Architecture.Layers() {
		name := fmt.Sprintf("layers.%d.", i)
		var l Layer
		columns, rows := w.columns(name+"attention.qkv.weight"), w.rows(name+"attention.out.weight")
		for _, t := range w.vector(name + "attention.qkv.bias") {
			columns[t.Index] = append(columns[t.Index], Term{one, t.Weight})
		}
		for h := range heads.Heads {
			query, key, value := h*heads.Width, heads.Keys()+heads.KVColumn(h), heads.Values()+heads.KVColumn(h)
			of := func(x []Row, from int) []Row { return x[from : from+heads.Width] }
			l.Heads = append(l.Heads, Head{Query: of(columns, query), Key: of(columns, key), Value: of(columns, value), Out: of(rows, query)})
		}
		if bias := w.vector(name + "attention.out.bias"); len(bias) > 0 {
			l.Heads = append(l.Heads, Head{Value: []Row{unit(one)}, Out: []Row{bias}})
		}
		in, out := w.columns(name+"feedforward.in.weight"), w.rows(name+"feedforward.out.weight")
		for j := range in {
			l.Neurons = append(l.Neurons, Neuron{In: in[j], Out: out[j]})
		}
		for _, t := range w.vector(name + "feedforward.in.bias") {
			l.Neurons[t.Index].Bias = t.Weight
		}
		l.Bias = w.vector(name + "feedforward.out.bias")
		layers = append(layers, l)
	}
	scale := c.AttentionScale
	if scale == 0 {
		scale = Shape{HeadWidth: heads.Width}.RootScale()
	}
	width := c.Width
	if biased {
		width++
	}
	return NewStack(m.Architecture, width, scale, layers)
}

// NewLoopedModel compiles a trained model of at least two layers into one looped layer, and runs it on sequences of tokens of its
// task.
func NewLoopedModel(m *model.Model, arena []float32, of task.Config, sequences [][]int32) (*Construction, error) {
	from, err := FromTrained(m, arena)
	if err != nil {
		return nil, err
	}
	w := trainedWeights{m, arena}
	d := &Decoder{Model: from, Tokens: w.matrix("embedding.weight"), Positions: w.matrix("positions.weight"), Head: transpose(w.matrix("head.weight"))}
	if d.Positions == nil {
		d.Positions = make([][]float64, m.Length)
		for i := range d.Positions {
			d.Positions[i] = make([]float64, from.Width)
		}
	}
	if m.Config.Tied {
		d.Head = d.Tokens
	}
	d.widen()
	var texts [][]int
	for _, sequence := range sequences {
		text := make([]int, len(sequence))
		for i, token := range sequence {
			text[i] = int(token)
		}
		texts = append(texts, text)
	}
	built := measured(from)
	return newLooped(d, of, texts, Shape{Layers: len(from.Layers), Width: from.Width, Heads: built["heads"], HeadWidth: built["head width"], Hidden: m.Config.Hidden})
}

// widen gives the vectors the coordinate that biases of attention need, if the layers have it: 0 for tokens, 1 for positions.
func (d *Decoder) widen() {
	for k, rows := range [][][]float64{d.Tokens, d.Positions, d.Head} {
		for i, row := range rows {
			for len(row) < d.Width {
				row = append(row, float64(k%2))
			}
			rows[i] = row
		}
	}
}

// trainedWeights are the parameters of a model in their arena.
type trainedWeights struct {
	m     *model.Model
	arena []float32
}

// rows returns the rows of a parameter, without zeros; nil if the model lacks it.
func (w trainedWeights) rows(name string) []Row {
	for _, p := range w.m.Parameters {
		if p.Name != name {
			continue
		}
		all := make([]Row, p.Rows)
		for i := range all {
			for j, v := range w.arena[p.Offset+i*p.Cols:][:p.Cols] {
				if v != 0 {
					all[i] = append(all[i], Term{j, float64(v)})
				}
			}
		}
		return all
	}
	if !strings.HasSuffix(name, ".bias") {
		panic("theory: no such parameter")
	}
	return nil
}

// vector returns a parameter with one row; empty if the model lacks it.
func (w trainedWeights) vector(name string) Row {
	if rows := w.rows(name); rows != nil {
		return rows[0]
	}
	return nil
}

// columns are the rows of the transposed parameter.
func (w trainedWeights) columns(name string) []Row {
	var n int
	for _, p := range w.m.Parameters {
		if p.Name == name {
			n = p.Cols
		}
	}
	all := make([]Row, n)
	for i, r := range w.rows(name) {
		for _, t := range r {
			all[t.Index] = append(all[t.Index], Term{i, t.Weight})
		}
	}
	return all
}

// matrix is a parameter in full; nil if the model lacks it.
func (w trainedWeights) matrix(name string) [][]float64 {
	for _, p := range w.m.Parameters {
		if p.Name != name {
			continue
		}
		all := make([][]float64, p.Rows)
		for i := range all {
			for _, v := range w.arena[p.Offset+i*p.Cols:][:p.Cols] {
				all[i] = append(all[i], float64(v))
			}
		}
		return all
	}
	return nil
}

// transpose exchanges rows and columns.
func transpose(matrix [][]float64) [][]float64 {
	if matrix == nil {
		return nil
	}
	t := make([][]float64, len(matrix[0]))
	for _, row := range matrix {
		for j, v := range row {
			t[j] = append(t[j], v)
		}
	}
	return t
}
