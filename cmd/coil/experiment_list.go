package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"coil/backend"
	"coil/experiment"
	"coil/format"
	"coil/text"
	"coil/tui/terminal"

	"github.com/spf13/cobra"
)

// gridCost is an experiment of the list, as JSON.
type gridCost struct {
	Name     string  `json:"name"`
	Size     string  `json:"size"`
	Title    string  `json:"title"`
	Question string  `json:"question"`
	Cells    int     `json:"cells"`
	Finished int     `json:"finished"`
	FLOPs    float64 `json:"flops"`
	Seconds  float64 `json:"seconds_left"`

	known bool // Seconds
}

// list prints the built-in experiments with the cost of each on this machine.
func (o *experimentFlags) list(cmd *cobra.Command) error {
	b, err := o.backends.open(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer b.Close()
	speeds := speedsOf(b)
	var entries []gridCost
	var cells [][]experiment.Cell
	var done []func(experiment.Cell) bool
	for _, size := range experiment.Sizes() {
		for _, name := range experiment.Names(size) {
			g, err := experiment.Named(name, size)
			if err != nil {
				return err
			}
			cs, err := g.Cells()
			if err != nil {
				return err
			}
			d := finishedIn(filepath.Join(o.out, g.Name))
			cost := experiment.Tally(cs, d)
			e := gridCost{Name: name, Size: size, Title: g.Title, Question: g.Question, Cells: cost.Cells, Finished: cost.Cells - cost.Left, FLOPs: cost.Work}
			entries, cells, done = append(entries, e), append(cells, cs), append(done, d)
		}
	}
	cost := func(i int) error {
		c, err := experiment.Estimate(cells[i], b, done[i], speeds)
		entries[i].Seconds, entries[i].known = c.Seconds, err == nil
		speeds.Save() // what can't be kept is measured again
		return err
	}
	unknown := 0
	for i := range entries {
		if !speeds.Know(cells[i], done[i]) {
			unknown++
		} else if err := cost(i); err != nil {
			return err
		}
	}
	w, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	info := b.Info()
	device := describeDevice(info.Device, info.Kernels, info.Workers, info.Memory)
	if unknown > 0 {
		fmt.Fprintf(stderr, "measuring training steps on %s …\n", device)
	} else {
		fmt.Fprintf(stderr, "as measured earlier on %s; to measure again: rm %s\n", device, text.Path(speeds.Path()))
	}
	switch {
	case o.asJSON:
		measured := 0
		for i, e := range entries {
			if e.known {
				continue
			}
			measured++
			fmt.Fprintf(stderr, "%d/%d  %s, %s\n", measured, unknown, e.Name, e.Size)
			if err := cost(i); err != nil {
				return err
			}
		}
		return writeJSON(w, entries)
	case unknown > 0:
		if out, width, ok := redrawable(w, len(entries)+2); ok {
			return listInPlace(out, width, entries, unknown, cost)
		}
	}
	return listInLines(w, entries, cost)
}

// redrawable returns the terminal and its width if it has room to draw that many lines again.
func redrawable(w io.Writer, lines int) (out io.Writer, width int, ok bool) {
	o, ok := w.(*output)
	if !ok || o.raw != os.Stdout || terminal.Dumb() {
		return nil, 0, false
	}
	width, height, ok := terminal.Size(os.Stdout)
	return os.Stdout, width, ok && lines < height
}

// listRows are the lines of the list, the head first. A cost that is not known is "…".
func listRows(entries []gridCost) []string {
	rows := [][]string{{"experiment", "size", "cells", "finished", "FLOPs", "time left"}}
	for _, e := range entries {
		left := "…"
		if e.known {
			left = "about " + format.Seconds(e.Seconds)
		}
		rows = append(rows, []string{e.Name, e.Size, strconv.Itoa(e.Cells), strconv.Itoa(e.Finished), format.SI(e.FLOPs, ""), left})
	}
	widths := columnWidths(append(rows, []string{"", "", "", "", "", "about 9999 years"})) // the width does not depend on what is known
	var lines []string
	for i, r := range rows {
		line := tableLine(r, widths)
		if i > 0 {
			line += "  " + text.Line(entries[i-1].Title)
		}
		lines = append(lines, line)
	}
	return lines
}

// listInLines prints each row when its cost is known.
func listInLines(w io.Writer, entries []gridCost, cost func(int) error) error {
	fmt.Fprintln(w, listRows(entries)[0])
	for i := range entries {
		if !entries[i].known {
			if err := cost(i); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(w, listRows(entries)[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// listInPlace prints all rows on a terminal at once and draws each row again when its cost is known. Progress stands below.
func listInPlace(w io.Writer, width int, entries []gridCost, unknown int, cost func(int) error) error {
	cut := func(line string) string {
		if r := []rune(line); len(r) >= width {
			return string(r[:max(0, width-2)]) + "…"
		}
		return line
	}
	for _, line := range listRows(entries) {
		fmt.Fprintf(w, "%s\n", cut(line))
	}
	measured := 0
	for i := range entries {
		if entries[i].known {
			continue
		}
		measured++
		fmt.Fprintf(w, "\r\x1b[K%s", cut(fmt.Sprintf("measuring %d of %d: %s, %s", measured, unknown, entries[i].Name, entries[i].Size)))
		if err := cost(i); err != nil {
			fmt.Fprintf(w, "\r\x1b[K")
			return err
		}
		up := len(entries) - i
		fmt.Fprintf(w, "\r\x1b[%dA%s\x1b[K\x1b[%dB\r", up, cut(listRows(entries)[i+1]), up)
	}
	_, err := fmt.Fprintf(w, "\x1b[K")
	return err
}

// speedsOf are the speeds that were measured before on this machine by this build of coil.
func speedsOf(b backend.Backend) *experiment.Speeds {
	i := b.Info()
	host, _ := os.Hostname() // the folder may be on a disk of several machines
	machine := []string{host, i.Name, i.Device, i.Kernels, strconv.Itoa(i.Workers), version()}
	if path, err := os.Executable(); err == nil { // builds of changed sources share a version
		if fi, err := os.Stat(path); err == nil {
			machine = append(machine, fmt.Sprint(fi.Size(), fi.ModTime().UnixNano()))
		}
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		folder = os.TempDir()
	}
	return experiment.ReadSpeeds(filepath.Join(folder, "coil"), strings.Join(machine, ", "))
}
