//go:build linux && amd64

package emulator

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed overloads.txt
var overloadsText string

// valueType is the type of an argument or of a parameter: float4, device const float *, thread simdgroup_matrix<float> &.
type valueType struct {
	base    string // float4, simdgroup_matrix<half>, atomic<uint>, mem_flags
	space   string // of an lvalue, and of what a pointer or reference points to: thread, device, threadgroup, constant
	isConst bool
	pointer bool
}

func (v valueType) String() string {
	s := v.base
	if v.isConst {
		s = "const " + s
	}
	if v.pointer {
		return v.space + " " + s + " *"
	}
	return s
}

// parameter of an overload.
type parameter struct {
	valueType
	reference bool
	optional  bool
	from      []string // types that may be converted to it
}

func (p parameter) String() string {
	s := p.valueType.String()
	if p.reference {
		s = p.space + " " + s + " &"
	}
	return s
}

// overload is a function of Metal's library, without its result.
type overload struct {
	section string
	params  []parameter
}

func (o overload) String() string {
	var s []string
	for _, p := range o.params {
		s = append(s, p.String())
	}
	return "(" + strings.Join(s, ", ") + ")"
}

// overloadTable is overloads.txt by the functions' names.
type overloadTable map[string][]overload

var overloads = sync.OnceValue(func() overloadTable { return readOverloads(overloadsText) })

var (
	overloadRE = regexp.MustCompile(`^([0-9.]+)\s+([\w{},:]+)\((.*)\)$`)
	typeNameRE = regexp.MustCompile(`\b[A-Z][A-Z0-9]*\b`)
	typeLikeRE = regexp.MustCompile(`\b(\w+)\((\w+)\)`)
)

// readOverloads reads the format of overloads.txt. It panics on anything else, as the file is part of the program.
func readOverloads(text string) overloadTable {
	table := overloadTable{}
	variables := map[string][]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "type "); ok {
			name, types, _ := strings.Cut(rest, " = ")
			for _, t := range strings.Fields(types) {
				variables[name] = append(variables[name], expandBraces(t)...)
			}
			continue
		}
		m := overloadRE.FindStringSubmatch(line)
		if m == nil {
			panic("overloads.txt: not a line of the format: " + line)
		}
		for _, params := range substitute(m[3], variables) {
			o := overload{section: m[1]}
			if params != "" {
				for _, p := range strings.Split(params, ", ") {
					o.params = append(o.params, readParameter(p))
				}
			}
			for _, name := range expandBraces(m[2]) {
				table[name] = append(table[name], o)
			}
		}
	}
	return table
}

// substitute replaces the variables of a list of parameters by each of their values in turn.
func substitute(params string, variables map[string][]string) []string {
	name := typeNameRE.FindString(params)
	if name == "" {
		return []string{typeLikeRE.ReplaceAllStringFunc(params, func(s string) string {
			m := typeLikeRE.FindStringSubmatch(s)
			scalar, components := strings.TrimRight(m[2], "234"), m[2][len(m[2])-1:]
			switch {
			case m[1] == "scalar":
				return scalar
			case scalar == m[2]:
				return m[1]
			}
			return m[1] + components
		})}
	}
	if variables[name] == nil {
		panic("overloads.txt: unknown type " + name)
	}
	var out []string
	one := regexp.MustCompile(`\b` + name + `\b`)
	for _, value := range variables[name] {
		out = append(out, substitute(one.ReplaceAllLiteralString(params, value), variables)...)
	}
	return out
}

// readParameter reads "device const float *", "thread float &" or "ulong? from int uint".
func readParameter(s string) parameter {
	var p parameter
	s, from, _ := strings.Cut(s, " from ")
	p.from = strings.Fields(from)
	s, p.optional = strings.CutSuffix(s, "?")
	for _, word := range strings.Fields(s) {
		switch {
		case word == "*":
			p.pointer = true
		case word == "&":
			p.reference = true
		case word == "const":
			p.isConst = true
		case spaces[word]:
			p.space = word
		default:
			p.base = word
		}
	}
	return p
}

// How an argument becomes a parameter, from the best to the worst, as C++ ranks conversions.
const (
	exact = iota
	promotion
	conversion
	impossible
)

var arithmetic = map[string]int{"bool": 1, "char": 1, "uchar": 1, "short": 1, "ushort": 1, "enumerator": 1, "int": 2, "uint": 3, "long": 3, "ulong": 3, "half": 3, "float": 3, "bfloat": 4}

// rank says how a becomes p.
func rank(a valueType, p parameter) int {
	switch {
	case p.reference && a.pointer || p.pointer != a.pointer:
		return impossible
	case p.reference || p.pointer:
		if a.base == p.base && a.space == p.space && (p.isConst || !a.isConst) {
			return exact
		}
		return impossible
	case a.base == p.base:
		return exact
	}
	scalar := strings.TrimRight(p.base, "234")
	from, to := arithmetic[a.base], arithmetic[scalar]
	switch {
	case from == 0 || to == 0:
		return impossible
	case from == 1 && p.base == "int":
		return promotion
	case to == 4:
		return impossible // to bfloat only by a cast
	}
	return conversion
}

// check finds the one overload of a call. Its error says what is wrong with the call, and what to do.
func (t overloadTable) check(name string, args []valueType) error {
	call := callText(name, args)
	all := t[name]
	if len(all) == 0 {
		return fmt.Errorf("%s: metal/emulator/overloads.txt has no function %s. If the Metal Shading Language Specification has it, add a line there: its section, and %[2]s with the types of its parameters", call, name)
	}
	type candidate struct {
		overload
		ranks []int
	}
	var viable []candidate
	for _, o := range all {
		if len(args) > len(o.params) || len(args) < len(o.params) && !o.params[len(args)].optional {
			continue
		}
		c := candidate{overload: o}
		worst := exact
		for i, a := range args {
			c.ranks = append(c.ranks, rank(a, o.params[i]))
			worst = max(worst, c.ranks[i])
		}
		if worst < impossible {
			viable = append(viable, c)
		}
	}
	better := func(a, b candidate) bool {
		less := false
		for i := range a.ranks {
			if a.ranks[i] > b.ranks[i] {
				return false
			}
			less = less || a.ranks[i] < b.ranks[i]
		}
		return less
	}
	var best []candidate
	for i, c := range viable {
		wins := true
		for j, other := range viable {
			wins = wins && (i == j || better(c, other))
		}
		if wins {
			best = append(best, c)
		}
	}
	switch {
	case len(viable) == 0:
		return fmt.Errorf("%s: the specification (section %s) has no such overload. If it has one after all, add its types to the line of %s in metal/emulator/overloads.txt; otherwise convert the arguments", call, all[0].section, name)
	case len(best) == 0:
		return fmt.Errorf("%s is ambiguous: %s%v and %[2]s%[4]v would do as well (section %s); convert the arguments", call, name, viable[0], viable[1], viable[0].section)
	}
	for i, a := range args {
		p := best[0].params[i]
		if best[0].ranks[i] != exact && !slices.Contains(p.from, a.base) {
			return fmt.Errorf("%s: argument %d is converted from %v to %v without a word. Write the conversion, or state it in the line of %s in metal/emulator/overloads.txt as \"%[4]v from %[3]v\"", call, i+1, a, p, name)
		}
	}
	return nil
}

// callText is a call as messages show it: "max(float, int)".
func callText(name string, args []valueType) string {
	var s []string
	for _, a := range args {
		s = append(s, a.String())
	}
	return name + "(" + strings.Join(s, ", ") + ")"
}
