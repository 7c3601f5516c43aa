package experiment

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/eval"
	"coil/run"
	"coil/thorough"
	"coil/train"

	"github.com/google/go-cmp/cmp"
)

func newBackend(t *testing.T) backend.Backend {
	t.Helper()
	b, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// remake makes the folder of a grid, whose cells it makes too.
func remake(root string, g Grid) (*Folder, error) {
	cells, err := g.Cells()
	if err != nil {
		return nil, err
	}
	return Make(root, g, cells)
}

func makeFolder(t *testing.T, root, text string) *Folder {
	t.Helper()
	f, err := remake(root, parsed(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func trainAll(t *testing.T, f *Folder) {
	t.Helper()
	b := newBackend(t)
	for _, c := range f.Cells {
		if err := f.Train(c, b, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func gathered(t *testing.T, f *Folder) *Results {
	t.Helper()
	r, err := f.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A cell that was stopped continues, and ends like one that was not; a finished one is not touched again.
func TestTrainGoesOn(t *testing.T) {
	t.Parallel()
	whole, f := makeFolder(t, t.TempDir(), tiny), makeFolder(t, t.TempDir(), tiny)
	trainAll(t, whole)
	b := newBackend(t)
	for _, c := range f.Cells {
		asked := 0
		stop := func() run.Command {
			if asked++; asked == 7 {
				return run.Stop
			}
			return ""
		}
		if err := f.Train(c, b, nil, stop); !errors.Is(err, train.ErrStopped) {
			t.Fatalf("%v", err)
		}
		if s, _, err := f.State(c); err != nil || s != Waiting {
			t.Errorf("%s is %v, %v", c.Name, s, err)
		}
	}
	if r := gathered(t, f); r.Finished != 0 || len(r.Rows) != 0 {
		t.Errorf("%d cells are finished: %v", r.Finished, r.Rows)
	}
	trainAll(t, f)
	for _, c := range f.Cells {
		if s, _, err := f.State(c); err != nil || s != Done {
			t.Errorf("%s is %v, %v", c.Name, s, err)
		}
		a, err := readMeasures(whole.RunPath(c))
		if err != nil {
			t.Fatal(err)
		}
		m, err := readMeasures(f.RunPath(c))
		if err != nil {
			t.Fatal(err)
		}
		a.Seconds, m.Seconds = 0, 0
		if d := cmp.Diff(a, m); d != "" {
			t.Errorf("%s: %s", c.Name, d)
		}
	}
	before := map[string]os.FileInfo{}
	look := func(check bool) {
		for _, c := range f.Cells {
			for _, name := range []string{"events.jsonl", measuresName} {
				path := filepath.Join(f.RunPath(c), name)
				fi, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if was := before[path]; check && (was.ModTime() != fi.ModTime() || was.Size() != fi.Size()) {
					t.Errorf("%s was written again", path)
				}
				before[path] = fi
			}
		}
	}
	look(false)
	trainAll(t, f)
	look(true)
	// What was killed between the end of training and the measures is only measured.
	c := f.Cells[0]
	if err := os.Remove(filepath.Join(f.RunPath(c), measuresName)); err != nil {
		t.Fatal(err)
	}
	trainAll(t, f)
	if events := filepath.Join(f.RunPath(c), "events.jsonl"); before[events].Size() != sizeOf(t, events) {
		t.Error("it was trained again")
	}
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

// Seeds and values can be added to an experiment, but a cell can't become another one.
func TestChangedGrid(t *testing.T) {
	root := t.TempDir()
	makeFolder(t, root, tiny)
	f := makeFolder(t, root, strings.Replace(tiny, "seeds = [1, 2]", "seeds = [2, 3]", 1))
	if again, err := Open(f.Path); err != nil || again.Cells[1].Seed != 3 {
		t.Errorf("%v, %v", again, err)
	}
	_, err := remake(root, parsed(t, strings.Replace(tiny, "batch = 8", "batch = 9", 1)))
	if err == nil || !strings.Contains(err.Error(), "train.batch = 8 there, and 9 here") {
		t.Errorf("%v", err)
	}
	other := t.TempDir()
	if err := os.MkdirAll(filepath.Join(other, "tiny", "photos"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := remake(other, parsed(t, tiny)); err == nil || !strings.Contains(err.Error(), "holds photos and no grid.toml") {
		t.Errorf("%v", err)
	}
	if _, err := Open(other); err == nil || !strings.Contains(err.Error(), "not the folder of an experiment") {
		t.Errorf("%v", err)
	}
	// A run that somebody put in the place of a cell.
	c := f.Cells[0]
	changed := c
	changed.Config.Train.Batch = 9
	b := newBackend(t)
	if err := f.Train(changed, b, nil, func() run.Command { return run.Stop }); !errors.Is(err, train.ErrStopped) {
		t.Fatal(err)
	}
	if err := f.Train(c, b, nil, nil); err == nil || !strings.Contains(err.Error(), "train.batch = 9 there, and 8 here") {
		t.Errorf("%v", err)
	}
}

// A cell that another process trains is left to it.
func TestBusy(t *testing.T) {
	f := makeFolder(t, t.TempDir(), tiny)
	c := f.Cells[0]
	r, err := run.CreateAt(f.RunPath(c), c.Config.Encode(), run.Info{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if s, who, err := f.State(c); s != Running || !strings.Contains(who, "process") || err != nil {
		t.Errorf("%v, %q, %v", s, who, err)
	}
	if err := f.Train(c, newBackend(t), nil, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
}

// A cell that diverges has failed, and says why; the others count.
func TestFailedCell(t *testing.T) {
	t.Parallel()
	f := makeFolder(t, t.TempDir(), strings.NewReplacer(`seeds = [1, 2]`, `seeds = [1]`, "[measure]", `[[axis]]
name = "rate"
key = "train.rate"
values = [0.01, 1e6]
[measure]`, "warmup = 4", "warmup = 0\nclip = 0.0\nsteps = 60", "steps = 12\n", "").Replace(tiny))
	b := newBackend(t)
	failed := 0
	for _, c := range f.Cells {
		if err := f.Train(c, b, nil, nil); err != nil {
			failed++
			if s, why, err := f.State(c); s != Failed || !strings.Contains(why, "diverged") || err != nil {
				t.Errorf("%v, %q, %v", s, why, err)
			}
		}
	}
	r := gathered(t, f)
	if failed != 3 || len(r.Failed) != 3 || r.Finished != 3 || len(r.Rows) != 3 {
		t.Errorf("%d have failed: %+v", failed, r)
	}
}

// The table has the poster's columns.
func TestTable(t *testing.T) {
	t.Parallel()
	f := makeFolder(t, t.TempDir(), tiny)
	trainAll(t, f)
	r := gathered(t, f)
	table := r.Table()
	var first []string
	for _, row := range table {
		first = append(first, row[0]+" "+row[1])
	}
	if d := cmp.Diff([]string{"model params/FLOPs", "2⊗1 2x/2x", "1⊗1 1x/1x", "1⊗2 1x/2x"}, first); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"model", "params/FLOPs", "accuracy, %", "max", "gap %", "similarity"}, table[0]); d != "" {
		t.Error(d)
	}
	loops := r.LoopTable()
	if d := cmp.Diff([]string{"model", "1", "2", "3", "4"}, loops[0]); d != "" {
		t.Error(d)
	}
	if len(loops) != 2 || !strings.HasSuffix(loops[1][2], "*") {
		t.Errorf("%v", loops)
	}
	if len(r.Fits) != 2 || r.Fits[0].Points != 4 || r.Fits[1].Points != 4 {
		t.Errorf("fits are %+v", r.Fits)
	}
	_, paths, err := f.Write()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if sizeOf(t, p) == 0 {
			t.Errorf("%s is empty", p)
		}
	}
	lines, err := r.CSV()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(lines), "\n"); n != 1+4+2*4 { // a line of each unlooped cell, and one for each loop count of the others
		t.Errorf("%d lines:\n%s", n, lines)
	}
}

// The table of training-free exits has the cheapest threshold of each rule that costs no more than a point on the mean of seeds.
func TestFreeExitTable(t *testing.T) {
	thorough.Skip(t)
	f := makeFolder(t, t.TempDir(), tiny)
	trainAll(t, f)
	r := gathered(t, f)
	table := r.FreeExitTable()
	if d := cmp.Diff([]string{"model", "exit", "threshold", "loops", "saved", "accuracy, %", "after all"}, table[0]); d != "" {
		t.Error(d)
	}
	if len(table) != 1+7 || table[7][1] != "oracle" || table[7][2] != "" { // one looped model
		t.Errorf("the rows are %v", table)
	}
	for i := range r.finished {
		c := &r.finished[i]
		if c.m.HeldOut.Loops == 1 {
			continue
		}
		if n := len(eval.ExitRules(2)); len(c.m.FreeExits) != n {
			t.Fatalf("%d exits, want %d", len(c.m.FreeExits), n)
		}
		first := c.cell.Seed == 1
		exit := func(rule string, threshold, loops, accuracy float64) {
			if first { // the seeds differ, and their mean is the reported one
				loops, accuracy = loops-0.25, accuracy+0.125
			} else {
				loops, accuracy = loops+0.25, accuracy-0.125
			}
			c.m.FreeExits = append(c.m.FreeExits, eval.ExitView{ExitRule: eval.ExitRule{Rule: rule, Threshold: threshold}, Loops: loops, Accuracy: accuracy})
		}
		c.m.FreeExits = nil
		exit("kl", 0.1, 1.75, 0.5)
		exit("kl", 0.2, 1.5, 0.492)
		exit("kl", 0.3, 1.25, 0.485)
		exit("latent-diff", 1, 1.5, 0.25)
		exit("fixed", 1, 1, 0.25)
		exit("fixed", 2, 2, 0.5)
		exit("oracle", 0, 1.25, 0.75)
	}
	want := [][]string{
		{"1⊗2", "kl", "0.2", "1.50 of 2", "25 %", "49.2", "50.0"},
		{"1⊗2", "latent-diff", "none", "2.00 of 2", "0 %", "50.0", "50.0"},
		{"1⊗2", "fixed", "none", "2.00 of 2", "0 %", "50.0", "50.0"},
		{"1⊗2", "oracle", "", "1.25 of 2", "38 %", "75.0", "50.0"},
	}
	if d := cmp.Diff(want, r.FreeExitTable()[1:]); d != "" {
		t.Error(d)
	}
}

// Small processes stand in for cells: what matters is when they are started, stopped and reported.
func TestLocal(t *testing.T) {
	t.Parallel()
	f := makeFolder(t, t.TempDir(), tiny)
	var most, running int
	var seen Progress
	l := Local{Jobs: 2, Workers: 2, Report: func(p Progress) { seen = p }, Command: func(c Cell, workers int) *exec.Cmd {
		if running++; running > most {
			most = running
		}
		if workers != 1 {
			t.Errorf("%d workers", workers)
		}
		return exec.Command("sh", "-c", "echo "+c.Name+"; exit 3")
	}}
	err := l.Run(f, nil, nil)
	if err == nil || strings.Count(err.Error(), "exit status 3") != 6 || running != 6 {
		t.Errorf("%d started: %v", running, err)
	}
	if seen.N != 6 || seen.Done != 0 {
		t.Errorf("%+v", seen)
	}
	for _, c := range f.Cells {
		if text, err := os.ReadFile(f.logPath(c)); err != nil || string(text) != c.Name+"\n" {
			t.Errorf("%s: %q, %v", c.Name, text, err)
		}
	}
	stop := make(chan struct{})
	close(stop)
	l.Command = func(Cell, int) *exec.Cmd { return exec.Command("sleep", "1000") }
	if err := l.Run(f, stop, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("%v", err)
	}
	never, atOnce := make(chan struct{}), make(chan struct{})
	close(atOnce)
	l.Command = func(Cell, int) *exec.Cmd { return exec.Command("sh", "-c", "trap '' TERM; sleep 1000") }
	done := make(chan error)
	go func() { done <- l.Run(f, never, atOnce) }()
	if err := <-done; !errors.Is(err, ErrStopped) {
		t.Errorf("killed: %v", err)
	}
}

// grown is a grid with cells that grow.
var grown = strings.Replace(strings.Replace(tiny, `values = ["2x1", "1x1", "1x2"]`, `values = ["4x1"]`, 1), "[measure]", `[[axis]]
name = "layers"
[[axis.choice]]
name = "whole"
[[axis.choice]]
name = "grown"
grow = { method = "middle", stages = [{ layers = "1x1", steps = 4 }, { layers = "3x1", steps = 6 }] }
[measure]`, 1)

// A grown cell is trained in stages, can continue in any of them, and ends like one that was not stopped.
func TestGrowing(t *testing.T) {
	thorough.Skip(t)
	whole := makeFolder(t, t.TempDir(), grown)
	trainAll(t, whole)
	f := makeFolder(t, t.TempDir(), grown)
	b := newBackend(t)
	c := f.Cells[2]
	if c.Name != "4x1_grown_s1" || len(c.early) != 2 || c.Work() <= f.Cells[0].Work() {
		t.Fatalf("%s has %d stages", c.Name, len(c.early))
	}
	share := 0.0
	for stops := 0; ; stops++ {
		asked := 0
		err := f.Train(c, b, nil, func() run.Command {
			if asked++; asked == 5 {
				return run.Stop
			}
			return ""
		})
		m, bad := f.Monitor()
		if bad != nil {
			t.Fatal(bad)
		}
		p, bad := m.Poll()
		if m.Close(); bad != nil || p.Share <= share { // the stages count
			t.Errorf("after %d stops a share of %g is done, after %g: %v", stops, p.Share, share, bad)
		}
		share = p.Share
		if err == nil && stops < 3 {
			t.Errorf("it was stopped only %d times", stops)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, train.ErrStopped) {
			t.Fatal(err)
		}
	}
	a, err := readMeasures(whole.RunPath(c))
	if err != nil {
		t.Fatal(err)
	}
	m, err := readMeasures(f.RunPath(c))
	if err != nil {
		t.Fatal(err)
	}
	a.Seconds, m.Seconds = 0, 0
	if d := cmp.Diff(a, m); d != "" {
		t.Error(d)
	}
	if r, err := run.View(f.RunPath(c)); err != nil || r.Info().WarmStart == nil || r.Info().WarmStart.Model != "3⊗1" {
		t.Errorf("the copied run has no origin: %v", err)
	}
	for _, bad := range []struct{ from, to, want string }{
		{`"3x1", steps = 6`, `"5x1", steps = 6`, "stage 2: impossible growth"},
		{`"3x1", steps = 6`, `"3x1", steps = 0`, "stage 2: train.steps is 0"},
		{`method = "middle"`, `method = "up"`, `no method "up"`},
	} {
		if err := possible("grid", strings.Replace(grown, bad.from, bad.to, 1)); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v, want %q", err, bad.want)
		}
	}
}

// A damaged run.json takes nothing from a cell or its stages, and the results say that it is damaged.
func TestDamagedInfoIsSaid(t *testing.T) {
	f := makeFolder(t, t.TempDir(), strings.Replace(grown, "seeds = [1, 2]", "seeds = [1]", 1))
	c := f.Cells[1]
	if err := f.Train(c, newBackend(t), nil, nil); err != nil {
		t.Fatal(err)
	}
	damaged := append(slices.Clone(c.early), c)
	for _, c := range damaged {
		if err := os.WriteFile(filepath.Join(f.RunPath(c), "run.json"), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if s, why, err := f.State(c); s != Done || err != nil {
		t.Errorf("the cell is %v, %q, %v", s, why, err)
	}
	m, err := f.Monitor()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p, err := m.Poll()
	if err != nil || !p.Cells[1].Damaged || p.Cells[0].Damaged {
		t.Errorf("whoever follows the cells sees %+v, %v", p.Cells, err)
	}
	r, _, err := f.Write()
	if err != nil {
		t.Fatal(err)
	}
	if r.Finished != 1 || len(damaged) != 3 || len(r.Damaged) != len(damaged) {
		t.Errorf("%d cells are finished, and damaged are %v", r.Finished, r.Damaged)
	}
	for _, file := range []string{"results.md", "results.json"} {
		b, err := os.ReadFile(filepath.Join(f.Path, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range damaged {
			if want := filepath.Join(cellsName, c.Name, "run.json") + " is damaged"; !strings.Contains(string(b), want) || strings.Contains(string(b), f.Path) {
				t.Errorf("%s does not say %q, or has the path of the folder: %s", file, want, b)
			}
		}
	}
}
