package theory

import (
	"math"
	"strings"
	"testing"

	"coil/model"
	"coil/model/reference"
	"coil/task"
)

func trainedModel(t *testing.T, change func(c *model.Config)) (*model.Model, []float32) {
	t.Helper()
	c := model.Default()
	c.Layers, c.Width, c.Heads, c.Hidden = "1x(1,2,1)", 12, 3, 10
	c.Norm, c.Activation, c.Positions, c.Bias = "none", "relu", "learned", false
	change(&c)
	m, err := model.New(c, model.Loops{}, 5, 6)
	if err != nil {
		t.Fatal(err)
	}
	return m, reference.Arena(m, 1)
}

// A trained model's layers compute what the reference of package model computes, and one looped layer computes the same to the
// last bit, biases of attention included.
func TestTrainedModelLoops(t *testing.T) {
	for name, change := range map[string]func(c *model.Config){
		"learned":      func(*model.Config) {},
		"no positions": func(c *model.Config) { c.Positions, c.Layers = "none", "2x2" },
		"biases":       func(c *model.Config) { c.Bias = true },
		"shared keys":  func(c *model.Config) { c.Heads, c.KVHeads, c.HeadWidth, c.AttentionScale = 4, 2, 5, 0.7 },
		"tied":         func(c *model.Config) { c.Tied, c.Bias = true, true },
	} {
		m, arena := trainedModel(t, change)
		sequence := []int32{3, 1, 4, 1, 0, 2}
		c, err := NewLoopedModel(m, arena, task.Default(), [][]int32{sequence})
		exactly(t, c, err, 0)
		e := c.Examples[0].(*loopedExample)
		last := e.From.Run(e.input, Arithmetic{}, nil)
		logits := reference.New(m, m.Architecture, arena).Logits([]int{3, 1, 4, 1, 0, 2})
		head := full(transpose(trainedWeights{m, arena}.matrix("head.weight")))
		if m.Config.Tied {
			head = full(trainedWeights{m, arena}.matrix("embedding.weight"))
		}
		for i, want := range logits[len(logits)-1] {
			for k, v := range want {
				if got := dot(head[k], last[i]); math.Abs(got-v) > 1e-11*max(1, math.Abs(v)) {
					t.Fatalf("%s: logit %d of position %d is %v, want %v", name, k, i, got, v)
				}
			}
		}
	}
}

// What is not of the proofs' architecture is refused, with the key that is different.
func TestTrainedModelOfOtherArchitecture(t *testing.T) {
	for want, change := range map[string]func(c *model.Config){
		"model.norm =":           func(c *model.Config) { c.Norm = "rmsnorm" },
		"model.activation =":     func(c *model.Config) { c.Activation = "gelu" },
		"model.positions =":      func(c *model.Config) { c.Positions = "rotary" },
		"model.injection =":      func(c *model.Config) { c.Injection = "add" },
		"model.qk_norm =":        func(c *model.Config) { c.QKNorm = true },
		"model.logit_softcap =":  func(c *model.Config) { c.LogitSoftcap = 30 },
		"model.residual_scale =": func(c *model.Config) { c.ResidualScale = "loops" },
		"model.attention =":      func(c *model.Config) { c.Attention = "hard" },
		"model.loop_embedding =": func(c *model.Config) { c.LoopEmbedding = true },
		"want at least 2 layers": func(c *model.Config) { c.Layers = "1x4" },
	} {
		m, arena := trainedModel(t, change)
		if _, err := NewLoopedModel(m, arena, task.Default(), [][]int32{{0, 1}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
