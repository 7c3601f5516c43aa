package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coil/thorough"
)

// content is a file to save.
func content(name, content string) FileWriter {
	return FileWriter{name, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}}
}

// saveSteps saves small checkpoints.
func saveSteps(t testing.TB, r *Run, steps ...int) {
	t.Helper()
	for _, step := range steps {
		must(r.Save(step, step, []FileWriter{content("model", fmt.Sprint("model ", step)), content("optimizer", fmt.Sprint("optimizer ", step))}))(t)
	}
}

// wholeSteps returns the steps that Checkpoints returns.
func wholeSteps(t testing.TB, r *Run) []int {
	t.Helper()
	steps := []int{}
	for _, c := range must(r.Checkpoints())(t) {
		steps = append(steps, c.Step)
	}
	return steps
}

func inCheckpoints(t testing.TB, r *Run) []string {
	t.Helper()
	return names(t, filepath.Join(r.Path(), checkpointsName))
}

func TestSave(t *testing.T) {
	r := newRun(t)
	if _, err := must(View(r.Path()))(t).Latest(); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("%v, want ErrNoCheckpoint", err)
	}
	type meta struct {
		Seed uint64
		Text string
	}
	want := meta{1<<64 - 1, "<a>\n"}
	big := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB, more than a buffer
	saved := must(r.Save(500, want, []FileWriter{content("b.safetensors", big), content("a", ""), content("123456789", "123456789")}))(t)

	c := must(must(View(r.Path()))(t).Latest())(t)
	if diff := cmp.Diff(saved, c); diff != "" {
		t.Error(diff)
	}
	files := []CheckpointFile{{"b.safetensors", 2 << 20, c.Files[0].CRC32C}, {"a", 0, "00000000"}, {"123456789", 9, "e3069283"}} // the last is the check value that catalogues of CRCs have
	if diff := cmp.Diff(files, c.Files); diff != "" || c.Step != 500 || c.Path != filepath.Join(r.Path(), "checkpoints", "step-000500") || c.Saved.IsZero() {
		t.Errorf("%+v %s", c, diff)
	}
	if got := string(c.Meta); got != string(must(json.Marshal(want))(t)) {
		t.Errorf("meta is %s", got)
	}
	file, size, err := c.Open("b.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := string(must(io.ReadAll(file))(t)); got != big || size != 2<<20 {
		t.Errorf("%d bytes came back, size %d", len(got), size)
	}
	_, _, err = c.Open(manifestName)
	wantError(t, err, c.Path, manifestName)
	if !json.Valid(must(os.ReadFile(filepath.Join(c.Path, manifestName)))(t)) {
		t.Error("the manifest is not JSON")
	}
	if got := inCheckpoints(t, r); !slices.Equal(got, []string{"step-000500"}) {
		t.Errorf("there are %v", got)
	}
}

func TestCheckpointsAscend(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	saveSteps(t, r, 1_000_000, 20, 999_999, 3, 0, 12_345_678)
	want := []int{0, 3, 20, 999_999, 1_000_000, 12_345_678}
	if diff := cmp.Diff(want, wholeSteps(t, r)); diff != "" {
		t.Error(diff)
	}
	if c := must(r.Latest())(t); c.Step != 12_345_678 {
		t.Errorf("the latest is of step %d", c.Step)
	}
	// A folder that only looks like a checkpoint is ignored.
	for _, name := range []string{"step-20", "step-0000020", "step-000030.bak", "step-", "notes", "step-99999999999999999999"} {
		if err := os.Mkdir(filepath.Join(r.Path(), checkpointsName, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, wholeSteps(t, r)); diff != "" {
		t.Error(diff)
	}
	must(r.Latest())(t)
}

func TestSaveOfBadArguments(t *testing.T) {
	r := newRun(t)
	for _, call := range []func(){
		func() { r.Save(-1, nil, nil) },
		func() { r.Save(1, nil, []FileWriter{content("a/b", "")}) },
		func() { r.Save(1, nil, []FileWriter{content("..", "")}) },
		func() { r.Save(1, nil, []FileWriter{content("", "")}) },
		func() { r.Save(1, nil, []FileWriter{content(manifestName, "")}) },
		func() { r.Save(1, nil, []FileWriter{content("a", ""), content("a", "")}) },
		func() { r.Prune(0) },
		func() { r.Rewind(-1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a bad argument did not panic")
				}
			}()
			call()
		}()
	}
	_, err := r.Save(1, func() {}, nil)
	wantError(t, err, "step 1", "unsupported type")
	if got := inCheckpoints(t, r); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestSaveTheSameStepAgain(t *testing.T) {
	r := newRun(t)
	saveSteps(t, r, 1, 2)
	must(r.Save(2, "again", []FileWriter{content("model", "other")}))(t)
	c := must(r.Latest())(t)
	if string(c.Meta) != `"again"` || len(c.Files) != 1 {
		t.Errorf("%+v", c)
	}
	if got := inCheckpoints(t, r); !slices.Equal(got, []string{"step-000001", "step-000002"}) {
		t.Errorf("there are %v", got)
	}
}

// A reader never takes a checkpoint that is being replaced, or pruned, for a damaged one.
func TestLatestWhileSaving(t *testing.T) {
	r := newRun(t)
	saveSteps(t, r, 1)
	v := must(View(r.Path()))(t)
	var stop atomic.Bool
	var reader sync.WaitGroup
	reader.Go(func() {
		for !stop.Load() {
			if _, err := v.Latest(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 60 / thorough.Every(t, 6, "checkpoints") {
		must(r.Save(i/10+1, i, []FileWriter{content("model", strings.Repeat("x", i)), content("optimizer", fmt.Sprint(i))}))(t)
		if err := r.Prune(1); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	reader.Wait()
}

// faulty is a disk whose operations fail: creating, writing after some bytes, syncing, closing.
type faulty struct {
	at    string // the file, "" for any
	room  int    // bytes that can be written
	fail  string // the operation
	cause error
}

func (d *faulty) create(path string) (file, error) {
	hit := d.at == "" || filepath.Base(path) == d.at
	if hit && d.fail == "create" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: d.cause}
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, d, hit}, nil
}

type faultyFile struct {
	*os.File
	disk *faulty
	hit  bool
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if !f.hit || f.disk.fail != "write" {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:min(len(p), f.disk.room)])
	f.disk.room -= n
	if err == nil && n < len(p) {
		err = &fs.PathError{Op: "write", Path: f.Name(), Err: f.disk.cause}
	}
	return n, err
}

func (f *faultyFile) Sync() error {
	if f.hit && f.disk.fail == "sync" {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: f.disk.cause}
	}
	return nil
}

func (f *faultyFile) Close() error {
	if err := f.File.Close(); err != nil || !f.hit || f.disk.fail != "close" {
		return err
	}
	return &fs.PathError{Op: "close", Path: f.Name(), Err: f.disk.cause}
}

// wantOld checks that after a Save that failed, all is as before: a checkpoint of step 4, and one of step 5.
func wantOld(t *testing.T, r *Run) {
	t.Helper()
	if got := inCheckpoints(t, r); !slices.Equal(got, []string{"step-000004", "step-000005"}) {
		t.Errorf("there are %v", got)
	}
	for _, step := range []int{4, 5} {
		if c := must(r.Checkpoint(step))(t); string(c.Meta) != fmt.Sprint(step) {
			t.Errorf("step %d has meta %s", step, c.Meta)
		}
	}
}

func TestFullAfterEveryByte(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	r := newRun(t)
	saveSteps(t, r, 4, 5)
	first, second := strings.Repeat("a", mib+300), strings.Repeat("b", 200)
	files := []FileWriter{content("model", first), content("optimizer", second)}
	at := []int{0, 1, 4096, chunk - 1, chunk, chunk + 1, mib}
	for i := range 3 {
		at = append(at, len(first)-1+i, len(first)+len(second)-1+i)
	}
	for i := 10; ; i += 50 { // through the manifest, until all fits
		room := len(first) + len(second) + i
		disk := &faulty{room: room, fail: "write", cause: syscall.ENOSPC}
		r.create = disk.create
		if _, err := r.Save(6, 6, files); err == nil {
			break
		}
		at = append(at, room)
		wantOld(t, r)
		if i > 5000 {
			t.Fatal("it never fits")
		}
	}
	if err := r.Rewind(5); err != nil { // sets the last aside
		t.Fatal(err)
	}
	if err := r.Prune(2); err != nil {
		t.Fatal(err)
	}
	for _, room := range at {
		for _, step := range []int{5, 6} { // one is there already
			disk := &faulty{room: room, fail: "write", cause: syscall.ENOSPC}
			r.create = disk.create
			_, err := r.Save(step, "new", files)
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("room for %d bytes: %v", room, err)
			}
			name := "model"
			if room >= len(first)+len(second) {
				name = manifestName
			} else if room >= len(first) {
				name = "optimizer"
			}
			free := 1 // the sizes are just above 1 MiB
			if room == 0 || room == 1 {
				free = 2
			}
			wantError(t, err, fmt.Sprintf("save checkpoint of step %d", step), name+": no space left on device",
				"disk full: the checkpoint has 1 MiB", fmt.Sprintf("free at least %d MiB", free), "--out", "the checkpoint of step 5 is intact")
			wantOld(t, r)
		}
	}
	r.create = createFile
	must(r.Save(6, "new", files))(t)
	must(r.Latest())(t)
}

// The number in the error is right: with that much more it fits.
func TestFullSaysHowMuchIsMissing(t *testing.T) {
	r := newRun(t)
	files := []FileWriter{content("a", strings.Repeat("a", 3<<20)), content("b", strings.Repeat("b", 5<<20)), content("c", strings.Repeat("c", 2<<20))}
	for _, c := range []struct {
		disk faulty
		want string
	}{
		{faulty{fail: "write", room: 7 << 20}, "has 10 MiB and only 7 MiB fitted: free at least 4 MiB"},
		{faulty{fail: "write", at: "c", room: 1 << 20}, "has 10 MiB and only 9 MiB fitted: free at least 2 MiB"},
		{faulty{fail: "create", at: "a"}, "has 10 MiB and only 0 B fitted: free at least 11 MiB"},
		{faulty{fail: "sync", at: "b"}, "has 10 MiB and only 3 MiB fitted: free at least 8 MiB"},
		{faulty{fail: "close", at: "b"}, "has 10 MiB and only 3 MiB fitted: free at least 8 MiB"},
	} {
		c.disk.cause = syscall.ENOSPC
		r.create = c.disk.create
		_, err := r.Save(1, nil, files)
		wantError(t, err, c.want, "there is no earlier checkpoint")
	}
	if got := inCheckpoints(t, r); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestSaveOnAFaultyDisk(t *testing.T) {
	t.Parallel()
	causes := thorough.Cases(t, 2, "causes", []error{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT, syscall.EROFS})
	r := newRun(t)
	saveSteps(t, r, 4, 5)
	for _, name := range []string{"model", "optimizer", manifestName} {
		for _, fail := range []string{"create", "write", "sync", "close"} {
			for _, cause := range causes {
				for _, step := range []int{5, 6} {
					disk := &faulty{at: name, fail: fail, room: 3, cause: cause}
					r.create = disk.create
					_, err := r.Save(step, "new", []FileWriter{content("model", "model"), content("optimizer", "optimizer")})
					if !errors.Is(err, cause) {
						t.Fatalf("%s %s fails with %v: %v", fail, name, cause, err)
					}
					wantError(t, err, name, fmt.Sprint("step ", step), "the checkpoint of step 5 is intact")
					wantOld(t, r)
				}
			}
		}
	}
}

// A Write that fails is the caller's error, and no more files are asked for.
func TestSaveWithAWriterThatFails(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	saveSteps(t, r, 4, 5)
	mine := errors.New("mine")
	_, err := r.Save(6, nil, []FileWriter{content("a", "a"), {"b", func(w io.Writer) error {
		io.WriteString(w, "half")
		return mine
	}}, {"c", func(io.Writer) error {
		t.Error("the next file was written")
		return nil
	}}})
	if !errors.Is(err, mine) {
		t.Error(err)
	}
	wantOld(t, r)
}

// A folder that somebody put in the way.
func TestSaveWhereSomethingIs(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	saveSteps(t, r, 4)
	for _, name := range []string{".step-000005.tmp", ".step-000004.tmp", ".step-000004.old", ".step-000004.gone"} {
		path := filepath.Join(r.Path(), checkpointsName, name)
		if err := errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, "x"), nil, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	saveSteps(t, r, 4, 5)
	wantOld(t, r)
}

func TestDamage(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	saveSteps(t, r, 3, 4, 5)
	c := must(r.Latest())(t)
	for _, name := range []string{"model", "optimizer", manifestName} {
		path := filepath.Join(c.Path, name)
		good := must(os.ReadFile(path))(t)
		// damaged checks that the damage is found everywhere, and that the way out is named.
		damaged := func(what string) {
			t.Helper()
			if err := c.Verify(); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("%s of %s: Verify: %v", what, name, err)
			}
			_, err := r.Latest()
			wantError(t, err, path, "step 5, is not whole", "that of step 4 is whole", "coil resume "+r.Path()+" --step 4")
			_, err = r.Checkpoint(5)
			wantError(t, err, path, "that of step 4 is whole")
		}
		for i := range good {
			bad := slices.Clone(good)
			bad[i] ^= 1 << (i % 8)
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("byte %d of %s changed: Verify: %v", i, name, err)
			}
		}
		damaged("a changed byte")
		for n := range good {
			if err := os.WriteFile(path, good[:n], 0o666); err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("%s cut after %d bytes: Verify: %v", name, n, err)
			}
		}
		damaged("a cut")
		if got := wholeSteps(t, r); !slices.Equal(got, []int{3, 4}) {
			t.Errorf("%s is cut, and the whole ones are %v", name, got)
		}
		if name != manifestName {
			_, _, err := c.Open(name)
			wantError(t, err, path, "is damaged", fmt.Sprintf("had %d", len(good)))
		}
		if err := os.WriteFile(path, append(slices.Clone(good), '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
		damaged("an appended byte")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		damaged("the loss")
		if got := wholeSteps(t, r); !slices.Equal(got, []int{3, 4}) {
			t.Errorf("%s is missing, and the whole ones are %v", name, got)
		}
		if err := os.WriteFile(path, good, 0o666); err != nil {
			t.Fatal(err)
		}
		must(r.Latest())(t)
	}
}

// The advice in the error works; if there is no way out, the error says so.
func TestDamageOfMany(t *testing.T) {
	r := newRun(t)
	saveSteps(t, r, 3, 4, 5)
	for i, step := range []int{5, 4, 3} {
		if err := os.WriteFile(filepath.Join(r.checkpointPath(step), "model"), []byte("model X"), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := r.Latest()
		wantError(t, err, "step 5", []string{"that of step 4 is whole", "that of step 3 is whole", "no older one is whole"}[i])
	}
}

// A manifest that is sound but says what it should not.
func TestManifestRefuses(t *testing.T) {
	r := newRun(t)
	saveSteps(t, r, 5)
	for want, m := range map[string]manifest{
		"newer coil":       {Format: 3, Run: r.identity, Step: 5},
		"step 6":           {Format: 1, Run: r.identity, Step: 6},
		`"../../x"`:        {Format: 1, Run: r.identity, Step: 5, Files: []CheckpointFile{{Name: "../../x"}}},
		manifestName:       {Format: 1, Run: r.identity, Step: 5, Files: []CheckpointFile{{Name: manifestName}}},
		"no such fil":      {Format: 1, Run: r.identity, Step: 5, Files: []CheckpointFile{{Name: "other"}}},
		"of another run":   {Format: 2, Run: "another", Step: 5},
		"and so not whole": {Format: 1, Step: 5}, // of format 1, in a run of format 2
	} {
		m.Meta = json.RawMessage("1")
		if err := os.WriteFile(filepath.Join(r.checkpointPath(5), manifestName), must(Seal(m))(t), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := r.Latest()
		wantError(t, err, want)
	}
}

func TestCheckpointOfAStep(t *testing.T) {
	r := newRun(t)
	if _, err := r.Checkpoint(1); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("%v, want ErrNoCheckpoint", err)
	}
	saveSteps(t, r, 3, 4)
	if c := must(r.Checkpoint(3))(t); c.Step != 3 {
		t.Errorf("step %d, want 3", c.Step)
	}
	_, err := r.Checkpoint(5)
	wantError(t, err, r.Path(), "no checkpoint of step 5", "only of 3, 4")
}

func TestPrune(t *testing.T) {
	r := newRun(t)
	for _, c := range []struct {
		keep int
		want []int
	}{{6, []int{1, 2, 3, 4, 5}}, {5, []int{1, 2, 3, 4, 5}}, {3, []int{3, 4, 5}}, {1, []int{5}}, {1, []int{5}}} {
		if c.keep == 6 {
			if err := r.Prune(1); err != nil { // of none
				t.Fatal(err)
			}
			saveSteps(t, r, 1, 2, 3, 4, 5)
		}
		if err := r.Prune(c.keep); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, wholeSteps(t, r)); diff != "" || len(inCheckpoints(t, r)) != len(c.want) {
			t.Errorf("keep %d: %v %s", c.keep, inCheckpoints(t, r), diff)
		}
	}
	// Step 0 stays.
	saveSteps(t, r, 0)
	if err := r.Prune(1); err != nil {
		t.Fatal(err)
	}
	if got := wholeSteps(t, r); !slices.Equal(got, []int{0, 5}) {
		t.Errorf("with a checkpoint of step 0 there are %v", got)
	}
	if err := os.RemoveAll(r.checkpointPath(0)); err != nil {
		t.Fatal(err)
	}
	// One that is damaged does not count as kept.
	saveSteps(t, r, 6, 7)
	if err := os.Remove(filepath.Join(r.checkpointPath(7), "model")); err != nil {
		t.Fatal(err)
	}
	if err := r.Prune(1); err != nil {
		t.Fatal(err)
	}
	if got := wholeSteps(t, r); !slices.Equal(got, []int{6}) {
		t.Errorf("whole are %v, want 6", got)
	}
}

func TestRewindSetsCheckpointsAside(t *testing.T) {
	r := newRun(t)
	saveSteps(t, r, 10, 20, 30)
	if err := r.Rewind(30); err != nil {
		t.Fatal(err)
	}
	if got := wholeSteps(t, r); !slices.Equal(got, []int{10, 20, 30}) {
		t.Errorf("after going back to the latest: %v", got)
	}
	if err := r.Rewind(15); err != nil {
		t.Fatal(err)
	}
	if c := must(r.Latest())(t); c.Step != 10 {
		t.Errorf("after going back to 15, the latest is of step %d", c.Step)
	}
	saveSteps(t, r, 20)
	if err := r.Rewind(10); err != nil { // there is a 20 aside already
		t.Fatal(err)
	}
	want := []string{"step-000010", "step-000020.undone", "step-000030.undone"}
	if got := inCheckpoints(t, r); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = must(Open(r.Path()))(t)
	defer r.Close()
	if got := inCheckpoints(t, r); !slices.Equal(got, want) {
		t.Errorf("after Open there are %v, want %v", got, want)
	}
	if err := r.Prune(9); err != nil {
		t.Fatal(err)
	}
	if got := inCheckpoints(t, r); !slices.Equal(got, want[:1]) {
		t.Errorf("after Prune there are %v", got)
	}
}

// Each state in which a kill can leave a save, made by hand: readers see a whole checkpoint of each step, and so does the next
// process that opens the run, which also cleans up.
func TestRecovery(t *testing.T) {
	t.Parallel()
	for name, moment := range map[string]func(dir string) error{
		"writing": func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/.step-000006.tmp", 0o777), os.WriteFile(dir+"/.step-000006.tmp/model", []byte("mod"), 0o666))
		},
		"rewriting": func(dir string) error {
			return os.CopyFS(dir+"/.step-000005.tmp", os.DirFS(dir+"/step-000004"))
		},
		"the old one moved away": func(dir string) error {
			return errors.Join(os.CopyFS(dir+"/.step-000005.tmp", os.DirFS(dir+"/step-000004")), os.Rename(dir+"/step-000005", dir+"/.step-000005.old"))
		},
		"the new one in place": func(dir string) error {
			return os.CopyFS(dir+"/.step-000005.old", os.DirFS(dir+"/step-000004"))
		},
		"half removed": func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/.step-000005.gone", 0o777), os.WriteFile(dir+"/.step-000005.gone/model", nil, 0o666),
				os.Mkdir(dir+"/.step-000003.gone", 0o777))
		},
		"much at once": func(dir string) error {
			return errors.Join(os.CopyFS(dir+"/.step-000004.old", os.DirFS(dir+"/step-000004")), os.Mkdir(dir+"/.step-000004.gone", 0o777),
				os.Mkdir(dir+"/.step-000004.tmp", 0o777), os.Rename(dir+"/step-000005", dir+"/.step-000005.old"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			saveSteps(t, r, 4, 5)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if err := moment(filepath.Join(r.Path(), checkpointsName)); err != nil {
				t.Fatal(err)
			}
			v := must(View(r.Path()))(t)
			if c := must(v.Latest())(t); c.Step != 5 || string(c.Meta) != "5" {
				t.Errorf("a reader sees %+v", c)
			}
			if got := wholeSteps(t, v); !slices.Equal(got, []int{4, 5}) {
				t.Errorf("a reader sees %v", got)
			}
			r = must(Open(r.Path()))(t)
			defer r.Close()
			wantOld(t, r)
		})
	}
	t.Run("what is not ours stays", func(t *testing.T) {
		r := newRun(t)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(r.Path(), checkpointsName)
		for _, name := range []string{".tmp", ".step-5.tmp", ".step-000005.tmpx", "step-000005.tmp", ".step-000005"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		before := inCheckpoints(t, r)
		r = must(Open(r.Path()))(t)
		defer r.Close()
		if diff := cmp.Diff(before, inCheckpoints(t, r)); diff != "" {
			t.Error(diff)
		}
	})
}

func BenchmarkSave(b *testing.B) {
	r := newRun(b)
	block := make([]byte, 32<<20)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		if _, err := r.Save(1, nil, []FileWriter{{"model", func(w io.Writer) error {
			_, err := w.Write(block)
			return err
		}}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	r := newRun(b)
	c := must(r.Save(1, nil, []FileWriter{content("model", strings.Repeat("x", 32<<20))}))(b)
	b.SetBytes(32 << 20)
	for b.Loop() {
		if err := c.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}
