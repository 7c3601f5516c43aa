package run

import (
	"slices"
	"testing"
)

// Older lines have one number of layers for all blocks.
func TestUpgradedSetup(t *testing.T) {
	for line, want := range map[string][]int{
		`{"kind":"setup","setup":{"layers_per_block":4,"loops":[1,3,1],"looped":1}}`:      {4, 4, 4},
		`{"kind":"setup","setup":{"blocks":[2,4,1],"loops":[1,3,1],"looped":1}}`:          {2, 4, 1},
		`{"kind":"setup","setup":{"layers_per_block":-1,"loops":[1,3,1],"looped":1}}`:     nil,
		`{"kind":"setup","setup":{"layers_per_block":"four","loops":[1,3,1],"looped":1}}`: nil,
	} {
		e, err := decodeEvent([]byte(line))
		if err != nil || !slices.Equal(e.Setup.Blocks, want) {
			t.Errorf("%s: blocks %v, %v; want %v", line, e.Setup, err, want)
		}
	}
	e, _ := decodeEvent([]byte(`{"kind":"setup","setup":{"blocks":[2,4,1],"loops":[1,3,1],"looped":1}}`))
	if e.Setup.Layers() != 7 || e.Setup.Depth() != 15 {
		t.Errorf("%d layers, depth %d; want 7 and 15", e.Setup.Layers(), e.Setup.Depth())
	}
}
