package bench_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"coil/bench"
	"coil/config"
	"coil/format"
	"coil/golden"
	"coil/metal"
	"coil/thorough"
)

// published are tokens/s of MLX that others published. Where a source does not say how many cores the chip had, it counts as the
// smallest that is sold under its name.
var published = []struct {
	chip      string
	cores     int
	bandwidth float64 // GB/s
	model     string
	batch     int
	bfloat16  bool
	rate      float64
}{
	{"M4 Max", 32, 410, "gpt-2", 4, false, 8610},                        // README of ulmentflam/llm.mojo, July 2026
	{"M1 Pro", 14, 200, "transformer_lm", 2, false, 1.0 * 2048},         // ml-explore/mlx-examples #127: iterations a second
	{"M1 Ultra", 48, 800, "transformer_lm", 2, false, 4.004 * 2048},     // the same
	{"M2 Pro", 16, 200, "transformer_lm", 2, false, 1.4 * 2048},         // the same
	{"M2 Max", 38, 400, "transformer_lm", 2, false, 2.048 * 2048},       // the same; the fastest of those after the first
	{"M3 Max, 128 GB", 40, 400, "transformer_lm", 2, false, 2.9 * 2048}, // the same
	{"M4 Max", 32, 410, "gpt-2", 4, true, 10077},                        // README of ulmentflam/llm.mojo, July 2026
	{"M3 Max", 40, 400, "gpt-2", 16, true, 11500},                       // "GPT-2 from scratch in MLX"; a chip of 30 cores has too low a peak
}

// TestPublished predicts the speed of the models whose speed with MLX was published. It writes the table of docs/performance.md
// with -update. In float32 the predicted speeds are not below those of MLX.
func TestPublished(t *testing.T) {
	if !*golden.Update {
		thorough.Skip(t)
	}
	gpt2, err := config.Preset("gpt-2")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/mlx-transformer-lm.toml")
	if err != nil {
		t.Fatal(err)
	}
	lm := config.Default()
	if err := lm.Parse("mlx-transformer-lm.toml", data); err != nil {
		t.Fatal(err)
	}
	models := map[string]config.Config{"gpt-2": gpt2, "transformer_lm": lm}
	counted := map[string]*bench.Launches{}
	table := "| chip | GPU cores | model | sequences | MLX | coil, predicted | ratio | equal if matmuls reach |\n|---|---|---|---|---|---|---|---|\n"
	for _, p := range published {
		name, _, _ := strings.Cut(p.chip, ",")
		chip, ok := metal.ChipNamed(name)
		if !ok || p.cores > chip.Cores || p.bandwidth > chip.Bandwidth {
			t.Fatalf("%s: %d cores, %g GB/s: not a chip of the list", p.chip, p.cores, p.bandwidth)
		}
		chip = chip.WithCores(p.cores)
		chip.Bandwidth = p.bandwidth
		c := models[p.model]
		c.Train.Batch = p.batch
		key := fmt.Sprint(p.model, p.batch, p.bfloat16)
		l := counted[key]
		if l == nil {
			if l, err = bench.CountLaunches(p.model, c, metal.Options{BFloat16: p.bfloat16}); err != nil {
				t.Fatal(err)
			}
			counted[key] = l
		}
		rate := l.Predict(chip).Rate
		if rate < p.rate && !p.bfloat16 {
			t.Errorf("%s, %s: %.0f tokens/s predicted, MLX reaches %.0f", p.chip, p.model, rate, p.rate)
		}
		// The share of the peak at which the prediction is what MLX reaches.
		assumed := l.Assumed
		low, high := 0.0, 1.0
		for range 50 {
			l.Assumed.Matmul = (low + high) / 2
			if l.Predict(chip).Rate < p.rate {
				low = l.Assumed.Matmul
			} else {
				high = l.Assumed.Matmul
			}
		}
		l.Assumed = assumed
		count := func(x float64) string { return format.Count(int(math.Round(x))) }
		precision := ""
		if p.bfloat16 {
			precision = ", bfloat16"
		}
		table += fmt.Sprintf("| %s | %d | `%s`%s | %d | %s | %s | %.2f | %s |\n", p.chip, p.cores, p.model, precision, p.batch, count(p.rate), count(rate), rate/p.rate, format.Percent(high, 0))
	}
	block(t, "../docs/performance.md", "published", table)
	block(t, "../docs/performance.md", "transformer_lm", "```toml\n"+string(data)+"```\n")
}

// block compares text with what stands between two comments of a page, or writes it there with -update.
func block(t *testing.T, path, name, want string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- %s: go test ./bench -run TestPublished -update -->\n", name), fmt.Sprintf("<!-- end of %s -->", name)
	before, rest, ok := strings.Cut(string(page), begin)
	got, after, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatalf("%s has no lines %q and %q", path, begin, end)
	}
	if got == want {
		return
	}
	if !*golden.Update {
		t.Errorf("%s, %s: has\n%s\nwant\n%s", path, name, got, want)
		return
	}
	if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o666); err != nil {
		t.Fatal(err)
	}
}
