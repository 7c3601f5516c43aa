package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coil/thorough"
)

// A damaged run.json makes no run unusable, and every command that reads the run says that it is damaged; so does the report.
func TestDamagedInfoIsSaid(t *testing.T) {
	t.Parallel()
	garbles := map[string]func(b []byte) []byte{
		"a byte": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"empty":  func([]byte) []byte { return nil },
	}
	for _, name := range thorough.Cases(t, 2, "damages", slices.Sorted(maps.Keys(garbles))) {
		t.Run(name, func(t *testing.T) {
			dir := archived(t, "format2")
			path, folder := filepath.Join(dir, "finished"), filepath.Join(dir, "experiments", "grid")
			for _, info := range []string{filepath.Join(path, "run.json"), filepath.Join(folder, "cells", "1x2_s1", "run.json")} {
				b, err := os.ReadFile(info)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(info, garbles[name](b), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			for _, args := range [][]string{
				{"report", path}, {"report", path, "--json"},
				{"watch", path, "--no-tui"}, {"watch", path, "--once", "--size", "200x50"},
				{"eval", path, "--examples", "8"}, {"lens", path, "--examples", "8"},
				{"resume", path, "--steps", "7"},
				{"experiment", "cell", folder, "1x2_s1"},
				{"experiment", filepath.Join(dir, "grid.toml"), "--out", filepath.Dir(folder), "--results"},
				{"experiment", filepath.Join(dir, "grid.toml"), "--out", filepath.Dir(folder), "--results", "--json"},
			} {
				_, stderr, code := coil(t, args...)
				if code != exitOK || !strings.Contains(stderr, "run.json is damaged") {
					t.Errorf("%v: %d, %s", args, code, stderr)
				}
			}
			page, err := os.ReadFile(filepath.Join(path, "report", "index.html"))
			if err != nil || !strings.Contains(string(page), "run.json is damaged") {
				t.Errorf("the page does not say that run.json is damaged, %v", err)
			}
		})
	}
}
