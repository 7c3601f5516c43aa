package metal_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Mutants of a shader are small faults put into its source. All of them are in one text, chosen by a function constant, so
// that a file is compiled once and not once for each: i < n becomes (mutant_ == 7 ? i <= n : i < n).

// mutant is one fault.
type mutant struct {
	id   uint32 // value of the constant; 0 is the source as it is
	name string // "norm: c < n → c <= n", with a number if there are several
	line int
	race bool // a barrier is missing, which only a checked device sees for sure
}

// mutantConstant is the index of the function constant.
const mutantConstant = 9999

// word is a token of a shader.
type word struct {
	s        string
	from, to int // in the text
}

func (w word) isName() bool { return isLetter(w.s[0]) }

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

var wordRE = regexp.MustCompile(`^(?:[A-Za-z_]\w*|\.?\d(?:[\w.]|[eE][+-])*|<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\*=|/=|\+\+|--|::|->|.)`)

// words are the tokens of a text, without space, comments and directives.
func words(text string) []word {
	var out []word
	for i, lineStart := 0, true; i < len(text); {
		skip := 0
		switch {
		case text[i] == '\n':
			lineStart = true
			i++
			continue
		case text[i] == ' ' || text[i] == '\t':
			i++
			continue
		case strings.HasPrefix(text[i:], "//") || text[i] == '#' && lineStart:
			skip = max(strings.IndexByte(text[i:], '\n'), 1)
		}
		if lineStart = false; skip > 0 {
			i += skip
			continue
		}
		n := len(wordRE.FindString(text[i:]))
		out = append(out, word{text[i : i+n], i, i + n})
		i += n
	}
	return out
}

// node is a piece of the source, words [from, to), that mutants replace.
type node struct {
	from, to int
	// render gives the text: of the piece as it is, and of what else there may be instead.
	render func(as string) string
	order  int
}

// mutating is the work on one file.
type mutating struct {
	text     string
	w        []word
	match    []int // of a bracket, the other one
	nodes    []node
	mutants  []mutant
	names    map[string]int
	function string
	fields   map[string]map[string][]string // of each struct and field: type, then the fields declared in the same line
	params   map[string]string              // of the function: the struct that a name refers to
	bools    map[string]bool
}

// mutate returns the text with all mutants in it.
func mutate(text string) (string, []mutant) {
	m := &mutating{text: text, w: words(text), names: map[string]int{}, bools: map[string]bool{}}
	m.matchBrackets()
	m.readStructs()
	for _, x := range regexp.MustCompile(`\bbool (\w+)`).FindAllStringSubmatch(text, -1) {
		m.bools[x[1]] = true
	}
	for i := range m.w {
		if m.is(i, "{") && m.is(i-1, ")") && m.outside(i) {
			m.function = m.w[m.match[i-1]-1].s
			m.readParams(m.match[i-1], i)
			m.body(i+1, m.match[i])
		}
	}
	slices.SortStableFunc(m.nodes, func(a, b node) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to), cmp.Compare(a.order, b.order))
	})
	at := 0
	return m.renderTo(0, len(m.w), &at), m.mutants
}

func (m *mutating) is(i int, s ...string) bool {
	return i >= 0 && i < len(m.w) && slices.Contains(s, m.w[i].s)
}

// outside reports whether no bracket is open at word i.
func (m *mutating) outside(i int) bool {
	for j := range i {
		if m.match[j] > i {
			return false
		}
	}
	return true
}

func (m *mutating) matchBrackets() {
	m.match = make([]int, len(m.w))
	var open []int
	for i := range m.w {
		m.match[i] = -1
		switch m.w[i].s {
		case "(", "[", "{":
			open = append(open, i)
		case ")", "]", "}":
			j := open[len(open)-1]
			open = open[:len(open)-1]
			m.match[i], m.match[j] = j, i
		}
	}
}

func (m *mutating) readStructs() {
	m.fields = map[string]map[string][]string{}
	for i := range m.w {
		if !m.is(i, "struct") || !m.is(i+2, "{") {
			continue
		}
		fields := map[string][]string{}
		m.fields[m.w[i+1].s] = fields
		for j := i + 3; j < m.match[i+2]; j++ {
			line := []string{m.w[j].s}
			for j++; !m.is(j, ";"); j++ {
				if m.w[j].isName() {
					line = append(line, m.w[j].s)
				}
			}
			for _, f := range line[1:] {
				fields[f] = line
			}
		}
	}
}

// readParams finds the parameters that are references to structs.
func (m *mutating) readParams(from, to int) {
	m.params = map[string]string{}
	for i := from; i < to; i++ {
		if m.is(i, "constant") && m.is(i+2, "&") {
			m.params[m.w[i+3].s] = m.w[i+1].s
		}
	}
}

// source is words [from, to) as they are, in one line.
func (m *mutating) source(from, to int) string {
	return strings.Join(strings.Fields(m.text[m.w[from].from:m.w[to-1].to]), " ")
}

// add makes a mutant and returns the condition under which it is there.
func (m *mutating) add(at int, format string, args ...any) string {
	name := m.function + ": " + fmt.Sprintf(format, args...)
	if m.names[name]++; m.names[name] > 1 {
		name += fmt.Sprintf(" (%d)", m.names[name])
	}
	id := uint32(len(m.mutants) + 1)
	m.mutants = append(m.mutants, mutant{id: id, name: name, line: 1 + strings.Count(m.text[:m.w[at].from], "\n")})
	return fmt.Sprintf("mutant_ == %d", id)
}

func (m *mutating) node(from, to int, render func(as string) string) {
	m.nodes = append(m.nodes, node{from, to, render, len(m.nodes)})
}

// renderTo renders words [from, to), with the nodes from *at on.
func (m *mutating) renderTo(from, to int, at *int) string {
	var b strings.Builder
	begin, end := 0, len(m.text)
	if from > 0 || to < len(m.w) {
		begin, end = m.w[from].from, m.w[to-1].to
	}
	for *at < len(m.nodes) && m.nodes[*at].from < to {
		n := m.nodes[*at]
		if n.to > to {
			panic("mutants overlap: " + m.source(n.from, n.to))
		}
		*at++
		b.WriteString(m.text[begin:m.w[n.from].from])
		b.WriteString(n.render(m.renderTo(n.from, n.to, at)))
		begin = m.w[n.to-1].to
	}
	b.WriteString(m.text[begin:end])
	return b.String()
}

// body finds the mutants of words [from, to) of a function.
func (m *mutating) body(from, to int) {
	heads := map[int]bool{} // words in the head of a for
	for i := from; i < to; i++ {
		if m.is(i, "for") {
			for j := i; j < m.match[i+1]; j++ {
				heads[j] = true
			}
			m.loopStart(i + 2)
		}
	}
	declared := m.declarators(from, to)
	for i := from; i < to; i++ {
		if m.is(i, "constexpr", "static_assert") { // must stay constant
			for !m.is(i, ";") {
				i++
			}
			continue
		}
		s := m.w[i].s
		if m.w[i].isName() && m.is(i+1, "<") && m.text[m.w[i].to] == '<' { // so must the arguments of a template
			m.call(i)
			for !m.is(i, ">") {
				i++
			}
			continue
		}
		switch {
		case s == "threadgroup_barrier" || s == "simdgroup_barrier":
			m.barrier(i)
		case s == "<" || s == ">" || s == "<=" || s == ">=" || s == "==" || s == "!=":
			if m.text[m.w[i].from-1] == ' ' && m.text[m.w[i].to] == ' ' {
				m.comparison(i, heads[i])
			}
		case s == "[" && !m.is(i-1, "[") && !m.is(i+1, "[") && !declared[i]:
			m.offset(i+1, m.match[i], "1")
		case s == "+=" && !heads[i]:
			m.assignment(i)
		case s == "0.0f":
			c := m.add(i, "%s → 1.0f", m.around(i))
			m.node(i, i+1, func(as string) string { return "(" + c + " ? 1.0f : 0.0f)" })
		case (s == "INFINITY" || s == "FLT_MAX") && m.is(i-1, "-"):
			c := m.add(i, "%s → 0.0f", m.around(i))
			m.node(i-1, i+1, func(as string) string { return "(" + c + " ? 0.0f : " + as + ")" })
		case m.bools[s] && m.isCondition(i):
			c := m.add(i, "%s → !%s", m.around(i), s)
			m.node(i, i+1, func(as string) string { return "(" + as + " != (" + c + "))" })
		case m.params[s] != "" && m.is(i+1, "."):
			m.field(i)
		default:
			m.call(i)
		}
	}
}

// around shows word i in what surrounds it: the rest of the statement, but not much.
func (m *mutating) around(i int) string {
	from, to := i, i+1
	for i-from < 6 && !m.is(from-1, ";", "{", "}") {
		from--
	}
	for to-i < 6 && !m.is(to, ";", "{", "}") {
		to++
	}
	s := ""
	if from < i {
		s = m.source(from, i) + " "
	}
	s += "‹" + m.w[i].s + "›"
	if to > i+1 {
		s += " " + m.source(i+1, to)
	}
	return s
}

// declarators finds the brackets of arrays that are declared.
func (m *mutating) declarators(from, to int) map[int]bool {
	is := map[int]bool{}
	for i := from; i < to; i++ {
		j := i
		for m.is(j, "const", "threadgroup") {
			j++
		}
		if !m.is(i-1, ";", "{", "}") || !m.w[j].isName() || !m.w[j+1].isName() {
			continue
		}
		for value := false; j < to && !m.is(j, ";"); j++ {
			switch {
			case m.is(j, "="):
				value = true
			case m.is(j, ","):
				value = false
			case m.is(j, "["):
				is[j] = !value
				j = m.match[j]
			case m.match[j] > j:
				j = m.match[j]
			}
		}
	}
	return is
}

// isCondition reports whether the name at i is what an if, a ternary or a logical operator asks.
func (m *mutating) isCondition(i int) bool {
	if m.is(i+1, "(") {
		return false
	}
	return m.is(i+1, "?", "&&", "||") || m.is(i-1, "&&", "||", "!") || m.is(i-1, "(") && m.is(i-2, "if") && m.is(i+1, ")")
}

func (m *mutating) barrier(i int) {
	end := m.match[i+1] + 1 // the semicolon
	name, flags := m.w[i].s, m.source(i+2, m.match[i+1])
	if flags == "mem_flags::mem_none" { // it is for the compiler
		return
	}
	cases := []string{""}
	what := []string{"removed"}
	for _, other := range []string{"mem_none", "mem_device", "mem_threadgroup"} {
		if other = "mem_flags::" + other; other != flags {
			cases, what = append(cases, name+"("+other+");"), append(what, other)
		}
	}
	if name == "threadgroup_barrier" {
		cases, what = append(cases, "simdgroup_barrier("+flags+");"), append(what, "simdgroup_barrier")
	}
	b := "{ "
	for k, c := range cases {
		b += "if (" + m.add(i, "%s → %s", m.source(i, end), what[k]) + ") { " + c + " } else "
		m.mutants[len(m.mutants)-1].race = true
	}
	m.node(i, end+1, func(as string) string { return b + as + " }" })
}

// comparison mutates a comparison: it always holds, unless that makes a loop endless, it never does, and the limit is
// moved by one.
func (m *mutating) comparison(i int, loop bool) {
	stop := []string{"(", "[", "{", ",", ";", "?", ":", "&&", "||", "return", "=", "==", "!=", "!"}
	from, to := i, i+1
	for from > 0 && !m.is(from-1, stop...) {
		if from--; m.match[from] >= 0 {
			from = m.match[from]
		}
	}
	for !m.is(to, append(stop[3:], ")", "]", "}")...) {
		if m.match[to] > to {
			to = m.match[to]
		}
		to++
	}
	text := m.source(from, to)
	b := "("
	if !loop {
		b += m.add(i, "%s → true", text) + " ? true : "
	}
	b += m.add(i, "%s → false", text) + " ? false : "
	op := m.w[i].s
	left, right := m.source(from, i), m.source(i+1, to)
	moved := ""
	switch op {
	case "<", ">":
		moved = left + " " + op + "= " + right
	case "<=", ">=":
		moved = left + " " + op[:1] + " " + right
	default:
		if !strings.ContainsAny(right, ".") && left != right {
			moved = left + " " + op + " " + right + " + 1"
		}
	}
	if moved != "" {
		b += m.add(i, "%s → %s", text, moved) + " ? " + moved + " : "
	}
	m.node(from, to, func(as string) string { return b + as + ")" })
}

// offset adds by to an expression.
func (m *mutating) offset(from, to int, by string) {
	if from >= to {
		return
	}
	shown := by
	if i := strings.Index(by, " "); i > 0 {
		shown = by[:i] + "…"
	}
	before := ""
	if m.is(from-1, "[") {
		before = m.w[from-2].s
		if m.is(from-2, "]") {
			before = m.w[m.match[from-2]-1].s + "[]"
		}
		before += "[] "
	}
	c := m.add(from, "%s%s → + %s", before, m.source(from, to), shown)
	m.node(from, to, func(as string) string { return "(" + as + ") + ((" + c + ") ? " + by + " : 0)" })
}

// loopStart mutates where a loop begins: its head starts at i.
func (m *mutating) loopStart(i int) {
	for !m.is(i, "=") {
		if m.is(i, ";") {
			return
		}
		i++
	}
	end := i + 1
	for !m.is(end, ";", ",") {
		if m.match[end] > end {
			end = m.match[end]
		}
		end++
	}
	c := m.add(i, "for %s = %s → + 1", m.w[i-1].s, m.source(i+1, end))
	m.node(i+1, end, func(as string) string { return "(" + as + ") + (" + c + ")" })
}

// assignment makes a sum start again.
func (m *mutating) assignment(i int) {
	from, to := i, i+1
	for !m.is(from-1, ";", "{", "}", ")", "else") {
		if from--; m.match[from] >= 0 {
			from = m.match[from]
		}
	}
	for !m.is(to, ";") {
		to++
	}
	c := m.add(i, "%s → =", m.source(from, to))
	left, right := m.source(from, i), m.source(i+1, to)
	m.node(from, to, func(as string) string { return "(" + c + ") ? (" + left + " = " + right + ") : (" + as + ")" })
}

// field takes the wrong one of several fields that were declared together.
func (m *mutating) field(i int) {
	of, at := m.params[m.w[i].s], i
	for {
		line := m.fields[of][m.w[at+2].s]
		if line == nil {
			return
		}
		at += 2
		if m.fields[line[0]] != nil && m.is(at+1, ".") {
			of = line[0]
			continue
		}
		if len(line) < 3 || line[0] != "uint" {
			return
		}
		k := slices.Index(line, m.w[at].s)
		other := line[1+k%(len(line)-1)]
		prefix := m.text[m.w[i].from:m.w[at].from]
		c := m.add(i, "%s → %s%s", m.around(at), prefix, other)
		m.node(i, at+1, func(as string) string { return "(" + c + " ? " + prefix + other + " : " + as + ")" })
		return
	}
}

// offsets are the arguments of a function that say where something is, and by how much a wrong one is off: the argument
// after a ? says whether that is 4 or 1.
var offsets = map[string][]struct {
	arg   int
	by    string
	quads int
}{
	"load": {{1, "1", 0}}, "store": {{1, "1", 0}}, "load4": {{1, "4", 0}}, "store4": {{1, "4", 0}},
	"store_turned": {{4, "4", 0}, {5, "4", 0}, {6, "1", 0}, {8, "4", 0}},
	"load_some":    {{1, "", 3}}, "store_some": {{1, "", 4}},
	"load_row": {{1, "", 6}, {2, "", 6}, {3, "1", 0}}, "store_row": {{1, "", 6}, {2, "", 6}, {3, "1", 0}},
	"load_quad": {{1, "(wide ? 4 : 1)", 0}, {3, "1", 0}}, "store_quad": {{1, "(wide ? 4 : 1)", 0}, {3, "1", 0}},
	"quad": {{0, "1", 0}, {1, "1", 0}}, "onehot": {{1, "1", 0}},
	"load_tile":       {{2, "", 8}, {3, "", 8}, {4, "", 8}, {5, "1", 0}, {6, "", 8}, {7, "1", 0}},
	"finish":          {{1, "1", 0}, {2, "1", 0}, {3, "(quads_c ? 4 : 1)", 0}},
	"simdgroup_load":  {{1, "1", 0}, {2, "1", 0}},
	"simdgroup_store": {{1, "1", 0}, {2, "1", 0}},
	"tile_column":     {{0, "1", 0}, {1, "1", 0}},
	"filled":          {{0, "1", 0}},
	"load_four":       {{1, "(quads ? 4 : 1)", 0}},
	"store_four":      {{1, "(quads ? 4 : 1)", 0}},
	"pick":            {{1, "1", 0}},
	"seen":            {{1, "1", 0}, {2, "1", 0}, {3, "1", 0}},
	"exps":            {{1, "1", 0}, {2, "1", 0}},
}

// call mutates the arguments of a call that are places.
func (m *mutating) call(i int) {
	places, open := offsets[m.w[i].s], i+1
	if places == nil {
		return
	}
	if m.is(open, "<") {
		for !m.is(open, ">") {
			open++
		}
		open++
	}
	if !m.is(open, "(") {
		return
	}
	args := [][2]int{}
	for from, j := open+1, open+1; ; j++ {
		if m.is(j, ",") || j == m.match[open] {
			args = append(args, [2]int{from, j})
			from = j + 1
		}
		if j == m.match[open] {
			break
		}
		if m.match[j] > j {
			j = m.match[j]
		}
	}
	for _, p := range places {
		if p.arg >= len(args) {
			continue
		}
		by := p.by
		if p.quads > 0 {
			if p.quads >= len(args) {
				continue
			}
			by = "(" + m.source(args[p.quads][0], args[p.quads][1]) + " ? 4 : 1)"
		}
		from, to := args[p.arg][0], args[p.arg][1]
		c := m.add(i, "%s(…%d: %s) → + %s", m.w[i].s, p.arg, m.source(from, to), by)
		m.node(from, to, func(as string) string { return "(" + as + ") + ((" + c + ") ? " + by + " : 0)" })
	}
}

// TestMutate shows what becomes of a source.
func TestMutate(t *testing.T) {
	got, mutants := mutate("struct P { uint a, b; };\nkernel void k(constant P& p [[buffer(0)]]) {\n  float x[3];\n  if (i < p.a) x[i] += 0.0f;\n  threadgroup_barrier(mem_flags::mem_device);\n}\n")
	want := "struct P { uint a, b; };\nkernel void k(constant P& p [[buffer(0)]]) {\n  float x[3];\n" +
		"  if ((mutant_ == 1 ? true : mutant_ == 2 ? false : mutant_ == 3 ? i <= p.a : i < (mutant_ == 4 ? p.b : p.a))) " +
		"(mutant_ == 6) ? (x[i] = 0.0f) : (x[(i) + ((mutant_ == 5) ? 1 : 0)] += (mutant_ == 7 ? 1.0f : 0.0f));\n" +
		"  { if (mutant_ == 8) {  } else if (mutant_ == 9) { threadgroup_barrier(mem_flags::mem_none); } else if (mutant_ == 10) " +
		"{ threadgroup_barrier(mem_flags::mem_threadgroup); } else if (mutant_ == 11) { simdgroup_barrier(mem_flags::mem_device); } else threadgroup_barrier(mem_flags::mem_device); }\n}\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if len(mutants) != 11 || mutants[10].name != "k: threadgroup_barrier(mem_flags::mem_device) → simdgroup_barrier" || mutants[10].line != 5 || !mutants[10].race {
		t.Errorf("mutants %v", mutants)
	}
}
