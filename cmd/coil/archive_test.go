package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coil/run"
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

// Every command still opens what the coil of format 1 wrote: a run that has ended, one that was killed, and an experiment.
func TestArchive(t *testing.T) {
	for _, format := range []string{"format1"} {
		t.Run(format, func(t *testing.T) {
			dir := archived(t, format)
			finished, interrupted := filepath.Join(dir, "finished"), filepath.Join(dir, "interrupted")

			e := parseJSON[evaluation](t, mustCoil(t, "eval", finished, "--loops", "1..3", "--examples", "16", "--json"))
			if e.Step != 6 || len(e.Results) != 3 {
				t.Errorf("eval says %+v", e)
			}
			mustCoil(t, "lens", finished, "--examples", "8", "--out", filepath.Join(dir, "lens"))
			if _, stderr, code := coil(t, "resume", finished); code != exitOK || !strings.Contains(stderr, "nothing to do: all 6 steps are done") {
				t.Errorf("resume of a finished run: %d, %s", code, stderr)
			}
			for _, path := range []string{finished, interrupted} {
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

			// The one that was killed at a step after 230 goes on from its checkpoint of step 200.
			config := filepath.Join(interrupted, "config.toml")
			text, err := os.ReadFile(config)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(config, []byte(strings.Replace(string(text), "steps = 6000000", "steps = 210", 1)), 0o666); err != nil {
				t.Fatal(err)
			}
			_, stderr, code := coil(t, "resume", interrupted)
			if code != exitOK || !strings.Contains(stderr, "from step 200 of 210\n") {
				t.Fatalf("resume: %d, %s", code, stderr)
			}
			h, err := view(t, interrupted).History()
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
