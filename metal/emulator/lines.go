//go:build linux && amd64

package emulator

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"path/filepath"
)

// lineTable finds the lines of a source for addresses of code in its library.
type lineTable struct {
	data  *dwarf.Data
	units []*dwarf.Entry
}

// readLines reads a library's table. One that cannot be read knows no lines.
func readLines(library string) *lineTable {
	t := &lineTable{}
	f, err := elf.Open(library)
	if err != nil {
		return t
	}
	defer f.Close()
	if t.data, err = f.DWARF(); err != nil {
		return t
	}
	r := t.data.Reader()
	for {
		e, err := r.Next()
		if err != nil || e == nil {
			return t
		}
		if e.Tag == dwarf.TagCompileUnit {
			t.units = append(t.units, e)
		}
		r.SkipChildren()
	}
}

// at returns "file:line" of the call that returns to pc, or "".
func (t *lineTable) at(pc uint64) string {
	for _, u := range t.units {
		r, err := t.data.LineReader(u)
		if err != nil || r == nil {
			continue
		}
		var e dwarf.LineEntry
		if r.SeekPC(pc-1, &e) == nil && e.Line > 0 {
			return fmt.Sprintf("%s:%d", filepath.Base(e.File.Name), e.Line)
		}
	}
	return ""
}
