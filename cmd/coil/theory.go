package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"coil/format"
	"coil/loop"
	"coil/task"
	"coil/text"
	"coil/theory"

	"github.com/spf13/cobra"
)

// theoryFlags are the flags of all commands below coil theory.
type theoryFlags struct {
	examples              int
	seed                  uint64
	snap, explain, asJSON bool
	save, picture         string
	train                 bool
	keeping               keepingFlags
	backends              backendFlags
}

func newTheory() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "theory",
		Short: "Build the looped transformers that theorems prove to exist, and run them",
		Example: `  coil theory                                the constructions, with their sizes and the theorems'
  coil theory group --group S5 --length 16   compose 16 elements of S5 in 4 loops
  coil theory p-hop --hops 8 --explain       see the pointers double, loop by loop
  coil theory looped --layers 24 --depth 24  24 layers as one, looped 24 times`,
		Long: "Each construction is the weights of a transformer without norms and without biases in attention. coil runs it on random " +
			"examples, in float32 and float64, with softmax and argmax attention, and compares the state after every loop with the exact one. " +
			"docs/theory.md explains the constructions, and what was wrong with the printed proofs.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return noCommand(cmd, args[0])
			}
			return nil
		},
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	for _, add := range constructions() {
		sub, _ := add()
		cmd.AddCommand(sub)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return listTheory(cmd.OutOrStdout(), asJSON) }
	return cmd
}

// builder makes a construction from flags.
type builder func(common theoryFlags) (*theory.Construction, error)

// constructions make the commands below coil theory, each with what builds from its flags.
func constructions() []func() (*cobra.Command, builder) {
	return []func() (*cobra.Command, builder){newTheoryLooped, newTheoryCOT, newTheoryGroup, newTheoryHops, newTheoryUnroll}
}

// finish gives a command the flags that all constructions have, and lets it run and save what build makes.
func finish(cmd *cobra.Command, build builder) (*cobra.Command, builder) {
	var o theoryFlags
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&o.examples, "examples", 4, "`number` of random examples")
	f.Uint64Var(&o.seed, "seed", 1, "`seed` of random weights and examples")
	f.BoolVar(&o.snap, "snap", false, "after each loop, set discrete coordinates to the nearest of their values, which no transformer does: the error that remains is that of one loop")
	f.BoolVar(&o.explain, "explain", false, "show the first example, loop by loop")
	f.StringVar(&o.picture, "picture", "", "draw the first example, loop by loop, to this SVG `file`")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.StringVar(&o.save, "save", "", "also make a run with these weights in this `folder`, which must be empty or new, and evaluate it")
	f.BoolVar(&o.train, "train", false, "instead of running it, train from its weights with noise: does gradient descent keep them?")
	o.keeping.add(cmd)
	o.backends.add(cmd)
	cmd.Args = exactArgs(0, "flags only")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.explain && o.asJSON {
			return usageError{fmt.Errorf("--explain and --json: an explanation is text; give one of them")}
		}
		if err := o.keeping.check(cmd, o); err != nil {
			return err
		}
		if o.picture != "" {
			if err := checkPicture(o.picture); err != nil {
				return err
			}
		}
		begun := time.Now()
		c, err := build(o)
		if err != nil {
			return err
		}
		built := time.Since(begun)
		if o.picture != "" {
			return drawTheory(cmd.OutOrStdout(), c, o)
		}
		var t *theory.Trainable
		if o.save != "" || o.train {
			if t, err = asUsage(c.Trainable()); err != nil {
				return err
			}
		}
		if o.train {
			return trainTheory(cmd, c, t, o)
		}
		if err := runTheory(cmd.OutOrStdout(), c, built, o); err != nil || t == nil {
			return err
		}
		return saveTheory(cmd, c.Name, t, o)
	}
	return cmd, build
}

// shapeFlags are the sizes of a random transformer.
func shapeFlags(cmd *cobra.Command, s *theory.Shape, scale *float64) {
	f := cmd.Flags()
	f.IntVar(&s.Width, "width", 16, "`width` d of the state")
	f.IntVar(&s.Heads, "heads", 2, "`number` of heads H of a layer")
	f.IntVar(&s.HeadWidth, "head-width", 8, "`width` w of a head")
	f.IntVar(&s.Hidden, "hidden", 64, "`size` f of a feed-forward layer")
	f.Float64Var(scale, "scale", 1, "`factor` of attention's scores; 0 is 1/√w")
}

// scaleOf is the factor of scores that a flag asks for.
func scaleOf(scale float64, s theory.Shape) float64 {
	if scale == 0 {
		return s.RootScale()
	}
	return scale
}

func newTheoryCOT() (*cobra.Command, builder) {
	cmd := &cobra.Command{
		Use:   "cot",
		Short: "Chain of thought by looping",
		Example: `  coil theory cot
  coil theory cot --layers 3 --tokens 12 --explain
  coil theory cot --save cot                  a run with the weights, for coil eval and coil lens`,
		Long: "A random decoder of L layers continues a prompt by m tokens, one after the other. A model of L + 4 layers, looped m times on the prompt and m dummy tokens, " +
			"writes the same tokens.\n\n" +
			"--save makes a run on the task teacher: the decoder's own tokens are the targets at the dummies.",
	}
	var c theory.ThoughtConfig
	f := cmd.Flags()
	f.IntVar(&c.Layers, "layers", 2, "`number` of layers L of the decoder")
	shapeFlags(cmd, &c.Shape, &c.Scale)
	f.IntVar(&c.Vocabulary, "vocabulary", 8, "`number` of tokens V of the vocabulary")
	f.IntVar(&c.Prompt, "prompt", 4, "`length` n of the prompt")
	f.IntVar(&c.Tokens, "tokens", 8, "`number` m of tokens to write")
	f.Float64Var(&c.Gap, "gap", 1e-6, "smallest `difference` between two logits that decides exactly")
	f.Float64Var(&c.Sharpness, "sharpness", 200, "`difference` between the scores of neighbouring positions")
	return finish(cmd, func(o theoryFlags) (*theory.Construction, error) {
		c := c
		c.Examples, c.Seed, c.Scale = o.examples, o.seed, scaleOf(c.Scale, c.Shape)
		return asUsage(theory.NewThought(c))
	})
}

func newTheoryGroup() (*cobra.Command, builder) {
	cmd := &cobra.Command{
		Use:   "group",
		Short: "The product of n elements of a finite group in ⌈log₂ n⌉ loops",
		Example: `  coil theory group --group S3 --length 8 --explain
  coil theory group --group S7 --length 64
  coil theory group --group S4 --save s4      a run with the weights, for coil eval and coil lens
  coil theory group --table klein.txt --length 9`,
		Long: "The groups are " + task.GroupNames + ". A file has a line for each element a, with the products of a and every element, " +
			"as numbers from 0 with spaces or commas between them; coil refuses a table that is not a group, and names the axiom that fails and the elements.",
	}
	var c theory.CompositionConfig
	var name, file string
	f := cmd.Flags()
	f.StringVar(&name, "group", "S5", "`name` of the group")
	f.StringVar(&file, "table", "", "`file` with the table of another group")
	f.IntVar(&c.Length, "length", 16, "`number` of elements n of a word")
	f.Float64Var(&c.Sharpness, "sharpness", 200, "`factor` of the queries")
	cmd.MarkFlagFilename("table")
	group := func(c *theory.CompositionConfig) (err error) {
		switch {
		case file == "":
			if c.Group, err = theory.NamedGroup(name); err != nil {
				return usageError{err}
			}
			return nil
		case cmd.Flags().Changed("group"):
			return usageError{fmt.Errorf("--group and --table: give one of them")}
		}
		r, err := os.Open(file)
		if err != nil {
			return inputError{fileError("--table", err)}
		}
		defer r.Close()
		if c.Group, err = theory.ReadGroup(filepath.Base(file), r); err != nil {
			return inputError{err}
		}
		return nil
	}
	return finish(cmd, func(o theoryFlags) (*theory.Construction, error) {
		c := c
		c.Examples, c.Seed = o.examples, o.seed
		if o.save != "" && file != "" {
			return nil, usageError{fmt.Errorf("--save and --table: a run needs a group that the task group-word has, as --group NAME")}
		}
		if err := group(&c); err != nil {
			return nil, err
		}
		return asUsage(theory.NewComposition(c))
	})
}

func newTheoryHops() (*cobra.Command, builder) {
	cmd := &cobra.Command{
		Use:   "p-hop",
		Short: "p hops in ⌈log₂ p⌉ + 2 loops of one layer",
		Example: `  coil theory p-hop
  coil theory p-hop --hops 8 --length 20 --explain
  coil theory p-hop --hops 16 --save hops     a run with the weights, for coil eval and coil lens`,
		Long: "Finds pointers of one hop and doubles them until they are pointers of p hops. The layers that do so, at most 4, are compiled into one, as by coil theory looped.",
	}
	var c theory.HopsConfig
	f := cmd.Flags()
	f.IntVar(&c.Hops, "hops", 16, "`number` of hops p")
	f.IntVar(&c.Length, "length", 256, "`number` of letters n")
	f.IntVar(&c.Letters, "letters", 4, "`size` S of the alphabet")
	f.Float64Var(&c.Sharpness, "sharpness", 50, "`difference` between the scores of neighbouring positions")
	return finish(cmd, func(o theoryFlags) (*theory.Construction, error) {
		c := c
		c.Examples, c.Seed = o.examples, o.seed
		return asUsage(theory.NewHops(c))
	})
}

func newTheoryUnroll() (*cobra.Command, builder) {
	cmd := &cobra.Command{
		Use:   "unroll",
		Short: "A looped model as an unlooped one, and back",
		Example: `  coil theory unroll --layers 2x3 --explain
  coil theory unroll --layers "1x(1,4,1)"`,
		Long: "Turns a random model k⊗L into one with a layer for each depth, (k·L)⊗1, and finds the loops again from its weights alone, also those of blocks with loop counts of " +
			"their own. Both compute the same, to the last bit.",
	}
	var c theory.UnrolledConfig
	var layers string
	f := cmd.Flags()
	f.StringVar(&layers, "layers", "2x3", "`layers` and loops, as in 2x3 or 4x(1,4,1)")
	shapeFlags(cmd, &c.Shape, &c.Scale)
	f.IntVar(&c.Vocabulary, "vocabulary", 8, "`number` of tokens that it reads")
	f.IntVar(&c.Length, "length", 16, "`number` of positions n")
	return finish(cmd, func(o theoryFlags) (*theory.Construction, error) {
		c := c
		c.Examples, c.Seed, c.Scale = o.examples, o.seed, scaleOf(c.Scale, c.Shape)
		var err error
		if c.Architecture, err = loop.Parse(layers); err != nil {
			return nil, usageError{fmt.Errorf("--%w", err)}
		}
		return asUsage(theory.NewUnrolled(c))
	})
}

// asUsage makes an error in the sizes one of usage.
func asUsage[T any](made *T, err error) (*T, error) {
	if err != nil {
		return nil, usageError{err}
	}
	return made, nil
}

// construction is what coil theory --json prints of a construction.
type construction struct {
	Name     string          `json:"name"`
	About    string          `json:"about"`
	Sizes    []theory.Size   `json:"sizes"`
	Notes    []string        `json:"notes"`
	Slots    []theory.Slot   `json:"slots"`
	Seconds  float64         `json:"seconds,omitempty"` // of building it
	Outcomes []theoryOutcome `json:"outcomes,omitempty"`
}

type theoryOutcome struct {
	Arithmetic string    `json:"arithmetic"`
	Snapped    bool      `json:"snapped"`
	Difference []float64 `json:"difference"` // the largest after each step
	Largest    float64   `json:"largest"`
	Right      int       `json:"right"`
	Answers    int       `json:"answers"`
	Seconds    float64   `json:"seconds"`
}

// runTheory runs a construction in each arithmetic and prints what comes of it. A wrong answer is an error.
func runTheory(w io.Writer, c *theory.Construction, building time.Duration, o theoryFlags) error {
	if o.explain && !o.asJSON {
		fmt.Fprintf(w, "%s\n\n", c.About)
		theory.WriteTrace(w, c.Trace(theory.Arithmetic{}, o.snap))
		return nil
	}
	var outcomes []theory.Outcome
	for _, a := range theory.Arithmetics() {
		outcomes = append(outcomes, c.Run(a, o.snap))
	}
	var err error
	if o.asJSON {
		all := describeConstruction(c)
		all.Seconds = building.Seconds()
		for _, r := range outcomes {
			all.Outcomes = append(all.Outcomes, theoryOutcome{r.Arithmetic.String(), r.Snapped, r.Difference, r.Largest(), r.Right, r.Answers, r.Time.Seconds()})
		}
		err = writeJSON(w, all)
	} else {
		printTheory(w, c, outcomes, building)
	}
	if err != nil {
		return err
	}
	for _, r := range outcomes {
		if r.Right < r.Answers {
			return fmt.Errorf("%s: %s of %s are wrong", r.Arithmetic, format.Count(r.Answers-r.Right), format.Plural(r.Answers, "answer"))
		}
	}
	return nil
}

// drawTheory draws the first example of a construction.
func drawTheory(w io.Writer, c *theory.Construction, o theoryFlags) error {
	g := theory.Picture(c.Trace(theory.Arithmetic{}, o.snap), c.About)
	if err := os.WriteFile(o.picture, g.SVG(), 0o666); err != nil {
		return fileError("the picture", err)
	}
	_, err := fmt.Fprintf(w, "picture  %s\n", text.Path(o.picture))
	return err
}

func describeConstruction(c *theory.Construction) construction {
	return construction{Name: c.Name, About: c.About, Sizes: c.Sizes, Notes: c.Notes, Slots: c.Slots}
}

func printTheory(w io.Writer, c *theory.Construction, outcomes []theory.Outcome, building time.Duration) {
	fmt.Fprintf(w, "%s, built in %s\n\n", c.About, format.Duration(building))
	rows := [][]string{{"", "built", "theorem"}}
	formulas := []string{""}
	for _, s := range c.Sizes {
		bound := ""
		if s.Bound != 0 {
			bound = format.Count(s.Bound)
		}
		rows, formulas = append(rows, []string{s.Name, format.Count(s.Built), bound}), append(formulas, s.Formula)
	}
	widths := columnWidths(rows)
	for i, r := range rows {
		line := tableLine(r, widths)
		if formulas[i] != "" {
			line += " = " + formulas[i]
		}
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
	for _, n := range c.Notes {
		fmt.Fprintf(w, "%s\n", wrap("· "+n, 2))
	}
	head := []string{"difference"}
	for _, r := range outcomes {
		head = append(head, r.Arithmetic.String())
	}
	rows = [][]string{head}
	for t := range outcomes[0].Difference {
		row := []string{fmt.Sprintf("%s %d", c.Step, t+1)}
		for _, r := range outcomes {
			row = append(row, short(r.Difference[t]))
		}
		rows = append(rows, row)
	}
	right, times := []string{"right"}, []string{"time"}
	for _, r := range outcomes {
		right, times = append(right, fmt.Sprintf("%s of %s", format.Count(r.Right), format.Count(r.Answers))), append(times, format.Duration(r.Time))
	}
	fmt.Fprintf(w, "\n%s", table(append(rows, right, times)))
	if outcomes[0].Snapped {
		fmt.Fprintf(w, "\n%s\n", wrap("After each loop every discrete coordinate was set to the nearest of its values; the differences are those before.", 0))
	}
}

// short writes a difference: 0, 3.9e-22.
func short(x float64) string {
	if x == 0 {
		return "0"
	}
	return fmt.Sprintf("%.1e", x)
}

// listTheory prints the sizes that the constructions have by default.
func listTheory(w io.Writer, asJSON bool) error {
	var list []construction
	for _, add := range constructions() {
		cmd, build := add()
		c, err := build(theoryFlags{examples: 1, seed: 1})
		if err != nil {
			return err
		}
		list = append(list, describeConstruction(c))
		if asJSON {
			continue
		}
		fmt.Fprintf(w, "%-7s  %s\n         %s\n         %s\n\n", c.Name, cmd.Short, c.About, sizeList(c.Sizes, 9))
	}
	if asJSON {
		return writeJSON(w, list)
	}
	fmt.Fprintln(w, "coil theory NAME builds one with other sizes and runs it")
	return nil
}

// sizeList has the sizes of a construction and their bounds, in lines that are indented except for the first.
func sizeList(sizes []theory.Size, indent int) string {
	var list []string
	for _, s := range sizes {
		text := s.Name + " " + format.Count(s.Built)
		if s.Bound > s.Built {
			text += " ≤ " + format.Count(s.Bound)
		}
		if s.Formula != "" {
			text += " = " + s.Formula
		}
		list = append(list, text)
	}
	return fill(list, " · ", indent)
}
