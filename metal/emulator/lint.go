//go:build linux && amd64

package emulator

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// What Metal lacks or reads in another way, and clang accepts.
var forbidden = map[string]string{
	"goto": "Metal has no goto", "register": "Metal has no register variables", "thread_local": "Metal has no thread_local",
	"virtual": "Metal has no virtual functions", "dynamic_cast": "Metal has no run-time types", "typeid": "Metal has no run-time types",
	"new": "Metal has no dynamic memory", "delete": "Metal has no dynamic memory",
	"try": "Metal has no exceptions", "throw": "Metal has no exceptions", "catch": "Metal has no exceptions", "noexcept": "Metal has no exceptions",
	"double": "Metal has no double", "asm": "Metal has no asm", "__asm__": "Metal has no asm",
	"__global": "OpenCL; write device", "__local": "OpenCL; write threadgroup", "__private": "OpenCL; write thread",
	"__constant": "OpenCL; write constant", "__generic": "OpenCL; name an address space", "__kernel": "OpenCL; write kernel",
	"private": "OpenCL; as an access specifier it needs a colon",
}

var spaces = map[string]bool{"device": true, "constant": true, "threadgroup": true, "thread": true}

var (
	vectorRE   = regexp.MustCompile(`^(char|uchar|short|ushort|int|uint|long|ulong|half|float|bfloat)[234]$`)
	reservedRE = regexp.MustCompile(`^(_msl_|_mk_|_id_|_S_|_tgt_|msl_)`)
)

// lintTokens finds errors that show in the words alone.
func (tr *translator) lintTokens() {
	for i, t := range tr.t {
		if t.kind == identifier {
			if why := forbidden[t.s]; why != "" && !(t.s == "private" && tr.is(i+1, ":")) && !(t.s == "delete" && tr.is(i-1, "=")) {
				tr.diag(i, "%s: %s", t.s, why)
			}
			if t.s == "long" && tr.is(i+1, "long") {
				tr.diag(i, "long long: Metal has no such type; long has 64 bits")
			}
			if spaces[t.s] && i+1 < len(tr.t) && tr.t[i+1].kind == punctuation && !tr.is(i+1, "{", ":", "::") && !tr.is(i-1, ")", "const", "[") {
				tr.diag(i, "%s is a word of Metal; choose another name", t.s)
			}
			if reservedRE.MatchString(t.s) {
				tr.diag(i, "%s: the emulator uses such names; choose another", t.s)
			}
			if (t.s == "struct" || t.s == "class") && !tr.is(i-1, "enum") && tr.is(i+2, ":") {
				tr.diag(i, "derived classes are not in Metal's specification")
			}
			if vectorRE.MatchString(t.s) && tr.is(i-1, "(") && tr.is(i+1, ")") && tr.is(i+2, "(") && tr.comma(i+2, tr.match(i+2)) {
				tr.diag(i, "(%s)(a, b, …) is OpenCL; in Metal it is a comma expression. Write %[1]s(a, b, …)", t.s)
			}
		}
		if t.s == "[" && tr.is(i-1, "=", "(", ",", "return") && !tr.is(i+1, "[") {
			tr.diag(i, "lambda expressions need a newer Metal; write a function")
		}
	}
}

// comma reports whether there is a comma between a and b, outside of brackets.
func (tr *translator) comma(a, b int) bool {
	for i := a + 1; i < b; i++ {
		if tr.is(i, ",") {
			return true
		}
		if tr.is(i, "(", "[", "{") {
			i = tr.match(i)
		}
	}
	return false
}

// function is a function in clang's syntax tree.
type function struct {
	name   string
	at     Diag              // where it is
	own    bool              // of the source, not of the shim or of the entry points
	space  string            // the namespace around it: "metal::fast"
	class  string            // of a method
	params int               // seen so far
	thread []int             // parameters that are references to thread memory
	calls  map[string]string // addresses of functions, with their place
	consts map[int]bool      // indices of function constants it reads
	bfloat bool              // has to do with bfloat
}

// tree reads clang's dump of a syntax tree line by line.
type tree struct {
	unit   *unit
	diags  map[Diag]bool
	order  []Diag
	file   string // place of the current node
	line   int
	within []struct { // functions around the current node
		depth    int
		addr     string
		implicit bool
	}
	functions  map[string]*function
	constants  map[string]int    // address of a function constant → index
	first      map[string]string // address of a redeclaration → of the first declaration
	conditions map[int]bool      // depths of conditional operators whose condition comes next
	scopes     []scope           // what surrounds the current node
	calls      []*libraryCall    // whose arguments are being read
	typedefs   map[string]string // names of types → what they stand for
}

// scope is a node with declarations of its own.
type scope struct {
	depth   int
	program bool   // names declared here are visible everywhere
	space   string // the namespace, if it is one
	class   string // the class, if it is one
}

func (u *unit) newTree() *tree {
	return &tree{unit: u, diags: map[Diag]bool{}, functions: map[string]*function{}, constants: map[string]int{}, first: map[string]string{}, conditions: map[int]bool{}, typedefs: map[string]string{}}
}

// lintTree checks the source by clang's syntax tree and finds out which function constants each kernel uses.
func (u *unit) lintTree(dump string) []Diag {
	t := u.newTree()
	for dump != "" {
		line, rest, _ := strings.Cut(dump, "\n")
		t.node(line)
		dump = rest
	}
	t.endCalls(0)
	t.recursion()
	t.kernelCalls()
	t.uses()
	return t.order
}

func (t *tree) diag(format string, a ...any) {
	d := Diag{t.file, t.line, fmt.Sprintf(format, a...)}
	if !t.diags[d] {
		t.diags[d] = true
		t.order = append(t.order, d)
	}
}

// node reads one line of the dump: "| | `-Kind 0xaddress <from, to> place words 'type' words".
func (t *tree) node(line string) {
	depth := strings.IndexFunc(line, func(r rune) bool { return r >= 'A' && r <= 'Z' || r == '<' })
	if depth < 0 {
		return
	}
	s := line[depth:]
	kind, s, _ := strings.Cut(s, " ")
	addr, s, _ := strings.Cut(s, " ")
	head, tail := s, ""
	if q := strings.IndexByte(s, '\''); q >= 0 {
		head, tail = s[:q], s[q:]
	}
	t.place(head)
	for len(t.within) > 0 && t.within[len(t.within)-1].depth >= depth {
		t.within = t.within[:len(t.within)-1]
	}
	typ := ""
	if len(tail) > 1 {
		typ, _, _ = strings.Cut(tail[1:], "'")
	}
	own := t.own()
	if n := len(t.within); n > 0 && t.within[n-1].implicit { // what the compiler adds to a class
		own = false
	}
	implicit := strings.Contains(head, " implicit ") || strings.HasPrefix(kind, "CXX") && strings.Contains(tail[strings.LastIndexByte(tail, '\'')+1:], " default")
	t.argument(depth, kind, addr, tail)
	if strings.HasSuffix(kind, "Decl") {
		t.declaration(depth, kind, head, tail, own && !implicit)
	}

	switch kind {
	case "FunctionDecl", "CXXMethodDecl", "CXXConstructorDecl", "CXXConversionDecl", "CXXDestructorDecl":
		t.function(depth, kind, addr, head, typ, strings.Contains(tail, "' static"), own, implicit)
	case "ParmVarDecl", "AnnotateAttr":
		if n := len(t.within); n > 0 && depth == t.within[n-1].depth+2 {
			t.functions[t.within[n-1].addr].params++
		} else if n > 0 && kind == "AnnotateAttr" && strings.Contains(head+tail, "thread reference") {
			f := t.functions[t.within[n-1].addr]
			f.thread = append(f.thread, f.params-1)
		}
	case "TypedefDecl", "TypeAliasDecl":
		name := declaredName(kind, head, tail)
		written, _, _ := strings.Cut(strings.TrimPrefix(tail, "'"), "'")
		if written != name {
			t.typedefs[name] = written
		}
	case "VarDecl":
		name := lastWord(head, "used", "referenced", "invalid")
		for _, c := range t.unit.Constants {
			if c.Name == name && len(t.within) == 0 && strings.Contains(tail, "extern") {
				t.constants[addr] = c.Index
			}
		}
	case "DeclRefExpr", "MemberExpr", "CXXConstructExpr":
		t.reference(kind, tail)
	}
	if !own {
		return
	}
	if n := len(t.within); n > 0 && (strings.Contains(tail, "bfloat") || strings.Contains(tail, "__bf16")) {
		t.functions[t.within[n-1].addr].bfloat = true
	}

	if t.conditions[depth-2] { // the first child of a conditional operator
		delete(t.conditions, depth-2)
		if strings.Contains(tail, "ext_vector_type") {
			t.diag("?: chooses between vectors by parts in OpenCL only; use select")
		}
	}
	switch kind {
	case "ConditionalOperator":
		t.conditions[depth] = true
	case "ExtVectorElementExpr":
		if part := tail[strings.LastIndexByte(tail, ' ')+1:]; strings.Trim(part, "xyzw") != "" && strings.Trim(part, "rgba") != "" {
			t.diag(".%s is OpenCL; Metal's components are xyzw or rgba", part)
		}
	case "ImplicitCastExpr":
		if strings.HasSuffix(typ, "bfloat") || strings.Contains(tail, "'__bf16'") {
			if (strings.Contains(tail, "<FloatingCast>") || strings.Contains(tail, "<IntegralToFloating>")) && !strings.Contains(tail, "part_of_explicit_cast") {
				t.diag("conversion to bfloat must be explicit")
			}
		}
	case "VarDecl", "ParmVarDecl", "FieldDecl", "TypedefDecl", "TypeAliasDecl":
		if !implicit && bareTarget(typ) {
			t.diag("%s: a pointer or reference must name the address space it points to", lastWord(head, "used", "referenced"))
		}
	}
}

// declaration checks the name of what a node declares.
func (t *tree) declaration(depth int, kind, head, tail string, own bool) {
	for len(t.scopes) > 0 && t.scopes[len(t.scopes)-1].depth >= depth {
		t.scopes = t.scopes[:len(t.scopes)-1]
	}
	program := len(t.scopes) == 0 || t.scopes[len(t.scopes)-1].program
	name := declaredName(kind, head, tail)
	switch kind {
	case "TranslationUnitDecl", "LinkageSpecDecl", "FunctionTemplateDecl", "ClassTemplateDecl", "TypeAliasTemplateDecl", "VarTemplateDecl":
		return // what is in them carries the name
	case "NamespaceDecl":
		t.scopes = append(t.scopes, scope{depth: depth, program: program && (name == "" || strings.Contains(head, " inline ")), space: strings.TrimPrefix(t.namespace()+"::"+name, "::")})
	case "EnumDecl":
		t.scopes = append(t.scopes, scope{depth: depth, program: program && !strings.Contains(head, " class ")})
	case "ParmVarDecl", "FieldDecl", "TemplateTypeParmDecl", "NonTypeTemplateParmDecl", "TemplateTemplateParmDecl":
		program = false
	case "CXXRecordDecl", "ClassTemplateSpecializationDecl", "ClassTemplatePartialSpecializationDecl":
		t.scopes = append(t.scopes, scope{depth: depth, class: name})
	case "FunctionDecl", "CXXMethodDecl", "CXXConstructorDecl", "CXXConversionDecl", "CXXDestructorDecl":
		t.scopes = append(t.scopes, scope{depth: depth})
	}
	if !own || name == "" {
		return
	}
	if why := reservedNames().refusal(name, program); why != "" {
		t.diag("%s", why)
	}
}

// namespace is that of the current node.
func (t *tree) namespace() string {
	for i := len(t.scopes) - 1; i >= 0; i-- {
		if t.scopes[i].space != "" {
			return t.scopes[i].space
		}
	}
	return ""
}

// declaredName is the name in a node of a declaration, or "" if it has none: the last word before the type, or that of a
// class, behind its key, or that of a parameter of a template, behind its index.
func declaredName(kind, head, tail string) string {
	name := ""
	switch kind {
	case "CXXRecordDecl", "ClassTemplateSpecializationDecl", "ClassTemplatePartialSpecializationDecl":
		for _, key := range []string{" struct ", " class ", " union "} {
			if _, after, ok := strings.Cut(head, key); ok {
				name, _, _ = strings.Cut(after, " ")
			}
		}
		if name == "definition" {
			name = ""
		}
	case "TemplateTypeParmDecl", "NonTypeTemplateParmDecl", "TemplateTemplateParmDecl":
		if _, after, ok := strings.Cut(head+tail, " index "); ok {
			words := strings.Fields(after)
			if len(words) > 1 && words[1] != "..." {
				name = words[1]
			} else if len(words) > 2 {
				name = words[2]
			}
		}
	case "CXXConstructorDecl", "CXXDestructorDecl", "CXXConversionDecl", "AccessSpecDecl", "StaticAssertDecl", "UsingDirectiveDecl", "EmptyDecl":
		return ""
	case "NamespaceDecl":
		name, _, _ = strings.Cut(strings.TrimSpace(strings.TrimSuffix(head, " inline")), "\n")
		name = name[strings.LastIndexByte(name, ' ')+1:]
	default:
		words := strings.Fields(head)
		if len(words) > 0 {
			name = words[len(words)-1]
		}
	}
	if !identifierRE.MatchString(name) || declarationFlags[name] {
		return ""
	}
	return name
}

// Words that may stand before the name of a declaration, and are the last ones if it has no name.
var declarationFlags = map[string]bool{"used": true, "referenced": true, "invalid": true, "constexpr": true, "implicit": true, "class": true, "struct": true, "definition": true, "inline": true, "nested": true}

// own reports whether the current node is of the source. Names that macros of the shim paste together have no file.
func (t *tree) own() bool { return t.file != "" && !shimFiles[t.file] && t.file != entryFile }

// place moves to where a node is. The dump names files and lines only where they change.
func (t *tree) place(head string) {
	for len(head) > 0 {
		end := strings.IndexAny(head, " ,<>")
		word := head
		if end >= 0 {
			word, head = head[:end], head[end+1:]
		} else {
			head = ""
		}
		colon := strings.IndexByte(word, ':')
		if colon < 0 || strings.HasPrefix(word, "col:") {
			continue
		}
		file, rest := word[:colon], word[colon+1:]
		n, _, _ := strings.Cut(rest, ":")
		line, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		if file != "line" {
			t.file = file[strings.LastIndexByte(file, '/')+1:]
		}
		t.line = line
	}
}

func (t *tree) function(depth int, kind, addr, head, typ string, static, own, implicit bool) {
	if _, after, ok := strings.Cut(head, "prev "); ok {
		prev, _, _ := strings.Cut(after, " ")
		if f, ok := t.first[prev]; ok {
			prev = f
		}
		t.first[addr] = prev
		addr = prev
	}
	name := lastWord(head, "used", "referenced", "constexpr", "invalid")
	f := t.functions[addr]
	if f == nil {
		f = &function{calls: map[string]string{}, consts: map[int]bool{}}
		t.functions[addr] = f
	}
	f.name, f.own, f.at = name, own, Diag{File: t.file, Line: t.line}
	if f.space == "" {
		f.space = t.namespace()
	}
	if n := len(t.scopes); n > 1 && kind == "CXXMethodDecl" {
		f.class = t.scopes[n-2].class
	}
	f.params, f.thread = 0, nil
	t.within = append(t.within, struct {
		depth    int
		addr     string
		implicit bool
	}{depth, addr, implicit})
	if !own || implicit {
		return
	}
	if kind != "FunctionDecl" && !static && strings.HasSuffix(typ, "__generic") {
		t.diag("%s: name the address space of this method's object, as in float f() const thread; newer versions of Metal want it", name)
	}
	if result, _, ok := strings.Cut(typ, "("); ok && bareTarget(result) {
		t.diag("%s: a pointer or reference must name the address space it points to", name)
	}
}

// reference notes what the current function calls or reads.
func (t *tree) reference(kind, tail string) {
	if len(t.within) == 0 {
		return
	}
	f := t.functions[t.within[len(t.within)-1].addr]
	at := fmt.Sprintf("%s:%d", t.file, t.line)
	for _, word := range []string{" Function ", " CXXMethod ", " Var "} {
		if _, after, ok := strings.Cut(tail, word); ok {
			addr, _, _ := strings.Cut(after, " ")
			if i, ok := t.constants[addr]; ok {
				f.consts[i] = true
			} else if word != " Var " {
				f.calls[addr] = at
			}
		}
	}
	if kind == "MemberExpr" && strings.Contains(tail, "bound member function") {
		f.calls[tail[strings.LastIndexByte(tail, ' ')+1:]] = at
	}
}

// lastWord is the last word of s that is not in skip.
func lastWord(s string, skip ...string) string {
	words := strings.Fields(s)
	for len(words) > 0 {
		w := words[len(words)-1]
		words = words[:len(words)-1]
		use := !strings.HasSuffix(w, ">") && !strings.Contains(w, ":")
		for _, x := range skip {
			use = use && w != x
		}
		if use {
			return w
		}
	}
	return "parameter"
}

var spaceRE = regexp.MustCompile(`__(global|local|private|constant)\b`)

// bareTarget reports whether a pointer or reference in the type points to memory of no named address space.
func bareTarget(typ string) bool {
	depth, last := 0, 0
	for i, c := range typ {
		switch c {
		case '<', '[':
			depth++
		case '>', ']':
			depth--
		case '*', '&':
			if depth > 0 || strings.HasSuffix(typ[:i], "&") {
				continue
			}
			if !spaceRE.MatchString(typ[last:i]) {
				return true
			}
			last = i
		}
	}
	return false
}

func (t *tree) callees(f *function) []*function {
	var out []*function
	for addr := range f.calls {
		if first, ok := t.first[addr]; ok {
			addr = first
		}
		if g := t.functions[addr]; g != nil {
			out = append(out, g)
		}
	}
	return out
}

// recursion reports functions that call themselves, through others or not.
func (t *tree) recursion() {
	const open, done = 1, 2
	state := map[*function]int{}
	var visit func(f *function)
	visit = func(f *function) {
		state[f] = open
		for _, g := range t.callees(f) {
			switch {
			case state[g] == open && g.own:
				t.file, t.line = g.at.File, g.at.Line
				t.diag("%s: Metal has no recursion", g.name)
			case state[g] == 0:
				visit(g)
			}
		}
		state[f] = done
	}
	for _, f := range t.functions {
		if state[f] == 0 {
			visit(f)
		}
	}
}

// kernelCalls reports functions that call kernels.
func (t *tree) kernelCalls() {
	kernels := map[string]bool{}
	for _, k := range t.unit.Kernels {
		kernels[k.generic.name] = true
	}
	for _, f := range t.functions {
		for _, g := range t.callees(f) {
			if f.own && g.own && kernels[g.name] {
				t.file, t.line = f.at.File, f.at.Line
				t.diag("%s calls the kernel %s, which Metal does not allow; call a function that both use", f.name, g.name)
			}
		}
	}
}

// uses notes the function constants that each kernel can reach, and what it needs that not every GPU has.
func (t *tree) uses() {
	entries := map[string]*function{}
	for _, f := range t.functions {
		entries[f.name] = f
	}
	for i := range t.unit.Kernels {
		k := &t.unit.Kernels[i]
		seen, used, needs := map[*function]bool{}, map[int]bool{}, map[string]bool{}
		need := func(word string) {
			if slices.ContainsFunc(features, func(f feature) bool { return strings.HasPrefix(word, f.prefix) }) {
				needs[word] = true
			}
		}
		var visit func(f *function)
		visit = func(f *function) {
			if f == nil || seen[f] {
				return
			}
			seen[f] = true
			for c := range f.consts {
				used[c] = true
			}
			if !f.own {
				need(f.name)
			}
			if f.bfloat {
				need("bfloat")
			}
			for _, g := range t.callees(f) {
				visit(g)
			}
		}
		visit(entries["msl_entry_"+k.Name])
		for _, p := range k.Params {
			need(p.Attr)
		}
		k.Needs = slices.Sorted(maps.Keys(needs))
		k.Uses = nil
		for c := range used {
			k.Uses = append(k.Uses, c)
		}
		sort.Ints(k.Uses)
	}
}
