//go:build linux && amd64

package emulator

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"coil/metal"
)

// unit is a translated source. What a launch needs of it is kept beside the compiled library.
type unit struct {
	Files     []string // that the source names
	Kernels   []kernelDecl
	Constants []constantDecl
	Calls     []string // of Metal's library, each kind once: "max(float, float)"

	text  string
	diags []Diag
}

// constantDecl is a function constant.
type constantDecl struct {
	Name  string
	Index int
	Type  metal.ConstantType
}

// builtins are the input attributes of kernels, where the value is found, and whether it may have up to three components.
var builtins = map[string]struct {
	field string
	vec   bool
}{
	"thread_position_in_grid":             {"pos_grid", true},
	"thread_position_in_threadgroup":      {"pos_group", true},
	"threadgroup_position_in_grid":        {"sh->group_pos", true},
	"threads_per_threadgroup":             {"sh->group_size", true},
	"dispatch_threads_per_threadgroup":    {"sh->group_size", true},
	"threadgroups_per_grid":               {"sh->groups", true},
	"threads_per_grid":                    {"sh->grid", true},
	"thread_index_in_threadgroup":         {"idx_group", false},
	"thread_index_in_simdgroup":           {"idx_simd", false},
	"simdgroup_index_in_threadgroup":      {"simd_idx", false},
	"threads_per_simdgroup":               {"sh->simd_width", false},
	"thread_execution_width":              {"sh->simd_width", false},
	"simdgroups_per_threadgroup":          {"sh->simd_count", false},
	"dispatch_simdgroups_per_threadgroup": {"sh->simd_count", false},
}

var constantTypes = map[string]metal.ConstantType{
	"bool": metal.ConstantBool, "int": metal.ConstantInt, "uint": metal.ConstantUint, "float": metal.ConstantFloat,
}

// entryFile is the file that diagnostics name for the entry points, which the translator adds.
const entryFile = "entry-points"

type translator struct {
	all     []token
	t       []token // without white space
	at      []int   // their places in all
	unit    *unit
	kernels map[string]*kernelFunc
	bodies  map[int]bool // places of the opening braces of kernels
	groupID int
}

// translate rewrites preprocessed Metal source into what clang compiles as C++ for OpenCL, with the headers before it. Lines
// stay where they are.
func translate(pre string, headers ...string) *unit {
	tr := &translator{all: lex(pre), unit: &unit{}, kernels: map[string]*kernelFunc{}, bodies: map[int]bool{}}
	tr.macros()
	seen := map[string]bool{}
	for i, t := range tr.all {
		if t.kind != space {
			tr.t, tr.at = append(tr.t, t), append(tr.at, i)
		}
		if !seen[t.file] {
			seen[t.file] = true
			tr.unit.Files = append(tr.unit.Files, t.file)
		}
	}
	tr.lintTokens()
	tr.structs()
	tr.references()
	depth, start := 0, 0
	for i := 0; i < len(tr.t); i++ {
		switch s := tr.t[i].s; {
		case s == "{":
			depth++
			if depth == 1 && i > start && tr.t[start].s == "namespace" {
				depth, start = 0, i+1 // look inside
			}
		case s == "}":
			depth = max(0, depth-1)
			if depth == 0 {
				start = i + 1
			}
		case depth > 0:
		case s == ";":
			start = i + 1
		case s == "template" && !tr.is(i+1, "<"):
			i = tr.instantiation(i)
			start = i + 1
		case s == "constant":
			if j := tr.functionConstant(i); j > i {
				i, start = j, j+1
			}
		case s == "kernel":
			i = tr.kernel(start, i)
			start = i + 1
		}
	}
	tr.functionBodies()

	var b strings.Builder
	for _, h := range headers {
		fmt.Fprintf(&b, "#include <%s>\n", h)
	}
	for _, t := range tr.all {
		b.WriteString(t.s)
	}
	fmt.Fprintf(&b, "\n# 1 %q 3\n", entryFile)
	b.WriteString("extern \"C\" { extern __attribute__((visibility(\"hidden\"))) constant char __ehdr_start, _end; }\n")
	fmt.Fprintf(&b, "%s ulong msl_image(int i) { return (ulong)(i ? &_end : &__ehdr_start); }\n", export)
	for _, c := range tr.unit.Constants {
		fmt.Fprintf(&b, "__asm__(\".bss\\n.globl msl_fc_%d\\n.balign 4\\nmsl_fc_%d: .zero 4\\n.text\");\n", c.Index, c.Index)
	}
	for i := range maxThreadgroupParams {
		fmt.Fprintf(&b, "__asm__(\".bss\\n.globl msl_tg_%[1]d\\n.balign 4\\nmsl_tg_%[1]d: .zero 4\\n.text\");\nextern constant uint msl_tg_%[1]d __asm__(\"msl_tg_%[1]d\");\n", i)
	}
	called := map[string]bool{}
	for i := range tr.unit.Kernels {
		k := &tr.unit.Kernels[i]
		if !called[k.generic.name] {
			called[k.generic.name] = true
			k.generic.writeCall(&b)
		}
		k.writeEntry(&b)
	}
	tr.unit.text = b.String()
	return tr.unit
}

var macroRE = regexp.MustCompile(`^#\s*(define|undef)\s+(\w+)`)

// macros checks the names of the source's macros and drops their definitions, as all of them have been expanded.
func (tr *translator) macros() {
	for i, t := range tr.all {
		m := macroRE.FindStringSubmatch(t.s)
		if t.kind != space || m == nil {
			continue
		}
		if !strings.HasPrefix(t.file, "<") { // otherwise the compiler's own
			if why := reservedNames().refusal(m[2], true); why != "" {
				tr.unit.diags = append(tr.unit.diags, Diag{t.file, t.line, "macro " + why})
			}
		}
		tr.all[i].s = "\n"
	}
}

// is reports whether token i is one of words.
func (tr *translator) is(i int, words ...string) bool {
	for _, w := range words {
		if i >= 0 && i < len(tr.t) && tr.t[i].s == w {
			return true
		}
	}
	return false
}

func (tr *translator) diag(i int, format string, a ...any) {
	t := tr.t[min(i, len(tr.t)-1)]
	tr.unit.diags = append(tr.unit.diags, Diag{t.file, t.line, fmt.Sprintf(format, a...)})
}

// match returns the place of the bracket that closes the one at i.
func (tr *translator) match(i int) int {
	depth := 0
	for ; i < len(tr.t); i++ {
		switch tr.t[i].s {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(tr.t) - 1
}

// angle returns the place of the > that closes the < at i.
func (tr *translator) angle(i int) int {
	depth := 0
	for ; i < len(tr.t)-1; i++ {
		switch tr.t[i].s {
		case "<":
			depth++
		case ">":
			if depth--; depth == 0 {
				return i
			}
		case "(", "[", "{":
			i = tr.match(i)
		case ";":
			return i
		}
	}
	return len(tr.t) - 1
}

// text is the source of tokens a to b-1.
func (tr *translator) text(a, b int) string {
	var s []string
	for _, t := range tr.t[a:b] {
		s = append(s, t.s)
	}
	return strings.Join(s, " ")
}

func (tr *translator) set(i int, s string) { tr.all[tr.at[i]].s = s }

func (tr *translator) blank(a, b int) {
	for i := a; i < b; i++ {
		tr.set(i, "")
	}
}

func (tr *translator) isAttr(i int) bool { return tr.is(i, "[") && tr.is(i+1, "[") }

// structs lets structs be copied out of constant memory, which C++ for OpenCL does not do on its own.
func (tr *translator) structs() {
	for i := range tr.t {
		if !tr.is(i, "struct") || tr.is(i-1, "enum") || !tr.is(i+2, "{") || tr.t[i+1].kind != identifier {
			continue
		}
		name, end := tr.t[i+1].s, tr.match(i+2)
		own := false // constructors
		for j := i + 3; j < end; j++ {
			own = own || tr.t[j].s == name && tr.is(j+1, "(")
		}
		if !own {
			tr.set(i+2, strings.ReplaceAll("{ X() = default; X(const X&) = default; X(const constant X&) = default; X& operator=(const X&) = default; X& operator=(const constant X&) = default; ", "X", name))
		}
	}
}

// references makes parameters of type const thread T& values, to which temporaries can be given. That the arguments lie in
// thread memory is checked later, where the mark is.
func (tr *translator) references() {
	for i := range tr.t {
		if !(tr.is(i, "const") && tr.is(i+1, "thread") || tr.is(i, "thread") && tr.is(i+1, "const")) || !tr.is(i-1, "(", ",") {
			continue
		}
		end := i + 2
		for end < len(tr.t)-2 && (tr.t[end].kind == identifier || tr.is(end, "::", "<")) {
			if tr.is(end, "<") {
				end = tr.angle(end)
			}
			end++
		}
		if !tr.is(end, "&") || tr.t[end+1].kind != identifier || !tr.is(end+2, ",", ")", "=") {
			continue
		}
		for j := i; j < i+2; j++ {
			if tr.is(j, "thread") {
				tr.set(j, "")
			}
		}
		tr.set(end, "")
		tr.set(end+1, tr.t[end+1].s+` __attribute__((annotate("thread reference")))`)
	}
}

var (
	scalarRE     = regexp.MustCompile(`^(uint|ushort)([23])?$`)
	identifierRE = regexp.MustCompile(`^[A-Za-z_]\w*$`)
)

// functionConstant makes constant T name [[function_constant(n)]]; memory that is set before a launch.
func (tr *translator) functionConstant(i int) int {
	end := i
	for end < len(tr.t)-1 && !tr.is(end, ";", "{") {
		end++
	}
	for j := i; j < end; j++ {
		if !tr.isAttr(j) || !tr.is(j+2, "function_constant") {
			continue
		}
		c := constantDecl{Name: tr.t[j-1].s}
		var err error
		if c.Index, err = strconv.Atoi(tr.t[j+4].s); err != nil || c.Index < 0 || c.Index > 65535 {
			tr.diag(j, "function constant %s: the index must be a number from 0 to 65535", c.Name)
		}
		typ, ok := constantTypes[tr.text(i+1, j-1)]
		if !ok {
			tr.diag(j, "function constant %s: the type must be bool, int, uint or float", c.Name)
		}
		c.Type = typ
		for _, o := range tr.unit.Constants {
			if o.Index == c.Index {
				tr.diag(j, "function constants %s and %s have the same index", o.Name, c.Name)
			}
		}
		tr.unit.Constants = append(tr.unit.Constants, c)
		tr.blank(j, tr.match(j)+1)
		tr.set(j, fmt.Sprintf("__asm__(\"msl_fc_%d\")", c.Index))
		tr.set(i, "extern constant")
		return end
	}
	return i
}

// functionBodies looks into functions for static variables, which Metal lacks, and gives threadgroup variables of kernels a
// place in the memory of the group.
func (tr *translator) functionBodies() {
	type scope struct {
		function int // depth of braces inside a function
		kernel   bool
	}
	var stack []scope
	for i := 0; i < len(tr.t); i++ {
		var in scope
		if len(stack) > 0 {
			in = stack[len(stack)-1]
		}
		switch tr.t[i].s {
		case "{":
			switch {
			case in.function > 0:
				in.function++
			case tr.is(i-1, ")", "const", "thread", "device", "constant", "threadgroup"):
				in = scope{1, tr.bodies[i]}
			}
			stack = append(stack, in)
		case "}":
			if len(stack) > 0 {
				stack = stack[:len(stack)-1]
			}
		case "static":
			if in.function > 0 {
				tr.diag(i, "variables of functions cannot be static")
			}
		case "threadgroup":
			if in.function == 0 || !tr.is(i-1, "{", "}", ";") {
				continue
			}
			end, pointer := i, false
			for ; end < len(tr.t)-1 && !tr.is(end, ";"); end++ {
				switch tr.t[end].s {
				case "*", "&":
					pointer = true
				case "[", "(":
					end = tr.match(end)
				case "<":
					end = tr.angle(end)
				}
			}
			if pointer {
				continue
			}
			if !in.kernel || in.function > 1 {
				tr.diag(i, "threadgroup variables must be declared in the outermost block of a kernel")
			}
			tr.threadgroupVariables(i, end)
			i = end
		}
	}
}

// threadgroupVariables rewrites threadgroup T a[n], b; whose semicolon is at end.
func (tr *translator) threadgroupVariables(i, end int) {
	n := i + 1
	for ; n < end; n++ { // to the first name: the identifier before [ , or ;
		if tr.is(n, "<") {
			n = tr.angle(n)
		} else if tr.t[n].kind == identifier && tr.is(n+1, "[", ",", ";", "=") {
			break
		}
	}
	base := tr.text(i+1, n)
	var out strings.Builder
	for n < end {
		name, dims := tr.t[n].s, n+1
		for dims < end && tr.is(dims, "[") {
			dims = tr.match(dims) + 1
		}
		next := dims
		if tr.is(next, "=") {
			tr.diag(n, "threadgroup variable %s cannot have an initializer", name)
			for ; next < end && !tr.is(next, ","); next++ {
				if tr.is(next, "(", "[", "{") {
					next = tr.match(next)
				}
			}
		}
		tr.groupID++
		fmt.Fprintf(&out, "typedef %[1]s _tgt_%[2]s %[3]s; threadgroup _tgt_%[2]s& %[2]s = *(threadgroup _tgt_%[2]s*)msl_tg_alloc(%[4]d, sizeof(_tgt_%[2]s), alignof(_tgt_%[2]s));",
			base, name, tr.text(n+1, dims), tr.groupID)
		n = next + 1
	}
	tr.blank(i, end+1)
	tr.set(i, out.String())
}
