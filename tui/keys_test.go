package tui

import (
	"os"
	"strings"
	"testing"

	"coil/golden"
)

// The page of keys is what the table says.
func TestKeysPage(t *testing.T) {
	const path = "../docs/keys.md"
	if *golden.Update {
		if err := os.WriteFile(path, []byte(Keys()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != Keys() {
		t.Errorf("%s is not what the table says: go test ./tui -run KeysPage -update", path)
	}
}

// No key is in a table twice, and every key of it does something.
func TestKeysAreUnique(t *testing.T) {
	unique(t, dashboardKeys)
	unique(t, append(append(table[Home]{}, homeGeneral...), homeList...))
	unique(t, append(append(table[Home]{}, homeGeneral...), homeForm...))
	unique(t, homeMouse)
}

func unique[M any](t *testing.T, keys table[M]) {
	seen := map[string]string{}
	for _, g := range keys {
		for _, b := range g.bindings {
			if b.help == "" || b.name == "" || strings.Contains(b.help, "|") {
				t.Errorf("%s: %q has no proper help", g.name, b.keys)
			}
			if len(b.keys) > 0 && b.do == nil {
				t.Errorf("%q does nothing", b.keys)
			}
			for _, k := range b.keys {
				if seen[k] != "" {
					t.Errorf("%q is both %q and %q", k, seen[k], b.help)
				}
				seen[k] = b.help
			}
		}
	}
}
