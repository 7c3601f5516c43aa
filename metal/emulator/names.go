//go:build linux && amd64

package emulator

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

//go:embed names.txt
var namesText string

// nameKind says where a source may not declare a name.
type nameKind uint8

const (
	keywordName nameKind = iota + 1 // nowhere
	macroName                       // nowhere
	globalName                      // not at program scope
	libraryName                     // not at program scope
)

// nameTable is names.txt.
type nameTable struct {
	exact    map[string]nameKind
	prefixes map[string]nameKind // of names with a star
}

var reservedNames = sync.OnceValue(func() *nameTable { return readNames(namesText) })

// readNames reads the format of names.txt. It panics on anything else, as the file is part of the program.
func readNames(text string) *nameTable {
	kinds := map[string]nameKind{"[keyword]": keywordName, "[macro]": macroName, "[global]": globalName, "[library]": libraryName}
	t := &nameTable{exact: map[string]nameKind{}, prefixes: map[string]nameKind{}}
	kind := nameKind(0)
	for line := range strings.Lines(text) {
		if line, _, _ = strings.Cut(line, "#"); strings.HasPrefix(line, "[") {
			if kind = kinds[strings.TrimSpace(line)]; kind == 0 {
				panic("names.txt: unknown heading " + line)
			}
			continue
		}
		for _, word := range strings.Fields(line) {
			for _, name := range expandBraces(word) {
				to := t.exact
				if prefix, star := strings.CutSuffix(name, "*"); star {
					name, to = prefix, t.prefixes
				}
				if kind == 0 || !identifierRE.MatchString(name) {
					panic("names.txt: not a name below a heading: " + name)
				}
				if to[name] == 0 { // else the stricter kind, which comes first
					to[name] = kind
				}
			}
		}
	}
	return t
}

// expandBraces lists the words that a{b,c}d stands for.
func expandBraces(word string) []string {
	before, rest, found := strings.Cut(word, "{")
	if !found {
		return []string{word}
	}
	inside, after, _ := strings.Cut(rest, "}")
	var out []string
	for _, choice := range strings.Split(inside, ",") {
		for _, tail := range expandBraces(after) {
			out = append(out, before+choice+tail)
		}
	}
	return out
}

// kind is 0 for a name that is free.
func (t *nameTable) kind(name string) nameKind {
	kind := t.exact[name]
	for i := 1; i <= len(name) && kind == 0; i++ {
		kind = t.prefixes[name[:i]]
	}
	return kind
}

// refusal says why a name cannot be declared, or "". program is true for functions, types, constants and enumerators outside
// of functions and classes, and for macros.
func (t *nameTable) refusal(name string, program bool) string {
	const choose = "; choose another name"
	switch kind := t.kind(name); {
	case kind == keywordName:
		return fmt.Sprintf("%s is a word of Metal"+choose, name)
	case kind == macroName:
		return fmt.Sprintf("%s is a macro of Metal's headers"+choose, name)
	case kind == globalName && program:
		return fmt.Sprintf("%s is a name that Metal's headers declare or reserve"+choose, name)
	case kind == libraryName && program:
		return fmt.Sprintf("%s is a name of Metal's library, and ambiguous under \"using namespace metal\""+choose, name)
	}
	return ""
}
