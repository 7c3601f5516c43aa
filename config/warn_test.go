package config

import (
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	for name := range Presets() {
		c, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if w := c.Warnings(); len(w) > 0 {
			t.Errorf("preset %s: %q", name, w)
		}
	}
	for set, want := range map[string]string{
		"train.steps=200": "train.warmup is 200 and train.steps 200: the learning rate never reaches train.rate",
		"train.rate=0":    "train.rate is 0: nothing is learnt",
		"train.final_rate=0.1 train.schedule=constant":  `train.final_rate is 0.1, which has no effect with train.schedule = "constant"`,
		"train.beta2=0.5 train.optimizer=adafactor":     `train.beta2 is 0.5, which has no effect with train.optimizer = "adafactor"`,
		"model.rotary_base=100 model.positions=learned": `model.rotary_base is 100, which has no effect with model.positions = "learned"`,
		"model.layers=4x1 model.residual_scale=loops":   "model.residual_scale is loops, which has no effect with model.layers = 4x1, which loops nothing",
		"model.attention=hard":                          `model.attention is "hard": queries and keys get no gradient, and keep their first values apart from weight decay`,
		"loops.exit_beta=0.1":                           `loops.exit_beta is 0.1, which has no effect with loops.exit = "none"`,
		"regularize.block=2":                            "regularize.block is 2, which has no effect with regularize.lambda = 0",
		"model.layers=4x1 loops.every_loop=true":        "loops.every_loop is true, which has no effect with model.layers = 4x1, which loops nothing",
		"model.injection=add loops.truncate=4":          "loops.truncate is 4, which cuts nothing off, as there are at most 4 loops",
		"model.injection=add loops.truncate=3":          "",
		"train.warmdown=0.5":                            `train.warmdown is 0.5, which has no effect with train.schedule = "cosine"`,
		"loops.schedule=1@0,4@0.9995":                   "loops.schedule comes to 4 loops at 0.9995 of training, after the last of 1200 steps",
		"loops.schedule=1@0,4@0.5":                      "",
		"model.layers=4x1 loops.schedule=1@0":           "loops.schedule is 1@0, which has no effect with model.layers = 4x1, which loops nothing",
		"train.warmdown=0 train.schedule=trapezoid":     "train.warmdown is 0: the learning rate of a trapezoid never falls",
		"train.warmdown=0.5 train.schedule=trapezoid":   "",
		"loops.exit=learned loops.exit_beta=0.1":        "",
	} {
		c := Default()
		for _, s := range strings.Fields(set) {
			key, value, _ := strings.Cut(s, "=")
			if err := c.Set(key, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Check(); err != nil {
			t.Fatalf("%s: %v", set, err)
		}
		if got := c.Warnings(); want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", set, got, want)
		}
	}
	c := Default()
	if got := c.OtherTask([]string{"task.addition.digits", "task.p-hop.hops", "train.steps", "task.name"}); !slices.Equal(got, []string{`task.addition.digits has no effect with task.name = "p-hop"`}) {
		t.Errorf("%q", got)
	}
}
