package schema

import (
	"strings"
	"testing"
)

type colour string

func (colour) Values() []string { return []string{"red", "green", "blue"} }

// A type that says its values needs no tags for them, and they are the key's help wherever that is shown.
func TestValuesOfType(t *testing.T) {
	table := struct {
		Colour colour `toml:"colour"`
	}{"green"}
	k := Keys(&table)[0]
	const want = "red, green or blue"
	if k.Help != want || k.Wanted() != want {
		t.Errorf("help is %q and wanted %q, want %q", k.Help, k.Wanted(), want)
	}
	if text := Encode(&table); !strings.Contains(string(text), `colour = "green"  # `+want) {
		t.Errorf("encoded: %s", text)
	}
	if err := k.Set("grey"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("grey: %v", err)
	}
	if err := k.Set("blue"); err != nil || table.Colour != "blue" {
		t.Errorf("blue: %v, %q", err, table.Colour)
	}
}
