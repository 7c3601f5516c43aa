package experiment

import (
	"strings"
	"testing"

	"coil/backend/cpu"
	"coil/theory"
)

// Training at a rate of 0 changes nothing, the construction itself is right, noise and a large rate harm it, and the results come in
// the order of the grid.
func TestKeeping(t *testing.T) {
	g, err := theory.NamedGroup("S3")
	if err != nil {
		t.Fatal(err)
	}
	c, err := theory.NewComposition(theory.CompositionConfig{Group: g, Length: 5, Sharpness: 200, Examples: 1})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Trainable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var reported []int
	kept, err := Keeping{Noise: []float64{0, 0.05}, Rates: []float64{0, 0.1}, Seeds: []uint64{1, 2}, Steps: 3, Batch: 4}.Run(w, b, func(done int) { reported = append(reported, done) })
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) != 4 || len(reported) != 8 || reported[7] != 8 {
		t.Fatalf("%d results, reported %v", len(kept), reported)
	}
	for i, k := range kept {
		if k.Noise != []float64{0, 0, 0.05, 0.05}[i] || k.Rate != []float64{0, 0.1}[i%2] || len(k.Before) != 2 || len(k.After) != 2 {
			t.Fatalf("result %d is of noise %g and rate %g, with %d and %d scores", i, k.Noise, k.Rate, len(k.Before), len(k.After))
		}
		for s := range k.Before {
			if same := k.Before[s] == k.After[s]; same != (k.Rate == 0) {
				t.Errorf("noise %g, rate %g: %+v before, %+v after", k.Noise, k.Rate, k.Before[s], k.After[s])
			}
		}
		if whole := k.Mean(true) == 1; whole != (k.Noise == 0) {
			t.Errorf("noise %g: accuracy %g before training", k.Noise, k.Mean(true))
		}
	}
	if kept[0].Mean(false) != 1 || !(kept[1].Mean(false) < 0.9) {
		t.Errorf("accuracies %g at a rate of 0 and %g at 0.1", kept[0].Mean(false), kept[1].Mean(false))
	}
	if kept[2].Before[0] == kept[2].Before[1] {
		t.Error("two seeds have the same noise")
	}
}

func TestKeepingErrors(t *testing.T) {
	for want, k := range map[string]Keeping{
		"no noise, rate or seed":            {Steps: 1, Batch: 1},
		"0 steps of 1 sequences":            {Noise: []float64{0}, Rates: []float64{0}, Seeds: []uint64{1}, Batch: 1},
		"noise -1, want 0 to":               {Noise: []float64{-1}, Rates: []float64{0}, Seeds: []uint64{1}, Steps: 1, Batch: 1},
		"rate -1, want 0 to":                {Noise: []float64{0}, Rates: []float64{-1}, Seeds: []uint64{1}, Steps: 1, Batch: 1},
		"2000 trainings, want at most 1000": {Noise: make([]float64, 20), Rates: make([]float64, 10), Seeds: make([]uint64, 10), Steps: 1, Batch: 1},
	} {
		if err := k.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
