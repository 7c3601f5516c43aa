package schema

import "strings"

// Nearest returns the name whose spelling is closest to the wrong one, or "" if all are far from it.
func Nearest(wrong string, names []string) string {
	wrong = strings.ToLower(wrong)
	best, least := "", len(wrong)/2+1
	for _, name := range names {
		d := distance(wrong, strings.ToLower(name))
		if last(name) == last(wrong) {
			d = min(d, 2) // the right key in the wrong table, or without a table
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// NearestKey returns the key that a wrong name probably means: one that other programs call by this name, or else the key or
// table with the closest spelling, or "".
func NearestKey(wrong string, keys []Key) string {
	foreign := plain(last(wrong))
	for _, k := range keys {
		for _, also := range k.Also {
			if plain(also) == foreign {
				return k.Name
			}
		}
	}
	var names []string
	seen := map[string]bool{}
	for _, k := range keys {
		names = append(names, k.Name)
		for table := parent(k.Name); table != "" && !seen[table]; table = parent(table) {
			seen[table] = true
			names = append(names, table)
		}
	}
	return Nearest(wrong, names)
}

// last is the part of a dotted name behind its last dot, parent that before it.
func last(name string) string { return name[strings.LastIndex(name, ".")+1:] }

func parent(name string) string { return name[:max(0, strings.LastIndex(name, "."))] }

// plain is a name without what programs spell differently: case, hyphens and underscores.
func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}

// distance is Levenshtein's: how many letters to insert, delete or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
