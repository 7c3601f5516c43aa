package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"coil/run"
	"coil/run/runtest"
	"coil/thorough"
)

// archived copies runs that an earlier coil wrote, as they lie in testdata, to where they may be changed.
func archived(t *testing.T, format string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), format)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", format))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Every command opens what the coil of each format wrote: a run that has ended, one that was killed, and an experiment.
func TestArchive(t *testing.T) {
	t.Parallel()
	thorough.Skip(t)
	for _, format := range thorough.Cases(t, 2, "formats", []string{"format2", "format1"}) {
		t.Run(format, func(t *testing.T) {
			dir := archived(t, format)
			finished, interrupted := filepath.Join(dir, "finished"), filepath.Join(dir, "interrupted")

			e := parseJSON[evaluation](t, mustCoil(t, "eval", finished, "--loops", "1..3", "--examples", "16", "--json"))
			if e.Step != 6 || len(e.Results) != 3 {
				t.Errorf("eval says %+v", e)
			}
			mustCoil(t, "report", finished)
			mustCoil(t, "lens", finished, "--examples", "8", "--out", filepath.Join(dir, "lens"))
			if _, stderr, code := coil(t, "resume", finished); code != exitOK || !strings.Contains(stderr, "nothing to do: all 6 steps are done") {
				t.Errorf("resume of a finished run: %d, %s", code, stderr)
			}
			list := mustCoil(t, "list", "--runs", dir)
			for _, want := range []string{`(?m)^finished +finished +1⊗2 +p-hop +6/6 `, `(?m)^interrupted +crashed +1⊗2 +p-hop +\d+/\d+ `} {
				if !regexp.MustCompile(want).MatchString(list) || strings.Contains(list, "unreadable") {
					t.Errorf("list says %s, want %s", list, want)
				}
			}
			for _, path := range []string{finished, interrupted} {
				mustCoil(t, "verify", path)
				mustCoil(t, "watch", path, "--no-tui")
				mustCoil(t, "train", "--from", path, "--steps", "1", "--run-dir", path+"-on")
				if out := mustCoil(t, "watch", path, "--once", "--size", "100x30"); !strings.Contains(out, "p-hop") {
					t.Errorf("watch shows %s", out)
				}
			}
			var summaries []map[string]any
			if err := json.Unmarshal([]byte(mustCoil(t, "report", finished, interrupted, "--json")), &summaries); err != nil {
				t.Fatal(err)
			}
			if summaries[0]["status"] != "finished" || summaries[1]["status"] != "crashed" {
				t.Errorf("report says %v", summaries)
			}

			// The run that was killed at a step after 230 continues from its checkpoint of step 200.
			args := []string{"resume", interrupted, "--steps", "210"}
			if format == "format1" { // has no seal that would reveal an edit
				config := filepath.Join(interrupted, "config.toml")
				text, err := os.ReadFile(config)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(config, []byte(strings.Replace(string(text), "steps = 6000000", "steps = 210", 1)), 0o666); err != nil {
					t.Fatal(err)
				}
				args = args[:2]
			}
			_, stderr, code := coil(t, args...)
			if code != exitOK || !strings.Contains(stderr, "from step 200 of 210\n") {
				t.Fatalf("resume: %d, %s", code, stderr)
			}
			h, err := runtest.Events(view(t, interrupted))
			if last := h[len(h)-1]; err != nil || last.Kind != run.KindEnd || last.Step != 210 {
				t.Errorf("the last event is %v, %v", last, err)
			}

			grid := filepath.Join(dir, "grid.toml")
			if out := mustCoil(t, "experiment", grid, "--out", filepath.Join(dir, "experiments"), "--results"); !strings.Contains(out, "2 of 2 cells finished") {
				t.Errorf("the experiment says %s", out)
			}
		})
	}
}

// Malformed weights exit with the code of a damaged checkpoint, whichever command reads them, though the checksums are right.
func TestMalformedWeights(t *testing.T) {
	t.Parallel()
	thorough.Skip(t)
	for name, weights := range map[string]string{
		"empty":        "",
		"no header":    "abc",
		"long header":  "\xff\xff\xff\xff\xff\xff\xff\x7f{}",
		"no JSON":      "\x04\x00\x00\x00\x00\x00\x00\x00{{{{",
		"out of range": "\x3c\x00\x00\x00\x00\x00\x00\x00" + `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8888888]}}`,
		"no tensors":   "\x02\x00\x00\x00\x00\x00\x00\x00{}",
	} {
		t.Run(name, func(t *testing.T) {
			dir := archived(t, "format2")
			path := filepath.Join(dir, "interrupted")
			r := view(t, path)
			c, err := r.Latest()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(c.Path, "model.safetensors"), []byte(weights), 0o666); err != nil {
				t.Fatal(err)
			}
			reseal(t, c, "model.safetensors", []byte(weights))
			for _, args := range [][]string{
				{"eval", path, "--examples", "8"},
				{"lens", path, "--examples", "8"},
				{"verify", path},
				{"resume", path, "--steps", "210"},
				{"train", "--from", path, "--run-dir", filepath.Join(dir, "on")},
			} {
				stdout, stderr, code := coil(t, args...)
				if said := stdout + stderr; code != exitMismatch || !strings.Contains(said, "model.safetensors") || strings.Contains(said, "checksum") {
					t.Errorf("%v: %d, %s%s", args, code, stdout, stderr)
				}
			}
		})
	}
}

// reseal makes a checkpoint's manifest say what a file of it holds now.
func reseal(t *testing.T, c run.Checkpoint, name string, content []byte) {
	t.Helper()
	path := filepath.Join(c.Path, "checkpoint.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	delete(m, "crc32c")
	for _, f := range m["files"].([]any) {
		if f := f.(map[string]any); f["name"] == name {
			f["size"], f["crc32c"] = len(content), fmt.Sprintf("%08x", crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
		}
	}
	if b, err = run.Seal(m); err == nil {
		err = os.WriteFile(path, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
