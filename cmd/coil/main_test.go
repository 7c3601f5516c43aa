package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coil/config"
	"coil/golden"
	"coil/metric"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestMain puts this program, as coil, into the path of what the tests execute.
func TestMain(m *testing.M) {
	// Measurements of the machine in tests must not reach the user's coil.
	os.Setenv("XDG_CACHE_HOME", filepath.Join(os.TempDir(), "coil-test-cache"))
	testscript.Main(m, map[string]func(){"coil": func() {
		go crashWhenAsked()
		main()
	}})
}

// tiny is the configuration of a run of a moment.
const tiny = `
[model]
layers = "1x2"
width = 16
heads = 2
hidden = 32
init_std = 0.1
[task.p-hop]
letters = 3
length = 16
hops = 1
[train]
steps = 12
batch = 8
rate = 1e-2
warmup = 4
report = 3
[evaluate]
every = 0
examples = 8
final = 8
[checkpoint]
every = 4
keep = 0
`

func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files:         thorough.Cases(t, 12, "scripts", scripts),
		UpdateScripts: *golden.Update,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "COIL_CPU="+os.Getenv("COIL_CPU"))
			if err := os.CopyFS(filepath.Join(e.WorkDir, "noise"), os.DirFS("testdata/format0/noise")); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "tiny.toml"), []byte(tiny), 0o666)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// exits CODE COMMAND… executes the command, which must end with the code.
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				code := 0
				if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
					code = exit.ExitCode()
				} else if err != nil {
					ts.Fatalf("%v", err)
				}
				if want, err := strconv.Atoi(args[0]); err != nil || neg || code != want {
					ts.Fatalf("exit code %d, want %s", code, args[0])
				}
			},
			// cut FILE SIZE makes a file shorter.
			"cut": func(ts *testscript.TestScript, _ bool, args []string) {
				size, err := strconv.ParseInt(args[1], 10, 64)
				ts.Check(err)
				ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
			},
			// garble FILE changes one byte in the middle of it.
			"garble": func(ts *testscript.TestScript, _ bool, args []string) {
				b := []byte(ts.ReadFile(args[0]))
				b[len(b)/2] ^= 1
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o666))
			},
		},
	})
}

// coil runs a command line in this process.
func coil(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err strings.Builder
	code = execute(args, &out, &err)
	return out.String(), err.String(), code
}

// mustCoil runs a command line that must succeed, and returns its result.
func mustCoil(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := coil(t, args...)
	if code != exitOK {
		t.Fatalf("coil %s exits with %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// tinyFile writes the tiny configuration.
func tinyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.toml")
	if err := os.WriteFile(path, []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// commands lists a command and all below it.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

// The help of every command begins with what it does and how it is used, and mentions every flag.
func TestHelp(t *testing.T) {
	for _, c := range commands(newRoot()) {
		path := strings.Fields(c.CommandPath())[1:]
		out := mustCoil(t, append(path, "--help")...)
		if c.Short == "" || !strings.HasPrefix(out, c.Short+"\n\nExamples:\n  coil ") {
			t.Errorf("the help of %q begins with %.80q", c.CommandPath(), out)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !(f.Hidden && c.Name() == "resume") && !strings.Contains(out, "--"+f.Name) {
				t.Errorf("the help of %q does not mention --%s", c.CommandPath(), f.Name)
			}
		})
		if strings.Contains(out, "`") {
			t.Errorf("the help of %q has a quote that is meant for pflag", c.CommandPath())
		}
		for line := range strings.Lines(out) {
			if line = strings.TrimSuffix(line, "\n"); strings.HasSuffix(line, " ") || len([]rune(line)) > columns {
				t.Errorf("the help of %q has a line that ends in a space or is too long: %q", c.CommandPath(), line)
			}
		}
	}
}

// Every key can be set by its flag, and some by a shorter one.
func TestEveryKeyHasAFlag(t *testing.T) {
	defaults, err := config.Preset(config.DefaultPreset)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{
		"model.layers": "1x3", "model.norm": "rmsnorm", "model.norm_place": "post", "model.activation": "relu", "model.positions": "none",
		"model.injection": "add", "model.carry": "restart", "model.hyper_connections": "4", "model.heads": "2", "model.width": "32", "model.init_std": "0.5", "loops.random_mean": "2.5", "loops.random_max": "7", "loops.truncate": "2", "loops.exit": "learned",
		"regularize.lambda": "1", "task.name": "addition", "task.p-hop.sampler": "planted", "task.p-hop.loss": "last",
		"task.p-hop.letters": "5", "task.p-hop.hops": "3", "task.addition.operands": "2,3", "task.addition.evaluate": "4", "task.addition.order": "least",
		"task.group-word.group": "S4", "task.group-word.lengths": "7", "task.group-word.evaluate": "9", "task.group-word.loss": "last",
		"task.assignment.format": "math", "task.assignment.depth": "1", "task.assignment.evaluate": "2", "task.assignment.loss": "every",
		"task.i-gsm.levels": "3", "task.assignment.variables": "6", "task.i-gsm.operands": "3", "task.i-gsm.ask": "every", "task.i-gsm.law": "fixed", "task.i-gsm.names": "letters", "task.i-gsm.evaluate": "20",
		"train.optimizer": "adafactor", "train.schedule": "linear", "train.final_rate": "0.5", "train.beta1": "0.5", "train.beta2": "0.5", "train.average": "0.5",
		"loops.schedule": "1@0, 4@0.5", "train.accumulate": "2", "train.muon_rule": "keller", "model.head_width": "8", "model.kv_heads": "2", "model.attention": "hard", "task.text.packing": "best-fit", "task.text.files": "/no/text.txt", "task.text.tokenizer": "/no/tokenizer.json", "task.text.tokenizer_pattern": "qwen", "task.text.held_out_files": "/no/other.txt", "model.residual_scale": "loops", "task.teacher.schedule": "1,0",
	}
	with := map[string][2]string{ // what only makes sense with another
		"loops.random_mean": {"loops.random_max", "9"}, "loops.random_max": {"loops.random_mean", "1.5"},
		"loops.truncate": {"model.injection", "linear"}, "regularize.lambda": {"model.layers", "6x1"},
	}
	for _, k := range thorough.Cases(t, 24, "keys", defaults.Keys()) {
		value, ok := set[k.Name]
		switch {
		case ok:
		case k.Kind() == "true or false":
			value = map[string]string{"true": "false", "false": "true"}[k.Value()]
		case k.Kind() == "int":
			value = k.Value() + "1"
			if k.Name == "task.addition.digits" {
				value = "4"
			}
		default:
			value = "0.0625"
			if k.Name == "model.rotary_base" {
				value = "100"
			}
		}
		want := defaults
		if err := want.Set(k.Name, value); err != nil {
			t.Fatal(err)
		}
		var also []string
		if w, ok := with[k.Name]; ok {
			also = []string{"--" + w[0], w[1]}
			if err := want.Set(w[0], w[1]); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"--" + k.Name, value}, {"--" + k.Name + "=" + value}} {
			args = append(args, also...)
			got := config.Config{}
			if err := got.Parse("--dry-run", []byte(mustCoil(t, append([]string{"train", "--dry-run"}, args...)...))); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%v: %s", args, d)
			}
		}
	}
	// The last one counts, by whatever name.
	out := mustCoil(t, "train", "--dry-run", "--model", "1x1", "--model.layers", "2x2", "--model", "3x1", "--steps", "7", "--batch", "3", "--rate", "0.5",
		"--seed", "9", "--task", "addition", "--task.addition.operands", "2", "--task.addition.evaluate", "")
	got := config.Config{}
	if err := got.Parse("--dry-run", []byte(out)); err != nil {
		t.Fatal(err)
	}
	if o := got.Train; got.Model.Layers != "3x1" || o.Steps != 7 || o.Batch != 3 || o.Rate != 0.5 || o.Seed != 9 || got.Task.Name != "addition" || len(got.Task.Addition.Evaluate) != 0 {
		t.Errorf("the short names give\n%s", out)
	}
}

// What --dry-run prints is a configuration with the same meaning, and nothing is made.
func TestDryRun(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range thorough.Cases(t, 6, "presets", presetNames()) {
		out := mustCoil(t, "train", "--preset", name, "--dry-run")
		if err := os.WriteFile("again.toml", []byte(out), 0o666); err != nil {
			t.Fatal(err)
		}
		if again := mustCoil(t, "train", "again.toml", "--dry-run"); again != out {
			t.Errorf("preset %s becomes\n%s, and that\n%s", name, out, again)
		}
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 1 {
		t.Errorf("there are %v, %v", entries, err)
	}
}

func parseJSON[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestJSON(t *testing.T) {
	file := tinyFile(t)
	t.Chdir(t.TempDir())
	stdout, stderr, code := coil(t, "train", file, "--json", "--name", "x")
	if code != exitOK || !strings.Contains(stderr, "12/12") || strings.Contains(stderr, "{") {
		t.Errorf("train: %d, %s", code, stderr)
	}
	o := parseJSON[outcome](t, stdout)
	if o.Steps != 12 || !o.Done || o.Metric != metric.Accuracy || o.HeldOut == nil || o.HeldOut.Loops != 2 || o.HeldOut.Examples != 8 || !strings.HasSuffix(o.Run, "_x") {
		t.Errorf("train: %+v", o)
	}
	if again := parseJSON[outcome](t, mustCoil(t, "resume", "latest", "--json")); again.Run != filepath.Join("runs", filepath.Base(o.Run)) || !again.Done || again.Steps != 12 {
		t.Errorf("resume: %+v", again)
	}
	e := parseJSON[evaluation](t, mustCoil(t, "eval", "latest", "--json", "--loops", "1..3", "--examples", "8", "--seed", "0"))
	if e.Step != 12 || e.Task != "p-hop" || e.Model != "1⊗2" || e.Metric != metric.Accuracy || len(e.Results) != 3 {
		t.Errorf("eval: %+v", e)
	}
	if d := cmp.Diff(*o.HeldOut, e.Results[1]); d != "" {
		t.Errorf("train and eval measure differently: %s", d)
	}
	mustCoil(t, "train", file, "--loops.exit", "learned", "--no-tui")
	x := parseJSON[evaluation](t, mustCoil(t, "eval", "latest", "--json", "--exit", "0.5,1", "--examples", "8"))
	if x.Results != nil || len(x.Exits) != 2 || x.Exits[1].Threshold != 1 || x.Exits[1].Examples != 8 || x.Exits[1].Loops != 2 || x.Exits[0].Loops > 2 {
		t.Errorf("eval --exit: %+v", x)
	}
	presets := parseJSON[[]presetStatus](t, mustCoil(t, "presets", "--json"))
	if len(presets) != len(config.Presets()) || presets[0].About == "" || presets[0].Parameters == 0 || presets[0].Depth == 0 || presets[0].FLOPs == 0 || presets[0].Steps == 0 {
		t.Errorf("presets: %+v", presets)
	}
	backends := parseJSON[[]backendStatus](t, mustCoil(t, "backends", "--json"))
	if i := slices.IndexFunc(backends, func(b backendStatus) bool { return b.Name == "cpu" }); i < 0 || !backends[i].Available || backends[i].Memory == 0 || backends[i].Workers == 0 {
		t.Errorf("backends: %+v", backends)
	}
	for _, b := range backends {
		if b.Available == (b.Why != "") {
			t.Errorf("backends: %+v", b)
		}
	}
	lines := strings.Split(strings.TrimSpace(mustCoil(t, "task", "addition", "--json", "--examples", "2", "--task.addition.operands", "2", "--task.addition.evaluate", "3")), "\n")
	if len(lines) != 4 {
		t.Errorf("task: %q", lines)
	}
	for _, line := range lines {
		if x := parseJSON[exampleJSON](t, line); len(x.Tokens) != len(x.Targets) || len(x.Tokens) == 0 || x.Text == "" || x.Kind == "" {
			t.Errorf("task: %+v", x)
		}
	}
}

func TestParseThresholds(t *testing.T) {
	for s, want := range map[string][]float64{"": nil, "0.5": {0.5}, "1": {1}, "0.9, 0.5,1": {0.9, 0.5, 1}, "1e-3": {0.001}} {
		if got, err := parseThresholds(s); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"0", "-0.5", "1.5", "NaN", "x", ",", "0.5,", "0.5;0.9"} {
		if got, err := parseThresholds(s); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--exit "+s+": ") {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
}

func TestParseCounts(t *testing.T) {
	for s, want := range map[string][]int{"": nil, "4": {4}, "1,2,4": {1, 2, 4}, "1..4": {1, 2, 3, 4}, "2..2": {2}, "1, 3..5,9": {1, 3, 4, 5, 9}, "1024": {1024}} {
		if got, err := parseCounts(s); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"0", "-1", "x", "1.5", "4,2", "3,3", "1..", "..4", "4..2", "1...3", "1..3,2", ",", "1,", "1025", "1..1025", "99999999999999999999"} {
		if got, err := parseCounts(s); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--loops "+s+": ") {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
}
