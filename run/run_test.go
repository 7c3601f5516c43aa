package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// children are what this test program does when it is started with the name in COIL_TEST_CHILD: tests that need
// another process start it so.
var children = map[string]func(path string) error{
	"hold": childHold,
	"save": childSave,
}

func TestMain(m *testing.M) {
	if child := os.Getenv("COIL_TEST_CHILD"); child != "" {
		if err := children[child](os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// must returns the value of a call that should not fail.
func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantError(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that says %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q:\n%v", text, err)
		}
	}
}

// newRun makes a run that is closed when the test ends.
func newRun(t testing.TB) *Run {
	t.Helper()
	dir := must(filepath.EvalSymlinks(t.TempDir()))(t) // a link on macOS
	r := must(CreateAt(filepath.Join(dir, "run"), []byte("steps = 1\n"), Info{}))(t)
	t.Cleanup(func() { r.Close() })
	return r
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	for _, e := range must(os.ReadDir(dir))(t) {
		names = append(names, e.Name())
	}
	return names
}

func TestCreate(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "runs")
	config := []byte("# as typed \r\nsteps=  7")
	given := Info{Args: []string{"coil", "train"}, Backend: "cpu", Device: "2 cores", Seed: 1<<64 - 1, Parameters: 12}
	r := must(Create(root, "p-hop_16.x", config, given))(t)
	defer r.Close()

	if id := filepath.Base(r.Path()); !regexp.MustCompile(`^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{4}_p-hop_16\.x$`).MatchString(id) || id != r.Info().ID {
		t.Errorf("directory %s, id %s", id, r.Info().ID)
	}
	if diff := cmp.Diff([]string{checkpointsName, configName, eventsName, infoName, lockName}, names(t, r.Path())); diff != "" {
		t.Error(diff)
	}
	v := must(View(r.Path()))(t)
	if got := must(v.Config())(t); string(got) != string(config) {
		t.Errorf("config is %q, want %q", got, config)
	}
	if h := must(v.History())(t); len(h.Log) != 0 {
		t.Errorf("a new run has events: %v", h)
	}
	host := must(os.Hostname())(t)
	info := v.Info()
	if info.Created.IsZero() || !info.Created.Equal(r.Info().Created) {
		t.Errorf("created %v, and read as %v", r.Info().Created, info.Created)
	}
	want := given
	want.ID, want.Name, want.Created = filepath.Base(r.Path()), "p-hop_16.x", info.Created
	want.Host, want.OS, want.Arch, want.CPUs, want.GoVersion = host, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()
	want.Revision, want.Format, want.Identity = info.Revision, infoFormat, r.Identity()
	if len(info.Identity) != 32 {
		t.Errorf("the identity is %q", info.Identity)
	}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Error(diff)
	}
	if link := must(os.Readlink(filepath.Join(root, "latest")))(t); link != info.ID {
		t.Errorf("latest is %s, want %s", link, info.ID)
	}
}

// What the caller knows better about the machine is kept.
func TestCreateKeepsInfo(t *testing.T) {
	given := Info{Host: "mac", OS: "darwin", Arch: "arm64", CPUs: 12, GoVersion: "go1", Revision: "abc", Name: "x"}
	r := must(CreateAt(filepath.Join(t.TempDir(), "here"), nil, given))(t)
	defer r.Close()
	given.ID, given.Created, given.Format, given.Identity = "here", r.Info().Created, infoFormat, r.Identity()
	if diff := cmp.Diff(given, must(View(r.Path()))(t).Info()); diff != "" {
		t.Error(diff)
	}
}

func TestManyRunsInOneSecond(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				r, err := Create(root, "", nil, Info{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	ids := must(List(root))(t)
	if len(ids) != 32 {
		t.Errorf("%d runs, want 32", len(ids))
	}
	if got := names(t, root); len(got) != 33 {
		t.Errorf("more than the runs and latest: %v", got)
	}
	if path := must(Resolve(root, "latest"))(t); !slices.Contains(ids, filepath.Base(path)) {
		t.Errorf("latest is %s", path)
	}
}

func TestCreateRefuses(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a/b", "..\\x", "a b", "ü", "x\n", "\x00"} {
		_, err := Create(root, name, nil, Info{})
		wantError(t, err, "letters, digits")
	}
	_, err := Create(root, strings.Repeat("x", 101), nil, Info{})
	wantError(t, err, "at most 100")
	if got := names(t, root); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestCreateWhereItCannot(t *testing.T) {
	dir := t.TempDir()
	regular := filepath.Join(dir, "file")
	if err := os.WriteFile(regular, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Run("under a file", func(t *testing.T) {
		_, err := Create(filepath.Join(regular, "runs"), "x", nil, Info{})
		wantError(t, err, filepath.Join(regular, "runs"), "not a directory", "--out")
		_, err = CreateAt(filepath.Join(regular, "run"), nil, Info{})
		wantError(t, err, filepath.Join(regular, "run"), "not a directory", "--run-dir")
		_, err = CreateAt(regular, nil, Info{})
		wantError(t, err, regular, "not a directory")
	})
	t.Run("read-only folder", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may write in any folder")
		}
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0o555); err != nil {
			t.Fatal(err)
		}
		_, err := Create(locked, "x", nil, Info{})
		wantError(t, err, locked, "permission denied", "--out")
	})
	t.Run("latest is not a link", func(t *testing.T) {
		root := filepath.Join(dir, "runs")
		if err := os.MkdirAll(filepath.Join(root, "latest"), 0o777); err != nil {
			t.Fatal(err)
		}
		_, err := Create(root, "x", nil, Info{})
		wantError(t, err, filepath.Join(root, "latest"), "rename it")
		if got := names(t, root); !slices.Equal(got, []string{"latest"}) {
			t.Errorf("left behind: %v", got)
		}
	})
}

func TestCreateAt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		make func(path string) error
		want []string // nil if it is free
	}{
		{"new", func(path string) error { return nil }, nil},
		{"empty", func(path string) error { return os.Mkdir(path, 0o777) }, nil},
		{"lock of a run that died", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, lockName), nil, 0o666))
		}, nil},
		{"other files", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, "a.txt"), nil, 0o666),
				os.WriteFile(filepath.Join(path, "b.txt"), nil, 0o666), os.Mkdir(filepath.Join(path, "c"), 0o777), os.Mkdir(filepath.Join(path, "d"), 0o777))
		}, []string{"in use", "a.txt, b.txt, c and 1 more"}},
		{"half a run", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, lockName), nil, 0o666), os.Mkdir(filepath.Join(path, checkpointsName), 0o777),
				os.WriteFile(filepath.Join(path, configName), sealConfig([]byte("old")), 0o666), os.WriteFile(filepath.Join(path, infoName+".tmp"), []byte("{"), 0o666))
		}, nil},
		{"its user's configuration", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, configName), []byte("[train]\n"), 0o666))
		}, []string{"in use", configName}},
		{"events", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, eventsName), []byte("{}\n"), 0o666))
		}, []string{"in use", eventsName}},
		{"a run", func(path string) error {
			r, err := CreateAt(path, nil, Info{})
			if err != nil {
				return err
			}
			_, err = r.Save(70, nil, nil)
			return errors.Join(err, r.Close())
		}, []string{"in use", "run a run of", "at step 70", "coil resume " + dir}},
		{"an unreadable run", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, infoName), []byte("{"), 0o666))
		}, []string{"in use", infoName, "damaged"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			before := fmt.Sprint(os.ReadDir(path))
			r, err := CreateAt(path, []byte("new"), Info{})
			if c.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if got := must(r.Config())(t); string(got) != "new" {
					t.Errorf("config is %q", got)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, append(c.want, path)...)
			if after := fmt.Sprint(os.ReadDir(path)); after != before {
				t.Errorf("the folder was %s, and is %s", before, after)
			}
		})
	}
}

func TestViewRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := View(dir)
	wantError(t, err, dir, "not a run", infoName)
	_, err = View(filepath.Join(dir, "nothing"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want ErrNotExist", err)
	}
	regular := filepath.Join(dir, "file")
	if err := os.WriteFile(regular, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err = View(regular)
	wantError(t, err, regular, "is a file")
	_, err = Open(dir)
	wantError(t, err, dir, "not a run")
	if got := names(t, dir); !slices.Equal(got, []string{"file"}) {
		t.Errorf("Open left behind %v", got)
	}
}

func TestViewDoesNotWrite(t *testing.T) {
	r := newRun(t)
	v := must(View(r.Path()))(t)
	for name, call := range map[string]func(){
		"Append": func() { v.Append(Event{Kind: KindNote}) },
		"Save":   func() { v.Save(1, nil, nil) },
		"Rewind": func() { v.Rewind(1) },
		"Prune":  func() { v.Prune(1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of a run that is only viewed did not panic", name)
				}
			}()
			call()
		}()
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	root := filepath.Join(t.TempDir(), "runs")
	if ids := must(List(root))(t); ids != nil {
		t.Errorf("a folder that does not exist has runs %v", ids)
	}
	elsewhere := must(CreateAt(filepath.Join(t.TempDir(), "moved"), nil, Info{}))(t)
	defer elsewhere.Close()
	r := must(Create(root, "x", nil, Info{}))(t)
	defer r.Close()
	if err := errors.Join(
		os.Symlink(elsewhere.Path(), filepath.Join(root, "2020-01-01_linked")),
		os.Mkdir(filepath.Join(root, "2020-01-01_not-a-run"), 0o777),
		os.WriteFile(filepath.Join(root, "notes.txt"), nil, 0o666),
	); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2020-01-01_linked", r.Info().ID}, must(List(root))(t)); diff != "" {
		t.Error(diff)
	}
}

func TestResolve(t *testing.T) {
	root := filepath.Join(t.TempDir(), "runs")
	_, err := Resolve(root, "latest")
	wantError(t, err, "no latest run in "+root, "no runs")
	for _, id := range []string{"2026-11-21_00-00-00_aaaa_x", "2026-11-22_00-00-00_bbbb_x", "2026-11-22_00-00-00_bbbb_x2", "2026-11-23_00-00-00_cccc_y"} {
		if err := must(CreateAt(filepath.Join(root, id), nil, Info{}))(t).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := must(CreateAt(filepath.Join(root, "directory"), nil, Info{Name: "named"}))(t).Close(); err != nil {
		t.Fatal(err)
	}
	if err := pointLatest(root, "2026-11-22_00-00-00_bbbb_x"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"latest":                      "2026-11-22_00-00-00_bbbb_x",
		"2026-11-21_00-00-00_aaaa_x":  "2026-11-21_00-00-00_aaaa_x",
		"2026-11-21":                  "2026-11-21_00-00-00_aaaa_x",
		"2026-11-22_00-00-00_bbbb_x":  "2026-11-22_00-00-00_bbbb_x", // also the beginning of the next
		"2026-11-22_00-00-00_bbbb_x2": "2026-11-22_00-00-00_bbbb_x2",
		"2026-11-23":                  "2026-11-23_00-00-00_cccc_y",
		"x":                           "2026-11-22_00-00-00_bbbb_x", // the newest of that name
		"x2":                          "2026-11-22_00-00-00_bbbb_x2",
		"named":                       "directory",
		"nam":                         "directory",
	} {
		if got, err := Resolve(root, name); err != nil || got != filepath.Join(root, want) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
	path := filepath.Join(root, "2026-11-23_00-00-00_cccc_y")
	if got := must(Resolve("elsewhere", path))(t); got != path {
		t.Errorf("a path resolves to %s", got)
	}
	for name, want := range map[string][]string{
		"2026-11-22": {"2 runs in " + root, "\n  2026-11-22_00-00-00_bbbb_x2\n  2026-11-22_00-00-00_bbbb_x"},
		"cccc":       {"no run in " + root, "\n  2026-11-23_00-00-00_cccc_y"},
		"nonsense":   {"no run in " + root, "2026-11-21_00-00-00_aaaa_x", "2026-11-23_00-00-00_cccc_y"},
		"":           {"which run?", "2026-11-23_00-00-00_cccc_y"},
		root:         {"is not a run", infoName},
	} {
		_, err := Resolve(root, name)
		wantError(t, err, want...)
	}
	if err := os.RemoveAll(filepath.Join(root, "2026-11-22_00-00-00_bbbb_x")); err != nil {
		t.Fatal(err)
	}
	_, err = Resolve(root, "latest")
	wantError(t, err, "2026-11-22_00-00-00_bbbb_x, which is gone", "2026-11-23_00-00-00_cccc_y")
	for i := range 9 {
		if err := must(CreateAt(filepath.Join(root, fmt.Sprint("2027-", i)), nil, Info{}))(t).Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err = Resolve(root, "2027")
	wantError(t, err, "9 runs", "2027-8\n  2027-7", "and 4 older")
}

// Runs are in the order in which they were made, whatever their ids: those of one second differ only in random digits. A run
// without a readable run.json stands where its id says, or where its configuration's time does.
func TestListFollowsCreation(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	moment := time.Date(2026, 11, 22, 10, 0, 0, 0, time.Local)
	for id, after := range map[string]time.Duration{
		"2026-11-22_10-00-00_ffff_x": 1,
		"2026-11-22_10-00-00_0000_x": 2,
		"2026-11-22_10-00-00_8888_x": 3,
		"named":                      4 * time.Second,
		"2026-11-22_10-00-09_aaaa_x": 9 * time.Second,
	} {
		r := must(CreateAt(filepath.Join(root, id), nil, Info{}))(t)
		r.info.Created = moment.Add(after)
		if err := errors.Join(ReplaceFile(filepath.Join(r.path, infoName), must(Seal(r.info))(t)), r.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"2026-11-22_10-00-06_cccc_x", "garbled"} {
		path := filepath.Join(root, id)
		if err := must(CreateAt(path, nil, Info{}))(t).Close(); err != nil {
			t.Fatal(err)
		}
		at := moment.Add(20 * time.Second) // of the configuration
		if err := errors.Join(os.WriteFile(filepath.Join(path, infoName), []byte("{"), 0o666), os.Chtimes(filepath.Join(path, configName), at, at)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"2026-11-22_10-00-00_ffff_x", "2026-11-22_10-00-00_0000_x", "2026-11-22_10-00-00_8888_x", "named",
		"2026-11-22_10-00-06_cccc_x", "2026-11-22_10-00-09_aaaa_x", "garbled"}
	if got := must(List(root))(t); !slices.Equal(got, want) {
		t.Errorf("the runs are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, id := range want[4:] { // but those of the same second
		if err := os.RemoveAll(filepath.Join(root, id)); err != nil {
			t.Fatal(err)
		}
	}
	if got := must(Resolve(root, "x"))(t); got != filepath.Join(root, "2026-11-22_10-00-00_8888_x") {
		t.Errorf("the newest run named x is %s", got)
	}
}

// A run that was opened through latest stays that run when another becomes the latest.
func TestLatestMovesOn(t *testing.T) {
	root := t.TempDir()
	first := must(Create(root, "first", nil, Info{}))(t)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	r := must(Open(filepath.Join(root, "latest")))(t)
	defer r.Close()
	second := must(Create(root, "second", nil, Info{}))(t)
	defer second.Close()
	must(r.Save(1, nil, nil))(t)
	if got := names(t, filepath.Join(first.Path(), checkpointsName)); !slices.Equal(got, []string{"step-000001"}) {
		t.Errorf("the first run has checkpoints %v", got)
	}
}

func TestCuresKeepTheCause(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.ENOTDIR, syscall.ENOTSUP} {
		err := withHint(&fs.PathError{Op: "open", Path: "/x", Err: cause}, ", or go")
		if !errors.Is(err, cause) || !strings.HasSuffix(err.Error(), ", or go") {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if withHint(nil, "") != nil || withHint(fs.ErrNotExist, "") != fs.ErrNotExist {
		t.Error("what has no cure should stay as it is")
	}
}
