package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"coil/config"
	"coil/format"
	"coil/model"

	"github.com/spf13/cobra"
)

func presetNames() []string { return slices.Sorted(maps.Keys(config.Presets())) }

// presetStatus is a line of coil presets.
type presetStatus struct {
	Name       string `json:"name"`
	About      string `json:"about"`
	Model      string `json:"model"`
	Task       string `json:"task"`
	Parameters int    `json:"parameters"`
	Depth      int    `json:"depth"`
	Steps      int    `json:"steps"`
	FLOPs      int64  `json:"flops_per_token"` // of a forward pass
}

func newPresets() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "presets [NAME]",
		Short: "List the embedded configurations, or print one",
		Example: `  coil presets
  coil presets middle > my.toml     a configuration to change and train
  coil train --preset middle`,
		ValidArgs: presetNames(),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("presets takes one preset, not %d arguments", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if len(args) == 1 {
				if _, err := config.Preset(args[0]); err != nil {
					return usageError{err}
				}
				if asJSON {
					p, err := presetOf(args[0])
					if err != nil {
						return err
					}
					return writeJSON(w, p)
				}
				_, err := w.Write(config.Presets()[args[0]])
				return err
			}
			var list []presetStatus
			for _, name := range presetNames() {
				p, err := presetOf(name)
				if err != nil {
					return err
				}
				list = append(list, p)
			}
			if asJSON {
				return writeJSON(w, list)
			}
			rows := [][]string{{"preset", "model", "task", "parameters", "depth", "steps"}}
			for _, p := range list {
				rows = append(rows, []string{p.Name, p.Model, p.Task, format.Count(p.Parameters), fmt.Sprint(p.Depth), format.Count(p.Steps)})
			}
			fmt.Fprint(w, table(rows))
			fmt.Fprintln(w)
			for _, p := range list {
				fmt.Fprintf(w, "%s: %s\n", p.Name, wrap(p.About, len(p.Name)+2))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func presetOf(name string) (presetStatus, error) {
	c, err := config.Preset(name)
	if err != nil {
		return presetStatus{}, err
	}
	t, err := c.Task.New()
	if err != nil {
		return presetStatus{}, fmt.Errorf("preset %s: %w", name, err)
	}
	m, err := model.New(c.Model, c.Loops, len(t.Vocabulary()), t.Length())
	if err != nil {
		return presetStatus{}, fmt.Errorf("preset %s: %w", name, err)
	}
	return presetStatus{name, about(config.Presets()[name]), m.Architecture.String(), t.Name(), m.Size, m.Architecture.Depth(), c.Train.Steps, m.FLOPs()}, nil
}

// about returns the comment at the beginning of a preset.
func about(text []byte) string {
	var words []string
	for line := range strings.Lines(string(text)) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.TrimSpace(comment))
	}
	return strings.Join(words, " ")
}
