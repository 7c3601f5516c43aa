package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"coil/thorough"
)

// There is a page for every command, with the sections that readers of man pages look for, and groff has nothing to say of it.
func TestMan(t *testing.T) {
	dir := t.TempDir()
	mustCoil(t, "man", dir)
	groff, missing := exec.LookPath("groff")
	backspaced := regexp.MustCompile("\x1b\\[[0-9;]*m|.\b")
	every := thorough.Every(t, 6, "pages are read by groff")
	for i, c := range allCommands(newRoot()) {
		path := filepath.Join(dir, manName(c)+".1")
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := ".TH " + roff(strings.ToUpper(manName(c))) + ` 1 "" "coil `; !strings.HasPrefix(string(page), want) {
			t.Errorf("%s begins with %.60q, want %q", path, page, want)
		}
		last := 0
		for _, section := range []string{"NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"} {
			at := strings.Index(string(page), "\n.SH "+section+"\n")
			if at < last {
				t.Errorf("%s has no section %s, or not in its place", path, section)
			}
			last = at
		}
		if strings.Contains(string(page), "[=") {
			t.Errorf("%s has a default in brackets", path)
		}
		if missing != nil || i%every != 0 {
			continue
		}
		cmd := exec.Command(groff, "-man", "-Tutf8", "-ww", path)
		var warnings strings.Builder
		cmd.Stderr = &warnings
		out, err := cmd.Output()
		if err != nil || warnings.Len() > 0 {
			t.Errorf("groff: %v: %s", err, warnings.String())
		}
		shown := strings.Join(strings.Fields(backspaced.ReplaceAllString(string(out), "")), " ")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" && !strings.Contains(shown, "--"+f.Name) {
				t.Errorf("%s does not show --%s", path, f.Name)
			}
		})
	}
	if missing != nil {
		t.Log("groff is missing: install groff to have the pages read by it")
	}
}
