// Package mutation puts small faults into Go code and looks whether its tests notice them.
//
// A list of faults is a text of records, with blank lines between them:
//
//	flight.go TestSporadicKills|TestWantedTarget
//	- m.target/2
//	+ m.target/4
//
// The first line has the file and the tests that should fail, as go test -run takes them; then come what is in the file exactly
// once, line by line, and what takes its place. A record that ends with "= reason" is a fault that no test can notice.
package mutation

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
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
	mutants = slices.DeleteFunc(mutants, func(m Mutant) bool { return !only.MatchString(m.File) })
	if len(mutants) == 0 {
		t.Skip("no mutants of such files")
	}
	sound, binaries, err := p.build(t.TempDir(), mutants)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	caught, reasoned := 0, 0
	passes := map[string]*sync.Once{} // tests, without a fault
	for _, m := range mutants {
		passes[m.Tests] = &sync.Once{}
	}
	work := make(chan int)
	var group sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := range work {
				m := mutants[i]
				passes[m.Tests].Do(func() {
					if out, err := p.run(t, sound, -1, m.Tests); err != nil {
						t.Errorf("%s without a fault: %v\n%s", m.Tests, err, out)
					}
				})
				begin := time.Now()
				out, err := p.run(t, binaries[i], i, m.Tests)
				noticed := err != nil
				mu.Lock()
				name := fmt.Sprintf("%s:%d: %s: %q → %q", filepath.Base(list), m.Line, m.File, m.Old, m.New)
				switch {
				case !noticed && m.Reason == "":
					t.Errorf("nothing notices %s", name)
				case noticed && m.Reason != "":
					t.Errorf("%s is noticed: %s", name, firstFault(out))
				case noticed:
					caught++
					t.Logf("%.1f s: %s: %s", time.Since(begin).Seconds(), name, firstFault(out))
				default:
					reasoned++
				}
				mu.Unlock()
			}
		})
	}
	for i := range mutants {
		work <- i
	}
	close(work)
	group.Wait()
	t.Logf("%d mutants: %d noticed, %d that cannot be", len(mutants), caught, reasoned)
}

// variable is the environment variable with the number of the mutant in a test binary; -1: none.
const variable = "COIL_MUTANT"

// build returns the test binary of each mutant. All that are within functions share one, in which a function begins with its
// mutants and which has no fault with mutant -1; each of the others has its own.
func (p Package) build(dir string, mutants []Mutant) (together string, binaries []string, err error) {
	binaries = make([]string, len(mutants))
	together = filepath.Join(dir, "together")
	merged := map[string][]int{} // mutants of a file
	for i, m := range mutants {
		source, err := os.ReadFile(filepath.Join(p.Dir, m.File))
		if err != nil {
			return "", nil, err
		}
		if n := strings.Count(string(source), m.Old); n != 1 {
			return "", nil, fmt.Errorf("line %d: %d places in %s, want 1", m.Line, n, m.File)
		}
		if f, err := functionAt(m.File, source, m.Old); err != nil {
			return "", nil, err
		} else if f != nil {
			binaries[i], merged[m.File] = together, append(merged[m.File], i)
			continue
		}
		binaries[i] = filepath.Join(dir, fmt.Sprint("alone", i))
		if err := p.compile(binaries[i], map[string]string{m.File: strings.Replace(string(source), m.Old, m.New, 1)}); err != nil {
			return "", nil, fmt.Errorf("line %d: %w", m.Line, err)
		}
	}
	files := map[string]string{}
	for file, of := range merged {
		source, err := os.ReadFile(filepath.Join(p.Dir, file))
		if err != nil {
			return "", nil, err
		}
		text, name, err := merge(file, source, mutants, of)
		if err != nil {
			return "", nil, err
		}
		files[file] = text
		files["mutant_number.go"] = fmt.Sprintf("package %s\n\nimport (\n\t\"os\"\n\t\"strconv\"\n)\n\nvar mutant_, _ = strconv.Atoi(os.Getenv(%q))\n", name, variable)
	}
	return together, binaries, p.compile(together, files)
}

// functionAt returns the function whose body has the text, or nil.
func functionAt(file string, source []byte, text string) (*ast.FuncDecl, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, source, 0)
	if err != nil {
		return nil, err
	}
	at := strings.Index(string(source), text)
	for _, d := range tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && set.Position(f.Body.Lbrace).Offset < at && at+len(text) <= set.Position(f.Body.Rbrace).Offset {
			return f, nil
		}
	}
	return nil, nil
}

// merge puts mutants before the functions' own bodies.
func merge(file string, source []byte, mutants []Mutant, of []int) (text, name string, err error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, source, 0)
	if err != nil {
		return "", "", err
	}
	var b strings.Builder
	done := 0
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from, to := set.Position(f.Body.Lbrace).Offset+1, set.Position(f.Body.Rbrace).Offset
		body := string(source[from:to])
		b.Write(source[done:from])
		for _, i := range of {
			if m := mutants[i]; strings.Contains(body, m.Old) {
				fmt.Fprintf(&b, "\nif mutant_ == %d {\n%s\n", i, strings.Replace(body, m.Old, m.New, 1))
				if f.Type.Results == nil {
					b.WriteString("return\n")
				}
				b.WriteString("}\n")
			}
		}
		done = from
	}
	b.Write(source[done:])
	return b.String(), tree.Name.Name, nil
}

// compile makes a test binary in which files have another text.
func (p Package) compile(binary string, files map[string]string) error {
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return err
	}
	replace := map[string]string{}
	for file, text := range files {
		path := fmt.Sprintf("%s.%s", binary, file)
		replace[filepath.Join(dir, file)] = path
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			return err
		}
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err == nil {
		err = os.WriteFile(binary+".json", overlay, 0o666)
	}
	if err != nil {
		return err
	}
	command := exec.Command("go", append(append([]string{"test", "-c", "-o", binary, "-overlay", binary + ".json"}, p.Args...), p.Path)...)
	command.Env = p.Env
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", command, err, out)
	}
	return nil
}

// run runs tests of a mutant.
func (p Package) run(t *testing.T, binary string, mutant int, tests string) (out string, err error) {
	const timeout = 2 * time.Minute // a mutant may run for ever
	ctx, cancel := context.WithTimeout(t.Context(), 2*timeout)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "-test.timeout="+timeout.String(), "-test.run="+tests)
	command.Dir = p.Dir
	if command.Env = p.Env; command.Env == nil {
		command.Env = os.Environ()
	}
	command.Env = append(slices.Clone(command.Env), fmt.Sprintf("%s=%d", variable, mutant))
	b, err := command.CombinedOutput()
	if strings.Contains(string(b), "no tests to run") {
		t.Errorf("no test matches %s", tests)
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
