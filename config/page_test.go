package config

import (
	"fmt"
	"strings"
	"testing"

	"coil/config/schema"
	"coil/golden"
)

const pagePath = "../docs/configuration.md"

// The reference of the configuration has every key, as the program knows it.
func TestConfigurationPage(t *testing.T) {
	golden.CompareFile(t, pagePath, page())
}

// page is the reference of the configuration as Markdown.
func page() string {
	var b strings.Builder
	b.WriteString(pageBegin)
	c := Default()
	table := ""
	for _, k := range c.Keys() {
		if t := k.Name[:strings.LastIndexByte(k.Name, '.')]; t != table {
			table = t
			about, ok := pageTables[t]
			if !ok {
				panic("no introduction of [" + t + "]")
			}
			if t == "task" {
				b.WriteString(pageTasks)
			}
			level := strings.Repeat("#", 3+strings.Count(t, "."))
			fmt.Fprintf(&b, "\n%s [%s]\n\n%s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", level, t, about)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", pageKey(&c, k), pageValue(k), pageDefault(k), strings.ReplaceAll(k.Help, "|", `\|`))
	}
	return b.String()
}

func pageKey(c *Config, k schema.Key) string {
	name := "`" + k.Name + "`"
	if k.Alias != "" {
		name += ", `--" + k.Alias + "`"
	}
	if c.Fixed(k.Name) && !strings.HasPrefix(k.Name, "model.") && !strings.HasPrefix(k.Name, "loops.") &&
		!strings.HasPrefix(k.Name, "regularize.") && !strings.HasPrefix(k.Name, "task.") {
		name += " (fixed)"
	}
	return name
}

func pageValue(k schema.Key) string {
	if k.Kind() == "list" {
		what, _, _ := strings.Cut(k.Wanted(), " with")
		return what
	}
	return k.Wanted()
}

func pageDefault(k schema.Key) string {
	if k.Value() == "" {
		return ""
	}
	return "`" + k.Value() + "`"
}

const pageBegin = `# Configuration

<!-- Written by go test ./config -run TestConfigurationPage -update, from the program's own keys. Don't edit it by hand. -->

A training run is configured by keys. A key has a name such as ` + "`train.rate`" + `, and is set

- by a flag of its name: ` + "`coil train --train.rate 1e-3`" + `. Some have a short flag too: ` + "`--rate 1e-3`" + `.
- in a TOML file: ` + "`coil train my.toml`" + `. A flag overrides the file.

A key that is not set has its default, which is the value of the preset ` + "`default`" + `. A file says only what differs, and may
start from another preset:

` + "```toml" + `
preset = "middle"

[train]
steps = 4000
` + "```" + `

` + "`coil train my.toml --dry-run`" + ` prints the whole configuration that results, as a file, and trains nothing. All errors of a
file are reported at once, with their lines. Runs and experiments on disk have every key in their files, so they keep their
meaning when a default changes.

` + "`coil resume RUN --train.steps 4000`" + ` changes keys of a run. The keys of the model, its loops, the regularizer and the task can't
change, because the run would not continue as it began; nor can the keys that are marked *(fixed)* below.

## Presets

` + "`coil presets NAME`" + ` prints a preset as a file, and ` + "`coil train --preset NAME`" + ` trains it. The presets ` + "`bench-…`" + ` measure speed;
those that begin with ` + "`paper-`" + ` have the sizes of Saunshi et al. and take days on a CPU. ` + "`gpt-2`" + ` and its looped twin compare
speed and memory with other programs. ` + "`text-5m`, `text-15m` and `text-50m`" + ` are language models for text of your own.

` + "```console" + `
$ coil presets
preset              model        task  parameters  depth    steps
addition              1⊗4    addition      51 776      4    4 000
bench-a               1⊗6       noise     888 576      6       50
bench-a1              6⊗1       noise   4 837 376      6       50
bench-b               1⊗6       noise     223 104      6       50
bench-b1              6⊗1       noise   1 214 464      6       50
bench-c              1⊗12       noise   3 218 944     12       50
default               1⊗4       p-hop      50 624      4    1 200
gpt-2                12⊗1       noise  124 439 808     12       50
gpt-2-looped          3⊗4       noise   60 648 960     12       50
group-word            1⊗4  group-word      50 880      4    3 000
i-gsm                 1⊗4       i-gsm      52 800      4   10 000
learned-exit          1⊗6       p-hop      50 689      6    1 200
middle          1⊗(1,4,1)       p-hop     150 592      6    2 000
paper-addition       1⊗12    addition     796 928     12  200 000
paper-i-gsm           1⊗8       i-gsm     214 912      8  200 000
paper-p-hop-16        1⊗6       p-hop     199 552      6  200 000
paper-p-hop-32        1⊗6       p-hop     199 552      6  200 000
random-loops          1⊗4       p-hop      50 880      4    2 000
regularized           4⊗1       p-hop     200 576      4    1 200
text            1⊗(1,3,1)        text     971 520      5      500
…
` + "```" + `

What the small ones reach on held-out examples (` + "`coil train --preset NAME`" + `, seed 1):

| preset | result |
|---|---|
| ` + "`default`" + ` | 100 % |
| ` + "`middle`" + ` | 100 % |
| ` + "`learned-exit`" + ` | 100 %, after all six loops and after the three that its gate finds enough |
| ` + "`regularized`" + ` | 100 %; the mean cosine between neighbouring layers rises from 0.00 to 0.98 or 0.99 for every kind of weight |
| ` + "`random-loops`" + ` | 97.3 % |
| ` + "`group-word`" + ` | 97.8 % |
| ` + "`i-gsm`" + ` | 72 %; always giving the most frequent answer would reach 42 % |
| ` + "`text`" + ` | 2.77 bits per byte |
| ` + "`addition`" + ` | exact match 100 % for two numbers, 94 % for four, 12 % for eight |

## Keys
`

const pageTasks = `
## Tasks

Whether a question belongs to training or to the held-out examples is a function of the question, so no seed can mix them.
`

// pageTables introduces the tables.
var pageTables = map[string]string{
	"model":         "The transformer. `4x1` is four layers that run once, `1x4` one layer that runs four times, and `4x(1,3,1)` three blocks of four layers that run 1, 3 and 1 times (middle looping). `2/4x3/2` has blocks of 2, 4 and 2 layers; the second runs 3 times.",
	"loops":         "How the loops are trained. [conventions.md](conventions.md) has the formulas.",
	"regularize":    "Pulls the layers of an unlooped model towards those of a looped one: with R the mean cosine between the weights of neighbouring blocks, the loss is cross-entropy + λ·(1 − R). (The paper prints + λ·R and a sum that ends too early; the comment of [`regularize`](../regularize/regularize.go) explains.)",
	"task":          "`coil task NAME` prints examples of a task that a person can follow.",
	"task.p-hop":    "Follow p hops through a sequence of letters (Sanford et al., [2024](https://arxiv.org/abs/2402.09268)). A hop goes back to the previous occurrence of a letter and takes the letter after it. There are two samplers: letters without immediate repeats, and the one of Saunshi et al., which plants p hops over the whole sequence.",
	"task.addition": "Add n numbers, without intermediate steps. Training mixes several n, and evaluation takes any n that fits.",
	"task.i-gsm": "Arithmetic modulo a number over a graph of quantities ([Saunshi et al., 2025](https://arxiv.org/abs/2502.17416); generator of [Ye et al., 2024](https://arxiv.org/abs/2407.20311)). The definitions come in random order, some are not needed, and the answer is one token: `E#J := E#I + 3 . J#N := E#J - E#I . E#I := 6 . E#J ?` Accuracy is reported by the number of operations. " +
		"Held-out problems have solution templates that never occur in training.",
	"task.group-word": "The product of elements of a finite group, after every element or after the last ([Merrill et al., 2024](https://arxiv.org/abs/2404.08819)).",
	"task.assignment": "Variable assignment ([Saunshi et al., 2024](https://arxiv.org/abs/2409.19044)): `n=22`, `a=n`, what is `a`? At depth 0, 1 and more, as equations or programs, with examples before the question if wanted.",
	"task.teacher":    "What a random transformer writes after a random prompt: its chain of thought, or the next token at each position. `coil theory cot --save RUN` and `coil theory looped --save RUN` make runs on it.",
	"task.text":       "Prose in files, or the three books within coil: the target is the next token ([text.md](text.md)).",
	"task.noise":      "Random tokens, from which nothing can be learnt; for measuring speed.",
	"train":           "The optimizer and its schedule. Keys whose help begins with names of optimizers have no effect with others.",
	"evaluate":        "Measurements on held-out examples during and after training.",
	"checkpoint":      "What is saved, and when.",
}
