package experiment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What was measured of a size of model is not measured again by the same version on the same machine; on others it is, and if
// the file is damaged.
func TestSpeeds(t *testing.T) {
	g := parsed(t, tiny)
	cells, err := g.Cells()
	if err != nil {
		t.Fatal(err)
	}
	none := func(Cell) bool { return false }
	folder := filepath.Join(t.TempDir(), "cache")
	s := ReadSpeeds(folder, "machine, version 1")
	if s.Know(cells, none) {
		t.Error("it knows what nobody has measured")
	}
	if !s.Know(cells, func(Cell) bool { return true }) {
		t.Error("it wants to measure for cells that are finished")
	}
	first, err := Estimate(cells, newBackend(t), none, s)
	if err != nil || first.Left != len(cells) || !(first.Seconds > 0) || first.Memory <= 0 || len(s.known) != 1 {
		t.Fatalf("%+v, %v, of %d sizes of model", first, err, len(s.known))
	}
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	again := ReadSpeeds(folder, "machine, version 1")
	if again.Path() != s.Path() || !again.Know(cells, none) {
		t.Error("it does not know what was measured")
	}
	if cost, err := Estimate(cells, nil, none, again); err != nil || cost != first { // there is no backend to measure on
		t.Errorf("%+v, %v, want %+v", cost, err, first)
	}
	for _, machine := range []string{"machine, version 2", "other, version 1"} {
		if ReadSpeeds(folder, machine).Know(cells, none) {
			t.Errorf("%s knows what another has measured", machine)
		}
	}
	other := parsed(t, strings.Replace(tiny, "width = 16", "width = 32", 1))
	wider, err := other.Cells()
	if err != nil {
		t.Fatal(err)
	}
	if again.Know(wider, none) {
		t.Error("it takes a model for another")
	}
	for _, text := range []string{"", "{", `{"machine":"machine, version 1","speeds":{"` + cells[0].kind() + `":{"rate":0,"memory":1}}}`} {
		if err := os.WriteFile(s.Path(), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if ReadSpeeds(folder, "machine, version 1").Know(cells, none) {
			t.Errorf("it takes %q for speeds", text)
		}
	}
}

// Cells with the same task make it once, and comparing a cell with one of another grid makes none.
func TestTasksAreMadeOnce(t *testing.T) {
	g := parsed(t, tiny)
	cells, err := g.expand()
	if err != nil {
		t.Fatal(err)
	}
	m := maker{}
	for i := range cells {
		if cells[i].model != nil {
			t.Fatal("a grid has models without tasks")
		}
		if err := m.make(&cells[i]); err != nil {
			t.Fatal(err)
		}
	}
	if len(m) != 1 {
		t.Errorf("%d tasks were made for %d cells, want 1", len(m), len(cells))
	}
}
