package format

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// each compares texts with what is wanted, by what is written.
func each[X any](t *testing.T, write func(X) string, want []string, of ...X) {
	t.Helper()
	for i, x := range of {
		if got := write(x); got != want[i] {
			t.Errorf("%v is %q, want %q", x, got, want[i])
		}
	}
}

func TestCount(t *testing.T) {
	each(t, Count[int64], []string{"0", "999", "1 000", "50 112", "-999", "-1 000", "-9 223 372 036 854 775 808"}, 0, 999, 1000, 50112, -999, -1000, math.MinInt64)
	each(t, Count[uint64], []string{"18 446 744 073 709 551 615"}, math.MaxUint64)
	each(t, func(n int) string { return Plural(n, "worker") }, []string{"0 workers", "1 worker", "2 workers", "1 200 workers"}, 0, 1, 2, 1200)
	if got := NoBreak(Count(50112)); got != "50\u202f112" {
		t.Errorf("%q", got)
	}
}

func TestPercent(t *testing.T) {
	one := func(x float64) string { return Percent(x, 1) }
	each(t, one, []string{"0.0 %", "100.0 %", "93.4 %", "-12.0 %", "250.0 %", "NaN", "+Inf"}, 0, 1, 0.934, -0.12, 2.5, math.NaN(), math.Inf(1))
	each(t, one, []string{">99.9 %", "<100.1 %", "<0.1 %", ">-0.1 %", "99.9 %", "0.1 %"}, 0.9997, 1.0003, 1e-9, -1e-9, 0.9994, 0.0006)
	third := 1.0 / 49
	sum := 0.0
	for range 49 {
		sum += third
	}
	if sum == 1 {
		t.Fatal("the sum is exact and shows nothing")
	}
	each(t, one, []string{"100.0 %", "0.0 %"}, sum, math.Copysign(0, -1))
	each(t, func(x float64) string { return Percent(x, 0) }, []string{">99 %", "<1 %", "99 %", "1 %"}, 0.999, 0.001, 0.991, 0.009)
	each(t, func(x float64) string { return Change(x, 1) }, []string{"0.0", "+1.2", "-0.4", "<+0.1", ">-0.1", "+100.0"}, 0, 0.012, -0.004, 0.0001, -0.0001, 1)
}

// What is neither nothing nor all never reads as that.
func TestPercentIsNotRoundedToNothingOrAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(2, 1e6).Draw(t, "examples")
		right := rapid.IntRange(1, total-1).Draw(t, "right")
		digits := rapid.IntRange(0, 3).Draw(t, "digits")
		text := Points(float64(right)/float64(total), digits)
		v, err := strconv.ParseFloat(strings.TrimLeft(text, "<>"), 64)
		if err != nil || v == 0 && text[0] != '>' || v >= 100 {
			t.Errorf("%d of %d is %q", right, total, text)
		}
	})
}

func TestFixed(t *testing.T) {
	each(t, func(x float64) string { return Fixed(x, 4) }, []string{"0.0000", "1.2346", "3e-05", "-3e-05", "0.0001", "NaN", "1e+12", "1.8e+308"},
		0, 1.23456, 3e-5, -3e-5, 0.00006, math.NaN(), 1e12, math.MaxFloat64)
}

func TestNumber(t *testing.T) {
	each(t, Number, []string{"0", "0.0012", "15k", "9999", "1.3M", "4e-07", "-2.5", "NaN", "+Inf", "1e+20", "0.3333"},
		0, 0.0012, 15000, 9999, 1.3e6, 4e-7, -2.5, math.NaN(), math.Inf(1), 1e20, 1.0/3)
	each(t, Number, []string{"1M", "10k", "-10k", "999.9k", "1.8e+308", "4.94e-324", "-Inf", "0.0001", "12.35k", "1e+15"},
		999960, 9999.6, -9999.6, 999900, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(-1), 0.0001, 12345.6, 999.99999e12)
	rapid.Check(t, func(t *rapid.T) {
		if text := Number(rapid.Float64().Draw(t, "x")); len(text) > len("-0.0001234") {
			t.Fatalf("%q is long", text)
		}
	})
}

func TestSI(t *testing.T) {
	flops := func(x float64) string { return SI(x, "FLOP/s") }
	each(t, flops, []string{"0 FLOP/s", "512 FLOP/s", "28.9 kFLOP/s", "1 MFLOP/s", "999 kFLOP/s", "3 TFLOP/s", "-1.5 GFLOP/s", "1e-09 FLOP/s", "+Inf FLOP/s", "1.8e+290 EFLOP/s"},
		0, 512, 28912, 999600, 999400, 3e12, -1.5e9, 1e-9, math.Inf(1), math.MaxFloat64)
	each(t, func(x float64) string { return SI(x, "") }, []string{"512", "28.9 k", "NaN"}, 512, 28912, math.NaN())
	if got := Rate(13412, "tokens"); got != "13.41k tokens/s" {
		t.Error(got)
	}
}

func TestBytes(t *testing.T) {
	each(t, Bytes[int64], []string{"0 B", "512 B", "1023 B", "1 KiB", "5 MiB", "1.5 GiB", "24 GiB", "1023 MiB", "1 GiB", "-5 MiB", "8 EiB"},
		0, 512, 1023, 1024, 5<<20, 3<<29, 24<<30, 1023<<20, 1<<30-1, -5<<20, math.MaxInt64)
	each(t, Bytes[float64], []string{"NaN", "1 TiB"}, math.NaN(), 1<<40)
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	each(t, Duration, []string{"0 s", "4.2 µs", "420 ms", "1 s", "1.4 s", "2 s", "9.9 s", "10 s", "42 s", "1 m 00 s", "3 m 05 s", "1 h 00 m", "2 h 07 m", "47 h 59 m", "2 d 00 h", "3 d 04 h", "-3 m 05 s"},
		0, 4200, 420*time.Millisecond, 999600*time.Microsecond, 1400*time.Millisecond, 2*time.Second, 9940*time.Millisecond, 9960*time.Millisecond, 42*time.Second,
		59600*time.Millisecond, 185*time.Second, 3599500*time.Millisecond, 7620*time.Second, 2*day-time.Minute, 2*day-time.Second, 3*day+4*time.Hour, -185*time.Second)
	each(t, Seconds, []string{"NaN s", "+Inf s", "1e+20 s", "1e-09 s", "999 d 23 h", "2.74 years", "31.7 years"}, math.NaN(), math.Inf(1), 1e20, 1e-9, 1000*86400-3600, 1000*86400, 1e9)
}

// A longer time never reads as a shorter one.
func TestDurationsAreInOrder(t *testing.T) {
	read := func(s string) float64 {
		units := map[string]float64{"µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "years": 365.25 * 86400}
		fields, sum := strings.Fields(s), 0.0
		for len(fields) > 0 {
			unit := 1
			for units[fields[unit]] == 0 {
				unit++
			}
			x, err := strconv.ParseFloat(strings.Join(fields[:unit], ""), 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += x * units[fields[unit]]
			fields = fields[unit+1:]
		}
		return sum
	}
	last := 0.0
	for s := 1e-6; s < 9e9; s *= 1.0007 {
		text := Seconds(s)
		v := read(text)
		if v < last || v < 0.9*s || v > 1.1*s {
			t.Fatalf("%g s is %q, after %g s", s, text, last)
		}
		last = v
	}
}
