package experiment

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"coil/metric"
	"coil/plot"
	"coil/run"
	"coil/text"
)

// Write gathers the results and writes them beside the cells: results.json and results.csv, results.md with the tables for a
// page, and plots as SVG and PNG. It returns the results and the paths. If several processes write, the last one wins, which
// knows the most.
func (f *Folder) Write() (r *Results, paths []string, err error) {
	err = f.exclusive(func() error {
		if r, err = f.Gather(); err != nil {
			return err
		}
		paths, err = f.writeFiles(r)
		return err
	})
	return r, paths, err
}

// percentOf says that values are in percent, if they are.
func percentOf(m metric.Metric) string {
	if m.IsShare() {
		return " in percent"
	}
	return ""
}

func (f *Folder) writeFiles(r *Results) ([]string, error) {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# %s\n\n%s\n\n%d of %d cells finished; %s on held-out examples%s, mean ± standard deviation over seeds, and the best.\n",
		text.Cell(r.Title), text.Cell(r.Question), r.Finished, r.Cells, r.Metric, percentOf(r.Metric))
	for _, t := range r.Tables() {
		if t.Title != "" {
			fmt.Fprintf(&page, "\n%s:\n", text.Cell(t.Title))
		}
		fmt.Fprintf(&page, "\n%s", Markdown(t.Rows))
	}
	for i, d := range r.Damaged {
		if i == 0 {
			page.WriteString("\nDamaged:\n\n")
		}
		fmt.Fprintf(&page, "- %s: %s\n", text.Cell(d.Cell), text.Cell(d.Why))
	}
	results, err := r.JSON()
	if err != nil {
		return nil, err
	}
	lines, err := r.CSV()
	if err != nil {
		return nil, err
	}
	type file struct {
		name string
		text []byte
	}
	files := []file{{"results.md", page.Bytes()}, {"results.csv", lines}, {"results.json", results}}
	plots := r.Plots()
	for _, name := range slices.Sorted(maps.Keys(plots)) {
		c := plots[name]
		files = append(files, file{name + ".svg", c.SVG(plot.Width, plot.Height)}, file{name + ".png", c.PNG(plot.Width, plot.Height)})
	}
	var paths []string
	for _, file := range files {
		path := filepath.Join(f.Path, file.name)
		if err := run.ReplaceFile(path, file.text); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
