//go:build linux && amd64

package emulator

import (
	"fmt"
	"strconv"
	"strings"
)

// kernelDecl is a kernel as the host sees it.
type kernelDecl struct {
	Name       string
	At         string // file:line
	MaxThreads int    // 0: no bound of its own
	Params     []param
	Uses       []int    // indices of function constants
	Needs      []string // names of functions, attributes and types that not every GPU has

	function string // C++ expression that names the function: "gemm<float, 8>"
	generic  *kernelFunc
}

// param is a parameter of a kernel.
type param struct {
	Name  string
	Type  string // as written: "device const float *"
	Attr  string // buffer, thread_position_in_grid, …
	Index int    // of a buffer
	Const bool   // the kernel cannot write to it
	Space string // device, constant
	If    string // the function constant that must be true for it to exist, or ""
}

func (p *param) isReference() bool { return strings.HasSuffix(p.Type, "&") }

// kernelFunc is a function with the word kernel, maybe a template.
type kernelFunc struct {
	name, header string // header: "template < typename T , int N >", or ""
	maxThreads   int
	params       []param
}

// kernel reads the definition of a kernel. Its declaration starts at start, i is the word kernel.
func (tr *translator) kernel(start, i int) int {
	k := &kernelFunc{}
	if tr.is(start, "template") {
		k.header = tr.text(start, tr.angle(start+1)+1)
	}
	open := i
	for j := start; j < i; j++ { // [[kernel, …]]: continue after the attribute
		if tr.isAttr(j) {
			open = max(open, tr.match(j))
		}
	}
	for open < len(tr.t) && !tr.is(open, "(", ";", "{") { // attributes may stand before the name
		if tr.isAttr(open) {
			open = tr.match(open)
		}
		open++
	}
	if !tr.is(open, "(") {
		tr.diag(i, "kernel: no parameter list found")
		return i
	}
	k.name = tr.t[open-1].s
	if !tr.is(open-2, "void") {
		tr.diag(i, "kernel %s must return void", k.name)
	}
	for j := start; j < open; j++ {
		if tr.is(j, "max_total_threads_per_threadgroup") {
			n, err := strconv.Atoi(tr.t[j+2].s)
			if err != nil || n < 1 || n > maxThreads {
				tr.diag(j, "kernel %s: the bound of threads must be a number from 1 to %d", k.name, maxThreads)
			} else if n < 64 {
				tr.diag(j, "kernel %s: Apple's compiler gets SIMD-group matrices wrong with a bound of 32 threads; use 64 or none", k.name)
			}
			k.maxThreads = n
		}
	}
	end := tr.match(open)
	seen, components := map[string]bool{}, 0
	for a := open + 1; a < end; {
		b, angle := a, 0
		for ; b < end && (angle > 0 || !tr.is(b, ",")); b++ {
			switch tr.t[b].s {
			case "(", "[", "{":
				b = tr.match(b)
			case "<":
				angle++
			case ">":
				angle--
			}
		}
		k.params = append(k.params, tr.param(k.name, a, b, seen, &components))
		a = b + 1
	}
	for i := range k.params { // section 5.2.1: the first available index
		for p := &k.params[i]; p.Index < 0 && (p.Attr == "buffer" || p.Attr == "threadgroup"); {
			n := 0
			for seen[fmt.Sprintf("%s(%d)", p.Attr, n)] {
				n++
			}
			p.Index = n
			seen[fmt.Sprintf("%s(%d)", p.Attr, n)] = true
		}
	}
	if !tr.is(end+1, "{") {
		tr.diag(i, "kernel %s: declared but not defined here", k.name)
		return end
	}
	if tr.kernels[k.name] != nil {
		tr.diag(i, "two kernels are called %s; give one of them another name", k.name)
	}
	tr.kernels[k.name] = k
	tr.bodies[end+1] = true
	if k.header == "" {
		tr.addKernel(i, k.name, k.name, k)
	}
	return tr.match(end + 1)
}

func (tr *translator) addKernel(i int, name, function string, k *kernelFunc) {
	for _, o := range tr.unit.Kernels {
		if o.Name == name && o.generic != k {
			tr.diag(i, "two kernels are called %s", name)
		}
	}
	tr.unit.Kernels = append(tr.unit.Kernels, kernelDecl{Name: name, At: fmt.Sprintf("%s:%d", tr.t[i].file, tr.t[i].line), MaxThreads: k.maxThreads, Params: k.params, function: function, generic: k})
}

// maxThreadgroupParams is the number of threadgroup arguments that a kernel can have. Their lengths are variables of the
// library, which a launch sets.
const maxThreadgroupParams = 4

// param reads the parameter of a kernel in tokens a to b-1. seen holds the attributes used so far, components is the number
// that all positions and sizes must have.
func (tr *translator) param(kernel string, a, b int, seen map[string]bool, components *int) param {
	p := param{Index: -1}
	typeEnd := b
	for i := a; i < b; i++ {
		if !tr.isAttr(i) {
			continue
		}
		typeEnd = min(typeEnd, i)
		p.Attr = tr.t[i+2].s
		if tr.is(i+3, "(") {
			n, err := strconv.Atoi(tr.t[i+4].s)
			if err != nil || !tr.is(i+5, ")") {
				tr.diag(i, "kernel %s: the index of an attribute must be a literal number", kernel)
			}
			p.Index = n
		}
		end := tr.match(i)
		for j := i; j < end; j++ {
			if tr.is(j, "function_constant") && tr.is(j+1, "(") {
				p.If = tr.t[j+2].s
			}
		}
		i = end
	}
	if typeEnd <= a+1 {
		tr.diag(a, "kernel %s: parameter without a name or a type", kernel)
		return p
	}
	p.Name = tr.t[typeEnd-1].s
	p.Type = tr.text(a, typeEnd-1)
	bad := func(format string, args ...any) {
		tr.diag(a, "kernel %s, parameter %s: %s", kernel, p.Name, fmt.Sprintf(format, args...))
	}
	words := strings.Fields(p.Type)
	pointer := len(words) > 0 && (words[len(words)-1] == "*" || words[len(words)-1] == "&")
	for _, w := range words {
		switch w {
		case "device", "constant", "threadgroup", "thread":
			p.Space = w
		case "const":
			p.Const = true
		}
	}
	p.Const = p.Const || p.Space == "constant"
	key := p.Attr
	if key == "thread_execution_width" { // the older name of the same
		key = "threads_per_simdgroup"
	}
	if p.Index >= 0 {
		key = fmt.Sprintf("%s(%d)", key, p.Index)
	}
	explicit := p.Attr != ""
	if !explicit && pointer {
		switch p.Space {
		case "device", "constant":
			p.Attr = "buffer"
		case "threadgroup":
			p.Attr = "threadgroup"
		}
	}
	if p.If == "" { // otherwise others may have the same place
		if explicit && seen[key] {
			bad("[[%s]] is used twice", key)
		}
		seen[key] = true
	}
	switch in, ok := builtins[p.Attr]; {
	case p.Attr == "":
		bad("has no [[…]] attribute")
	case p.Attr == "buffer":
		if !pointer || p.Space != "device" && p.Space != "constant" {
			bad("[[buffer]] needs a pointer or reference to device or constant memory")
		}
		if p.Index > 30 || explicit && p.Index < 0 {
			bad("the index of a buffer is from 0 to 30")
		}
	case p.Attr == "threadgroup":
		if p.Space != "threadgroup" || words[len(words)-1] != "*" {
			bad("[[threadgroup]] needs a pointer to threadgroup memory")
		}
		if p.Index >= maxThreadgroupParams || explicit && p.Index < 0 {
			bad("the index of threadgroup memory is from 0 to %d", maxThreadgroupParams-1)
		}
	case ok:
		m := scalarRE.FindStringSubmatch(p.Type)
		if m == nil || !in.vec && m[2] != "" {
			bad("type %s does not suit [[%s]]", p.Type, p.Attr)
			break
		}
		if in.vec {
			n := 1
			if m[2] != "" {
				n = int(m[2][0] - '0')
			}
			if *components != 0 && *components != n {
				bad("all positions and sizes must have the same number of components")
			}
			*components = n
		}
	default:
		bad("unknown attribute [[%s]]", p.Attr)
	}
	return p
}

// instantiation reads template [[host_name("x")]] [[kernel]] … name<arguments> …;
func (tr *translator) instantiation(i int) int {
	end := i
	for end < len(tr.t)-1 && !tr.is(end, ";") {
		end++
	}
	host := ""
	for j := i + 1; j < end; j++ {
		if tr.isAttr(j) {
			if tr.is(j+2, "host_name") {
				for q := j + 4; tr.t[q].kind == literal; q++ { // macros leave several
					part, _ := strconv.Unquote(tr.t[q].s)
					host += part
				}
				if !identifierRE.MatchString(host) {
					tr.diag(j, "host_name: %q is not an identifier", host)
				}
			}
			c := tr.match(j)
			tr.blank(j, c+1)
			j = c
		} else if tr.is(j, "kernel") {
			tr.set(j, "")
		} else if k := tr.kernels[tr.t[j].s]; k != nil && tr.is(j+1, "<") {
			if host == "" {
				tr.diag(i, "explicit instantiation of %s without [[host_name]]", k.name)
			}
			tr.addKernel(i, host, tr.text(j, tr.angle(j+1)+1), k)
			return end
		}
	}
	if host != "" {
		tr.diag(i, "instantiation %q: no such kernel template above", host)
	}
	return end
}

const export = `extern "C" __attribute__((visibility("default")))`

// writeCall writes the function that reads a kernel's arguments from a thread's context and calls it, and the one that
// gives the layout of the types that its pointers point to: size·2³² + alignment.
func (k *kernelFunc) writeCall(b *strings.Builder) {
	call := k.name
	if k.header != "" {
		call += "<" + strings.Join(templateParams(k.header), ", ") + ">"
	}
	var args []string
	var layout strings.Builder
	for i, p := range k.params {
		switch in := builtins[p.Attr]; {
		case p.Attr == "buffer":
			typ, deref := p.Type, ""
			if p.isReference() {
				typ, deref = strings.TrimSuffix(typ, "&")+"*", "*"
			}
			args = append(args, fmt.Sprintf("%s(%s)c->sh->buf[%d]", deref, typ, p.Index))
			if !strings.Contains(" "+typ, " void ") {
				fmt.Fprintf(&layout, "case %d: return sizeof(*(%s)0) << 32 | alignof(decltype(*(%s)0)); ", i, typ, typ)
			}
		case p.Attr == "threadgroup":
			args = append(args, fmt.Sprintf("(%s)msl_tg_alloc(%d, msl_tg_%d, 16)", p.Type, 1<<20+p.Index, p.Index))
		case !in.vec:
			args = append(args, fmt.Sprintf("(%s)c->%s", p.Type, in.field))
		default:
			m := scalarRE.FindStringSubmatch(p.Type)
			switch {
			case m == nil: // reported
			case m[2] == "":
				args = append(args, fmt.Sprintf("(%s)c->%s[0]", p.Type, in.field))
			case m[2] == "2":
				args = append(args, fmt.Sprintf("metal::%[1]s{(%[2]s)c->%[3]s[0], (%[2]s)c->%[3]s[1]}", p.Type, m[1], in.field))
			default:
				args = append(args, fmt.Sprintf("metal::%[1]s{(%[2]s)c->%[3]s[0], (%[2]s)c->%[3]s[1], (%[2]s)c->%[3]s[2]}", p.Type, m[1], in.field))
			}
		}
	}
	const unwatched = `__attribute__((nodebug, no_sanitize("thread", "undefined")))`
	fmt.Fprintf(b, "%s %s static void _msl_call_%s(const device _msl_ctx* c) { %s(%s); }\n", k.header, unwatched, k.name, call, strings.Join(args, ", "))
	fmt.Fprintf(b, "%s static ulong _msl_layout_%s(int i) { switch (i) { %s} return 0; }\n", k.header, k.name, layout.String())
}

// writeEntry writes the functions that the host finds by name.
func (k *kernelDecl) writeEntry(b *strings.Builder) {
	args := strings.TrimPrefix(k.function, k.generic.name)
	fmt.Fprintf(b, "%s void msl_entry_%s(const device _msl_ctx* c) { _msl_call_%s%s(c); }\n", export, k.Name, k.generic.name, args)
	fmt.Fprintf(b, "%s ulong msl_layout_%s(int i) { return _msl_layout_%s%s(i); }\n", export, k.Name, k.generic.name, args)
}

// templateParams lists the names in "template < typename T , int N = 4 >".
func templateParams(header string) []string {
	header = header[strings.IndexByte(header, '<')+1 : strings.LastIndexByte(header, '>')]
	var names []string
	depth, last, isDefault := 0, "", false
	for _, w := range append(strings.Fields(header), ",") {
		switch {
		case w == "<" || w == "(":
			depth++
		case w == ">" || w == ")":
			depth--
		case w == "," && depth == 0:
			names, last, isDefault = append(names, last), "", false
		case w == "=":
			isDefault = true
		case !isDefault && depth == 0:
			last = w
		}
	}
	return names
}
