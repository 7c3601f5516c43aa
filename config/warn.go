package config

import (
	"fmt"
	"slices"
	"strings"

	"coil/loop"
	"coil/model"
)

// Warnings says which settings of a configuration that passes Check can't do what they say: a warm-up that the run does not
// live to see the end of, a key that has been set and that nothing reads.
func (c Config) Warnings() []string {
	var warnings []string
	warn := func(when bool, format string, args ...any) {
		if when {
			warnings = append(warnings, fmt.Sprintf(format, args...))
		}
	}
	o, l, d := c.Train, c.Loops, Default()
	warn(o.Warmup >= o.Steps, "train.warmup is %d and train.steps %d: the learning rate never reaches train.rate", o.Warmup, o.Steps)
	warn(o.Rate == 0, "train.rate is 0: nothing is learnt")
	warn(o.FinalRate != 0 && o.Schedule == Constant, "train.final_rate is %g, which has no effect with train.schedule = \"constant\"", o.FinalRate)
	warn(o.Schedule == Trapezoid && o.Warmdown == 0, "train.warmdown is 0: the learning rate of a trapezoid never falls")
	warn(c.Model.Attention == model.HardAttention, "model.attention is \"hard\": queries and keys get no gradient, and keep their first values apart from weight decay")
	unread := map[string]string{} // keys that nothing reads, and why
	if o.Schedule != Trapezoid {
		unread["train.warmdown"] = fmt.Sprintf("train.schedule = %q", o.Schedule)
	}
	for _, key := range o.Optimizer.Unread() {
		unread[key] = fmt.Sprintf("train.optimizer = %q", o.Optimizer)
	}
	if c.Model.Positions != model.RotaryPositions {
		unread["model.rotary_base"] = fmt.Sprintf("model.positions = %q", c.Model.Positions)
	}
	if a, err := loop.Parse(c.Model.Layers); err == nil && slices.Max(a.Loops) == 1 {
		unread["model.residual_scale"] = "model.layers = " + c.Model.Layers + ", which loops nothing"
	}
	if c.Model.Carry != model.RestartCarry {
		unread["model.carry_rank"] = fmt.Sprintf("model.carry = %q", c.Model.Carry)
	}
	if !l.LearnedExit() {
		unread["loops.exit_beta"] = fmt.Sprintf("loops.exit = %q", l.Exit)
	}
	if !c.Regularize.Active() {
		unread["regularize.block"] = "regularize.lambda = 0"
	}
	if most := c.mostLoops(); most == 1 {
		for _, key := range []string{"loops.schedule", "loops.every_loop", "loops.recompute", "loops.truncate", "model.carry"} {
			unread[key] = "model.layers = " + c.Model.Layers + ", which loops nothing"
		}
	} else {
		warn(l.Truncate >= most, "loops.truncate is %d, which cuts nothing off, as there are at most %d loops", l.Truncate, most)
	}
	if s := l.Scheduled(); s != nil {
		last, at := s.Last()
		warn(o.Share(o.Steps-1, 0) < at, "loops.schedule comes to %d loops at %g of training, after the last of %d steps", last, at, o.Steps)
	}
	defaults := map[string]string{}
	for _, k := range d.Keys() {
		defaults[k.Name] = k.Value()
	}
	for _, k := range c.Keys() {
		if k.Value() == defaults[k.Name] {
			continue
		}
		if why, ok := unread[k.Name]; ok {
			warn(true, "%s is %s, which has no effect with %s", k.Name, k.Value(), why)
		}
	}
	return warnings
}

// OtherTask returns a warning for each of the given keys that belongs to a task which is not trained.
func (c Config) OtherTask(keys []string) []string {
	var warnings []string
	for _, key := range keys {
		if parts := strings.Split(key, "."); len(parts) == 3 && parts[0] == "task" && parts[1] != string(c.Task.Name) {
			warnings = append(warnings, fmt.Sprintf("%s has no effect with task.name = %q", key, c.Task.Name))
		}
	}
	return warnings
}

// mostLoops is the largest number of loops that a step runs.
func (c Config) mostLoops() int {
	a, err := loop.Parse(c.Model.Layers)
	if err != nil {
		return 1
	}
	return max(a.Count(), c.Loops.RandomMax)
}
