package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"coil/metal/bridge"
)

func TestNoDevice(t *testing.T) {
	if code := exitCode(fmt.Errorf("--backend metal: %w", bridge.ErrNoDevice)); code != exitNoDevice {
		t.Errorf("exit code %d, want %d", code, exitNoDevice)
	}
}

// The script of the workflow for macOS, with a program in coil's place that ends with given exit codes.
func TestGPUScript(t *testing.T) {
	for _, x := range []struct {
		name               string
		doctor, train      int
		want               int
		says               string
		doctorOut, trained bool
	}{
		{"all is well", 0, 0, 0, "", true, true},
		{"no GPU", exitNoDevice, 0, 0, "nothing to prove", false, false},
		{"a shader does not compile", exitFailed, 0, exitFailed, "doctor --json failed with exit code 1", true, false},
		{"no Metal in this build", exitUsage, 0, exitUsage, "exit code 64", false, false},
		{"crash", 2, 0, 2, "exit code 2", false, false},
		{"the loss is not finite", 0, exitDiverged, exitDiverged, "exit code 3", true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			folder := t.TempDir()
			program := filepath.Join(folder, "coil")
			report := ""
			if x.doctorOut {
				report = "echo '{}'"
			}
			script := fmt.Sprintf("#!/bin/sh\ncase $1 in doctor) %s\nexit %d;; train) touch %q; exit %d;; esac\nexit 99\n", report, x.doctor, filepath.Join(folder, "trained"), x.train)
			if err := os.WriteFile(program, []byte(script), 0o777); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("../../.ci/gpu", program, filepath.Join(folder, "reports")).CombinedOutput()
			code := 0
			if exit := new(exec.ExitError); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != x.want || !strings.Contains(string(out), x.says) {
				t.Errorf("exit code %d, want %d, and %q\n%s", code, x.want, x.says, out)
			}
			if _, err := os.Stat(filepath.Join(folder, "trained")); (err == nil) != x.trained {
				t.Errorf("trained: %v, want %v", err == nil, x.trained)
			}
			b, err := os.ReadFile(filepath.Join(folder, "reports", "doctor.json"))
			if err != nil || x.doctorOut != (len(b) > 0) {
				t.Errorf("report %q, %v", b, err)
			}
		})
	}
}
