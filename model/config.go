package model

import (
	"errors"
	"strings"

	"coil/config/schema"
	"coil/graph"
	"coil/loop"
)

// Config is the [model] table: a decoder-only transformer (Vaswani et al., arXiv 1706.03762) whose blocks may loop. The
// help of each key is what the command line prints.
type Config struct {
	Layers         string        `toml:"layers" help:"layers ⊗ loops: 1x4; 4x(1,4,1) or 2/4x3/2 for middle looping" alias:"model" also:"n_layer,num_layers,n_layers,num_hidden_layers,depth,loops,num_loops,n_loops,recurrences,model_layers"`
	Width          int           `toml:"width" help:"embedding size d" limits:"[1,1048576]" also:"d_model,hidden_size,n_embd,dim,embed_dim,model_dim,embedding_dim,emb_dim,d_embed"`
	Heads          int           `toml:"heads" help:"attention heads, each of width d/heads" limits:"[1,]" also:"n_head,num_heads,n_heads,num_attention_heads,nhead"`
	KVHeads        int           `toml:"kv_heads" help:"heads of keys and values, each shared by heads/kv_heads heads of queries (grouped-query attention, arXiv 2305.13245); 0: as many as heads" limits:"[0,]" also:"num_key_value_heads,n_kv_heads,num_kv_heads,n_kv_head,num_query_groups"`
	HeadWidth      int           `toml:"head_width" help:"width of a head, if it isn't d/heads; 0: d/heads" limits:"[0,65536]" also:"head_dim,d_head,d_kv,key_size"`
	Hidden         int           `toml:"hidden" help:"width of the feed-forward layer" limits:"[1,4194304]" also:"d_ff,ffn_dim,intermediate_size,mlp_dim,dim_feedforward,ff_dim,d_mlp"`
	Norm           Norm          `toml:"norm" help:"layernorm, rmsnorm or none"`
	NormPlace      NormPlace     `toml:"norm_place" help:"pre, post or sandwich"`
	Activation     Activation    `toml:"activation" help:"gelu, relu or swiglu" also:"act,hidden_act,activation_function,nonlinearity"`
	Positions      Positions     `toml:"positions" help:"rotary, learned, sinusoidal or none" also:"pos_emb,position_embedding,positional_encoding,position_embedding_type"`
	RotaryBase     float64       `toml:"rotary_base" help:"base of the rotary angles" limits:"[0,1e30)" also:"rope_theta,rope_base,rotary_theta"`
	Bias           bool          `toml:"bias" help:"biases in linear layers and layernorms" also:"use_bias"`
	QKVBias        bool          `toml:"qkv_bias" help:"biases of queries, keys and values, if bias is true" also:"attention_bias,use_qkv_bias,add_qkv_bias"`
	Attention      Attention     `toml:"attention" help:"softmax, or hard: all weight on the position with the largest score, of equal ones the newest, so that queries and keys get no gradient"`
	AttentionScale float64       `toml:"attention_scale" help:"factor of attention's scores; 0: 1/sqrt(w) for heads of width w" limits:"[0,1e6]" also:"softmax_scale,scale_attn,attention_multiplier,query_pre_attn_scalar"`
	QKNorm         bool          `toml:"qk_norm" help:"rmsnorm of each head's query and key, with learned gains, before rotary positions (arXiv 2302.05442, 2505.09388)" also:"use_qk_norm,qk_layernorm"`
	LogitSoftcap   float64       `toml:"logit_softcap" help:"c: logits z become c·tanh(z/c), so that none is larger than c in size (arXiv 2408.00118); 0: they stay as they are" limits:"[0,1e6]" also:"final_logit_softcapping,softcap,logit_cap"`
	Tied           bool          `toml:"tied" help:"use the embedding, transposed, as the head" also:"tie_embeddings,tie_word_embeddings,weight_tying,tie_weights"`
	InitStd        float64       `toml:"init_std" help:"weight matrices start as normal(0, init_std)" limits:"(0,100)" also:"initializer_range,init_scale,init_range"`
	Injection      Injection     `toml:"injection" help:"give the looped block its input e in each loop: none, add (s + e), linear (s·A + e·B) or decay (s·a + e·B·b, with a < 1 and b > 0 learned for each column; Parcae, arXiv 2604.12946)"`
	LoopNorm       bool          `toml:"loop_norm" help:"a norm at the end of each loop, so that the state does not grow from loop to loop (openai/parameter-golf #855)"`
	ResidualScale  ResidualScale `toml:"residual_scale" help:"none, or loops: what a layer adds to the state is divided by the number of loops N that model.layers gives its block, so that the learning rate fits any N (arXiv 2606.18524)"`
	LoopEmbedding  bool          `toml:"loop_embedding" help:"add a learned vector for each loop"`
	Carry          Carry         `toml:"carry" help:"what a loop begins with: state, what the loop before made of it; or restart, the looped block's input again, and in each layer messages: gated means of the states that the loop before went through (as in Inkling-2-Mini, in transformers 5.24)"`
	CarryRank      int           `toml:"carry_rank" help:"rank of the gates of messages, with carry = restart" limits:"[1,65536]"`
	Streams        int           `toml:"hyper_connections" help:"n: the state between loops is n streams, from which each loop reads a mean and to which it writes, with weights that depend on them and on the loop (Hyperloop, arXiv 2604.21254, which uses 4); 0: one" limits:"[0,64]"`
}

// Loops is the [loops] table: how the looped block is trained.
type Loops struct {
	RandomMean float64 `toml:"random_mean" help:"mean r of a random loop count, which is 1 + Poisson(LogNormal), drawn for each step; 0 keeps the count fixed" limits:"[0,]"`
	RandomMax  int     `toml:"random_max" help:"largest random loop count" limits:"[0,]"`
	Schedule   string  `toml:"schedule" help:"loop counts over training: 1@0, 3@0.4 runs 1 loop, and 3 from 40 % of training on; 1@0..4@0.6 goes from 1 loop to 4 in even steps; it ends with the count of model.layers" also:"loops_schedule,loop_schedule,recurrence_schedule"`
	Truncate   int     `toml:"truncate" help:"number of last loops that gradients pass through; 0 is all" limits:"[0,]"`
	EveryLoop  bool    `toml:"every_loop" help:"train on the mean of the losses after every loop, not on the loss after the last"`
	Recompute  bool    `toml:"recompute" help:"keep only the state between loops, and run each loop again in the backward pass" also:"gradient_checkpointing,activation_checkpointing,checkpointing"`
	Exit       Exit    `toml:"exit" help:"none or learned: a gate after each loop gives the probability that a position is done, and training minimizes the expected loss"`
	ExitBeta   float64 `toml:"exit_beta" help:"weight of the entropy of a learned exit in the loss, which keeps positions from all leaving after the same loop" limits:"[0,1e6)"`
}

// LearnedExit reports whether the model has a gate after each loop.
func (l Loops) LearnedExit() bool { return l.Exit == LearnedExit }

// Random returns the distribution of loop counts, if there is one.
func (l Loops) Random() (loop.Random, bool) {
	return loop.Random{Mean: l.RandomMean, Max: l.RandomMax}, l.RandomMean != 0
}

// Scheduled returns the schedule of loop counts, nil if there is none. The text must be one that Check has passed.
func (l Loops) Scheduled() loop.Schedule {
	s, _ := loop.ParseSchedule(l.Schedule) // nil for ""
	return s
}

// checkSchedule returns an error unless the schedule of loops, if there is one, leads to a's count.
func (l Loops) checkSchedule(a loop.Architecture) error {
	if l.Schedule == "" {
		return nil
	}
	s, err := loop.ParseSchedule(l.Schedule)
	if err != nil {
		return schema.Errorf("loops.schedule", " is %v", err)
	}
	if l.RandomMean != 0 {
		return schema.Errorf("loops.schedule", " is %q with loops.random_mean = %g, which draws the loop counts: set one of them", l.Schedule, l.RandomMean)
	}
	last, _ := s.Last()
	if counts := s.Counts(); last != a.Count() || counts[len(counts)-1] > last {
		return schema.Errorf("loops.schedule", " is %q with model.layers = %s: it must end with %d loops and have no more before", l.Schedule, a, a.Count())
	}
	return nil
}

// Default is the default configuration.
func Default() Config {
	return Config{Layers: "1x4", Width: 64, Heads: 4, Hidden: 256, Norm: LayerNorm, NormPlace: PreNorm, Activation: GELU,
		Positions: RotaryPositions, RotaryBase: 10000, Bias: true, QKVBias: true, Attention: SoftmaxAttention, ResidualScale: NoResidualScale, InitStd: 0.1, Injection: NoInjection,
		Carry: StateCarry, CarryRank: 16}
}

// eps of the norms.
const eps = 1e-5

// Check returns the architecture, or an error that names the key that is wrong.
func (c Config) Check(l Loops) (loop.Architecture, error) {
	if l.Exit == "" {
		l.Exit = "none"
	}
	if err := errors.Join(schema.Check("model.", &c), schema.Check("loops.", &l)); err != nil {
		return loop.Architecture{}, err
	}
	a, err := loop.Parse(c.Layers)
	if err != nil {
		return a, schema.Errorf("model.layers", "%s", strings.TrimPrefix(err.Error(), "layers"))
	}
	switch {
	case c.HeadWidth == 0 && c.Width%c.Heads != 0:
		return a, schema.Errorf("model.heads", " is %d, which does not divide model.width = %d", c.Heads, c.Width)
	case c.KVHeads > 0 && c.Heads%c.KVHeads != 0:
		return a, schema.Errorf("model.kv_heads", " is %d, which does not divide model.heads = %d", c.KVHeads, c.Heads)
	case c.Heads > maxHeads/c.Layout().Width:
		return a, schema.Errorf("model.heads", " is %d heads of width %d, want at most %d columns of queries", c.Heads, c.Layout().Width, maxHeads)
	case c.Attention == HardAttention && c.AttentionScale != 0:
		return a, schema.Errorf("model.attention_scale", " is %g with model.attention = \"hard\", whose choice no scale changes: leave it 0", c.AttentionScale)
	case c.Positions == RotaryPositions && c.HeadWidth%2 != 0:
		return a, schema.Errorf("model.positions", " is rotary, which needs heads of even width; model.head_width is %d", c.HeadWidth)
	case c.Norm == NoNorm && c.NormPlace != PreNorm:
		return a, schema.Errorf("model.norm_place", " is %s with model.norm = \"none\": there is no norm to place; set it to pre", c.NormPlace)
	case c.Positions == RotaryPositions && c.HeadWidth == 0 && c.Width/c.Heads%2 != 0:
		return a, schema.Errorf("model.positions", " is rotary, which needs heads of even width; width %d / heads %d is %d", c.Width, c.Heads, c.Width/c.Heads)
	case c.Positions == RotaryPositions && c.RotaryBase <= 1:
		return a, schema.Errorf("model.rotary_base", " is %g, want more than 1", c.RotaryBase)
	case c.LoopNorm && c.Norm == NoNorm:
		return a, schema.Errorf("model.loop_norm", " is true with model.norm = \"none\": set model.norm to layernorm or rmsnorm")
	case l.RandomMax > 0 && l.RandomMean == 0:
		return a, schema.Errorf("loops.random_max", " is %d with loops.random_mean = 0, which keeps the loop count fixed: set both or neither", l.RandomMax)
	case c.Carry == RestartCarry && c.Injection != NoInjection:
		return a, schema.Errorf("model.carry", " is restart with model.injection = %q: a loop that begins with the block's input needs no other; set injection to none", c.Injection)
	case c.Streams == 1:
		return a, schema.Errorf("model.hyper_connections", " is 1: one stream is the state itself; set it to 0, or to 2 or more")
	case c.Streams > 0 && c.Carry == RestartCarry:
		return a, schema.Errorf("model.hyper_connections", " is %d with model.carry = \"restart\", which carries no state from loop to loop: set one of them", c.Streams)
	case c.Streams > 0 && c.Injection != NoInjection:
		return a, schema.Errorf("model.hyper_connections", " is %d with model.injection = %q: the streams begin as the block's input and keep it; set injection to none", c.Streams, c.Injection)
	case l.Truncate > 0 && c.Streams > 0:
		return a, schema.Errorf("loops.truncate", " is %d with model.hyper_connections = %d: the layers before the looped block would get no gradient; set one of them", l.Truncate, c.Streams)
	case l.Truncate > 0 && c.Injection == NoInjection && c.Carry != RestartCarry:
		return a, schema.Errorf("loops.truncate", " is %d with model.injection = \"none\": the layers before the looped block would get no gradient; "+
			"set model.injection to add, linear or decay, or model.carry to restart", l.Truncate)
	}
	if r, ok := l.Random(); ok {
		if err := r.Check(); err != nil {
			return a, schema.Errorf("loops.random_mean", ": %v", err)
		}
	}
	if err := l.checkSchedule(a); err != nil {
		return a, err
	}
	return a, l.checkExit(a)
}

// checkExit returns an error unless a learned exit, if there is one, has something to learn.
func (l Loops) checkExit(a loop.Architecture) error {
	switch {
	case !l.LearnedExit():
		return nil
	case max(a.Count(), l.RandomMax) < 2:
		return schema.Errorf("loops.exit", " is learned with model.layers = %s, which has no loop to leave early: use at least 2 loops", a)
	case l.EveryLoop:
		return schema.Errorf("loops.exit", " is learned with loops.every_loop = true: both weight the losses of the loops; set one of them")
	case l.Truncate > 0:
		return schema.Errorf("loops.exit", " is learned with loops.truncate = %d: a loop that gets no gradient can't learn to be the last; set one of them", l.Truncate)
	}
	return nil
}

// maxHeads is the most columns of all heads of queries together, which is the largest width.
const maxHeads = 1 << 20

// Layout is the heads of attention, and where they lie.
func (c Config) Layout() graph.HeadLayout {
	h := graph.HeadLayout{Heads: c.Heads, KVHeads: c.KVHeads, Width: c.HeadWidth}
	if h.KVHeads == 0 {
		h.KVHeads = c.Heads
	}
	if h.Width == 0 {
		h.Width = c.Width / c.Heads
	}
	return h
}

// finalNorm reports whether there is a norm before the head.
func (c Config) finalNorm() bool { return c.Norm != NoNorm && c.NormPlace != PostNorm }

// gated reports whether the feed-forward layer has a gate beside its hidden units.
func (c Config) gated() bool { return c.Activation == SwiGLU }
