package metal_test

import (
	"testing"

	"coil/metal"
)

// The peak of a known chip is that of the table, for as many cores as it has; that of another is not known.
func TestPeak(t *testing.T) {
	for _, x := range []struct {
		chip  string
		cores int
		want  float64
	}{{"Apple M2 Pro", 0, 6.8e12}, {"Apple M2 Pro", 19, 6.8e12}, {"Apple M1 Max", 24, 7.95e12}, {"paper", 10, 0}} {
		b, err := metal.New(metal.NewDryRun(metal.Chip{Name: x.chip}), metal.Options{Cores: x.cores, Variants: metal.Plainest()})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Peak(); got < x.want*(1-1e-9) || got > x.want*(1+1e-9) {
			t.Errorf("%s with %d cores: %g FLOP/s, want %g", x.chip, x.cores, got, x.want)
		}
		b.Close()
	}
}
