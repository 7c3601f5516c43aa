package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The pictures of docs/theory.md are those that the commands beneath them draw, and there is one of each construction.
func TestTheoryPictures(t *testing.T) {
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(docs, "theory.md"))
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for _, found := range regexp.MustCompile("!\\[[^]]+\\]\\(theory/(.*)\\.svg\\)\n\n`coil (.*) --picture docs/theory/(.*)\\.svg`").FindAllStringSubmatch(string(page), -1) {
		name, line := found[1], strings.Fields(found[2])
		if name != found[3] || name != line[1] {
			t.Errorf("the picture %s is beside that of %s, %s", name, line[1], found[3])
		}
		path := filepath.Join(t.TempDir(), "picture.svg")
		if out, err := exec.Command("coil", append(line, "--picture", path)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", found[2], err, out)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(docs, "theory", name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("docs/theory/%s.svg is out of date: coil %s --picture docs/theory/%[1]s.svg draws it", name, found[2])
		}
		drawn[name] = true
	}
	for _, add := range constructions() {
		if cmd, _ := add(); !drawn[cmd.Name()] {
			t.Errorf("docs/theory.md has no picture of %s with its command", cmd.Name())
		}
	}
}
