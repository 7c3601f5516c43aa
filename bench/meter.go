package bench

import (
	"math"
	"slices"
	"time"

	"coil/backend/cpu"
)

// Quiet is the share of the upper quartile of a run's peaks below which a round is discarded. The best peak would be a matter of luck on a
// machine that is always busy, and the median is a busy one where others work half of the time.
const Quiet = 0.9

// MoreRounds is how many times the rounds that were asked for a row is measured at most, while too few of them are quiet.
const MoreRounds = 3

// MostRounds is how many quiet rounds a row can have.
const MostRounds = 100

// peakTime is how long the peak is measured after work that takes about d.
func peakTime(d time.Duration) time.Duration {
	return min(max(d/8, time.Millisecond), 40*time.Millisecond)
}

// Round is one measurement, between two turns of the peak loop.
type Round struct {
	Seconds float64 `json:"seconds"`     // of the work
	Before  float64 `json:"peak_before"` // FLOP/s of multiply-adds on all workers
	After   float64 `json:"peak_after"`
}

// peak is the peak of the same instant as the work.
func (r Round) peak() float64 { return (r.Before + r.After) / 2 }

// dipped reports whether others used the cores right before or after the work, by the upper quartile of all peaks.
func (r Round) dipped(usual float64) bool { return min(r.Before, r.After) < Quiet*usual }

// Rounds are the measurements of one piece of work.
type Rounds []Round

// quiet returns the rounds that have not dipped.
func (rs Rounds) quiet(usual float64) Rounds {
	var quiet Rounds
	for _, r := range rs {
		if !r.dipped(usual) {
			quiet = append(quiet, r)
		}
	}
	return quiet
}

// of returns a quantity of each round.
func (rs Rounds) of(f func(Round) float64) []float64 {
	x := make([]float64, len(rs))
	for i, r := range rs {
		x[i] = f(r)
	}
	return x
}

// rate is work a second, of work of one.
func (r Round) rate() float64 { return 1 / r.Seconds }

// shares of the peak that this number of FLOPs reaches.
func (rs Rounds) shares(flops float64) []float64 {
	return rs.of(func(r Round) float64 { return flops / r.Seconds / r.peak() })
}

// with returns the rounds with the times of other work that was done in them.
func (rs Rounds) with(seconds []float64) Rounds {
	rs = slices.Clone(rs)
	for i := range rs {
		rs[i].Seconds = seconds[i]
	}
	return rs
}

// Meter measures work and the peak in turn, and remembers the peaks.
type Meter struct {
	cpu   *cpu.CPU
	peak  func(time.Duration) float64
	peaks []float64
}

// NewMeter measures with the workers of b.
func NewMeter(b *cpu.CPU) *Meter { return &Meter{cpu: b, peak: b.FMA} }

func (m *Meter) take(d time.Duration) float64 {
	p := m.peak(peakTime(d))
	m.peaks = append(m.peaks, p)
	return p
}

// usual is the upper quartile of the peaks, 0 before the first.
func (m *Meter) usual() float64 {
	if len(m.peaks) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(m.peaks))
	return sorted[(3*len(sorted)+3)/4-1]
}

// collect measures rows in turn, round after round, until each has want quiet rounds, and at most MoreRounds times as many. Work does
// the work of a row for about d and returns its seconds; the first time is to warm up.
func (m *Meter) collect(want int, d time.Duration, rows []Rounds, work func(row int, warmUp bool) (float64, error)) error {
	for i := range rows {
		if _, err := work(i, true); err != nil {
			return err
		}
	}
	last := m.take(d)
	for range MoreRounds * want {
		done, usual := true, m.usual()
		for i := range rows {
			if len(rows[i].quiet(usual)) >= want {
				continue
			}
			done = false
			before := last
			seconds, err := work(i, false)
			if err != nil {
				return err
			}
			last = m.take(d)
			rows[i] = append(rows[i], Round{seconds, before, last})
		}
		if done {
			break
		}
	}
	return nil
}

// Figure is a quantity over quiet rounds.
type Figure struct {
	Median   float64   `json:"median"`
	Interval []float64 `json:"interval,omitempty"` // of the median, at 95 %; absent if there are fewer than FewestRounds
	Least    float64   `json:"least"`
	Most     float64   `json:"most"`
}

// figure is nil without rounds.
func figure(x []float64) *Figure {
	if len(x) == 0 {
		return nil
	}
	x = slices.Sorted(slices.Values(x))
	f := &Figure{Median: median(x), Least: x[0], Most: x[len(x)-1]}
	if low, high, ok := medianInterval(x); ok {
		f.Interval = []float64{low, high}
	}
	return f
}

// Value is the median, or NaN if there is no quiet round.
func (f *Figure) Value() float64 {
	if f == nil {
		return math.NaN()
	}
	return f.Median
}

// Count is how many rounds a row has.
type Count struct {
	Quiet     int `json:"quiet_rounds"`
	Discarded int `json:"discarded_rounds"`
}

func (rs Rounds) count(usual float64) Count {
	n := len(rs.quiet(usual))
	return Count{n, len(rs) - n}
}
