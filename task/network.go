package task

import (
	"math"
	"math/rand/v2"
)

// Network is a decoder without norms, of the architecture of the proofs on looped transformers: token t at position i enters as
// x_i = Tokens[t] + Positions[i]; each layer of the schedule maps
//
//	y_i = x_i + Σ_heads Outᵀ·Σ_{j≤i} a_ij·Value·x_j      a_ij = softmax_j(Scale·⟨Query·x_i, Key·x_j⟩)
//	z_i = y_i + Downᵀ·relu(Up·y_i + UpBias) + DownBias
//
// and the logit of token c is ⟨Head[c], z_i⟩. All matrices are lists of rows of the width d.
type Network struct {
	Layers                  []NetworkLayer
	Schedule                []int
	Scale                   float64
	Tokens, Positions, Head [][]float64 // [V, d], [positions, d], [V, d]
}

// NetworkLayer is a layer of a network.
type NetworkLayer struct {
	Heads            []NetworkHead
	Up, Down         [][]float64 // [f, d]
	UpBias, DownBias []float64   // [f], [d]
}

// NetworkHead is an attention head of width w.
type NetworkHead struct{ Query, Key, Value, Out [][]float64 } // [w, d]

// Network draws the teacher.
func (c Teacher) Network() *Network {
	rng := rand.New(rand.NewPCG(c.Weights, 1))
	n := &Network{Layers: RandomLayers(rng, c.Layers, c.Width, c.Heads, c.HeadWidth, c.Hidden), Schedule: c.Schedule, Scale: c.Scale}
	if n.Scale == 0 {
		n.Scale = 1 / math.Sqrt(float64(c.HeadWidth))
	}
	if len(n.Schedule) == 0 {
		for i := range n.Layers {
			n.Schedule = append(n.Schedule, i)
		}
	}
	n.Tokens, n.Positions = Normals(rng, c.Vocabulary, c.Width, 1), Normals(rng, c.Prompt+c.Write, c.Width, 0.7)
	n.Head = Normals(rng, c.Vocabulary, c.Width, 1)
	return n
}

// RandomLayers draws layers of heads of width w and f hidden units, such that what each adds to a state of normal numbers is about
// as large as the state.
func RandomLayers(rng *rand.Rand, layers, d, heads, w, f int) []NetworkLayer {
	root := func(n int) float64 { return math.Sqrt(float64(n)) }
	all := make([]NetworkLayer, layers)
	for r := range all {
		l := &all[r]
		for range heads {
			in, out := 1/root(d), 0.5/root(heads*w)
			l.Heads = append(l.Heads, NetworkHead{Normals(rng, w, d, in), Normals(rng, w, d, in), Normals(rng, w, d, in), Normals(rng, w, d, out)})
		}
		l.Up, l.Down = Normals(rng, f, d, 1/root(d)), Normals(rng, f, d, 0.5/root(f))
		l.UpBias, l.DownBias = Normals(rng, 1, f, 0.3)[0], Normals(rng, 1, d, 0.2)[0]
	}
	return all
}

// Normals are rows of normal numbers, rounded to float32 so that both precisions have the same.
func Normals(rng *rand.Rand, rows, cols int, std float64) [][]float64 {
	x := make([][]float64, rows)
	for i := range x {
		x[i] = make([]float64, cols)
		for j := range x[i] {
			x[i][j] = float64(float32(std * rng.NormFloat64()))
		}
	}
	return x
}

// networkPass reads a sequence token by token, and keeps the keys and values of those before.
type networkPass struct {
	*Network
	position       int
	keys, values   [][][]float64 // by depth and head, then position; each [positions·w]
	x, sum, scores []float64
	query, hidden  []float64
}

// pass has memory for sequences of that length.
func (n *Network) pass(length int) *networkPass {
	d := len(n.Tokens[0])
	p := &networkPass{Network: n, x: make([]float64, d), sum: make([]float64, d), scores: make([]float64, length)}
	for _, r := range n.Schedule {
		l := &n.Layers[r]
		var keys, values [][]float64
		for _, h := range l.Heads {
			keys, values = append(keys, make([]float64, length*len(h.Key))), append(values, make([]float64, length*len(h.Value)))
			p.query = make([]float64, max(len(p.query), len(h.Query)))
		}
		p.keys, p.values = append(p.keys, keys), append(p.values, values)
		p.hidden = make([]float64, max(len(p.hidden), len(l.Up)))
	}
	return p
}

// begin forgets what was read.
func (p *networkPass) begin() { p.position = 0 }

// read takes the next token. It returns the token with the largest logit, and by how much that leads, relative to the logit that
// is largest in size.
func (p *networkPass) read(token int) (next int, lead float64) {
	for j := range p.x {
		p.x[j] = p.Tokens[token][j] + p.Positions[p.position][j]
	}
	for depth, r := range p.Schedule {
		l := &p.Layers[r]
		copy(p.sum, p.x)
		for h := range l.Heads {
			p.head(&l.Heads[h], p.keys[depth][h], p.values[depth][h])
		}
		copy(p.x, p.sum)
		for k, up := range l.Up {
			p.hidden[k] = max(0, inner(up, p.sum)+l.UpBias[k])
		}
		for k, down := range l.Down {
			addScaled(p.x, p.hidden[k], down)
		}
		addScaled(p.x, 1, l.DownBias)
	}
	p.position++
	first, second, size := math.Inf(-1), math.Inf(-1), 0.0
	for c, head := range p.Head {
		logit := inner(head, p.x)
		size = max(size, math.Abs(logit))
		if logit > first {
			next, first, second = c, logit, first
		} else {
			second = max(second, logit)
		}
	}
	return next, (first - second) / size
}

// head adds what h attends to.
func (p *networkPass) head(h *NetworkHead, keys, values []float64) {
	w := len(h.Query)
	for c := range w {
		p.query[c] = inner(h.Query[c], p.x)
		keys[p.position*w+c], values[p.position*w+c] = inner(h.Key[c], p.x), inner(h.Value[c], p.x)
	}
	scores, largest, total := p.scores[:p.position+1], math.Inf(-1), 0.0
	for j := range scores {
		scores[j] = p.Scale * inner(p.query[:w], keys[j*w:][:w])
		largest = max(largest, scores[j])
	}
	for j, s := range scores {
		scores[j] = math.Exp(s - largest)
		total += scores[j]
	}
	for c, out := range h.Out {
		var mixed float64
		for j, a := range scores {
			mixed += a / total * values[j*w+c]
		}
		addScaled(p.sum, mixed, out)
	}
}

func inner(a, b []float64) float64 {
	var s float64
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func addScaled(to []float64, factor float64, x []float64) {
	for i, v := range x {
		to[i] += factor * v
	}
}
