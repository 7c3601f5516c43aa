// Package experiment asks one question of many models that are trained under equal conditions.
//
// A [Grid] is the question: a configuration, axes along which it varies, and seeds. Each combination is a [Cell], which is
// an ordinary run. A [Folder] keeps them on disk, so that an experiment can be stopped and continued, and several machines that
// share the folder can work on it; a finished cell is never trained again. [Gather] turns the folder into [Results], whoever
// trained the cells.
package experiment

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"coil/config"
	"coil/config/schema"
	"coil/eval"
	"coil/loop"
	"coil/metric"
	"coil/model"
	"coil/run"
	"coil/task"
	"coil/train"
)

// Grid is an experiment, as in a TOML file:
//
//	title    = "Loops instead of layers"
//	question = "Does 1⊗4 do what 4⊗1 does?"
//	seeds    = [1, 2, 3]
//
//	[[axis]]
//	name   = "model"
//	key    = "model.layers"
//	values = ["1x1", "1x4", "4x1"]
//
//	[config.train]          # laid over the default configuration, as in a file for coil train
//	steps = 1500
type Grid struct {
	Name     string        `toml:"name"` // of its folder; by default, that of the file
	Title    string        `toml:"title"`
	Question string        `toml:"question"`
	Seeds    []uint64      `toml:"seeds"`
	Axes     []Axis        `toml:"axis"`
	Measure  Measurement   `toml:"measure"`
	Config   config.Config `toml:"config"`
}

// Axis is one way in which the cells differ. It has a key with values, or choices that set several keys.
type Axis struct {
	Name    string   `toml:"name" help:"title of its column"`
	Key     string   `toml:"key" help:"key of the configuration that it varies"`
	Values  []any    `toml:"values" help:"of the key"`
	Across  bool     `toml:"across" help:"put the values side by side in the table, not below each other"`
	Choices []Choice `toml:"choice"`
}

// models reports whether the axis varies the architecture: by its key, or in every choice.
func (a Axis) models() bool {
	return a.Key == "model.layers" || len(a.Choices) > 0 && !slices.ContainsFunc(a.Choices, func(c Choice) bool {
		_, sets := c.Set["model.layers"]
		return !sets
	})
}

// Choice is a point of an axis.
type Choice struct {
	Name string         `toml:"name"`
	Set  map[string]any `toml:"set"`  // values of keys
	Grow *Growing       `toml:"grow"` // nil for a model that has all its layers from the beginning
}

// Measurement is what is measured of a cell besides held-out accuracy.
type Measurement struct {
	// Loops evaluates looped models at 1 to Loops times the loops that they were trained with.
	Loops int `toml:"loops" help:"evaluate looped models at 1 to this multiple of their loops" limits:"[0,16]"`
	// Fit fits accuracy = α·log(depth) + β to the looped and to the unlooped models: [Fit].
	Fit bool `toml:"fit" help:"fit accuracy = α·log(depth) + β"`
	// Phi computes how many unlooped layers a looped model is worth: [Phi].
	Phi bool `toml:"phi" help:"compute the exponent φ by which loops count as layers"`
	// Exits measures models with a learned exit at these thresholds q: eval.Gate.Sweep.
	Exits []float64 `toml:"exits" help:"thresholds at which models with a learned exit are measured" limits:"(0,1]"`
	// FreeExits measures the training-free exits of looped models: [eval.ExitRules].
	FreeExits bool `toml:"free_exits" help:"measure the training-free exits of looped models"`
	// Primitives is how many questions of each reasoning primitive models of text answer: [eval.Primitives].
	Primitives int `toml:"primitives" help:"questions of each reasoning primitive that models of text answer" limits:"[0,65536]"`
	// Curve plots held-out accuracy against held-out loss along training.
	Curve bool `toml:"curve" help:"plot held-out accuracy against held-out loss along training"`
	// Time shows the time that training took.
	Time bool `toml:"time" help:"show the time that training took"`
	// Similarity measures the cosine between neighbouring blocks of unlooped models, by kind of weight.
	Similarity bool `toml:"similarity" help:"the cosine between neighbouring blocks of unlooped models"`
}

// primitives are the questions for a task, which must be text. It is an error if its sequences have no room for them.
func (m Measurement) primitives(t task.Task) (*eval.Primitives, error) {
	l, ok := t.(task.Language)
	if !ok {
		return nil, schema.Errorf("measure.primitives", " is %d, and the task %s is not text: want 0", m.Primitives, t.Name())
	}
	p, err := eval.NewPrimitives(l, t.Length(), train.HeldOutSeed, m.Primitives)
	if err != nil {
		return nil, schema.Errorf("measure.primitives", " is %d: %v", m.Primitives, err)
	}
	return p, nil
}

// mostCells only keeps a slip of the pen from asking for the impossible.
const mostCells = 10_000

// longestName is the longest name of a cell's folder. File systems permit names of 255 bytes, and names derived from it, such
// as those of a stage and of a log, are longer.
const longestName = 200

// Point is a point of an axis: its name, and the keys that it sets.
type Point struct {
	Label string
	Set   []Setting
	Grow  *Growing

	key string // of the value or the choice in the grid: "axis[0].values[1]"
}

// Setting is a key and its value, as [config.Config.Set] takes them.
type Setting struct{ Key, Value string }

// Cell is one model to train.
type Cell struct {
	Name   string // of its folder
	Labels []string
	Seed   uint64
	Config config.Config

	grow  *Growing
	early []Cell // the stages before the last, which is the cell itself

	model   *model.Model
	task    task.Task
	kinds   int           // of held-out examples
	reading int           // tokens of reasoning primitives
	metric  metric.Metric // what the task is judged by
}

// Metric is what the cell is judged by.
func (c Cell) Metric() metric.Metric { return c.metric }

// Title is how the cell is called among others.
func (c Cell) Title() string {
	return strings.Join(append(slices.Clone(c.Labels), fmt.Sprintf("seed %d", c.Seed)), " · ")
}

// Parse reads a grid that a user has written; source is the name of the text in errors. Keys that its [config] does not set are
// those of [config.Default], unless it starts from a preset: preset = "…". [Grid.Cells] checks whether the configurations of
// its cells are possible.
func Parse(source string, text []byte) (Grid, error) { return parse(source, text, config.Default()) }

// parse reads a grid whose configuration is laid over c.
func parse(source string, text []byte, c config.Config) (Grid, error) {
	g := Grid{Config: c}
	lines, err := schema.Decode(source, text, &g)
	if err != nil {
		return g, err
	}
	_, err = g.expand()
	return g, lines.Locate(err)
}

// CheckName returns an error unless the grid's name can be the name of a folder.
func (g Grid) CheckName() error {
	switch {
	case g.Name == "":
		return errors.New("the experiment has no name")
	case strings.Trim(g.Name, "._-+") == "":
		return fmt.Errorf("the name of the experiment is %q, want at least one letter or digit", g.Name)
	}
	return run.CheckName(g.Name)
}

// Set sets a key of the configuration that all cells have. It is an error if they don't have it.
func (g *Grid) Set(key, value string) error {
	if key == "train.seed" {
		return errors.New("train.seed is set by the seeds of the grid")
	}
	for _, a := range g.Axes {
		sets := func(c Choice) bool { _, ok := c.Set[key]; return ok }
		if a.Key == key || len(a.Choices) > 0 && !slices.ContainsFunc(a.Choices, func(c Choice) bool { return !sets(c) }) {
			return fmt.Errorf("every cell has this key from the axis %q", a.what())
		}
	}
	return g.Config.Set(key, value)
}

// Encode writes the grid as Parse reads it.
func (g Grid) Encode() []byte { return schema.Encode(&g) }

// what is the name of the axis in errors.
func (a Axis) what() string {
	if a.Name != "" {
		return a.Name
	}
	return a.Key
}

// points are the places on the axis, which is the grid's table of this key: "axis[0]".
func (a Axis) points(key string) ([]Point, error) {
	bad := func(at, format string, args ...any) ([]Point, error) {
		return nil, schema.At(at, fmt.Errorf("axis %q: %w", a.what(), fmt.Errorf(format, args...)))
	}
	if (a.Key == "") != (len(a.Values) == 0) || (len(a.Values) == 0) == (len(a.Choices) == 0) {
		return bad(key, "want a key and values, or choices")
	}
	var points []Point
	for i, v := range a.Values {
		s := valueText(v)
		label := s
		if l, err := loop.Parse(s); a.Key == "model.layers" && err == nil {
			label = l.String()
		}
		points = append(points, Point{Label: label, Set: []Setting{{a.Key, s}}, key: fmt.Sprintf("%s.values[%d]", key, i)})
	}
	for i, c := range a.Choices {
		p := Point{Label: c.Name, Grow: c.Grow, key: fmt.Sprintf("%s.choice[%d]", key, i)}
		if c.Name == "" {
			return bad(p.key, "choice %d has no name", i+1)
		}
		for k, v := range c.Set {
			p.Set = append(p.Set, Setting{k, valueText(v)})
		}
		slices.SortFunc(p.Set, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) })
		points = append(points, p)
	}
	for i, p := range points {
		for _, q := range points[:i] {
			if p.Label == q.Label {
				return bad(p.key, "%q occurs twice", p.Label)
			}
		}
		for _, s := range p.Set {
			if s.Key == "train.seed" {
				return bad(p.key, "train.seed is set by seeds, not by an axis")
			}
		}
	}
	return points, nil
}

// valueText is a TOML value as [config.Config.Set] takes it.
func valueText(v any) string {
	if list, ok := v.([]any); ok {
		parts := make([]string, len(list))
		for i, x := range list {
			parts[i] = valueText(x)
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}

// Cells lists the cells, all seeds of a combination one after the other, or returns the error of the first impossible cell:
// a grid that can't be finished is not started. Each task is made once, because examining a task may take seconds.
func (g Grid) Cells() ([]Cell, error) {
	cells, err := g.expand()
	if err != nil {
		return nil, err
	}
	m := maker{}
	reading := map[task.Task]int{} // tokens of primitives
	for i := range cells {
		c := &cells[i]
		err := m.make(c)
		if err == nil && g.Measure.Primitives > 0 {
			if _, known := reading[c.task]; !known {
				var p *eval.Primitives
				if p, err = g.Measure.primitives(c.task); err == nil {
					reading[c.task] = p.Tokens()
				}
			}
			c.reading = reading[c.task]
		}
		if err != nil {
			if len(c.Labels) > 0 {
				err = fmt.Errorf("%s: %w", strings.Join(c.Labels, " · "), err)
			}
			return nil, err
		}
		if err := m.makeStages(c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Title(), err)
		}
	}
	return cells, nil
}

// expand is Cells without checking what needs a task to be made.
func (g Grid) expand() ([]Cell, error) {
	if len(g.Seeds) == 0 {
		return nil, schema.At("seeds", errors.New("no seeds: want at least one, as in seeds = [1, 2, 3]"))
	}
	for i, s := range g.Seeds {
		if slices.Contains(g.Seeds[:i], s) {
			return nil, schema.At(fmt.Sprintf("seeds[%d]", i), fmt.Errorf("seed %d occurs twice", s))
		}
	}
	if err := schema.Check("measure.", &g.Measure); err != nil {
		return nil, err
	}
	for i, q := range g.Measure.Exits {
		if !(q > 0 && q <= 1) {
			return nil, schema.At(fmt.Sprintf("measure.exits[%d]", i), fmt.Errorf("measure.exits has %g, want thresholds of more than 0, and at most 1", q))
		}
	}
	axes := make([][]Point, len(g.Axes))
	n := len(g.Seeds)
	setBy := map[string]int{} // the axis that sets a key
	for i, a := range g.Axes {
		key := fmt.Sprintf("axis[%d]", i)
		var err error
		if axes[i], err = a.points(key); err != nil {
			return nil, err
		}
		if n *= len(axes[i]); n > mostCells {
			return nil, schema.At(key, fmt.Errorf("more than %d cells", mostCells))
		}
		for _, p := range axes[i] {
			for _, s := range p.Set {
				if j, ok := setBy[s.Key]; ok && j != i {
					return nil, schema.At(p.key, fmt.Errorf("axes %q and %q both set %s: only one can", g.Axes[j].what(), a.what(), s.Key))
				}
				setBy[s.Key] = i
			}
		}
	}
	var cells []Cell
	taken := map[string]string{} // titles by the names of folders, in small letters: some disks take A for a
	for combination := range combinations(axes) {
		c := g.Config
		var labels []string
		last := "axis" // where the cells of this combination are named
		for _, p := range combination {
			labels, last = append(labels, p.Label), p.key
			for _, s := range p.Set {
				if err := c.Set(s.Key, s.Value); err != nil {
					return nil, schema.At(p.key, fmt.Errorf("%s: %w", strings.Join(labels, " · "), err))
				}
			}
		}
		for _, seed := range g.Seeds {
			cell := Cell{Name: folderName(combination, seed), Labels: labels, Seed: seed, Config: c}
			cell.Config.Train.Seed = seed
			if len(cell.Name) > longestName {
				return nil, schema.At(last, fmt.Errorf("%s would have a folder with a name of %d characters, want at most %d: give its points shorter names", cell.Title(), len(cell.Name), longestName))
			}
			var err error
			if cell.early, err = cell.stages(combination); err != nil {
				return nil, schema.At(last, fmt.Errorf("%s: %w", cell.Title(), err))
			}
			if len(cell.early) > 0 {
				cell.grow = cell.early[0].grow
			}
			key := strings.ToLower(cell.Name)
			if before, ok := taken[key]; ok {
				return nil, schema.At(last, fmt.Errorf("%s and %s would have the same folder %s: give them names that differ in more than punctuation and case", before, cell.Title(), cell.Name))
			}
			taken[key] = cell.Title()
			cells = append(cells, cell)
		}
	}
	return cells, nil
}

// A maker makes the tasks of cells, those that are alike once.
type maker map[string]madeTask

type madeTask struct {
	task task.Task
	err  error
}

// make checks the configuration of a cell, and sets the cell's model.
func (m maker) make(c *Cell) error {
	key := fmt.Sprintf("%+v", c.Config.Task)
	t, ok := m[key]
	if !ok {
		t.task, t.err = c.Config.Task.New()
		m[key] = t
	}
	if err := c.Config.CheckMade(t.err); err != nil {
		return err
	}
	var err error
	c.task, c.kinds, c.metric = t.task, len(t.task.Kinds()), t.task.Metric()
	c.model, err = model.New(c.Config.Model, c.Config.Loops, len(t.task.Vocabulary()), t.task.Length())
	return err
}

// combinations are all choices of one point from each axis; the last axis varies first.
func combinations(axes [][]Point) func(yield func([]Point) bool) {
	return func(yield func([]Point) bool) {
		at := make([]int, len(axes))
		for {
			points := make([]Point, len(axes))
			for i, k := range at {
				points[i] = axes[i][k]
			}
			if !yield(points) {
				return
			}
			i := len(axes) - 1
			for ; i >= 0; i-- {
				if at[i]++; at[i] < len(axes[i]) {
					break
				}
				at[i] = 0
			}
			if i < 0 {
				return
			}
		}
	}
}

// folderName is a name of letters, digits and . _ - for a cell, such as 1x4_s1.
func folderName(combination []Point, seed uint64) string {
	var parts []string
	for _, p := range combination {
		name := strings.NewReplacer("⊗", "x", "λ", "lambda", "(", "-", ")", "", ",", "-", " ", "").Replace(p.Label)
		name = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-+", r) {
				return r
			}
			return '-'
		}, name)
		parts = append(parts, strings.Trim(name, "-."))
	}
	return strings.Join(append(parts, fmt.Sprintf("s%d", seed)), "_")
}

// Model is the cell's model, nil in a folder that was only opened.
func (c Cell) Model() *model.Model { return c.model }
