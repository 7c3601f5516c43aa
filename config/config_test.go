package config

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coil/model"
	"coil/task"

	"github.com/google/go-cmp/cmp"
)

func TestPresets(t *testing.T) {
	if err := Default().Check(); err != nil {
		t.Errorf("what a configuration that says nothing gets: %v", err)
	}
	// There is one set of defaults, whether a file says nothing or the preset is asked for.
	if c, err := Preset(DefaultPreset); err != nil || !cmp.Equal(c, Default()) {
		t.Errorf("the preset default, %v, differs from a file that says nothing: %s", err, cmp.Diff(c, Default()))
	}
	for name, text := range Presets() {
		c, err := Preset(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := c.Check(); err != nil {
			t.Errorf("preset %s: %v", name, err)
			continue
		}
		tk, err := c.Task.New()
		if err != nil {
			t.Errorf("preset %s: %v", name, err)
			continue
		}
		if _, err := model.New(c.Model, c.Loops, len(tk.Vocabulary()), tk.Length()); err != nil {
			t.Errorf("preset %s: %v", name, err)
		}
		var again Config // all keys are written, so no default is used
		if err := again.Parse(name, c.Encode()); err != nil {
			t.Errorf("preset %s, written: %v", name, err)
		}
		if d := cmp.Diff(c, again); d != "" {
			t.Errorf("preset %s, written and read: %s", name, d)
		}
		if !strings.HasPrefix(string(text), "# ") {
			t.Errorf("preset %s does not begin with a comment that says what it is", name)
		}
	}
	if _, err := Preset("defualt"); err == nil || !strings.Contains(err.Error(), "default, ") {
		t.Errorf("an unknown preset: %v does not name those that there are", err)
	}
}

// The presets for measuring have the stated work: the parameters and matmuls of layers with biases, learned positions, and an
// untied head without a bias, with a vocabulary of 64.
func TestBenchPresets(t *testing.T) {
	const vocabulary = 64
	for _, p := range []struct {
		name                                       string
		layers, depth, width, heads, length, batch int
		parameters                                 int
		gigaflops                                  float64 // of a training step
	}{
		{"bench-a", 1, 6, 256, 8, 256, 16, 888_576, 135.7},
		{"bench-a1", 6, 6, 256, 8, 256, 16, 4_837_376, 135.7},
		{"bench-b", 1, 6, 128, 4, 64, 64, 223_104, 31.6},
		{"bench-b1", 6, 6, 128, 4, 64, 64, 1_214_464, 31.6},
	} {
		c, err := Preset(p.name)
		if err != nil {
			t.Fatal(err)
		}
		tk, err := c.Task.New()
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(c.Model, c.Loops, len(tk.Vocabulary()), tk.Length())
		if err != nil {
			t.Fatal(err)
		}
		a := m.Architecture
		if tk.Name() != "noise" || m.Vocabulary != vocabulary || m.Length != p.length || c.Train.Batch != p.batch || c.Model.Heads != p.heads ||
			a.Layers() != p.layers || a.Depth() != p.depth {
			t.Errorf("%s: %s with %d tokens, length %d, batch %d, %d heads, %s", p.name, tk.Name(), m.Vocabulary, m.Length, c.Train.Batch, c.Model.Heads, a)
		}
		d := p.width
		if want := vocabulary*d + p.length*d + p.layers*(12*d*d+13*d) + 2*d + d*vocabulary; m.Size != p.parameters || m.Size != want {
			t.Errorf("%s: %d parameters, want %d, %d", p.name, m.Size, p.parameters, want)
		}
		tokens := int64(p.batch * p.length)
		flops := m.FLOPs() * 3 * tokens
		if want := 3 * tokens * int64(p.depth*(24*d*d+4*p.length*d)+2*d*vocabulary); flops != want || math.Abs(float64(flops)/1e9-p.gigaflops) > 0.05 {
			t.Errorf("%s: %d FLOPs in a step, want %d, %g G", p.name, flops, want, p.gigaflops)
		}
	}
}

// legal has a value other than the default for every key.
var legal = map[string]string{
	"model.layers": "2x(1,3,1)", "model.width": "48", "model.heads": "3", "model.hidden": "80", "model.norm": "rmsnorm",
	"model.norm_place": "sandwich", "model.activation": "swiglu", "model.positions": "learned", "model.rotary_base": "500.5",
	"model.kv_heads": "1", "model.head_width": "24", "model.qkv_bias": "false", "model.attention": "hard", "model.attention_scale": "0",
	"model.qk_norm": "true", "model.logit_softcap": "30", "model.loop_norm": "true", "model.residual_scale": "loops",
	"model.bias": "false", "model.tied": "true", "model.init_std": "0.125", "model.injection": "linear",
	"model.loop_embedding": "true", "model.carry": "state", "model.carry_rank": "8", "model.hyper_connections": "0",
	"loops.random_mean": "2.5", "loops.random_max": "7", "loops.schedule": "", "loops.truncate": "2", "loops.every_loop": "true", "loops.recompute": "true",
	"loops.exit": "none", "loops.exit_beta": "0.125",
	"regularize.lambda": "0", "regularize.block": "3",
	"task.name": "addition", "task.start": "2", "task.p-hop.letters": "5", "task.p-hop.length": "33", "task.p-hop.hops": "2",
	"task.p-hop.sampler": "planted", "task.p-hop.loss": "last", "task.addition.digits": "2", "task.addition.operands": "2,3",
	"task.addition.evaluate": "", "task.addition.order": "least", "task.i-gsm.modulus": "11",
	"task.i-gsm.levels": "3", "task.i-gsm.width": "3", "task.i-gsm.edges": "14", "task.i-gsm.operations": "9", "task.i-gsm.operands": "3", "task.i-gsm.law": "fixed",
	"task.i-gsm.evaluate": "7,12", "task.i-gsm.names": "letters", "task.i-gsm.ask": "every", "task.i-gsm.length": "300", "task.group-word.group": "A5",
	"task.group-word.lengths": "6,7", "task.group-word.evaluate": "9", "task.group-word.loss": "last", "task.assignment.variables": "4",
	"task.assignment.values": "9", "task.assignment.depth": "1", "task.assignment.evaluate": "2", "task.assignment.format": "code",
	"task.assignment.shots": "3", "task.assignment.loss": "every", "task.teacher.vocabulary": "5", "task.teacher.prompt": "6",
	"task.teacher.write": "0", "task.teacher.layers": "3", "task.teacher.schedule": "0,2,1,1", "task.teacher.width": "8", "task.teacher.heads": "1", "task.teacher.head_width": "4",
	"task.teacher.hidden": "12", "task.teacher.scale": "0", "task.teacher.weights": "7", "task.noise.vocabulary": "10", "task.noise.length": "20",
	"task.text.files": "a.txt,b/*.jsonl", "task.text.field": "story", "task.text.separator": "<|end|>", "task.text.held_out": "0.25",
	"task.text.held_out_files": "c", "task.text.length": "64", "task.text.packing": "best-fit", "task.text.skip_bad": "true", "task.text.tokenizer": "t.json", "task.text.tokenizer_end": "<eos>", "task.text.tokenizer_pattern": "gpt-2", "task.text.tokenizer_slow": "true",
	"train.steps": "77", "train.batch": "6", "train.accumulate": "2", "train.seed": "9223372036854775807", "train.optimizer": "adafactor", "train.rate": "3e-05",
	"train.time": "90.5", "train.warmdown": "0.25",
	"train.warmup": "9", "train.schedule": "linear", "train.final_rate": "0.1", "train.beta1": "0.5", "train.beta2": "0.75",
	"train.eps": "1e-12", "train.weight_decay": "0.25", "train.clip": "0", "train.momentum": "0.5", "train.muon_rule": "keller", "train.muon_rate": "5", "train.cautious": "true", "train.neuron_decay": "0.75", "train.average": "0.999", "train.report": "3",
	"evaluate.every": "11", "evaluate.examples": "12", "evaluate.final": "13",
	"checkpoint.every": "14", "checkpoint.first": "true", "checkpoint.keep": "15",
}

// Every key can be set, alone and with all others, and is written and read back.
func TestSetEveryKey(t *testing.T) {
	all := Default()
	defaults := map[string]string{}
	for _, k := range all.Keys() {
		defaults[k.Name] = k.Value()
	}
	for _, k := range all.Keys() {
		value, ok := legal[k.Name]
		if !ok {
			t.Fatalf("the test has no value for %s", k.Name)
		}
		one := Default()
		for _, c := range []*Config{&one, &all} {
			if err := c.Set(k.Name, value); err != nil {
				t.Fatal(err)
			}
		}
		for _, other := range one.Keys() {
			want := value
			if other.Name != k.Name {
				want = defaults[other.Name]
			}
			if got := other.Value(); got != want {
				t.Errorf("%s set to %q: %s is %q, want %q", k.Name, value, other.Name, got, want)
			}
		}
		if k.Help == "" {
			t.Errorf("%s has no help", k.Name)
		}
	}
	if len(legal) != len(all.Keys()) {
		t.Errorf("%d values for %d keys", len(legal), len(all.Keys()))
	}
	if err := all.Check(); err != nil {
		t.Errorf("all set: %v", err)
	}
	var again Config
	if err := again.Parse("written", all.Encode()); err != nil {
		t.Fatal(err)
	}
	for i, k := range again.Keys() {
		if want := all.Keys()[i].Value(); k.Value() != want {
			t.Errorf("%s written and read is %q, want %q", k.Name, k.Value(), want)
		}
	}
}

func TestSetErrors(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"train.steps", "1.5", `train.steps is "1.5", want a whole number: at least 1`},
		{"train.steps", "0", `train.steps is 0, want at least 1`},
		{"train.steps", "99999999999999999999", `train.steps is 99999999999999999999, want at most 9223372036854775807`},
		{"train.seed", "-1", `train.seed is -1, want 0 to 9223372036854775807`},
		{"train.seed", "x", `train.seed is "x", want a whole number`},
		{"train.rate", "fast", `train.rate is "fast", want a number: 0 to 1e6`},
		{"train.rate", "1e999", `train.rate is 1e999, want 0 to 1e6`},
		{"train.beta1", "0.99999999999", `train.beta1 is 0.99999999999, which is 1 as a float32, want at least 0 and less than 1`},
		{"train.average", "0.99999999", `train.average is 0.99999999, which is 1 as a float32`},
		{"train.rate", "1e-50", `train.rate is 1e-50, which is 0 as a float32`},
		{"regularize.lambda", "1e39", `regularize.lambda is 1e39, too large for a float32`},
		{"model.bias", "perhaps", `model.bias is "perhaps", want true or false`},
		{"train.optimizer", "sgd", `train.optimizer is "sgd", want adamw, adafactor, muon or normuon`},
		{"task.addition.operands", "2;4", `task.addition.operands is "2;4", want whole numbers with commas between, as in 2,4,8`},
		{"task.addition.operands", "2,,4", `task.addition.operands is "2,,4", want whole numbers`},
		{"train.lr", "1", `no key "train.lr"; did you mean "train.rate"?`},
		{"num-layers", "1", `no key "num-layers"; did you mean "model.layers"?`},
		{"TRAIN.STEPS", "1", `no key "TRAIN.STEPS"; did you mean "train.steps"?`},
		{"train.step", "1", `no key "train.step"; did you mean "train.steps"?`},
		{"evaluate.steps", "1", `no key "evaluate.steps"; did you mean "train.steps"?`},
		{"nothing.like.it", "1", `no key "nothing.like.it"; coil train --help lists them all`},
	} {
		d := Default()
		if err := d.Set(c.key, c.value); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s = %s: %v, want %s", c.key, c.value, err, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[train]\nstep = 5\n", `my.toml:2: no key "train.step"; did you mean "train.steps"?`},
		{"[model]\nrate = 5\n", `my.toml:2: no key "model.rate"; did you mean "train.rate"?`},
		{"steps = 5\n", `my.toml:1: no key "steps"; did you mean "train.steps"?`},
		{"[task.phop]\nletters = 5\n", `my.toml:1: no key "task.phop"; did you mean "task.p-hop"?`},
		{"[Modle]\n", `my.toml:1: no key "Modle"; did you mean "model"?`},
		{"[zzzzzzzz]\n", `my.toml:1: no key "zzzzzzzz"; there are model, loops, regularize, task, train, evaluate, checkpoint`},
		{"[train]\n\nsteps = \"5\"\n", `my.toml:3: train.steps is "5", want a whole number: at least 1`},
		{"[train]\nsteps = 5.5\n", `my.toml:2: train.steps is 5.5, want a whole number: at least 1`},
		{"[task.addition]\noperands = 4\n", `my.toml:2: task.addition.operands is 4, want a list, as in [1, 2, 4]`},
		{"[task.addition]\noperands = [\n4,\n# a comment\n'x']\n", `my.toml:5: task.addition.operands[1] is "x", want a whole number`},
		{"[model]\nbias = 1\n", `my.toml:2: model.bias is 1, want true or false`},
		{"[model]\nlayers = 4\n", `my.toml:2: model.layers is 4, want a text, in quotes`},
		{"model = 4\n", `my.toml:1: model is 4, want a table: [model]`},
		{"[[train]]\nsteps = 4\n", `my.toml:1: train is a list of tables, want a table: [train]`},
		{"preset = 'defualt'\n", `my.toml:1: preset: no preset "defualt"; did you mean "default"?`},
		{"\npreset = 4\n", `my.toml:2: preset is 4, want the name of a preset, in quotes`},
		{"[train]\nsteps = 5\n[train]\n", `my.toml:3: "[train]" is defined twice`},
		{"[train\n", `my.toml:1: "[train" is not TOML: want [table] or key = value`},
		{"[train]\nsteps = \n", `my.toml:2: "steps =" is not TOML`},
		{"[train]\noptimizer = adamw\n", `my.toml:2: "optimizer = adamw" is not TOML: want [table] or key = value, with texts in quotes`},
		// Keys are case-sensitive: otherwise, two spellings could contradict each other.
		{"[train]\nsteps = 5\nSTEPS = 7\n", `my.toml:3: no key "train.STEPS"; did you mean "train.steps"?`},
		{"[train]\nsteps = 5\n[Train]\nsteps = 7\n", `my.toml:3: no key "Train"; did you mean "train"?`},
		{"[train]\nbeta1 = 0.99999999999\n", `my.toml:2: train.beta1 is 0.99999999999, which is 1 as a float32`},
		{"[train]\nseed = -1\n", `my.toml:2: train.seed is -1, want 0 to 9223372036854775807`},
	} {
		d := Default()
		if err := d.Parse("my.toml", []byte(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

// One error reports all mistakes of a file, in the order of its lines.
func TestAllErrors(t *testing.T) {
	d := Default()
	err := d.Parse("my.toml", []byte("[train]\nlr = 1\nsteps = 0\n[model]\nnorm = 'batch'\nwidth = 'wide'\n"))
	want := `my.toml:2: no key "train.lr"; did you mean "train.rate"?
my.toml:3: train.steps is 0, want at least 1
my.toml:5: model.norm is "batch", want layernorm, rmsnorm or none
my.toml:6: model.width is "wide", want a whole number: 1 to 1048576`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// What does not go together is found when the flags are known, and named with its line.
func TestLocate(t *testing.T) {
	d := Default()
	lines, err := d.Read("my.toml", []byte("[model]\nwidth = 64\nheads = 5\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := lines.Locate(d.Check()).Error(); !strings.HasPrefix(got, "my.toml:3: model.heads is 5, which does not divide model.width = 64") {
		t.Error(got)
	}
	if got := lines.Locate(d.Check(), "model.heads").Error(); !strings.HasPrefix(got, "model.heads is 5") {
		t.Errorf("heads were set by a flag: %s", got)
	}
}

// A file may start from a preset, wherever that key stands.
func TestPresetKey(t *testing.T) {
	want, err := Preset("middle")
	if err != nil {
		t.Fatal(err)
	}
	want.Train.Steps = 7
	got := Default()
	if err := got.Parse("my.toml", []byte("preset = 'middle'\n[train]\nsteps = 7\n")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The presets mean what they meant before [Default] was the preset default: testdata/presets has them as coil wrote them
// then, with every key.
func TestPresetsKeepTheirMeaning(t *testing.T) {
	for name := range Presets() {
		text, err := os.ReadFile(filepath.Join("testdata", "presets", name+".toml"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := Stored(name, text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("preset %s: %s", name, d)
		}
	}
}

// A stored configuration that lacks keys means what it meant before they were there.
func TestStored(t *testing.T) {
	c, err := Stored("config.toml", []byte("[model]\nwidth = 32\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Model.InitStd != 0.02 || c.Train.Steps != 1000 || c.Train.Rate != 1e-3 || c.Train.Warmup != 100 || c.Model.Width != 32 {
		t.Errorf("%+v", c)
	}
	if _, err := Stored("config.toml", []byte("[model]\nwidth = 30\n")); err == nil || !strings.HasPrefix(err.Error(), "config.toml: model.heads is 4") {
		t.Error(err)
	}
	if _, err := Stored("config.toml", []byte("[model]\nheads = 5\n")); err == nil || !strings.HasPrefix(err.Error(), "config.toml:2: model.heads is 5") {
		t.Error(err)
	}
}

// Each error of Check names the key that is wrong.
func TestCheckErrors(t *testing.T) {
	for _, c := range []string{
		"model.layers=4", "model.layers=0x2", "model.width=0", "model.width=1048577", "model.heads=3", "model.hidden=0",
		"model.hidden=4194305", "model.norm=batchnorm", "model.norm_place=mid", "model.activation=tanh", "model.positions=alibi",
		"model.kv_heads=3", "model.head_width=7", "model.attention=linear", "model.attention_scale=-1", "model.logit_softcap=-1", "model.logit_softcap=NaN", "model.residual_scale=sqrt", "model.attention_scale=NaN",
		"model.rotary_base=1", "model.init_std=0", "model.init_std=NaN", "model.injection=some",
		"loops.random_mean=-1", "loops.random_max=-1", "loops.truncate=-1", "loops.truncate=2",
		"loops.exit=early", "loops.exit_beta=-1", "loops.exit_beta=NaN",
		"regularize.lambda=1", "regularize.lambda=-1", "regularize.lambda=NaN",
		"task.name=chess", "train.steps=0", "train.batch=0", "train.batch=1048577", "train.accumulate=0", "train.accumulate=3", "train.seed=9223372036854775808",
		"train.optimizer=sgd", "train.rate=-1", "train.rate=1e30", "train.rate=NaN", "train.warmup=-1", "train.schedule=step",
		"train.final_rate=-0.1", "train.final_rate=1.1", "train.beta1=1", "train.beta2=-0.5", "train.beta2=NaN", "train.eps=0",
		"train.weight_decay=-1", "train.weight_decay=Inf", "train.clip=-1", "train.clip=NaN", "train.momentum=1", "train.muon_rule=best", "train.muon_rate=-1", "train.neuron_decay=1", "train.warmdown=1.1", "train.time=-1", "train.average=1", "train.report=0",
		"evaluate.every=-1", "evaluate.examples=0", "evaluate.final=0", "checkpoint.every=-1", "checkpoint.keep=-1",
	} {
		key, value, _ := strings.Cut(c, "=")
		d := Default()
		err := d.Set(key, value)
		if err == nil {
			err = d.Check()
		}
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", c, err)
		}
	}
	// The tasks' own errors name the table, and the key in it.
	for _, c := range []struct{ key, value, table, in string }{
		{"task.p-hop.letters", "2", "task.p-hop: ", "letters"},
		{"task.p-hop.length", "1", "task.p-hop: ", "length"},
		{"task.p-hop.hops", "60", "task.p-hop: ", "hops"},
		{"task.p-hop.sampler", "x", "task.p-hop: ", "sampler"},
		{"task.p-hop.loss", "x", "task.p-hop: ", "loss"},
		{"task.addition.digits", "10", "task.addition: ", "digits"},
		{"task.addition.operands", "", "task.addition: ", "operands"},
		{"task.addition.evaluate", "1", "task.addition: ", "evaluate"},
		{"task.addition.order", "x", "task.addition: ", "order"},
		{"task.i-gsm.modulus", "1", "task.i-gsm: ", "modulus"},
		{"task.i-gsm.levels", "1", "task.i-gsm: ", "levels"},
		{"task.i-gsm.width", "7", "task.i-gsm: ", "width"},
		{"task.i-gsm.edges", "11", "task.i-gsm: ", "edges"},
		{"task.i-gsm.operations", "4", "task.i-gsm: ", "operations"},
		{"task.i-gsm.operands", "1", "task.i-gsm: ", "operands"},
		{"task.i-gsm.ask", "x", "task.i-gsm: ", "ask"},
		{"task.i-gsm.law", "x", "task.i-gsm: ", "law"},
		{"task.i-gsm.evaluate", "4", "task.i-gsm: ", "evaluate"},
		{"task.i-gsm.names", "x", "task.i-gsm: ", "names"},
		{"task.i-gsm.length", "60", "task.i-gsm: ", "length"},
		{"task.group-word.group", "Q8", "task.group-word: ", "group"},
		{"task.group-word.lengths", "0", "task.group-word: ", "lengths"},
		{"task.group-word.evaluate", "0", "task.group-word: ", "evaluate"},
		{"task.group-word.loss", "x", "task.group-word: ", "loss"},
		{"task.assignment.variables", "1", "task.assignment: ", "variables"},
		{"task.assignment.values", "1", "task.assignment: ", "values"},
		{"task.assignment.depth", "9", "task.assignment: ", "depth"},
		{"task.assignment.evaluate", "9", "task.assignment: ", "evaluate"},
		{"task.assignment.format", "x", "task.assignment: ", "format"},
		{"task.assignment.shots", "-1", "task.assignment: ", "shots"},
		{"task.assignment.loss", "x", "task.assignment: ", "loss"},
		{"task.teacher.vocabulary", "1", "task.teacher: ", "vocabulary"},
		{"task.teacher.prompt", "0", "task.teacher: ", "prompt"},
		{"task.teacher.write", "-1", "task.teacher: ", "write"},
		{"task.teacher.layers", "0", "task.teacher: ", "layers"},
		{"task.teacher.schedule", "0,2", "task.teacher: ", "schedule"},
		{"task.teacher.width", "0", "task.teacher: ", "width"},
		{"task.teacher.heads", "0", "task.teacher: ", "heads"},
		{"task.teacher.head_width", "0", "task.teacher: ", "head_width"},
		{"task.teacher.hidden", "0", "task.teacher: ", "hidden"},
		{"task.teacher.scale", "-1", "task.teacher: ", "scale"},
		{"task.noise.vocabulary", "1", "task.noise: ", "vocabulary"},
		{"task.noise.length", "0", "task.noise: ", "length"},
	} {
		d := Default()
		d.Task.Name = task.Name(strings.TrimSuffix(strings.TrimPrefix(c.table, "task."), ": "))
		err := d.Set(c.key, c.value)
		if err == nil {
			err = d.Check()
		}
		if err == nil && c.key == "task.i-gsm.length" { // what fits is known when the task is made
			_, err = d.Task.New()
		}
		if err == nil || !strings.HasPrefix(err.Error(), strings.TrimSuffix(c.table, ": ")) || !strings.Contains(err.Error(), c.in) {
			t.Errorf("%s = %q: %v", c.key, c.value, err)
		}
	}
	regularized := Default()
	regularized.Model.Layers, regularized.Regularize.Lambda, regularized.Regularize.Block = "6x1", 1, 4
	if err := regularized.Check(); err == nil || !strings.Contains(err.Error(), "regularize.block") {
		t.Errorf("blocks of 4 of 6 layers: %v", err)
	}
}

func TestRateAt(t *testing.T) {
	for _, c := range []struct {
		schedule Schedule
		final    float64
		want     map[int]float64 // at a step, relative to the peak
	}{
		{"constant", 0, map[int]float64{0: 0.25, 1: 0.5, 3: 1, 4: 1, 8: 1, 11: 1, 12: 1, 100: 1}},
		{"linear", 0, map[int]float64{0: 0.25, 3: 1, 4: 1, 6: 0.75, 8: 0.5, 11: 0.125, 12: 0, 100: 0}},
		{"linear", 0.5, map[int]float64{3: 1, 4: 1, 8: 0.75, 12: 0.5, 100: 0.5}},
		{"cosine", 0, map[int]float64{0: 0.25, 3: 1, 4: 1, 6: 0.5 + math.Sqrt2/4, 8: 0.5, 10: 0.5 - math.Sqrt2/4, 12: 0, 100: 0}},
		{"cosine", 0.1, map[int]float64{4: 1, 8: 0.55, 12: 0.1}},
		{"trapezoid", 0, map[int]float64{0: 0.25, 3: 1, 4: 1, 8: 1, 9: 1, 10: 2. / 3, 11: 1. / 3, 12: 0, 100: 0}},
		{"trapezoid", 0.1, map[int]float64{4: 1, 9: 1, 10: 0.7, 11: 0.4, 12: 0.1}},
	} {
		o := Train{Steps: 12, Warmup: 4, Rate: 3e-3, Schedule: c.schedule, FinalRate: c.final, Warmdown: 0.25}
		for step, want := range c.want {
			if got := o.RateAt(step, 0); math.Abs(got-want*o.Rate) > 1e-15 {
				t.Errorf("%s to %g: rate %g at step %d, want %g", c.schedule, c.final, got, step, want*o.Rate)
			}
		}
	}
	for _, o := range []Train{{Steps: 5, Rate: 1, Schedule: "cosine"}, {Steps: 5, Warmup: 5, Rate: 1, Schedule: "cosine"}, {Steps: 5, Warmup: 9, Rate: 1, Schedule: "linear"}} {
		for step := range o.Steps {
			if r := o.RateAt(step, 0); !(r > 0 && r <= 1) {
				t.Errorf("%d steps of warm-up, %d in all: rate %g at step %d", o.Warmup, o.Steps, r, step)
			}
		}
	}
}

// With a budget of time, the share of it that is used moves the schedule, unless the steps have moved it further.
func TestRateAtUsedTime(t *testing.T) {
	for _, c := range []struct {
		schedule Schedule
		step     int
		used     float64
		want     float64 // relative to the peak
	}{
		{"linear", 4, 0.5, 0.5}, {"linear", 4, 1, 0}, {"linear", 10, 0.5, 0.25},
		{"linear", 1, 0.5, 0.25}, // in the warm-up: half of half
		{"cosine", 4, 0.25, 0.5 + math.Sqrt2/4}, {"cosine", 5, 1, 0},
		{"trapezoid", 4, 0.5, 1}, {"trapezoid", 4, 0.75, 1}, {"trapezoid", 4, 0.875, 0.5}, {"trapezoid", 11, 0.8, 1. / 3}, {"trapezoid", 0, 0.875, 0.125},
		{"constant", 4, 1, 1},
	} {
		o := Train{Steps: 12, Warmup: 4, Rate: 3e-3, Schedule: c.schedule, Warmdown: 0.25, Time: 60}
		if got := o.RateAt(c.step, c.used); math.Abs(got-c.want*o.Rate) > 1e-15 {
			t.Errorf("%s at step %d with %g of the time: rate %g, want %g", c.schedule, c.step, c.used, got, c.want*o.Rate)
		}
	}
}

// The configuration that its reference shows is one.
func TestShownConfiguration(t *testing.T) {
	shown, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(shown), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	c := Default()
	if err := c.Parse(pagePath, []byte(text)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := c.Check(); err != nil || c.Train.Steps != 4000 || c.Model.Layers != "1x(1,4,1)" {
		t.Errorf("%v, %+v", err, c)
	}
}

// The loops of a step are the drawn ones, the scheduled ones, or the model's own; and training takes their mean of FLOPs.
func TestLoopsAt(t *testing.T) {
	c := Default()
	c.Train.Steps = 10
	check := func(want map[int]int, used float64, varying bool) {
		t.Helper()
		m, err := model.New(c.Model, c.Loops, 8, 16)
		if err != nil {
			t.Fatal(err)
		}
		for step, loops := range want {
			if got, varies := c.LoopsAt(m, step, used); got != loops || varies != varying {
				t.Errorf("%d loops in step %d (%v), want %d", got, step, varies, loops)
			}
		}
	}
	check(map[int]int{0: 4, 9: 4}, 0, false)
	c.Loops.Schedule = "1@0, 4@0.4"
	check(map[int]int{0: 1, 3: 1, 4: 4, 9: 4}, 0, true)
	check(map[int]int{0: 4}, 0.4, true) // of the time
	m, err := model.New(c.Model, c.Loops, 8, 16)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.TrainingFLOPs(m), 0.4*float64(m.FLOPsAt(1))+0.6*float64(m.FLOPs()); math.Abs(got/want-1) > 1e-3 {
		t.Errorf("%g FLOPs a token in training, want %g", got, want)
	}
	c.Loops.Schedule, c.Loops.RandomMean, c.Loops.RandomMax = "", 2, 4
	random, _ := c.Loops.Random()
	check(map[int]int{5: random.Draw(c.Train.Seed, 5)}, 0, true)
	if got := c.TrainingFLOPs(m); got != float64(m.FLOPs()) {
		t.Errorf("%g FLOPs with drawn loops, want %d", got, m.FLOPs())
	}
}
