package schema

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
)

// limits is an interval. Its ends are kept as text, so that whole numbers are exact.
type limits struct {
	lo, hi         string // "" for none
	loOpen, hiOpen bool   // the end itself is outside
}

var limitsNone limits

// parseLimits reads an interval such as [1,100], [0,1) or (0,). It panics on anything else, because that is a mistake in a tag.
func parseLimits(s string) limits {
	lo, hi, ok := strings.Cut(s, ",")
	if !ok || len(lo) < 1 || len(hi) < 1 || !strings.ContainsAny(lo[:1], "[(") || !strings.ContainsAny(hi[len(hi)-1:], ")]") {
		panic("schema: limits " + s)
	}
	l := limits{lo: lo[1:], hi: hi[:len(hi)-1], loOpen: lo[0] == '(', hiOpen: hi[len(hi)-1] == ')'}
	for _, end := range []string{l.lo, l.hi} {
		if _, err := strconv.ParseFloat(end, 64); end != "" && err != nil {
			panic("schema: limits " + s)
		}
	}
	return l
}

func (l limits) contain(x float64) bool {
	if lo, err := strconv.ParseFloat(l.lo, 64); err == nil && (x < lo || l.loOpen && x == lo) {
		return false
	}
	if hi, err := strconv.ParseFloat(l.hi, 64); err == nil && (x > hi || l.hiOpen && x == hi) {
		return false
	}
	return true
}

// ints returns the least and the greatest whole number that a key of this kind may have. TOML has no number above MaxInt64.
func (l limits) ints(kind reflect.Kind) (lo, hi *big.Int) {
	lo, hi = big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)
	if kind == reflect.Uint64 {
		lo.SetInt64(0)
	}
	if l.lo != "" {
		lo.SetString(l.lo, 10)
	}
	if l.hi != "" {
		hi.SetString(l.hi, 10)
	}
	return lo, hi
}

// text describes the interval: "at least 1", "0 to 1", "at least 0 and less than 1".
func (l limits) text(kind reflect.Kind) string {
	if kind == reflect.Uint64 && l == limitsNone {
		return fmt.Sprintf("0 to %d", math.MaxInt64)
	}
	var lo, hi string
	switch {
	case l.lo != "" && l.loOpen:
		lo = "more than " + l.lo
	case l.lo != "":
		lo = "at least " + l.lo
	}
	switch {
	case l.hi != "" && l.hiOpen:
		hi = "less than " + l.hi
	case l.hi != "":
		hi = "at most " + l.hi
	}
	switch {
	case lo != "" && hi != "" && !l.loOpen && !l.hiOpen:
		return l.lo + " to " + l.hi
	case lo != "" && hi != "":
		return lo + " and " + hi
	case lo+hi != "":
		return lo + hi
	case kind == reflect.Float64:
		return "a finite number"
	}
	return fmt.Sprintf("%d to %d", math.MinInt64, math.MaxInt64)
}
