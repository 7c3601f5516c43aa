package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// indexName is the page.
const indexName = "index.html"

// file is a file of a report.
type file struct {
	name string
	data []byte
}

// Write writes the report of one or more runs to the folder at path, which is made with all its parents, and returns the
// path of its page. A report that is there is replaced; a folder with anything else in it is an error. The folder is
// there whole or not at all, and the same runs, as they stand, give the same bytes.
func Write(path string, records []*Record) (string, error) {
	if len(records) == 0 {
		panic("report: no runs")
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		err = write(absolute, records)
	}
	if err != nil {
		return "", fmt.Errorf("report %s: %w", path, err)
	}
	return filepath.Join(path, indexName), nil
}

func write(path string, records []*Record) error {
	if to, err := filepath.EvalSymlinks(path); err == nil { // a link stays one
		path = to
	}
	if err := replaceable(path); err != nil {
		return err
	}
	files, err := render(records)
	if err != nil {
		return err
	}
	parent, name := filepath.Split(path)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return elsewhere(err)
	}
	temporary, err := os.MkdirTemp(parent, "."+name+".")
	if err != nil {
		return elsewhere(err)
	}
	defer os.RemoveAll(temporary)
	made := filepath.Join(temporary, "new")
	if err := os.Mkdir(made, 0o777); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(made, f.name), f.data, 0o666); err != nil {
			return err
		}
	}
	return exchange(made, path, filepath.Join(temporary, "old"))
}

// exchange puts the folder made at path, and moves the one there to old.
func exchange(made, path, old string) error {
	err := os.Rename(path, old)
	if errors.Is(err, fs.ErrNotExist) {
		return os.Rename(made, path)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(made, path); err != nil {
		return errors.Join(err, os.Rename(old, path))
	}
	return nil
}

// marker is what a page says of the other files of its report.
var marker = regexp.MustCompile(`<meta name="coil-report" content="([a-z0-9. -]*)" />`)

// replaceable returns an error unless at path there is nothing, an empty folder, or a report and nothing else.
func replaceable(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return elsewhere(err)
	}
	page, err := os.ReadFile(filepath.Join(path, indexName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	found := marker.FindSubmatch(page[:min(len(page), 1<<14)])
	if found == nil {
		return fmt.Errorf("the folder holds %s and is not a report of coil: give another with --out, or remove it", entries[0].Name())
	}
	ours := append(strings.Fields(string(found[1])), indexName)
	for _, e := range entries {
		if !slices.Contains(ours, e.Name()) || e.IsDir() {
			return fmt.Errorf("the folder holds %s, which is not part of the report there: move that, or give another folder with --out", e.Name())
		}
	}
	return nil
}

func elsewhere(err error) error { return fmt.Errorf("%w; give another folder with --out", err) }
