package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"coil/loop"
)

// Config is the [model] table: a decoder-only transformer (Vaswani et al., arXiv 1706.03762) whose blocks may loop. The
// help of each key is what the command line prints.
type Config struct {
	Layers        string  `toml:"layers" help:"layers ⊗ loops: 1x4, or 4x(1,4,1) for middle looping"`
	Width         int     `toml:"width" help:"embedding size d"`
	Heads         int     `toml:"heads" help:"attention heads, each of width d/heads"`
	Hidden        int     `toml:"hidden" help:"width of the feed-forward layer"`
	Norm          string  `toml:"norm" help:"layernorm or rmsnorm"`
	NormPlace     string  `toml:"norm_place" help:"pre, post or sandwich"`
	Activation    string  `toml:"activation" help:"gelu, relu or swiglu"`
	Positions     string  `toml:"positions" help:"rotary, learned, sinusoidal or none"`
	RotaryBase    float64 `toml:"rotary_base" help:"base of the rotary angles"`
	Bias          bool    `toml:"bias" help:"biases in linear layers and layernorms"`
	Tied          bool    `toml:"tied" help:"use the embedding, transposed, as the head"`
	InitStd       float64 `toml:"init_std" help:"weight matrices begin as normal(0, init_std)"`
	Injection     string  `toml:"injection" help:"give the looped block its input e in each loop: none, add (s + e) or linear (s·A + e·B)"`
	LoopEmbedding bool    `toml:"loop_embedding" help:"add a learned vector for the number of the loop"`
}

// Loops is the [loops] table: how the looped block is trained.
type Loops struct {
	RandomMean float64 `toml:"random_mean" help:"draw each step's loop count: Poisson(LogNormal) + 1 with this mean + 1; 0 keeps it fixed"`
	RandomMax  int     `toml:"random_max" help:"largest loop count drawn"`
	Truncate   int     `toml:"truncate" help:"let gradients pass only through the last so many loops; 0 is all"`
	EveryLoop  bool    `toml:"every_loop" help:"take the mean of the losses after every loop, not the loss after the last"`
	Recompute  bool    `toml:"recompute" help:"keep only the state between loops and run each again in the backward pass"`
	Exit       string  `toml:"exit" help:"none, or learned: a gate after each loop says how likely each position is done, and the loss is the expected one"`
	ExitBeta   float64 `toml:"exit_beta" help:"weight, in the loss, of the entropy of a learned exit, which keeps all from leaving after the same loop"`
}

// LearnedExit reports whether the model has a gate after each loop.
func (l Loops) LearnedExit() bool { return l.Exit == "learned" }

// Random returns the distribution of loop counts, if there is one.
func (l Loops) Random() (loop.Random, bool) {
	return loop.Random{Mean: l.RandomMean, Max: l.RandomMax}, l.RandomMean != 0
}

// Default is what a configuration that says nothing gets.
func Default() Config {
	return Config{Layers: "1x4", Width: 64, Heads: 4, Hidden: 256, Norm: "layernorm", NormPlace: "pre", Activation: "gelu",
		Positions: "rotary", RotaryBase: 10000, Bias: true, InitStd: 0.02, Injection: "none"}
}

// eps of the norms.
const eps = 1e-5

// Check returns the architecture, or an error that names the key that is wrong.
func (c Config) Check(l Loops) (loop.Architecture, error) {
	a, err := loop.Parse(c.Layers)
	if err != nil {
		return a, fmt.Errorf("model.%w", err)
	}
	positive := func(key string, v int) error {
		if v < 1 {
			return fmt.Errorf("model.%s is %d, want at least 1", key, v)
		}
		return nil
	}
	among := func(key, v string, allowed ...string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("model.%s is %q, want one of %s", key, v, strings.Join(allowed, ", "))
		}
		return nil
	}
	for _, err := range []error{
		positive("width", c.Width), positive("heads", c.Heads), positive("hidden", c.Hidden),
		among("norm", c.Norm, "layernorm", "rmsnorm"),
		among("norm_place", c.NormPlace, "pre", "post", "sandwich"),
		among("activation", c.Activation, "gelu", "relu", "swiglu"),
		among("positions", c.Positions, "rotary", "learned", "sinusoidal", "none"),
		among("injection", c.Injection, "none", "add", "linear"),
		l.checkExit(a),
	} {
		if err != nil {
			return a, err
		}
	}
	switch {
	case c.Width%c.Heads != 0:
		return a, fmt.Errorf("model.heads is %d, which does not divide model.width = %d", c.Heads, c.Width)
	case c.Positions == "rotary" && c.Width/c.Heads%2 != 0:
		return a, fmt.Errorf("model.positions is rotary, which needs heads of even width; width %d / heads %d is %d", c.Width, c.Heads, c.Width/c.Heads)
	case c.Positions == "rotary" && !(c.RotaryBase > 1 && c.RotaryBase < 1e30):
		return a, fmt.Errorf("model.rotary_base is %g, want more than 1", c.RotaryBase)
	case !(c.InitStd > 0 && c.InitStd < 100):
		return a, fmt.Errorf("model.init_std is %g, want more than 0", c.InitStd)
	case l.RandomMean < 0 || l.RandomMax < 0:
		return a, fmt.Errorf("loops.random_mean is %g and loops.random_max %d, want neither below 0", l.RandomMean, l.RandomMax)
	case l.RandomMax > 0 && l.RandomMean == 0:
		return a, fmt.Errorf("loops.random_max is %d with loops.random_mean = 0, which keeps the loop count fixed: set both or neither", l.RandomMax)
	case l.Truncate < 0:
		return a, fmt.Errorf("loops.truncate is %d, want 0 (all loops) or more", l.Truncate)
	case l.Truncate > 0 && c.Injection == "none":
		return a, fmt.Errorf("loops.truncate is %d with model.injection = \"none\": what comes before the looped block would get no gradient; "+
			"set model.injection to add or linear", l.Truncate)
	}
	if r, ok := l.Random(); ok {
		if err := r.Check(); err != nil {
			return a, fmt.Errorf("loops: %w", err)
		}
	}
	return a, nil
}

// checkExit returns an error unless a learned exit, if there is one, has something to learn. No Exit at all is none.
func (l Loops) checkExit(a loop.Architecture) error {
	switch {
	case l.Exit != "" && l.Exit != "none" && l.Exit != "learned":
		return fmt.Errorf("loops.exit is %q, want one of none, learned", l.Exit)
	case !(l.ExitBeta >= 0 && l.ExitBeta < 1e6):
		return fmt.Errorf("loops.exit_beta is %g, want at least 0", l.ExitBeta)
	case !l.LearnedExit():
		return nil
	case max(a.Count(), l.RandomMax) < 2:
		return fmt.Errorf("loops.exit is learned with model.layers = %s, which has no loop to leave early: give it 2 loops or more", a)
	case l.EveryLoop:
		return errors.New("loops.exit is learned with loops.every_loop = true: both say how much the loss of each loop counts; set one of them")
	case l.Truncate > 0:
		return fmt.Errorf("loops.exit is learned with loops.truncate = %d: a loop that gets no gradient can't learn to be the last; set one of them", l.Truncate)
	}
	return nil
}

// gated reports whether the feed-forward layer has a gate beside its hidden units.
func (c Config) gated() bool { return c.Activation == "swiglu" }
