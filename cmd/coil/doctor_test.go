package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
)

// TestDoctorReport: on a device that is not fit, coil doctor --json prints the report on stdout, the text on stderr, and fails.
func TestDoctorReport(t *testing.T) {
	const text = "program_source:3:1: error: unknown type name 'flaot'"
	d := emulatortest.Open(t, emulator.Options{GPU: emulator.GPU{Family: 5, Libraries: map[string]string{"norm": text}}})
	cmd := newDoctor()
	var out, messages bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&messages)
	err := examine(cmd, d, true, true)
	if err == nil || exitCode(err) != 1 {
		t.Errorf("error %v", err)
	}
	var report struct {
		Problems []string
		Variants []struct{ Subject, Variant, Reason string }
		Shaders  []struct{ Name, Error string }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) != 1 || len(report.Variants) != 3 || !strings.Contains(out.String(), text) {
		t.Errorf("report %s", out.Bytes())
	}
	for _, s := range []string{"shader   norm             FAILED", text, "matmul: plain", "attention: unfused", "family Apple5", "no bfloat16", "not fit for training", "shader norm does not compile"} {
		if !strings.Contains(messages.String(), s) {
			t.Errorf("the text does not say %q:\n%s", s, &messages)
		}
	}
}
