// Package config is the configuration of a training run: its keys with their help, limits and defaults, the embedded
// presets, and the TOML files that hold them.
//
// There is one set of defaults, [Default], and everything starts from it: the preset default, a file, the configuration of
// a grid, the flags of the command line. A file may start from a preset instead, with preset = "…".
package config

import (
	"errors"
	"fmt"
	"strings"

	"coil/config/schema"
	"coil/model"
	"coil/optim"
	"coil/regularize"
	"coil/task"
)

// Config is a training run: the tables of config.toml.
type Config struct {
	Model      model.Config      `toml:"model"`
	Loops      model.Loops       `toml:"loops"`
	Regularize regularize.Config `toml:"regularize"`
	Task       task.Config       `toml:"task"`
	Train      Train             `toml:"train"`
	Evaluate   Evaluate          `toml:"evaluate"`
	Checkpoint Checkpoint        `toml:"checkpoint"`
}

// Train is the [train] table.
type Train struct {
	Steps       int        `toml:"steps" help:"optimizer steps" limits:"[1,]" alias:"steps" also:"iters,iterations,max_iters,max_steps,num_steps,train_steps,total_steps,epochs,num_epochs,num_train_epochs,max_epochs,n_steps"`
	Time        float64    `toml:"time" help:"seconds of training after which the run ends, if it has not done its steps before; the schedule goes by whichever is nearer to its end; 0 sets no limit" limits:"[0,1e9]" also:"max_time,time_limit,max_seconds,time_budget,max_wallclock_seconds"`
	Batch       int        `toml:"batch" help:"sequences in a step" limits:"[1,1048576]" alias:"batch" also:"batch_size,bs,per_device_train_batch_size,micro_batch_size,global_batch_size"`
	Accumulate  int        `toml:"accumulate" help:"micro-batches of a step, which divide the batch: their gradients are added up, and activations of no more than one are in memory" limits:"[1,1048576]" also:"gradient_accumulation_steps,accumulate_grad_batches,grad_accum_steps,gradient_accumulation,accumulation_steps"`
	Seed        uint64     `toml:"seed" help:"seed of weights, data and loop counts" alias:"seed" also:"random_seed,manual_seed,rng_seed"`
	Optimizer   optim.Name `toml:"optimizer" also:"optim,opt"`
	Rate        float64    `toml:"rate" help:"peak learning rate" limits:"[0,1e6]" alias:"rate" also:"lr,learning_rate,max_lr,peak_lr,base_lr,step_size"`
	Warmup      int        `toml:"warmup" help:"steps of linear warm-up" limits:"[0,]" also:"warmup_steps,warmup_iters,num_warmup_steps,lr_warmup_steps"`
	Schedule    Schedule   `toml:"schedule" help:"after the warm-up: cosine, linear, trapezoid (constant, then linear) or constant" also:"scheduler,lr_schedule,lr_scheduler,lr_scheduler_type,lr_decay_style"`
	Warmdown    float64    `toml:"warmdown" help:"trapezoid: last share of training in which the rate falls" limits:"[0,1]" also:"warmdown_ratio,warmdown_steps,warmdown_iters,cooldown,cooldown_frac,decay_ratio"`
	FinalRate   float64    `toml:"final_rate" help:"learning rate at the end, relative to the peak" limits:"[0,1]" also:"min_lr,final_lr,min_rate,min_lr_ratio"`
	Beta1       float64    `toml:"beta1" help:"adamw, and what muon leaves to it: decay of the first moment" limits:"[0,1)" also:"adam_beta1,b1"`
	Beta2       float64    `toml:"beta2" help:"adamw, and what muon leaves to it: decay of the second moment" limits:"[0,1)" also:"adam_beta2,b2"`
	Eps         float64    `toml:"eps" help:"adamw, and what muon leaves to it: added to the square root of the second moment" limits:"[1e-30,1]" also:"epsilon,adam_eps,adam_epsilon"` // with 0, a weight that has never had a gradient would become 0/0
	WeightDecay float64    `toml:"weight_decay" help:"decay of weight matrices, times the learning rate" limits:"[0,1e6]" also:"wd,decay,l2"`
	Momentum    float64    `toml:"momentum" help:"muon, normuon: decay of the momentum" limits:"[0,1)" also:"muon_momentum,mu"`
	MuonRule    optim.Rule `toml:"muon_rule" help:"muon, normuon: match, 0.2·sqrt(max(inputs, outputs)) as in AdamW's rates, or keller, sqrt(max(1, outputs/inputs))"`
	MuonRate    float64    `toml:"muon_rate" help:"muon, normuon: learning rate of matrices inside blocks, relative to train.rate, which AdamW uses for the others" limits:"[0,1e6]" also:"muon_lr,matrix_lr"`
	Cautious    bool       `toml:"cautious" help:"muon, normuon: no weight decays against its update" also:"cautious_weight_decay"`
	NeuronDecay float64    `toml:"neuron_decay" help:"normuon: decay of the second moments of neurons" limits:"[0,1)"`
	Clip        float64    `toml:"clip" help:"largest norm of the gradient; 0 sets no limit" limits:"[0,1e30]" also:"grad_clip,clip_grad,max_grad_norm,gradient_clip_val,clip_norm,gradient_clipping"`
	Average     float64    `toml:"average" help:"decay of a moving average of the weights, used in evaluation; 0 keeps none" limits:"[0,1)" also:"ema,ema_decay"`
	Report      int        `toml:"report" help:"steps between reports in events.jsonl" limits:"[1,]" also:"log_every,log_interval,logging_steps,steps_per_report,log_freq"`
}

// NewOptimizer makes the optimizer.
func (o Train) NewOptimizer() (optim.Optimizer, error) {
	return optim.New(o.Optimizer, optim.Settings{Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, WeightDecay: o.WeightDecay,
		Momentum: o.Momentum, NeuronDecay: o.NeuronDecay, Rule: o.MuonRule, MuonRate: o.MuonRate, Cautious: o.Cautious})
}

// Evaluate is the [evaluate] table.
type Evaluate struct {
	Every    int `toml:"every" help:"steps between evaluations; 0 is only at the end" limits:"[0,]" also:"eval_every,eval_interval,eval_steps,steps_per_eval,val_every,validation_steps,eval_freq"`
	Examples int `toml:"examples" help:"held-out examples of each kind" limits:"[1,]" also:"eval_examples,eval_iters,val_batches,eval_samples"`
	Final    int `toml:"final" help:"held-out examples of each kind at the end" limits:"[1,]" also:"final_examples,test_examples"`
}

// Checkpoint is the [checkpoint] table.
type Checkpoint struct {
	Every int  `toml:"every" help:"steps between checkpoints; 0 is only at the end" limits:"[0,]" also:"save_every,save_steps,save_interval,checkpoint_every,checkpoint_interval,ckpt_every,ckpt_interval"`
	First bool `toml:"first" help:"also save the weights before the first step, as step 0, which counts for keep" also:"save_initial,save_step_0"`
	Keep  int  `toml:"keep" help:"number of checkpoints to keep; 0 keeps all" limits:"[0,]" also:"save_total_limit,keep_last,keep_checkpoints,max_checkpoints"`
}

// Default is the empty configuration, which equals the preset default.
func Default() Config {
	return Config{
		Model:      model.Default(),
		Loops:      model.Loops{Exit: "none", ExitBeta: 0.05},
		Task:       task.Default(),
		Regularize: regularize.Config{Block: 1},
		Train: Train{Steps: 1200, Batch: 64, Accumulate: 1, Seed: 1, Optimizer: "adamw", Rate: 4e-3, Warmup: 200, Schedule: "cosine", Warmdown: 0.4,
			Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, WeightDecay: 0.01,
			Momentum: 0.95, MuonRule: optim.Match, MuonRate: 1, NeuronDecay: 0.95, Clip: 1, Report: 10},
		Evaluate:   Evaluate{Every: 250, Examples: 256, Final: 2048},
		Checkpoint: Checkpoint{Every: 500, Keep: 2},
	}
}

// Keys lists all keys in the order of the file.
func (c *Config) Keys() []schema.Key { return schema.Keys(c) }

// Set lays one key over c, as in Set("train.steps", "500").
func (c *Config) Set(key, value string) error {
	keys := c.Keys()
	for _, k := range keys {
		if k.Name == key {
			return k.Set(value)
		}
	}
	hint := "; coil train --help lists them all"
	if best := schema.NearestKey(key, keys); best != "" {
		hint = fmt.Sprintf("; did you mean %q?", best)
	}
	return fmt.Errorf("no key %q%s", key, hint)
}

// Check returns the errors of c, each with the name of its key: those of all keys with an impossible value, or else that of
// the first key that contradicts others. It does not make the task, so it cannot know whether the task has enough questions.
func (c Config) Check() error { return c.CheckMade(c.Task.Check()) }

// CheckMade is Check for callers that have made the task; made is the error of making it, or nil.
func (c Config) CheckMade(made error) error {
	var errs []error
	for _, k := range c.Keys() {
		// A task checks its own table; the tables of other tasks are not used.
		if !strings.HasPrefix(k.Name, "task.") || strings.Count(k.Name, ".") == 1 {
			errs = append(errs, k.Check())
		}
	}
	if err := errors.Join(append(errs, made)...); err != nil {
		return err
	}
	a, err := c.Model.Check(c.Loops)
	if err != nil {
		return err
	}
	if c.Train.Batch%c.Train.Accumulate != 0 {
		return schema.Errorf("train.accumulate", " is %d, which does not divide train.batch = %d", c.Train.Accumulate, c.Train.Batch)
	}
	return c.Regularize.Check(a.Layers(), a.Layers() != a.Depth())
}
