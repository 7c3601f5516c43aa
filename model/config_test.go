package model_test

import (
	"math"
	"strings"
	"testing"

	"coil/model"
)

func TestDefaultIsValid(t *testing.T) {
	a, err := model.Default().Check(model.Loops{})
	if err != nil || a.String() != "1⊗4" {
		t.Errorf("%v, %v", a, err)
	}
}

// Each error names the key that is wrong.
func TestCheckNamesTheKey(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(c *model.Config, l *model.Loops)
		keys   []string
	}{
		{"no loops", func(c *model.Config, _ *model.Loops) { c.Layers = "4" }, []string{"model.layers"}},
		{"no layers", func(c *model.Config, _ *model.Loops) { c.Layers = "" }, []string{"model.layers"}},
		{"width 0", func(c *model.Config, _ *model.Loops) { c.Width = 0 }, []string{"model.width"}},
		{"heads 0", func(c *model.Config, _ *model.Loops) { c.Heads = 0 }, []string{"model.heads"}},
		{"hidden -1", func(c *model.Config, _ *model.Loops) { c.Hidden = -1 }, []string{"model.hidden", "-1"}},
		{"norm", func(c *model.Config, _ *model.Loops) { c.Norm = "batchnorm" }, []string{"model.norm ", "batchnorm", "rmsnorm"}},
		{"place of no norm", func(c *model.Config, _ *model.Loops) { c.Norm, c.NormPlace = "none", "sandwich" }, []string{"model.norm_place", "none", "pre"}},
		{"norm place", func(c *model.Config, _ *model.Loops) { c.NormPlace = "both" }, []string{"model.norm_place", "sandwich"}},
		{"activation", func(c *model.Config, _ *model.Loops) { c.Activation = "tanh" }, []string{"model.activation", "swiglu"}},
		{"positions", func(c *model.Config, _ *model.Loops) { c.Positions = "alibi" }, []string{"model.positions", "sinusoidal"}},
		{"injection", func(c *model.Config, _ *model.Loops) { c.Injection = "yes" }, []string{"model.injection", "linear"}},
		{"heads and width", func(c *model.Config, _ *model.Loops) { c.Heads = 5 }, []string{"model.heads", "model.width", "64"}},
		{"kv heads", func(c *model.Config, _ *model.Loops) { c.KVHeads = 3 }, []string{"model.kv_heads", "model.heads = 4"}},
		{"kv heads -1", func(c *model.Config, _ *model.Loops) { c.KVHeads = -1 }, []string{"model.kv_heads"}},
		{"head width -1", func(c *model.Config, _ *model.Loops) { c.HeadWidth = -1 }, []string{"model.head_width"}},
		{"odd head width", func(c *model.Config, _ *model.Loops) { c.HeadWidth = 5 }, []string{"model.positions", "rotary", "model.head_width is 5"}},
		{"too many columns", func(c *model.Config, _ *model.Loops) { c.HeadWidth, c.Heads = 65536, 32 }, []string{"model.heads is 32 heads of width 65536"}},
		{"attention", func(c *model.Config, _ *model.Loops) { c.Attention = "linear" }, []string{"model.attention ", "hard"}},
		{"scale -1", func(c *model.Config, _ *model.Loops) { c.AttentionScale = -1 }, []string{"model.attention_scale"}},
		{"scale NaN", func(c *model.Config, _ *model.Loops) { c.AttentionScale = math.NaN() }, []string{"model.attention_scale"}},
		{"scale of hard", func(c *model.Config, _ *model.Loops) { c.AttentionScale, c.Attention = 1, "hard" }, []string{"model.attention_scale is 1", "hard"}},
		{"soft cap -1", func(c *model.Config, _ *model.Loops) { c.LogitSoftcap = -1 }, []string{"model.logit_softcap"}},
		{"soft cap NaN", func(c *model.Config, _ *model.Loops) { c.LogitSoftcap = math.NaN() }, []string{"model.logit_softcap"}},
		{"residual scale", func(c *model.Config, _ *model.Loops) { c.ResidualScale = "half" }, []string{"model.residual_scale", "loops"}},
		{"restart and injection", func(c *model.Config, _ *model.Loops) { c.Carry, c.Injection = "restart", "add" }, []string{"model.carry", "model.injection"}},
		{"carry", func(c *model.Config, _ *model.Loops) { c.Carry = "all" }, []string{"model.carry"}},
		{"one stream", func(c *model.Config, _ *model.Loops) { c.Streams = 1 }, []string{"model.hyper_connections"}},
		{"streams and injection", func(c *model.Config, _ *model.Loops) { c.Streams, c.Injection = 4, "linear" }, []string{"model.hyper_connections", "model.injection"}},
		{"streams and restart", func(c *model.Config, _ *model.Loops) { c.Streams, c.Carry = 4, "restart" }, []string{"model.hyper_connections", "model.carry"}},
		{"streams, truncated", func(c *model.Config, l *model.Loops) { c.Streams, l.Truncate = 4, 1 }, []string{"loops.truncate", "model.hyper_connections"}},
		{"loop norm without norms", func(c *model.Config, _ *model.Loops) { c.Norm, c.LoopNorm = "none", true }, []string{"model.loop_norm", "model.norm"}},
		{"odd heads", func(c *model.Config, _ *model.Loops) { c.Width, c.Heads = 12, 4 }, []string{"model.positions", "rotary", "even"}},
		{"rotary base", func(c *model.Config, _ *model.Loops) { c.RotaryBase = 1 }, []string{"model.rotary_base"}},
		{"rotary base infinite", func(c *model.Config, _ *model.Loops) { c.RotaryBase = math.Inf(1) }, []string{"model.rotary_base"}},
		{"rotary base NaN", func(c *model.Config, _ *model.Loops) { c.RotaryBase = math.NaN() }, []string{"model.rotary_base"}},
		{"init 0", func(c *model.Config, _ *model.Loops) { c.InitStd = 0 }, []string{"model.init_std"}},
		{"init NaN", func(c *model.Config, _ *model.Loops) { c.InitStd = math.NaN() }, []string{"model.init_std"}},
		{"truncate", func(c *model.Config, l *model.Loops) { c.Injection, l.Truncate = "add", -1 }, []string{"loops.truncate"}},
		{"schedule", func(_ *model.Config, l *model.Loops) { l.Schedule = "1@0.5" }, []string{"loops.schedule", "begins at 0.5"}},
		{"schedule to other loops", func(c *model.Config, l *model.Loops) { c.Layers, l.Schedule = "1x4", "1@0,3@0.5" }, []string{"loops.schedule", "1⊗4", "end with 4 loops"}},
		{"schedule with more loops", func(c *model.Config, l *model.Loops) { c.Layers, l.Schedule = "1x4", "6@0,4@0.5" }, []string{"loops.schedule", "no more before"}},
		{"schedule and random", func(c *model.Config, l *model.Loops) {
			c.Layers, l.Schedule, l.RandomMean, l.RandomMax = "1x4", "1@0,4@0.5", 2, 4
		}, []string{"loops.schedule", "loops.random_mean = 2"}},
		{"truncate without injection", func(_ *model.Config, l *model.Loops) { l.Truncate = 2 }, []string{"loops.truncate", "model.injection"}},
		{"mean", func(_ *model.Config, l *model.Loops) { l.RandomMean, l.RandomMax = -1, 4 }, []string{"loops.random_mean"}},
		{"mean NaN", func(_ *model.Config, l *model.Loops) { l.RandomMean, l.RandomMax = math.NaN(), 4 }, []string{"loops", "mean"}},
		{"max", func(_ *model.Config, l *model.Loops) { l.RandomMax = -1 }, []string{"loops.random_max"}},
		{"max without mean", func(_ *model.Config, l *model.Loops) { l.RandomMax = 7 }, []string{"loops.random_max", "loops.random_mean"}},
		{"max below mean", func(_ *model.Config, l *model.Loops) { l.RandomMean, l.RandomMax = 4, 3 }, []string{"loops", "mean"}},
		{"exit", func(_ *model.Config, l *model.Loops) { l.Exit = "early" }, []string{"loops.exit ", "early", "learned"}},
		{"exit beta", func(_ *model.Config, l *model.Loops) { l.ExitBeta = -1 }, []string{"loops.exit_beta", "-1"}},
		{"exit beta NaN", func(_ *model.Config, l *model.Loops) { l.ExitBeta = math.NaN() }, []string{"loops.exit_beta"}},
		{"exit of one loop", func(c *model.Config, l *model.Loops) { c.Layers, l.Exit = "3x1", "learned" }, []string{"loops.exit ", "model.layers = 3⊗1"}},
		{"exit and every loop", func(_ *model.Config, l *model.Loops) { l.Exit, l.EveryLoop = "learned", true }, []string{"loops.exit ", "loops.every_loop"}},
		{"exit and truncate", func(c *model.Config, l *model.Loops) { c.Injection, l.Exit, l.Truncate = "add", "learned", 2 },
			[]string{"loops.exit ", "loops.truncate = 2"}},
		{"max missing", func(_ *model.Config, l *model.Loops) { l.RandomMean = 0.5 }, []string{"loops", "mean"}},
	} {
		config, loops := model.Default(), model.Loops{}
		c.change(&config, &loops)
		_, err := config.Check(loops)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, key := range c.keys {
			if !strings.Contains(err.Error(), key) {
				t.Errorf("%s: %q does not name %s", c.name, err, key)
			}
		}
		if _, err := model.New(config, loops, 10, 4); err == nil {
			t.Errorf("%s: New takes it", c.name)
		}
	}
}

func TestNewRefusesImpossibleSizes(t *testing.T) {
	for _, size := range [][2]int{{1, 4}, {10, 0}} {
		if _, err := model.New(model.Default(), model.Loops{}, size[0], size[1]); err == nil {
			t.Errorf("a vocabulary of %d and %d tokens: no error", size[0], size[1])
		}
	}
}
