package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"coil/doctor"
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
	err := examine(cmd, d, doctor.Options{Short: true}, true)
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

func TestPrintMeasurements(t *testing.T) {
	var out bytes.Buffer
	printFinding(&out, doctor.StepTime{Preset: "gpt-2", Seconds: 0.4, Predicted: 0.3275, GPU: 0.39, Encode: 1e-3, Launches: 568, Rate: 10240, FLOPs: 8e12, Share: 0.45})
	printFinding(&out, doctor.StepTime{Preset: "gpt-2", Skipped: "not enough memory"})
	printFinding(&out, doctor.Rate{Name: "matmul", Assumed: 0.7, Measured: 0.61, By: "matmul NT"})
	printFinding(&out, doctor.Rate{Name: "launch", Assumed: 1.6e-6, Measured: 1.4e-6, By: "launch without work", Holds: true})
	const want = `step     gpt-2       400.00 ms (predicted 327.50), GPU 390.00 ms, encoding 1.00 ms for 568 launches; 10.24k tokens/s, 8 TFLOP/s (45 % of the peak)
step     gpt-2      not measured: not enough memory
assumed  matmul            70 % of the float32 peak in matmuls whose results have 512×512 elements or more
         measured 61 % (matmul NT): does not hold
assumed  launch          1.6 µs more for each launch
         measured 1.4 µs (launch without work): holds
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", &out, want)
	}
}
