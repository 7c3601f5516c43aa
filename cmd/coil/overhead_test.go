package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coil/run"
	"coil/run/runtest"
)

// BenchmarkDashboard trains the default with lines of progress, in the dashboard, and with lines again, in turns. It reports
// medians: of the processor's time and of the tokens a second in the dashboard as shares of those with lines; and, as a measure
// of what the machine itself does to such shares, that of the second lines in the first.
func BenchmarkDashboard(b *testing.B) {
	var cpu, speed, noise []float64
	for b.Loop() {
		cpu1, speed1 := trainOnTerminal(b, "--no-tui")
		cpuDash, speedDash := trainOnTerminal(b)
		cpu2, speed2 := trainOnTerminal(b, "--no-tui")
		cpu = append(cpu, 100*cpuDash/((cpu1+cpu2)/2))
		speed = append(speed, 100*speedDash/((speed1+speed2)/2))
		noise = append(noise, 100*speed2/speed1)
	}
	b.Logf("tokens/s in the dashboard: %.1f %% of those with lines; with lines again: %.1f %%", speed, noise)
	b.ReportMetric(median(cpu), "%cpu-time")
	b.ReportMetric(median(speed), "%tokens/s")
	b.ReportMetric(median(noise), "%tokens/s-lines")
}

// trainOnTerminal returns the processor's seconds of a short run, and its tokens a second.
func trainOnTerminal(b *testing.B, args ...string) (cpu, speed float64) {
	path := filepath.Join(b.TempDir(), "run")
	p := startOnTerminal(b, 150, 44, nil, append([]string{"coil", "train", "--steps", "400", "--run-dir", path, "--evaluate.every", "0", "--evaluate.final", "64"}, args...)...)
	if len(args) == 0 {
		for !strings.Contains(p.shown(), "finished") {
			time.Sleep(time.Second / 2) // seldom: who waits here takes the processor from what is measured
		}
		p.press(b, "q")
	}
	<-p.ended
	r, err := run.View(path)
	if err != nil {
		b.Fatal(err)
	}
	h, err := runtest.Events(r)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range h {
		if e.Kind == run.KindTrain {
			speed = float64(*e.Train.Tokens / *e.Train.Seconds)
		}
	}
	return (p.ProcessState.UserTime() + p.ProcessState.SystemTime()).Seconds(), speed
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}
