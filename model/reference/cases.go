package reference

import (
	"math"
	"math/rand/v2"

	"coil/loop"
	"coil/model"
	"coil/regularize"
)

// Case is a configuration to compare models on.
type Case struct {
	Name       string
	Config     model.Config
	Loops      model.Loops
	Count      int // loops of the looped block; 0 for the configuration's own
	Regularize regularize.Config
	Vocabulary int
	Length     int
}

// Cases have every option at least once, and sizes that fill no vector register or tile.
func Cases() []Case {
	base := model.Config{Width: 12, Heads: 3, Hidden: 21, Norm: "layernorm", NormPlace: "pre", Activation: "gelu",
		Positions: "rotary", RotaryBase: 10000, Bias: true, QKVBias: true, Attention: "softmax", ResidualScale: "none", InitStd: 0.02, Injection: "none", Carry: "state", CarryRank: 3}
	var cases []Case
	add := func(name, layers string, f func(c *Case)) {
		c := Case{Name: name, Config: base, Vocabulary: 11, Length: 7}
		c.Config.Layers = layers
		if f != nil {
			f(&c)
		}
		cases = append(cases, c)
	}
	add("looped", "1x4", nil)
	add("unlooped", "3x1", func(c *Case) { c.Config.RotaryBase = 50 })
	add("swiglu rmsnorm sandwich", "2x3", func(c *Case) {
		c.Config.Activation, c.Config.Norm, c.Config.NormPlace, c.Config.Bias = "swiglu", "rmsnorm", "sandwich", false
	})
	add("middle", "2x(1,3,1)", func(c *Case) { c.Config.Tied = true })
	add("blocks of different sizes", "2/1x3/3", func(c *Case) {
		c.Config.Injection, c.Config.LoopEmbedding, c.Config.ResidualScale = "add", true, "loops"
	})
	add("regularized by 2", "6x1", func(c *Case) { c.Regularize = regularize.Config{Lambda: 0.7, Block: 2} })
	add("regularized by 3", "6x1", func(c *Case) {
		c.Regularize = regularize.Config{Lambda: 5, Block: 3}
		c.Config.Activation, c.Config.Norm = "swiglu", "rmsnorm"
	})
	add("injection add", "1x4", func(c *Case) { c.Config.Injection, c.Config.Positions = "add", "learned" })
	add("injection linear", "2x3", func(c *Case) { c.Config.Injection, c.Config.LoopEmbedding = "linear", true })
	add("loop embedding", "1x3", func(c *Case) { c.Config.LoopEmbedding, c.Loops.Recompute = true, true })
	add("more loops than vectors", "1x2", func(c *Case) { c.Config.LoopEmbedding, c.Count = true, 4 })
	add("random loops", "1x(1,2)", func(c *Case) {
		c.Loops = model.Loops{RandomMean: 2, RandomMax: 5}
		c.Config.LoopEmbedding, c.Count = true, 3
	})
	add("truncated add", "1x4", func(c *Case) {
		c.Config.Injection, c.Loops.Truncate = "add", 2
	})
	add("truncated linear", "1x(1,4,1)", func(c *Case) {
		c.Config.Injection, c.Config.LoopEmbedding = "linear", true
		c.Loops = model.Loops{Truncate: 2, EveryLoop: true, Recompute: true}
	})
	add("truncated beyond", "1x3", func(c *Case) { c.Config.Injection, c.Loops.Truncate = "add", 5 })
	add("every loop", "1x3", func(c *Case) {
		c.Config.Positions, c.Config.Tied, c.Loops.EveryLoop = "sinusoidal", true, true
	})
	add("every loop of the middle", "1x(1,3,2)", func(c *Case) {
		c.Config.Injection = "add"
		c.Loops = model.Loops{EveryLoop: true, Recompute: true}
	})
	add("learned exit", "1x4", func(c *Case) { c.Loops = model.Loops{Exit: "learned", ExitBeta: 0.3} })
	add("learned exit of the middle", "1x(1,3,2)", func(c *Case) {
		c.Config.Injection, c.Config.Norm, c.Config.Bias, c.Config.Tied = "add", "rmsnorm", false, true
		c.Loops = model.Loops{Exit: "learned", ExitBeta: 0.05, Recompute: true}
	})
	add("learned exit of random loops", "2x2", func(c *Case) {
		c.Config.NormPlace, c.Config.LoopEmbedding, c.Count = "post", true, 3
		c.Loops = model.Loops{Exit: "learned", RandomMean: 2, RandomMax: 5}
	})
	add("learned exit of one loop", "1x2", func(c *Case) {
		c.Loops, c.Count = model.Loops{Exit: "learned", ExitBeta: 0.3}, 1
	})
	add("fewer loops than the other blocks", "1x(2,3,2)", func(c *Case) { c.Config.Injection, c.Count = "add", 1 })
	add("post relu learned", "2x2", func(c *Case) {
		c.Config.NormPlace, c.Config.Activation, c.Config.Positions = "post", "relu", "learned"
	})
	add("post swiglu recompute", "1x3", func(c *Case) {
		c.Config.NormPlace, c.Config.Activation, c.Config.Injection = "post", "swiglu", "linear"
		c.Loops.Recompute = true
	})
	add("no positions", "1x3", func(c *Case) {
		c.Config.Positions, c.Config.Norm, c.Config.Activation, c.Config.Tied = "none", "rmsnorm", "relu", true
	})
	add("no norms", "1x2", func(c *Case) { // more would let the states grow, and with them every rounding
		c.Config.Norm, c.Config.Positions, c.Config.Activation = "none", "learned", "relu"
		c.Loops = model.Loops{Exit: "learned", ExitBeta: 0.1}
	})
	add("sandwich sinusoidal", "1x3", func(c *Case) { c.Config.NormPlace, c.Config.Positions = "sandwich", "sinusoidal" })
	add("shared keys", "2x2", func(c *Case) {
		c.Config.Width, c.Config.Heads, c.Config.KVHeads, c.Config.AttentionScale = 12, 6, 2, 0.9
	})
	add("one head of keys", "1x3", func(c *Case) {
		c.Config.Heads, c.Config.KVHeads, c.Config.HeadWidth, c.Config.Norm = 4, 1, 6, "rmsnorm"
		c.Regularize = regularize.Config{Lambda: 0.7, Block: 1}
		c.Config.Layers = "3x1"
	})
	add("wide heads", "1x3", func(c *Case) {
		c.Config.Width, c.Config.Heads, c.Config.HeadWidth, c.Config.Positions = 10, 3, 7, "learned"
		c.Config.QKVBias = false
	})
	add("hard attention", "1x3", func(c *Case) {
		c.Config.Attention, c.Config.Positions = "hard", "learned"
	})
	add("hard attention on shared keys", "2x2", func(c *Case) {
		c.Config.Attention, c.Config.KVHeads, c.Config.QKVBias, c.Loops.Recompute = "hard", 1, false, true
	})
	add("head norms", "1x3", func(c *Case) { c.Config.QKNorm = true })
	add("head norms of shared keys", "2x2", func(c *Case) {
		c.Config.QKNorm, c.Config.Heads, c.Config.KVHeads, c.Config.HeadWidth, c.Config.Norm, c.Loops.Recompute = true, 4, 2, 6, "rmsnorm", true
	})
	add("soft cap", "1x3", func(c *Case) { c.Config.LogitSoftcap, c.Config.Tied = 1.5, true })
	add("soft cap of every loop", "1x3", func(c *Case) { c.Config.LogitSoftcap, c.Loops.EveryLoop = 2, true })
	add("soft cap and learned exit", "1x3", func(c *Case) {
		c.Config.LogitSoftcap, c.Loops = 2, model.Loops{Exit: "learned", ExitBeta: 0.3}
	})
	add("loop norm", "1x(1,3,1)", func(c *Case) { c.Config.LoopNorm, c.Config.Injection = true, "add" })
	add("loop norm of every loop", "1x3", func(c *Case) {
		c.Config.LoopNorm, c.Config.Norm, c.Config.NormPlace, c.Loops.EveryLoop, c.Loops.Recompute = true, "rmsnorm", "sandwich", true, true
	})
	add("residual scale", "2x3", func(c *Case) { c.Config.ResidualScale = "loops" })
	add("residual scale of the middle", "1x(2,4,1)", func(c *Case) {
		c.Config.ResidualScale, c.Config.NormPlace, c.Count, c.Config.Activation = "loops", "sandwich", 2, "swiglu"
	})
	add("injection decay", "1x4", func(c *Case) { c.Config.Injection = "decay" })
	add("injection decay of the middle", "1x(1,3,1)", func(c *Case) {
		c.Config.Injection, c.Config.LoopEmbedding, c.Config.LoopNorm = "decay", true, true
		c.Loops = model.Loops{EveryLoop: true, Recompute: true}
	})
	add("truncated decay", "1x4", func(c *Case) {
		c.Config.Injection, c.Loops.Truncate = "decay", 2
	})
	add("restart", "2x3", func(c *Case) { c.Config.Carry = "restart" })
	add("restart of the middle", "1/2x3/1", func(c *Case) {
		c.Config.Carry, c.Config.CarryRank, c.Config.LoopEmbedding, c.Config.LoopNorm, c.Config.Norm = "restart", 5, true, true, "rmsnorm"
		c.Config.NormPlace, c.Config.Activation, c.Config.QKVBias, c.Config.ResidualScale = "sandwich", "swiglu", false, "loops"
		c.Loops = model.Loops{EveryLoop: true, Recompute: true}
	})
	add("restart of one layer", "1x3", func(c *Case) {
		c.Config.Carry, c.Config.NormPlace, c.Config.KVHeads, c.Config.QKNorm, c.Count = "restart", "post", 1, true, 4
	})
	add("truncated restart", "1x(1,4,1)", func(c *Case) {
		c.Config.Carry, c.Loops.Truncate = "restart", 2
	})
	add("restart and learned exit", "2x2", func(c *Case) {
		c.Config.Carry, c.Config.Positions = "restart", "learned"
		c.Loops = model.Loops{Exit: "learned", ExitBeta: 0.1, RandomMean: 2, RandomMax: 3}
	})
	add("restart of one loop", "2x1", func(c *Case) { c.Config.Carry = "restart" })
	add("streams", "2x3", func(c *Case) { c.Config.Streams = 4 })
	add("streams of the middle", "1/2x3/1", func(c *Case) {
		c.Config.Streams, c.Config.LoopEmbedding, c.Config.LoopNorm, c.Config.Norm, c.Count = 3, true, true, "rmsnorm", 4
		c.Loops = model.Loops{EveryLoop: true, Recompute: true}
	})
	add("streams and learned exit", "1x2", func(c *Case) {
		c.Config.Streams, c.Config.NormPlace, c.Config.ResidualScale = 2, "post", "loops"
		c.Loops = model.Loops{Exit: "learned", ExitBeta: 0.1}
	})
	add("odd width", "1x3", func(c *Case) {
		c.Config.Width, c.Config.Heads, c.Config.Hidden, c.Config.Positions = 7, 1, 5, "learned"
		c.Length = 9
	})
	add("one token", "1x2", func(c *Case) {
		c.Config.LoopEmbedding, c.Config.Width, c.Config.Heads = true, 10, 5
		c.Vocabulary, c.Length = 2, 1
	})
	return cases
}

// Architecture is m's with the loop count of the case.
func (c Case) Architecture(m *model.Model) loop.Architecture {
	if c.Count == 0 {
		return m.Architecture
	}
	return m.Architecture.WithCount(c.Count)
}

// Arena returns weights with which every part of a model matters, unlike with its initial weights.
func Arena(m *model.Model, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	arena := make([]float32, m.Size)
	for _, p := range m.Parameters {
		mean, std := 0.0, 1/math.Sqrt(float64(m.Config.Width))
		if !p.Decay {
			std = 0.3
			if p.Name[len(p.Name)-4:] == "gain" {
				mean = 1
			}
		}
		for i := range p.Size() {
			arena[p.Offset+i] = float32(mean + std*rng.NormFloat64())
		}
	}
	return arena
}

// Batch returns random sequences, and targets; about one in four is ignored.
func Batch(c Case, sequences int, seed uint64) (tokens, targets [][]int) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for range sequences {
		x, y := make([]int, c.Length), make([]int, c.Length)
		for t := range x {
			x[t], y[t] = rng.IntN(c.Vocabulary), rng.IntN(c.Vocabulary)
			if t > 0 && rng.IntN(4) == 0 {
				y[t] = Ignore
			}
		}
		tokens, targets = append(tokens, x), append(targets, y)
	}
	return tokens, targets
}
