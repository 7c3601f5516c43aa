package experiment

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"coil/config"
	"coil/config/schema"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// tiny is a grid whose cells take a fraction of a second.
const tiny = `
name = "tiny"
title = "A tiny grid"
question = "Is it quick?"
seeds = [1, 2]

[[axis]]
name = "model"
key = "model.layers"
values = ["2x1", "1x1", "1x2"]

[measure]
loops = 2
fit = true
free_exits = true
similarity = true

[config.model]
width = 16
heads = 2
hidden = 32
init_std = 0.1

[config.task.p-hop]
letters = 3
length = 16
hops = 1

[config.train]
steps = 12
batch = 8
rate = 1e-2
warmup = 4
report = 3

[config.evaluate]
every = 4
examples = 8
final = 8

[config.checkpoint]
every = 5
`

func parsed(t *testing.T, text string) Grid {
	t.Helper()
	g, err := Parse("grid", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// possible is the error of a grid that can't be read, or of its cells.
func possible(source, text string) error {
	g, err := Parse(source, []byte(text))
	if err != nil {
		return err
	}
	_, err = g.Cells()
	return err
}

func TestCells(t *testing.T) {
	g := parsed(t, tiny)
	cells, err := g.Cells()
	if err != nil {
		t.Fatal(err)
	}
	var names, titles []string
	for _, c := range cells {
		names, titles = append(names, c.Name), append(titles, c.Title())
		if c.Config.Train.Seed != c.Seed {
			t.Errorf("%s trains with seed %d", c.Title(), c.Config.Train.Seed)
		}
	}
	if d := cmp.Diff([]string{"2x1_s1", "2x1_s2", "1x1_s1", "1x1_s2", "1x2_s1", "1x2_s2"}, names); d != "" {
		t.Error(d)
	}
	if titles[4] != "1⊗2 · seed 1" || cells[4].Config.Model.Layers != "1x2" {
		t.Errorf("%s has %s", titles[4], cells[4].Config.Model.Layers)
	}
}

// A written grid can be read and has the same cells. The cells of the embedded grids are checked once.
func TestEncode(t *testing.T) {
	for _, size := range Sizes() {
		for _, name := range thorough.Cases(t, 3, "grids", Names(size)) {
			g, err := Named(name, size)
			if err != nil {
				t.Fatal(err)
			}
			again := parsed(t, string(g.Encode()))
			a, err := g.Cells()
			if err != nil {
				t.Fatal(err)
			}
			b, err := again.expand()
			if err != nil {
				t.Fatal(err)
			}
			for i := range a {
				if a[i].Name != b[i].Name || !cmp.Equal(a[i].Config, b[i].Config) {
					t.Errorf("%s, %s: %s is %s", name, size, a[i].Title(), b[i].Title())
				}
			}
			if len(a) != len(b) {
				t.Errorf("%s, %s: %d cells are %d", name, size, len(a), len(b))
			}
			if g.Title == "" || g.Question == "" || g.Name != name+"-"+size {
				t.Errorf("%s, %s has title %q, question %q and name %q", name, size, g.Title, g.Question, g.Name)
			}
		}
	}
}

// What is impossible is an error before anything is trained, that names the cell and the key.
var gridLine = regexp.MustCompile(`^grid\.toml:\d+: `)

// FuzzGrid reads texts as grids: each error has its line, if there is one, and a grid that was read is written unchanged.
func FuzzGrid(f *testing.F) {
	f.Add(tiny)
	files, _ := fs.Glob(gridFiles, "grids/*.toml")
	for _, file := range files {
		text, err := gridFiles.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, s := range []string{"", "seeds = [1]", "seeds = [1, 1]", "seeds = 1", "seeds = [1]\n[[axis]]", "seeds = [1]\naxis = [{key = 'train.rate', values = [0, nan]}]",
		"seeds = [1]\n[[axis]]\nkey = 'model.layers'\nvalues = [[], {}, 1x2]", "seeds = [1]\n[[axis.choice]]", "seeds = [1]\n[measure]\nexits = [2]",
		"seeds = [1]\n[[axis]]\n[[axis.choice]]\nname = 'a'\n[axis.choice.grow]\nblock = 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := Parse("grid.toml", []byte(text))
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !gridLine.MatchString(line) && !strings.HasPrefix(line, "grid.toml: no seeds") {
					t.Errorf("the error says %q, which has no line, of\n%s", line, text)
				}
			}
			return
		}
		again, err := Parse("grid.toml", g.Encode())
		if err != nil {
			t.Fatalf("written, it is no grid: %v\n%s", err, g.Encode())
		}
		if got, want := string(again.Encode()), string(g.Encode()); got != want {
			t.Errorf("written, read and written, it is\n%s\nand not\n%s", got, want)
		}
	})
}

func TestImpossible(t *testing.T) {
	for _, k := range []struct{ from, to, want string }{
		{`"1x2"]`, `"1x2", "1x"]`, "1x: "},
		{`"1x2"]`, `"1x2", "1⊗2"]`, `axis "model": "1⊗2" occurs twice`},
		{`heads = 2`, `heads = 3`, "2⊗1: model.heads is 3, which does not divide model.width = 16"},
		{`hops = 1`, `hops = 100`, "2⊗1: task.p-hop: hops = 100, want at most"},
		{`[config.task.p-hop]`, "[config.task]\nname = \"chess\"\n[config.task.p-hop]", `grid.toml:25: config.task.name is "chess", want addition, assignment`},
		{`seeds = [1, 2]`, `seeds = []`, "no seeds"},
		{`seeds = [1, 2]`, `seeds = [1, 1]`, "seed 1 occurs twice"},
		{`seeds = [1, 2]`, `seeds = [-1]`, "grid.toml:5: seeds[0] is -1, want 0 to 9223372036854775807"},
		{`key = "model.layers"`, `key = "model.layer"`, `no key "model.layer"; did you mean "model.layers"?`},
		{`key = "model.layers"`, `key = "train.seed"`, "train.seed is set by seeds"},
		{`key = "model.layers"`, ``, "want a key and values, or choices"},
		{`steps = 12`, `stepps = 12`, `no key "config.train.stepps"`},
		{`loops = 2`, `loops = 99`, "measure.loops is 99, want 0 to 16"},
		{`loops = 2`, `primitives = 8`, "2⊗1: measure.primitives is 8, and the task p-hop is not text: want 0"},
		{`loops = 2`, `loop = 2`, `no key "measure.loop"`},
		{`steps = 12`, `steps = `, `grid.toml:30: "steps =" is not TOML`},
		{"[measure]", "[[axis]]\nname = \"x\"\n[[axis.choice]]\nset = {\"train.rate\" = 1e-3}\n[measure]", "choice 1 has no name"},
		{"[measure]", "[[axis]]\nname = \"x\"\n[[axis.choice]]\nname = \"a b\"\n[[axis.choice]]\nname = \"ab\"\n[measure]", "would have the same folder"},
		{"[measure]", "[[axis]]\nname = \"x\"\n[[axis.choice]]\nname = \"Ab\"\n[[axis.choice]]\nname = \"aB\"\n[measure]",
			"2⊗1 · Ab · seed 1 and 2⊗1 · aB · seed 1 would have the same folder 2x1_aB_s1"},
		{"[measure]", "[[axis]]\nkey = \"model.layers\"\nvalues = [\"3x1\"]\n[measure]", `axes "model" and "model.layers" both set model.layers`},
		{"[measure]", "[[axis]]\nname = \"a\"\nkey = \"train.rate\"\nvalues = [0.1]\n[[axis]]\nname = \"b\"\n[[axis.choice]]\nname = \"c\"\n" +
			"[[axis.choice]]\nname = \"d\"\nset = {\"train.rate\" = 1.0}\n[measure]", `axes "a" and "b" both set train.rate: only one can`},
		{"[measure]", "[[axis]]\nname = \"x\"\n[[axis.choice]]\nname = \"" + strings.Repeat("long", 50) + "\"\n[measure]", "a name of 207 characters, want at most 200"},
	} {
		if !strings.Contains(tiny, k.from) {
			t.Fatalf("there is no %q", k.from)
		}
		text := strings.Replace(tiny, k.from, k.to, 1)
		err := possible("grid.toml", text)
		if err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%q: the error is %v, want %q", k.to, err, k.want)
		}
		if _, err := Parse("grid.toml", []byte(text)); err != nil && !gridLine.MatchString(err.Error()) {
			t.Errorf("%q: the error is %v, and does not say where", k.to, err)
		}
	}
	short := strings.NewReplacer("[measure]", "[measure]\nprimitives = 8", "[config.task.p-hop]", "[config.task]\nname = \"text\"\ntext.length = 99\n[config.task.p-hop]").Replace(tiny)
	if err := possible("grid.toml", short); err == nil || !strings.Contains(err.Error(), "measure.primitives is 8: a question of the primitive") {
		t.Errorf("%v", err)
	}
	if _, err := Named("phop", "laptop"); err == nil || !strings.Contains(err.Error(), `did you mean "p-hop"?`) {
		t.Errorf("%v", err)
	}
	if _, err := Named("p-hop", "huge"); err == nil || !strings.Contains(err.Error(), "there are laptop and paper") {
		t.Errorf("%v", err)
	}
}

// Axes multiply; choices set several keys.
func TestAxes(t *testing.T) {
	g := parsed(t, strings.Replace(tiny, "[measure]", `[[axis]]
name = "λ, block"
across = true
[[axis.choice]]
name = "none"
[[axis.choice]]
name = "λ1 k1"
set = {"train.weight_decay" = 0.5, "task.addition.operands" = [2, 3]}
[measure]`, 1))
	cells, err := g.Cells()
	if err != nil {
		t.Fatal(err)
	}
	if len(cells) != 12 {
		t.Fatalf("%d cells", len(cells))
	}
	c := cells[2]
	if c.Name != "2x1_lambda1k1_s1" || c.Config.Train.WeightDecay != 0.5 || !cmp.Equal(c.Config.Task.Addition.Operands, []int{2, 3}) {
		t.Errorf("%s: %+v", c.Name, c.Config)
	}
	if w := cells[0].Config.Train.WeightDecay; w == 0.5 {
		t.Error("a choice leaks into the cells of another")
	}
}

// The embedded grids mean what they meant before the defaults became those of the preset default, so folders of that time can be
// continued: testdata/grids has their grid.toml as coil wrote it then.
func TestGridsKeepTheirMeaning(t *testing.T) {
	for _, size := range Sizes() {
		for _, name := range Names(size) {
			old, err := os.ReadFile(filepath.Join("testdata", "grids", name+"-"+size+".toml"))
			if err != nil {
				t.Fatal(err)
			}
			new, err := gridFiles.ReadFile("grids/" + name + "." + size + ".toml")
			if err != nil {
				t.Fatal(err)
			}
			// Without making the cells, which takes a while: their configurations are this one and the points of the axes.
			before, now := Grid{Config: config.Unwritten()}, Grid{Config: config.Default()}
			for _, g := range []struct {
				grid *Grid
				text []byte
			}{{&before, old}, {&now, new}} {
				if _, err := schema.Decode(name, g.text, g.grid); err != nil {
					t.Fatal(err)
				}
				for _, a := range g.grid.Axes {
					for _, c := range a.Choices {
						for key := range c.Set {
							if slices.ContainsFunc(a.Choices, func(c Choice) bool { return c.Set[key] == nil }) {
								continue
							}
							if err := g.grid.Config.Set(key, valueText(c.Set[key])); err != nil { // every cell sets it
								t.Fatal(err)
							}
						}
					}
				}
			}
			if err := sameConfig(before.Config, now.Config); err != nil {
				t.Errorf("%s %s: %v", name, size, err)
			}
			before.Config, before.Name = now.Config, now.Name
			before.Title, before.Question = now.Title, now.Question // words may improve
			if d := cmp.Diff(before, now, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("%s %s: %s", name, size, d)
			}
		}
	}
}

// Parse reports all mistakes of a grid with their lines, and starts from the preset default or the named one.
func TestParseGrid(t *testing.T) {
	_, err := Parse("grid.toml", []byte("Seeds = [1]\nseeds = [1, -1]\n[[axis]]\nname = 'a'\nkeys = 'model.layers'\n[config.train]\nSteps = 5\nbeta1 = 0.99999999999\n"))
	want := `grid.toml:1: no key "Seeds"; did you mean "seeds"?
grid.toml:2: seeds[1] is -1, want 0 to 9223372036854775807
grid.toml:5: no key "axis[0].keys"; did you mean "axis[0].key"?
grid.toml:7: no key "config.train.Steps"; did you mean "config.train.steps"?
grid.toml:8: config.train.beta1 is 0.99999999999, which is 1 as a float32, want at least 0 and less than 1`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	g, err := Parse("grid.toml", []byte("seeds = [1]\n[config.model]\nwidth = 32\n"))
	if d := config.Default(); err != nil || g.Config.Train.Steps != d.Train.Steps || g.Config.Model.InitStd != d.Model.InitStd || g.Config.Model.Width != 32 {
		t.Errorf("a grid that says little: %v, %+v", err, g.Config)
	}
	g, err = Parse("grid.toml", []byte("seeds = [1]\n[config]\npreset = 'middle'\n[config.model]\nwidth = 32\n"))
	if err != nil || g.Config.Model.Layers != "1x(1,4,1)" || g.Config.Model.Width != 32 {
		t.Errorf("a grid from a preset: %v, %+v", err, g.Config.Model)
	}
}

// The grid that docs/experiments.md shows is one, and trains with the defaults that the preset default learns with.
func TestDocumentedGrid(t *testing.T) {
	page, err := os.ReadFile("../docs/experiments.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	g, err := Parse("docs/experiments.md", []byte(text))
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	want := config.Default()
	want.Train.Steps = 1500
	if d := cmp.Diff(want, g.Config); d != "" {
		t.Error(d)
	}
}
