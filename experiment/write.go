package experiment

import (
	"bytes"
	"fmt"
	"path/filepath"

	"coil/run"
)

// Write writes the results beside the cells: results.json and results.csv, and results.md, the tables for a page. It returns their
// paths.
func (f *Folder) Write(r *Results) ([]string, error) {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# %s\n\n%s\n\n%d of %d cells finished; %s on held-out examples in percent, mean ± standard deviation over seeds, and the most.\n",
		r.Title, r.Question, r.Finished, r.Cells, r.Metric)
	for _, t := range r.Tables() {
		fmt.Fprintf(&page, "\n%s", Markdown(t))
	}
	text, err := r.JSON()
	if err != nil {
		return nil, err
	}
	lines, err := r.CSV()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, file := range []struct {
		name string
		text []byte
	}{{"results.md", page.Bytes()}, {"results.csv", lines}, {"results.json", text}} {
		path := filepath.Join(f.Path, file.name)
		if err := run.ReplaceFile(path, file.text); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
