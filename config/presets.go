package config

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"coil/config/schema"
)

//go:embed presets/*.toml
var presetFiles embed.FS

// DefaultPreset is the preset that coil train trains by default. It equals [Default].
const DefaultPreset = "default"

// Presets maps the names of the embedded configurations to their texts.
func Presets() map[string][]byte {
	files, err := fs.Glob(presetFiles, "presets/*.toml")
	if err != nil {
		panic("config: presets") // the pattern is constant
	}
	presets := make(map[string][]byte, len(files))
	for _, f := range files {
		text, err := presetFiles.ReadFile(f)
		if err != nil {
			panic("config: presets")
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
		hint := ""
		if best := schema.Nearest(name, names); best != "" {
			hint = fmt.Sprintf("did you mean %q? ", best)
		}
		return c, fmt.Errorf("no preset %q; %sthere are %s", name, hint, strings.Join(names, ", "))
	}
	return c, c.Parse("preset "+name, text)
}
