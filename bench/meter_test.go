package bench

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// planned is a meter whose peaks are planned; the last one stays.
func planned(peaks ...float64) *Meter {
	return &Meter{peak: func(time.Duration) float64 {
		p := peaks[0]
		if len(peaks) > 1 {
			peaks = peaks[1:]
		}
		return p
	}}
}

// A planted dip discards the rounds on both of its sides and no other; others replace them.
func TestDipIsDiscarded(t *testing.T) {
	m := planned(100, 95, 80, 96, 97, 100)
	rows := make([]Rounds, 1)
	n := 0.0
	err := m.collect(4, time.Second, rows, func(_ int, warmUp bool) (float64, error) {
		if !warmUp {
			n++
		}
		return n, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Rounds{{1, 100, 95}, {2, 95, 80}, {3, 80, 96}, {4, 96, 97}, {5, 97, 100}, {6, 100, 100}}
	if !slices.Equal(rows[0], want) {
		t.Errorf("rounds %v, want %v", rows[0], want)
	}
	if c := rows[0].count(m.usual()); c != (Count{Quiet: 4, Discarded: 2}) {
		t.Errorf("%+v, want 4 quiet rounds and 2 discarded", c)
	}
	// By hand: work of 975 FLOPs takes 1, 4, 5 and 6 seconds at peaks of 97.5, 96.5, 98.5 and 100.
	quiet := rows[0].quiet(m.usual())
	if got, want := quiet.shares(975), []float64{975 / 97.5, 975 / 4. / 96.5, 975 / 5. / 98.5, 975 / 6. / 100}; !slices.Equal(got, want) {
		t.Errorf("shares %v, want %v", got, want)
	}
}

// Peaks that rise late make dips of earlier rounds, and they are replaced too.
func TestLatePeaks(t *testing.T) {
	m := planned(50, 50, 50, 100)
	rows := make([]Rounds, 2)
	if err := m.collect(2, time.Second, rows, func(int, bool) (float64, error) { return 1, nil }); err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		if c := r.count(m.usual()); c.Quiet != 2 || c.Discarded == 0 {
			t.Errorf("row %d: %+v of %v", i, c, r)
		}
	}
}

// The upper quartile, by hand: the third of four, the fourth of five, the sixth of eight.
func TestUsual(t *testing.T) {
	for _, x := range []struct {
		peaks []float64
		want  float64
	}{{[]float64{7}, 7}, {[]float64{4, 1, 3, 2}, 3}, {[]float64{5, 4, 1, 3, 2}, 4}, {[]float64{8, 1, 7, 2, 6, 3, 5, 4}, 6}} {
		if got := (&Meter{peaks: x.peaks}).usual(); got != x.want {
			t.Errorf("%v: %g, want %g", x.peaks, got, x.want)
		}
	}
}

// On a machine that is never quiet a measurement ends, and has no figures rather than wrong ones.
func TestNeverQuiet(t *testing.T) {
	m := planned(100, 80, 100, 80, 100, 80, 100, 80, 100, 80, 100, 80, 100, 80, 100, 80)
	rows := make([]Rounds, 1)
	if err := m.collect(5, time.Second, rows, func(int, bool) (float64, error) { return 1, nil }); err != nil {
		t.Fatal(err)
	}
	s := Step{Name: "x", FLOPs: 10, Tokens: 1, Rounds: rows[0]}
	s.finish(m.usual())
	if s.Count != (Count{0, 5 * MoreRounds}) || s.Share != nil || s.Seconds != nil {
		t.Errorf("%+v", s)
	}
	r := &Result{Peak: m.usual(), Steps: []Step{s}}
	if d := Compare(r, r).Rows; len(d) != 1 || d[0].Verdict != TooFew || d[0].Speed != nil {
		t.Errorf("%+v", d)
	}
}

func TestErrorOfWork(t *testing.T) {
	want := errors.New("broken")
	if err := planned(1).collect(3, time.Second, make([]Rounds, 1), func(int, bool) (float64, error) { return 0, want }); err != want {
		t.Errorf("%v, want %v", err, want)
	}
}
