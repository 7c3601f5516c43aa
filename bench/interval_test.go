package bench

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// The intervals are those that scipy computes; testdata/intervals.py says how.
func TestIntervals(t *testing.T) {
	b, err := os.ReadFile("testdata/intervals.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Medians []struct {
			X        []float64
			Median   float64
			Interval []float64
		}
		Ratios []struct {
			Old, New []float64
			Estimate float64
			Interval []float64
		}
	}
	if err := json.Unmarshal(b, &want); err != nil || len(want.Medians) == 0 || len(want.Ratios) == 0 {
		t.Fatalf("%d medians, %d ratios, %v", len(want.Medians), len(want.Ratios), err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12*math.Abs(b) }
	for _, m := range want.Medians {
		f := figure(m.X)
		if !near(f.Median, m.Median) || !slices.Equal(f.Interval, m.Interval) {
			t.Errorf("%d numbers: median %g with interval %v, want %g with %v", len(m.X), f.Median, f.Interval, m.Median, m.Interval)
		}
		if (f.Interval == nil) != (len(m.X) < FewestRounds) {
			t.Errorf("%d numbers have the interval %v, and FewestRounds is %d", len(m.X), f.Interval, FewestRounds)
		}
	}
	for _, r := range want.Ratios {
		got, ok := medianRatio(r.Old, r.New)
		if ok != (r.Interval != nil) {
			t.Errorf("%d and %d numbers: an interval %t, want %v", len(r.Old), len(r.New), ok, r.Interval)
		} else if ok && !(near(got.Estimate, r.Estimate) && near(got.Low, r.Interval[0]) && near(got.High, r.Interval[1])) {
			t.Errorf("%d and %d numbers: %+v, want %g in %v", len(r.Old), len(r.New), got, r.Estimate, r.Interval)
		}
	}
	if figure(nil) != nil {
		t.Error("a figure of nothing")
	}
}
