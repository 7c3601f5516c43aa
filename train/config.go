package train

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"coil/model"
	"coil/regularize"
	"coil/task"

	"github.com/BurntSushi/toml"
)

// Config is a training run: the tables of config.toml.
type Config struct {
	Model      model.Config      `toml:"model"`
	Loops      model.Loops       `toml:"loops"`
	Regularize regularize.Config `toml:"regularize"`
	Task       Task              `toml:"task"`
	Train      Options           `toml:"train"`
	Evaluate   Evaluation        `toml:"evaluate"`
	Checkpoint Checkpoints       `toml:"checkpoint"`
}

// Task is the [task] table: the name of a task, and a table for each.
type Task struct {
	Name       string          `toml:"name" help:"p-hop, addition, i-gsm, group-word, assignment or noise"`
	PHop       task.PHop       `toml:"p-hop"`
	Addition   task.Addition   `toml:"addition"`
	IGSM       task.IGSM       `toml:"i-gsm"`
	GroupWord  task.GroupWord  `toml:"group-word"`
	Assignment task.Assignment `toml:"assignment"`
	Noise      task.Noise      `toml:"noise"`
}

// New makes the task that the table names.
func (t Task) New() (made task.Task, err error) {
	switch t.Name {
	case "p-hop":
		made, err = task.NewPHop(t.PHop)
	case "addition":
		made, err = task.NewAddition(t.Addition)
	case "i-gsm":
		made, err = task.NewIGSM(t.IGSM)
	case "group-word":
		made, err = task.NewGroupWord(t.GroupWord)
	case "assignment":
		made, err = task.NewAssignment(t.Assignment)
	case "noise":
		made, err = task.NewNoise(t.Noise)
	default:
		return nil, fmt.Errorf("task.name is %q, want one of %s", t.Name, strings.Join(TaskNames(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("task.%w", err) // task.p-hop: …
	}
	return made, nil
}

// TaskNames lists the tasks.
func TaskNames() []string {
	return []string{"addition", "assignment", "group-word", "i-gsm", "noise", "p-hop"}
}

// Options is the [train] table.
type Options struct {
	Steps       int     `toml:"steps" help:"optimizer steps"`
	Batch       int     `toml:"batch" help:"sequences in a step"`
	Seed        uint64  `toml:"seed" help:"of weights, data and loop counts"`
	Optimizer   string  `toml:"optimizer" help:"adamw or adafactor"`
	Rate        float64 `toml:"rate" help:"peak learning rate"`
	Warmup      int     `toml:"warmup" help:"steps of linear warm-up"`
	Schedule    string  `toml:"schedule" help:"after the warm-up: cosine, linear or constant"`
	FinalRate   float64 `toml:"final_rate" help:"learning rate at the end, relative to the peak"`
	Beta1       float64 `toml:"beta1" help:"adamw: decay of the first moment"`
	Beta2       float64 `toml:"beta2" help:"adamw: decay of the second moment"`
	Eps         float64 `toml:"eps" help:"adamw: added to the root of the second moment"`
	WeightDecay float64 `toml:"weight_decay" help:"decay of weight matrices, times the learning rate"`
	Clip        float64 `toml:"clip" help:"largest norm of the gradient; 0 is no limit"`
	Average     float64 `toml:"average" help:"decay of an average of the weights, used in evaluation; 0 is none"`
	Report      int     `toml:"report" help:"steps between reports in events.jsonl"`
}

// Evaluation is the [evaluate] table.
type Evaluation struct {
	Every    int `toml:"every" help:"steps between evaluations; 0 is only at the end"`
	Examples int `toml:"examples" help:"held-out examples of each kind"`
	Final    int `toml:"final" help:"held-out examples of each kind at the end"`
}

// Checkpoints is the [checkpoint] table.
type Checkpoints struct {
	Every int `toml:"every" help:"steps between checkpoints; 0 is only at the end"`
	Keep  int `toml:"keep" help:"how many checkpoints to keep; 0 is all"`
}

// Default is what a configuration that says nothing gets.
func Default() Config {
	return Config{
		Model: model.Default(),
		Loops: model.Loops{Exit: "none", ExitBeta: 0.05},
		Task: Task{Name: "p-hop",
			PHop:     task.PHop{Letters: 4, Length: 64, Hops: 4, Sampler: "no-repeats", Loss: "every"},
			Addition: task.Addition{Digits: 3, Operands: []int{2, 4, 8, 16, 32}, Evaluate: []int{8, 16, 24, 32}, Order: "most"},
			IGSM: task.IGSM{Modulus: 7, Levels: 4, Width: 4, Edges: 20, Operations: 15, Operands: 4, Law: "light", Evaluate: []int{},
				Names: "whole", Ask: "one"},
			GroupWord:  task.GroupWord{Group: "S3", Lengths: []int{8}, Evaluate: []int{}, Loss: "every"},
			Assignment: task.Assignment{Variables: 5, Values: 25, Depth: []int{0, 1}, Evaluate: []int{}, Format: "both", Loss: "last"},
			Noise:      task.Noise{Vocabulary: 64, Length: 64}},
		Regularize: regularize.Config{Block: 1},
		Train: Options{Steps: 1000, Batch: 64, Seed: 1, Optimizer: "adamw", Rate: 1e-3, Warmup: 100, Schedule: "cosine",
			Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, WeightDecay: 0.01, Clip: 1, Report: 10},
		Evaluate:   Evaluation{Every: 250, Examples: 256, Final: 2048},
		Checkpoint: Checkpoints{Every: 500, Keep: 2},
	}
}

// Limits of what Check takes; they only keep a slip of the finger from asking for the impossible.
const maxBatch, maxWidth, maxHidden = 1 << 20, 1 << 20, 1 << 22

// Check returns an error that names the key that is wrong.
func (c Config) Check() error {
	a, err := c.Model.Check(c.Loops)
	if err != nil {
		return err
	}
	if err := c.Regularize.Check(a.Layers(), a.Layers() != a.Depth()); err != nil {
		return err
	}
	o := c.Train
	atLeast := func(key string, v, least int) error {
		if v < least {
			return fmt.Errorf("%s is %d, want at least %d", key, v, least)
		}
		return nil
	}
	atMost := func(key string, v, most int) error {
		if v > most {
			return fmt.Errorf("%s is %d, want at most %d", key, v, most)
		}
		return nil
	}
	within := func(key string, v, lo, hi float64) error {
		if !(v >= lo && v <= hi) {
			return fmt.Errorf("%s is %g, want %g to %g", key, v, lo, hi)
		}
		return nil
	}
	below1 := func(key string, v float64) error {
		if !(v >= 0 && v < 1) {
			return fmt.Errorf("%s is %g, want at least 0 and less than 1", key, v)
		}
		return nil
	}
	for _, err := range []error{
		atLeast("train.steps", o.Steps, 1), atLeast("train.batch", o.Batch, 1), atLeast("train.warmup", o.Warmup, 0),
		atLeast("train.report", o.Report, 1), atLeast("evaluate.every", c.Evaluate.Every, 0),
		atLeast("evaluate.examples", c.Evaluate.Examples, 1), atLeast("evaluate.final", c.Evaluate.Final, 1),
		atLeast("checkpoint.every", c.Checkpoint.Every, 0), atLeast("checkpoint.keep", c.Checkpoint.Keep, 0),
		atMost("model.width", c.Model.Width, maxWidth), atMost("model.hidden", c.Model.Hidden, maxHidden),
		atMost("train.batch", o.Batch, maxBatch),
		within("train.rate", o.Rate, 0, 1e6), within("train.final_rate", o.FinalRate, 0, 1),
		below1("train.beta1", o.Beta1), below1("train.beta2", o.Beta2), below1("train.average", o.Average),
		within("train.eps", o.Eps, 1e-30, 1), // with 0, a weight that has never had a gradient would become 0/0
		within("train.weight_decay", o.WeightDecay, 0, 1e6), within("train.clip", o.Clip, 0, 1e30),
	} {
		if err != nil {
			return err
		}
	}
	if o.Seed > math.MaxInt64 { // TOML has no larger number, so config.toml could not be read again
		return fmt.Errorf("train.seed is out of range, want 0 to %d", math.MaxInt64)
	}
	if o.Optimizer != "adamw" && o.Optimizer != "adafactor" {
		return fmt.Errorf("train.optimizer is %q, want adamw or adafactor", o.Optimizer)
	}
	if o.Schedule != "cosine" && o.Schedule != "linear" && o.Schedule != "constant" {
		return fmt.Errorf("train.schedule is %q, want cosine, linear or constant", o.Schedule)
	}
	_, err = c.Task.New()
	return err
}

// RateAt is the learning rate of the step with that number, counted from 0: Rate·(step+1)/Warmup in the warm-up, then
// from Rate to FinalRate·Rate along half a cosine or a line.
func (o Options) RateAt(step int) float64 {
	if step < o.Warmup {
		return o.Rate * float64(step+1) / float64(o.Warmup)
	}
	x := min(1, float64(step-o.Warmup)/max(1, float64(o.Steps-o.Warmup)))
	switch o.Schedule {
	case "cosine":
		return o.Rate * (o.FinalRate + (1-o.FinalRate)*(1+math.Cos(math.Pi*x))/2)
	case "linear":
		return o.Rate * (o.FinalRate + (1-o.FinalRate)*(1-x))
	}
	return o.Rate
}

// Parse lays the TOML text over c. A key that does not exist is an error that names the nearest one that does; source
// is how errors call the text.
func (c *Config) Parse(source string, text []byte) error {
	md, err := toml.Decode(string(text), c)
	if err != nil {
		if pe := (toml.ParseError{}); errors.As(err, &pe) {
			return fmt.Errorf("%s: line %d: %s", source, pe.Position.Line, pe.Message)
		}
		return fmt.Errorf("%s: %s", source, strings.TrimPrefix(err.Error(), "toml: ")) // it begins with the line
	}
	for _, key := range md.Undecoded() {
		return fmt.Errorf("%s: no key %q%s", source, key.String(), nearestKey(key.String()))
	}
	return nil
}

// Set lays one key over c, as in Set("train.steps", "500").
func (c *Config) Set(key, value string) error {
	for _, k := range c.Keys() {
		if k.Name != key {
			continue
		}
		if err := k.set(value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	}
	return fmt.Errorf("no key %q%s", key, nearestKey(key))
}

// Encode writes c as TOML with every key.
func (c Config) Encode() []byte {
	var b bytes.Buffer
	e := toml.NewEncoder(&b)
	e.Indent = ""
	if err := e.Encode(c); err != nil {
		panic("train: a configuration that can't be written") // it has only numbers, strings and lists of numbers
	}
	return b.Bytes()
}

// fixed are the keys, with their values, without which a run would not go on as it began: those of the model, its loops,
// regularizer and task, and what decides the data. The others, as the number of steps, may change.
func (c *Config) fixed() map[string]string {
	fixed := map[string]string{}
	for _, k := range c.Keys() {
		table, _, _ := strings.Cut(k.Name, ".")
		switch {
		case table == "model" || table == "loops" || table == "regularize",
			k.Name == "task.name" || strings.HasPrefix(k.Name, "task."+c.Task.Name+"."),
			k.Name == "train.seed" || k.Name == "train.batch" || k.Name == "train.optimizer":
			fixed[k.Name] = k.Value()
			if k.Kind() == "text" {
				fixed[k.Name] = strconv.Quote(k.Value())
			}
		}
	}
	return fixed
}

// agrees returns an error that names the first fixed key that has another value than it had.
func (c *Config) agrees(had map[string]string) error {
	now := c.fixed()
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if v, ok := had[key]; ok && v != now[key] {
			return fmt.Errorf("%s = %s, the configuration says %s", key, v, now[key])
		}
	}
	return nil
}

// Key is a key of the configuration.
type Key struct {
	Name string // "train.steps"
	Help string
	v    reflect.Value
}

// Keys lists all keys in the order of the file.
func (c *Config) Keys() []Key { return keys("", reflect.ValueOf(c).Elem()) }

func keys(prefix string, v reflect.Value) []Key {
	var ks []Key
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := prefix + f.Tag.Get("toml")
		if f.Type.Kind() == reflect.Struct {
			ks = append(ks, keys(name+".", v.Field(i))...)
			continue
		}
		ks = append(ks, Key{name, f.Tag.Get("help"), v.Field(i)})
	}
	return ks
}

// Value is the key's value as Set takes it.
func (k Key) Value() string {
	if k.v.Kind() == reflect.Slice {
		parts := make([]string, k.v.Len())
		for i := range parts {
			parts[i] = fmt.Sprint(k.v.Index(i))
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(k.v)
}

// Kind is what the value is: "int", "number", "text", "true or false", "list".
func (k Key) Kind() string {
	switch k.v.Kind() {
	case reflect.Int, reflect.Uint64:
		return "int"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	}
	return "text"
}

func (k Key) set(s string) error {
	bad := func() error { return fmt.Errorf("%q is not %s", s, k.article()) }
	switch k.v.Kind() {
	case reflect.String:
		k.v.SetString(s)
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return bad()
		}
		k.v.SetInt(int64(n))
	case reflect.Uint64:
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return bad()
		}
		k.v.SetUint(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return bad()
		}
		k.v.SetFloat(x)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return bad()
		}
		k.v.SetBool(b)
	case reflect.Slice:
		list := []int{}
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part == "" && s == "" {
				break
			}
			n, err := strconv.Atoi(part)
			if err != nil {
				return bad()
			}
			list = append(list, n)
		}
		k.v.Set(reflect.ValueOf(list))
	}
	return nil
}

func (k Key) article() string {
	switch k.Kind() {
	case "int":
		return "a whole number"
	case "number":
		return "a number"
	case "list":
		return "a list of whole numbers, as in 2,4,8"
	}
	return k.Kind()
}

// nearestKey ends an error with the key or table that is spelled most like the wrong one.
func nearestKey(wrong string) string {
	var c Config
	var names []string
	for _, k := range c.Keys() {
		names = append(names, k.Name)
		if table := k.Name[:strings.LastIndex(k.Name, ".")]; !slices.Contains(names, table) {
			names = append(names, table)
		}
	}
	if best := Nearest(wrong, names); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; coil train --help lists them all"
}

// Nearest returns the name that is spelled most like the wrong one, "" if none is much like it.
func Nearest(wrong string, names []string) string {
	wrong = strings.ToLower(wrong)
	best, least := "", len(wrong)/2+1
	for _, name := range names {
		d := distance(wrong, name)
		if i := strings.LastIndex(name, "."); name[i+1:] == wrong[strings.LastIndex(wrong, ".")+1:] {
			d = min(d, 2) // the right key in the wrong table, or in none
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is Levenshtein's: how many letters to insert, delete or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

//go:embed presets/*.toml
var presetFiles embed.FS

// DefaultPreset is what coil train trains if it is told nothing.
const DefaultPreset = "default"

// Presets maps the names of the embedded configurations to their texts.
func Presets() map[string][]byte {
	files, err := fs.Glob(presetFiles, "presets/*.toml")
	if err != nil {
		panic("train: presets") // the pattern is constant
	}
	presets := make(map[string][]byte, len(files))
	for _, f := range files {
		text, err := presetFiles.ReadFile(f)
		if err != nil {
			panic("train: presets")
		}
		presets[strings.TrimSuffix(path.Base(f), ".toml")] = text
	}
	return presets
}

// Preset returns the configuration with that name.
func Preset(name string) (Config, error) {
	c := Default()
	text, ok := Presets()[name]
	if !ok {
		names := slices.Sorted(maps.Keys(Presets()))
		return c, fmt.Errorf("no preset %q; there are %s", name, strings.Join(names, ", "))
	}
	return c, c.Parse("preset "+name, text)
}
