package main

import (
	"path/filepath"
	"strings"

	"coil/run"

	"github.com/spf13/cobra"
)

// completeRuns completes runs in the folder that the flag runs names: latest, their ids and names, and their paths as coil
// prints them.
func completeRuns(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	root, err := cmd.Flags().GetString("runs")
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	candidates := []string{"latest"}
	if dir, _ := filepath.Split(typed); dir != "" {
		candidates = nil
		ids, _ := run.List(dir) // a folder that can't be read has no runs to offer
		for _, id := range ids {
			candidates = append(candidates, dir+id)
		}
	} else {
		ids, _ := run.List(root)
		for _, id := range ids {
			candidates = append(candidates, id)
			if name := run.NameOf(root, id); name != "" {
				candidates = append(candidates, name)
			}
		}
	}
	var matching []string
	seen := map[string]bool{}
	for _, c := range candidates {
		if strings.HasPrefix(c, typed) && !seen[c] {
			seen[c] = true
			matching = append(matching, c)
		}
	}
	return matching, cobra.ShellCompDirectiveDefault
}
