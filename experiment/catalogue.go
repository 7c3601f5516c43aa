package experiment

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"coil/config/schema"
)

//go:embed grids/*.toml
var gridFiles embed.FS

// Sizes of the embedded experiments: laptop keeps the question and shrinks width, length and steps, so that it takes minutes
// to an hour on two cores; paper has the sizes of the paper, for a GPU.
func Sizes() []string { return []string{"laptop", "paper"} }

// Names lists the embedded experiments of a size.
func Names(size string) []string {
	files, err := fs.Glob(gridFiles, "grids/*."+size+".toml")
	if err != nil {
		panic("experiment: grids") // the pattern is constant except for the size
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(path.Base(f), "."+size+".toml"))
	}
	return names
}

// Named returns an embedded experiment.
func Named(name, size string) (Grid, error) {
	if !slices.Contains(Sizes(), size) {
		return Grid{}, fmt.Errorf("no size %q; there are %s", size, strings.Join(Sizes(), " and "))
	}
	text, err := gridFiles.ReadFile("grids/" + name + "." + size + ".toml")
	if err != nil {
		for _, other := range Sizes() {
			if slices.Contains(Names(other), name) {
				return Grid{}, fmt.Errorf("experiment %s has no size %s; it has %s", name, size, other)
			}
		}
		hint := ""
		if near := schema.Nearest(name, Names("laptop")); near != "" {
			hint = fmt.Sprintf("did you mean %q? ", near)
		}
		return Grid{}, fmt.Errorf("no experiment %q; %sthere are %s", name, hint, strings.Join(Names("laptop"), ", "))
	}
	g, err := Parse("experiment "+name, text)
	if g.Name == "" {
		g.Name = name + "-" + size
	}
	return g, err
}
