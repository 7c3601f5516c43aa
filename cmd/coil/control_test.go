package main

import (
	"path/filepath"
	"strings"
	"testing"

	"coil/run"
	"coil/thorough"
)

// A script controls a run of another process.
func TestControl(t *testing.T) {
	thorough.Skip(t)
	path := filepath.Join(t.TempDir(), "run")
	trainer := start(t, "coil", "train", tinyFile(t), "--run-dir", path, "--steps", forever, "--batch", "1024", "--checkpoint.every", "0")
	trainer.await(t, "the run began", func() bool { return steps(path) >= 0 })
	for _, k := range []struct{ command, want string }{
		{"continue", "already training, since step 0"}, {"pause", "paused after step "}, {"pause", "already paused, at step "}, {"evaluate", "evaluated after step "},
		{"checkpoint", "saved a checkpoint after step "}, {"checkpoint", "already saved a checkpoint, at step "},
		{"continue", "training continues after step "}, {"continue", "already training, since step "},
	} {
		if s := mustCoil(t, "control", path, k.command); !strings.HasPrefix(s, k.want) {
			t.Errorf("%s: %s", k.command, s)
		}
	}
	if e := parseJSON[run.Event](t, mustCoil(t, "control", path, "stop", "--json")); e.Kind != run.KindStop {
		t.Errorf("the answer to stop is %+v", e)
	}
	trainer.wantExit(t, 130)
	if s := mustCoil(t, "control", path, "stop"); !strings.HasPrefix(s, "already stopped, at step ") {
		t.Errorf("stop, again: %s", s)
	}
	if _, stderr, code := coil(t, "control", path, "pause"); code != exitFailed || !strings.Contains(stderr, "no process trains the run") {
		t.Errorf("to nobody: %d, %s", code, stderr)
	}
	if _, stderr, code := coil(t, "control", path, "explode"); code != exitUsage || !strings.Contains(stderr, `no command "explode"; a run takes pause, continue, checkpoint, evaluate, stop`) {
		t.Errorf("nonsense: %d, %s", code, stderr)
	}
}
