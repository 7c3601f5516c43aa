package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coil/run"
)

// names returns the entries of a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func put(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
}

// small is a run with a plot or two.
func small(t *testing.T, kind string) *Record {
	s := looped(1, 4)
	return Read(story{config: config, events: []run.Event{evaluation(s, 10, 0), {Kind: kind, Step: 10}}}.tell(t))
}

func TestReplace(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	folder := filepath.Join(root, "a", "b")
	index, err := Write(folder, []*Record{small(t, run.KindStop)})
	if err != nil || index != filepath.Join(folder, "index.html") {
		t.Fatalf("%s, %v", index, err)
	}
	before := names(t, folder)
	s := looped(1, 4)
	if _, err := Write(folder, []*Record{Read(story{config: config, events: []run.Event{train(s, 10, 0), {Kind: run.KindEnd, Step: 10}}}.tell(t))}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(index)
	if err != nil || !strings.Contains(string(b), ">finished<") {
		t.Errorf("the new report is not there: %v", err)
	}
	after := names(t, folder)
	if slices.Contains(after, "metric-by-loop.svg") || !slices.Contains(before, "metric-by-loop.svg") || !slices.Contains(after, "learning-rate.png") {
		t.Errorf("there was %v, and is %v", before, after)
	}
	if got := names(t, filepath.Dir(folder)); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}

// A link to a report's folder stays a link.
func TestReplaceThroughALink(t *testing.T) {
	root := t.TempDir()
	link := filepath.Join(root, "link")
	if err := os.Mkdir(filepath.Join(root, "real"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Write(link, []*Record{small(t, run.KindStop)}); err != nil {
			t.Fatal(err)
		}
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 || !slices.Contains(names(t, filepath.Join(root, "real")), "index.html") {
		t.Errorf("%v, %v, %v", fi, err, names(t, root))
	}
}

// What is not a report, or more than one, is left alone.
func TestRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(folder string)
		want  string
	}{
		"a file":          {func(f string) { put(t, f) }, "not a directory"},
		"something else":  {func(f string) { put(t, filepath.Join(f, "notes.txt")) }, "holds notes.txt and is not a report of coil"},
		"another page":    {func(f string) { put(t, filepath.Join(f, "index.html")) }, "holds index.html and is not a report of coil"},
		"a file too many": {func(f string) { writeSmall(t, f); put(t, filepath.Join(f, "notes.txt")) }, "holds notes.txt, which is not part of the report"},
		"a plot too many": {func(f string) { writeSmall(t, f); put(t, filepath.Join(f, "mine.svg")) }, "holds mine.svg, which is not part of the report"},
		"a folder as plot": {func(f string) {
			writeSmall(t, f)
			os.Remove(f + "/loss.svg")
			put(t, filepath.Join(f, "loss.svg", "x"))
		}, "holds loss.svg, which"},
		"a parent": {func(f string) { put(t, filepath.Dir(f)) }, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "a", "b")
			c.spoil(folder)
			_, err := Write(folder, []*Record{small(t, run.KindEnd)})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "report "+folder) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if b, err := os.ReadFile(filepath.Join(folder, "index.html")); err == nil && strings.Contains(string(b), ">finished<") {
				t.Error("it was written all the same")
			}
		})
	}
}

func writeSmall(t *testing.T, folder string) {
	t.Helper()
	if _, err := Write(folder, []*Record{small(t, run.KindStop)}); err != nil {
		t.Fatal(err)
	}
}
