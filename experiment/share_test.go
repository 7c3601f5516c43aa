package experiment

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"coil/backend/cpu"
	"coil/run"
	"coil/thorough"
)

// childVariable names the folder of experiments in the environment of a process that shares the work of another test.
const childVariable = "COIL_TEST_SHARE"

// busyCode is the exit code for ErrBusy.
const busyCode = 75

// share does in this process what coil experiment does: it makes the folder, trains the free cells, and writes the results.
func share(root string) error {
	g, err := Parse("grid", []byte(tiny))
	if err != nil {
		return err
	}
	f, err := remake(root, g)
	if err != nil {
		return err
	}
	b, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		return err
	}
	defer b.Close()
	m, err := f.Monitor()
	if err != nil {
		return err
	}
	defer m.Close()
	for _, c := range f.Cells {
		if _, err := m.Poll(); err != nil {
			return err
		}
		if err := f.Train(c, b, nil, nil); err != nil && !errors.Is(err, ErrBusy) {
			return fmt.Errorf("%s: %w", c.Title(), err)
		}
	}
	_, _, err = f.Write()
	return err
}

// TestShareChild is a process of TestShared.
func TestShareChild(t *testing.T) {
	root := os.Getenv(childVariable)
	if root == "" {
		t.Skip("it is a part of TestShared")
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n') // all start at once
	if err := share(root); err != nil {
		t.Fatal(err)
	}
}

// Eight processes that start one experiment at the same moment share its work, and none of them fails.
func TestShared(t *testing.T) {
	thorough.Skip(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		root := t.TempDir()
		begin := make(chan struct{})
		type end struct {
			out string
			err error
		}
		ends := make(chan end)
		const processes = 8
		ready := make(chan error, processes)
		for range processes {
			go func() {
				cmd := exec.Command(program, "-test.run", "^TestShareChild$", "-test.v")
				cmd.Env = append(os.Environ(), childVariable+"="+root)
				var out strings.Builder
				cmd.Stderr = &out
				in, err1 := cmd.StdinPipe()
				said, err2 := cmd.StdoutPipe()
				err := errors.Join(err1, err2, cmd.Start())
				ready <- err
				if err != nil {
					ends <- end{"", err}
					return
				}
				lines := bufio.NewScanner(said)
				<-begin
				in.Write([]byte("\n"))
				for lines.Scan() {
					out.WriteString(lines.Text() + "\n")
				}
				ends <- end{out.String(), cmd.Wait()}
			}()
		}
		for range processes {
			if err := <-ready; err != nil {
				t.Error(err)
			}
		}
		close(begin)
		for range processes {
			if e := <-ends; e.err != nil {
				t.Errorf("%v:\n%s", e.err, e.out)
			}
		}
		if t.Failed() {
			return
		}
		// A cell that was left to another for a moment only is free again.
		if err := share(root); err != nil {
			t.Fatal(err)
		}
		f, err := Open(filepath.Join(root, "tiny"))
		if err != nil {
			t.Fatal(err)
		}
		if r := gathered(t, f); r.Finished != len(f.Cells) || len(r.Failed) != 0 {
			t.Errorf("%d cells are finished, %v failed", r.Finished, r.Failed)
		}
	}
}

// Whatever a process has left that was killed while it made the folder, the next one takes it up.
func TestMakeTakenUp(t *testing.T) {
	whole := makeFolder(t, t.TempDir(), tiny)
	text, err := os.ReadFile(filepath.Join(whole.Path, gridName))
	if err != nil {
		t.Fatal(err)
	}
	steps := []func(dir string) error{
		func(dir string) error { return os.Mkdir(dir, 0o777) },
		func(dir string) error { return os.WriteFile(filepath.Join(dir, lockName), nil, 0o666) },
		func(dir string) error { return os.Mkdir(filepath.Join(dir, cellsName), 0o777) },
		func(dir string) error {
			return os.WriteFile(filepath.Join(dir, gridName+".tmp"), text[:len(text)/2], 0o666)
		},
		func(dir string) error { return os.WriteFile(filepath.Join(dir, gridName+".tmp"), text, 0o666) },
		func(dir string) error {
			return os.Rename(filepath.Join(dir, gridName+".tmp"), filepath.Join(dir, gridName))
		},
	}
	for n := range len(steps) + 1 {
		root := t.TempDir()
		for _, step := range steps[:n] {
			if err := step(filepath.Join(root, "tiny")); err != nil {
				t.Fatal(err)
			}
		}
		f, err := remake(root, parsed(t, tiny))
		if err != nil {
			t.Errorf("after %d steps: %v", n, err)
			continue
		}
		if got, err := os.ReadFile(filepath.Join(f.Path, gridName)); err != nil || string(got) != string(text) {
			t.Errorf("after %d steps: %v, and the grid is\n%s", n, err, got)
		}
	}
}

// Whatever a process has left that was killed while it made a cell's run, the next one takes it up.
func TestCellTakenUp(t *testing.T) {
	t.Parallel()
	f := makeFolder(t, t.TempDir(), tiny)
	c := f.Cells[0]
	b := newBackend(t)
	made := []string{"run.json", "events.jsonl", "checkpoints", "config.toml", "run.lock"} // the last first
	for n := range len(made) + 1 {
		if err := os.RemoveAll(f.RunPath(c)); err != nil {
			t.Fatal(err)
		}
		r, err := run.CreateAt(f.RunPath(c), c.Config.Encode(), run.Info{})
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		for _, name := range made[:n] {
			if err := os.Remove(filepath.Join(f.RunPath(c), name)); err != nil {
				t.Fatal(err)
			}
		}
		if s, why, err := f.State(c); s != Waiting || err != nil {
			t.Errorf("without %v it is %v, %q, %v", made[:n], s, why, err)
		}
		if err := f.Train(c, b, nil, nil); err != nil {
			t.Errorf("without %v: %v", made[:n], err)
		}
		if s, why, err := f.State(c); s != Done || err != nil {
			t.Errorf("without %v it ends as %v, %q, %v", made[:n], s, why, err)
		}
	}
}

// Measures say which configuration they are of, whatever the run's says by now; garbled ones are noticed, and measured again.
func TestMeasuresAreSealed(t *testing.T) {
	f := makeFolder(t, t.TempDir(), tiny)
	c, b := f.Cells[0], newBackend(t)
	if err := f.Train(c, b, nil, nil); err != nil {
		t.Fatal(err)
	}
	other := c
	other.Config.Train.Rate = 0.5
	r, err := run.Open(f.RunPath(c))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.SetConfig(other.Config.Encode()), r.Close()); err != nil {
		t.Fatal(err)
	}
	if s, why, err := f.State(other); s != Failed || !strings.Contains(why, "train.rate = 0.01 there, and 0.5 here") || err != nil {
		t.Errorf("%v, %q, %v", s, why, err)
	}
	if s, why, err := f.State(c); s != Done || err != nil {
		t.Errorf("%v, %q, %v", s, why, err)
	}

	c = f.Cells[1]
	if err := f.Train(c, b, nil, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.RunPath(c), measuresName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(whole), `"parameters": `) + len(`"parameters": `)
	garbled := bytes.Clone(whole)
	garbled[at] ^= 1 // another digit
	if err := os.WriteFile(path, garbled, 0o666); err != nil {
		t.Fatal(err)
	}
	if s, why, err := f.State(c); s != Failed || !strings.Contains(why, "measures.json is damaged") || err != nil {
		t.Errorf("%v, %q, %v", s, why, err)
	}
	if err := f.Train(c, b, nil, nil); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, whole) {
		t.Errorf("%v, and the measures are\n%s\nwant\n%s", err, again, whole)
	}
}

// A grid's folder is below the folder of experiments, whatever the grid is called.
func TestNameOfGrid(t *testing.T) {
	for _, name := range []string{"", ".", "..", "...", "-", "a/b", "../a", `a\b`, "a\nb", "a b"} {
		root := filepath.Join(t.TempDir(), "a", "b")
		g := parsed(t, tiny)
		g.Name = name
		if _, err := remake(root, g); err == nil {
			t.Errorf("%q is a name", name)
		}
		if _, err := os.Stat(filepath.Dir(root)); err == nil {
			t.Errorf("%q: something was made", name)
		}
	}
}

// A key that every cell has from an axis can't be set for all cells; neither can the seed.
func TestSetOfAxis(t *testing.T) {
	g := parsed(t, strings.Replace(tiny, "[measure]", "[[axis]]\nname = \"x\"\n[[axis.choice]]\nname = \"a\"\n[[axis.choice]]\nname = \"b\"\nset = {\"train.rate\" = 0.1}\n[measure]", 1))
	for key, want := range map[string]string{"model.layers": `from the axis "model"`, "train.seed": "set by the seeds", "train.rate": "", "train.steps": ""} {
		value := "1"
		if err := g.Set(key, value); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
	}
}

// A cell counts as finished only if the run in its folder has the cell's configuration, and so does a stage of a grown one.
func TestFinishedOfAnotherConfiguration(t *testing.T) {
	f := makeFolder(t, t.TempDir(), tiny)
	b := newBackend(t)
	if err := f.Train(f.Cells[0], b, nil, nil); err != nil {
		t.Fatal(err)
	}
	c := f.Cells[0]
	if s, _, err := f.State(c); s != Done || err != nil {
		t.Fatalf("%v, %v", s, err)
	}
	f.Cells[0].Config.Train.Rate = 0.5
	if s, why, err := f.State(f.Cells[0]); s != Failed || !strings.Contains(why, "train.rate = 0.01 there, and 0.5 here") || err != nil {
		t.Errorf("%v, %q, %v", s, why, err)
	}
	if r := gathered(t, f); r.Finished != 0 || len(r.Failed) != 1 {
		t.Errorf("%d are finished, and %v failed", r.Finished, r.Failed)
	}
	if err := f.Train(f.Cells[0], b, nil, nil); err == nil || !strings.Contains(err.Error(), "train.rate = 0.01 there") {
		t.Errorf("%v", err)
	}
}

// A process that ends because another has the cell has not failed, and its cell has another turn.
func TestLocalBusy(t *testing.T) {
	t.Parallel()
	f := makeFolder(t, t.TempDir(), tiny)
	turns := map[string]int{}
	l := Local{Jobs: 2, Busy: busyCode, Report: func(Progress) {}, Command: func(c Cell, _ int) *exec.Cmd {
		if turns[c.Name]++; turns[c.Name] == 1 {
			return exec.Command("sh", "-c", fmt.Sprint("exit ", busyCode))
		}
		return exec.Command("true")
	}}
	if err := l.Run(f, nil, nil); err != nil {
		t.Error(err)
	}
	for _, c := range f.Cells {
		if turns[c.Name] != 2 {
			t.Errorf("%s had %d turns", c.Name, turns[c.Name])
		}
	}
}

// What is a sign of the page's own in a title, a question, an axis or a label stays within its cell.
func TestResultsPage(t *testing.T) {
	text := strings.NewReplacer(`"A tiny grid"`, `"A | tiny\n# grid \u001b[2J"`, `"Is it quick?"`, `"Is\nit|quick?"`, `name = "model"`, `name = "mo|del\nof"`,
		`seeds = [1, 2]`, `seeds = [1]`, `values = ["2x1", "1x1", "1x2"]`, `values = ["1x1"]`, "[measure]", `[[axis]]
name = "x"
[[axis.choice]]
name = "a|b\nc\u0007<d>"
[measure]`).Replace(tiny)
	f := makeFolder(t, t.TempDir(), text)
	trainAll(t, f)
	if _, _, err := f.Write(); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(f.Path, "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	var columns []int
	for _, line := range strings.Split(string(page), "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
			t.Errorf("a line has a control character: %q", line)
		}
		if strings.HasPrefix(line, "|") {
			columns = append(columns, strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")-1)
		}
	}
	if !strings.HasPrefix(string(page), "# A \\| tiny # grid \\\\x1b[2J\n\nIs it\\|quick?\n\n") || !strings.Contains(string(page), `| mo\|del of | x |`) ||
		!strings.Contains(string(page), `| a\|b c\\x07&lt;d> |`) {
		t.Errorf("the page is\n%s", page)
	}
	for _, n := range columns[:3] {
		if n != columns[0] {
			t.Errorf("rows of one table have %v columns:\n%s", columns, page)
		}
	}
}
