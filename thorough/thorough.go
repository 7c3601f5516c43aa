// Package thorough says whether the tests run in full. In full they take many minutes, and the gate runs them so. Otherwise each
// slow proof runs on a sample, always the same one, and says so.
package thorough

import (
	"os"
	"testing"
)

// variable names the switch: the tests run in full if its value in the environment is "all".
const variable = "COIL_TESTS"

// On reports whether the tests run in full.
func On() bool { return os.Getenv(variable) == "all" }

// Every is 1 if the tests run in full. Otherwise it is n, and the log says that only every n-th case runs.
func Every(t testing.TB, n int, cases string) int {
	t.Helper()
	if On() {
		return 1
	}
	t.Logf("a sample: 1 of %d %s; %s=all runs all", n, cases, variable)
	return n
}

// Cases returns all cases if the tests run in full. Otherwise it returns the first and every n-th after it, and the log says so.
func Cases[T any](t testing.TB, n int, what string, all []T) []T {
	t.Helper()
	every := Every(t, n, what)
	var some []T
	for i := 0; i < len(all); i += every {
		some = append(some, all[i])
	}
	return some
}

// Skip skips a test, or a part of one, that runs only in full.
func Skip(t testing.TB) {
	t.Helper()
	if !On() {
		t.Skipf("only with %s=all", variable)
	}
}
