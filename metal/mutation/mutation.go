// Package mutation puts small faults into Go code and looks whether its tests notice them.
//
// A list of faults is a text of records, with blank lines between them:
//
//	flight.go TestSporadicKills|TestWantedTarget
//	- m.target/2
//	+ m.target/4
//
// The first line has the file and a regular expression of the tests that should fail; then come what is in the file exactly
// once, line by line, and what takes its place. A record that ends with "= reason" is a fault that no test can notice.
package mutation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mutant is one fault.
type Mutant struct {
	File, Tests string
	Old, New    string
	Reason      string // why no test can notice it; "": one must
	Line        int    // in the list
}

// Parse reads a list.
func Parse(text string) (mutants []Mutant, err error) {
	var old, fresh []string
	var m *Mutant
	end := func() error {
		if m == nil {
			return nil
		}
		if m.Old, m.New = strings.Join(old, "\n"), strings.Join(fresh, "\n"); m.Old == "" || m.Old == m.New {
			return fmt.Errorf("line %d: the fault changes nothing", m.Line)
		}
		mutants = append(mutants, *m)
		m, old, fresh = nil, nil, nil
		return nil
	}
	for i, line := range strings.Split(text+"\n", "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "":
			if err := end(); err != nil {
				return nil, err
			}
		case mark == "#":
		case m == nil:
			m = &Mutant{File: mark, Tests: rest, Line: i + 1}
		case mark == "-":
			old = append(old, rest)
		case mark == "+":
			fresh = append(fresh, rest)
		case mark == "=":
			m.Reason = rest
		default:
			return nil, fmt.Errorf("line %d: want a line that begins with - + or =", i+1)
		}
		if m != nil && (m.Tests == "" || !strings.HasSuffix(m.File, ".go")) {
			return nil, fmt.Errorf("line %d: want a Go file and its tests", m.Line)
		}
	}
	return mutants, nil
}

// Package is the code that is tested.
type Package struct {
	Dir  string   // of the files
	Path string   // for go test
	Env  []string // nil: that of the process
	Args []string // for go test besides
}

// Test tries the mutants of a list, several at once. A mutant that no test notices fails the test, and so does one with a
// reason that is noticed. Only those are tried whose file matches only.
func Test(t *testing.T, p Package, list string, only *regexp.Regexp) {
	t.Helper()
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	mutants, err := Parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	var tests []string
	wanted := mutants[:0]
	for _, m := range mutants {
		if only.MatchString(m.File) {
			wanted, tests = append(wanted, m), append(tests, m.Tests)
		}
	}
	if len(wanted) == 0 {
		t.Skip("no mutants of such files")
	}
	if out, err := p.run(t, strings.Join(tests, "|"), "", 10*time.Minute); err != nil {
		t.Fatalf("without a fault: %v\n%s", err, out)
	}
	var mu sync.Mutex
	caught, reasoned := 0, 0
	work := make(chan Mutant)
	var group sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for m := range work {
				begin := time.Now()
				noticed, err := p.try(t, m)
				mu.Lock()
				name := fmt.Sprintf("%s:%d: %s: %q → %q", filepath.Base(list), m.Line, m.File, m.Old, m.New)
				t.Logf("%.1f s: %s: %s", time.Since(begin).Seconds(), name, noticed)
				switch {
				case err != nil:
					t.Errorf("%s: %v", name, err)
				case noticed == "" && m.Reason == "":
					t.Errorf("nothing notices %s", name)
				case noticed != "" && m.Reason != "":
					t.Errorf("%s is noticed: %s", name, noticed)
				case noticed != "":
					caught++
				default:
					reasoned++
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range wanted {
		work <- m
	}
	close(work)
	group.Wait()
	t.Logf("%d mutants: %d noticed, %d that cannot be", len(wanted), caught, reasoned)
}

// timeout of a mutant, which may run for ever.
const timeout = 2 * time.Minute

// try returns what the tests say of a mutant, "" if they pass.
func (p Package) try(t *testing.T, m Mutant) (noticed string, err error) {
	path, err := filepath.Abs(filepath.Join(p.Dir, m.File))
	if err != nil {
		return "", err
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.Old); n != 1 {
		return "", fmt.Errorf("%d places in the file, want 1", n)
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, m.File), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err == nil {
		err = errors.Join(os.WriteFile(changed, []byte(strings.Replace(string(source), m.Old, m.New, 1)), 0o666), os.WriteFile(overlay, replace, 0o666))
	}
	if err != nil {
		return "", err
	}
	out, err := p.run(t, m.Tests, overlay, timeout)
	if err == nil {
		return "", nil
	}
	if strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]") {
		return "", fmt.Errorf("it does not compile:\n%s", out)
	}
	return firstFault(out), nil
}

// run runs tests of the package.
func (p Package) run(t *testing.T, tests, overlay string, limit time.Duration) (out string, err error) {
	args := append([]string{"test", "-count=1", "-vet=off", "-timeout=" + limit.String(), "-run=^(" + tests + ")$"}, p.Args...)
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit) // building counts too
	defer cancel()
	command := exec.CommandContext(ctx, "go", append(args, p.Path)...)
	command.Env = p.Env
	b, err := command.CombinedOutput()
	if strings.Contains(string(b), "no tests to run") {
		return string(b), fmt.Errorf("no test matches %s", tests)
	}
	return string(b), err
}

var faultRE = regexp.MustCompile(`(?m)^(\s+\S+_test\.go:\d+: .*|panic: .*|fatal error: .*|signal: .*|standin: .*|SIG\w+: .*)$`)

// firstFault is the line of a failed test's output that says most.
func firstFault(out string) string {
	s := strings.TrimSpace(faultRE.FindString(out))
	if s == "" {
		s = strings.TrimSpace(out)
	}
	return s[:min(len(s), 160)]
}
