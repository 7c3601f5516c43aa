//go:build linux && amd64

package emulator

import (
	"regexp"
	"slices"
	"strings"
)

// libraryCall is a call in the source whose arguments are being read from clang's syntax tree.
type libraryCall struct {
	depth   int
	own     bool   // written in the source
	file    string // place
	line    int
	callee  *function
	name    string // with the namespace fast or precise
	args    []valueType
	child   int // number of children seen; the first one is the function
	through int // depth of a conversion of the current child, whose operand decides the type; or 0
	load    int // depth of a load from memory that is the current child, whose operand has the address space; or 0
}

// argument reads a node for the calls around it, and starts a call if it is one.
func (t *tree) argument(depth int, kind, addr, tail string) {
	t.endCalls(depth)
	if n := len(t.calls); n > 0 {
		c := t.calls[n-1]
		switch {
		case depth == c.depth+2:
			c.child++
			c.through, c.load = 0, 0
			if c.child == 1 {
				c.through = depth
			} else if kind != "CXXDefaultArgExpr" {
				c.args = append(c.args, valueType{})
				t.operand(c, depth, kind, tail)
			}
		case c.through > 0 && depth == c.through+2 && c.child > 1:
			c.through = 0
			t.operand(c, depth, kind, tail)
		case c.load > 0 && depth == c.load+2 && c.child > 1:
			c.load = 0
			c.args[len(c.args)-1].space = t.readType(tail).space
		}
		if c.child == 1 && c.callee == nil && (kind == "DeclRefExpr" || kind == "MemberExpr") {
			t.called(c, kind, tail)
		}
	}
	if kind == "CallExpr" || kind == "CXXMemberCallExpr" || kind == "CXXOperatorCallExpr" {
		t.calls = append(t.calls, &libraryCall{depth: depth, own: t.own(), file: t.file, line: t.line})
	}
}

// called notes the function that a reference names.
func (t *tree) called(c *libraryCall, kind, tail string) {
	address := tail[strings.LastIndexByte(tail, ' ')+1:] // of a method
	if kind == "DeclRefExpr" {
		for _, word := range []string{" Function ", " CXXMethod "} {
			if _, after, ok := strings.Cut(tail, word); ok {
				address, _, _ = strings.Cut(after, " ")
			}
		}
	}
	if first, ok := t.first[address]; ok {
		address = first
	}
	if c.callee = t.functions[address]; c.callee == nil {
		return
	}
	c.name = c.callee.name
	if c.callee.class != "" {
		c.name = c.callee.class + "::" + c.name
		return
	}
	// What a using declaration has brought into metal was called without the inner namespace.
	if inner, ok := strings.CutPrefix(c.callee.space, "metal::"); ok && !strings.Contains(tail, "(UsingShadow ") {
		c.name = inner + "::" + c.name
	}
}

// Conversions that the compiler adds to arguments.
var conversions = []string{
	"IntegralCast", "FloatingCast", "IntegralToFloating", "FloatingToIntegral", "IntegralToBoolean", "FloatingToBoolean", "VectorSplat", "NoOp",
	"ConstructorConversion", "UserDefinedConversion", "BitCast", "AddressSpaceConversion",
}

// operand sets the type of the last argument from a node, or leaves it to the node's first child.
func (t *tree) operand(c *libraryCall, depth int, kind, tail string) {
	arg := &c.args[len(c.args)-1]
	inner := false
	switch kind {
	case "ParenExpr", "MaterializeTemporaryExpr", "ExprWithCleanups", "CXXBindTemporaryExpr", "CXXConstructExpr":
		inner = true
	case "ImplicitCastExpr":
		for _, name := range conversions {
			inner = inner || strings.Contains(tail, "<"+name+">")
		}
	}
	if inner {
		c.through = depth
	} else if kind == "ImplicitCastExpr" && strings.Contains(tail, "<LValueToRValue>") {
		c.load = depth
	}
	*arg = t.readType(tail)
	// A comparison of vectors gives a vector of bool in Metal, of integers here. The letters are those of char, short, int and
	// long.
	last := tail[strings.LastIndexByte(tail, ' ')+1:]
	if n := strings.TrimLeft(arg.base, "acghilnorst"); n != "" && n != arg.base {
		switch {
		case kind == "BinaryOperator" && comparisons[last]:
			arg.base = "bool" + n
		case kind == "BinaryOperator" && (last == "'&'" || last == "'|'" || last == "'^'" || last == "'&&'" || last == "'||'"), kind == "UnaryOperator" && strings.HasSuffix(tail, " '!'"):
			c.through = depth
		}
	}
}

var comparisons = map[string]bool{"'<'": true, "'>'": true, "'<='": true, "'>='": true, "'=='": true, "'!='": true}

var (
	vectorTypeRE = regexp.MustCompile(`^(.*?) __attribute__\(\(ext_vector_type\((\d+)\)\)\)$`)
	matrixTypeRE = regexp.MustCompile(`^(?:metal::)?simdgroup_matrix<([^,]+), 8, 8>$`)
	atomicTypeRE = regexp.MustCompile(`^(?:metal::)?_atomic<(.+)>$`)
)

// Metal's names of what clang calls otherwise.
var (
	scalarNames = map[string]string{
		"unsigned char": "uchar", "unsigned short": "ushort", "unsigned int": "uint", "unsigned long": "ulong", "__bf16": "bfloat",
	}
	spaceNames = map[string]string{"__private": "thread", "__global": "device", "__local": "threadgroup", "__constant": "constant"}
)

// readType reads "'__global float *':'…' lvalue …".
func (t *tree) readType(tail string) valueType {
	if !strings.HasPrefix(tail, "'") {
		return valueType{}
	}
	written, after, _ := strings.Cut(tail[1:], "'")
	if rest, ok := strings.CutPrefix(after, ":'"); ok { // without typedefs
		written, _, _ = strings.Cut(rest, "'")
	}
	v := typeOf(written)
	for range 8 { // typedefs of typedefs
		full, ok := t.typedefs[v.base]
		if !ok {
			break
		}
		of := typeOf(full)
		v.base, v.isConst, v.pointer = of.base, v.isConst || of.isConst, v.pointer || of.pointer
		if of.space != "" {
			v.space = of.space
		}
	}
	return v
}

func typeOf(s string) valueType {
	var v valueType
	s, _, _ = strings.Cut(s, "&")
	star := strings.LastIndexByte(s, '*')
	if star >= 0 { // what follows it is of the pointer itself
		v.pointer = true
		s = s[:star]
	}
	var rest []string
	for _, w := range strings.Fields(s) {
		switch {
		case spaceNames[w] != "":
			v.space = spaceNames[w]
		case w == "const":
			v.isConst = true
		case w != "volatile":
			rest = append(rest, w)
		}
	}
	v.base = baseName(strings.Join(rest, " "))
	if v.space == "" && !v.pointer {
		v.isConst = false
	}
	return v
}

func baseName(s string) string {
	if m := vectorTypeRE.FindStringSubmatch(s); m != nil {
		return baseName(m[1]) + m[2]
	}
	if m := matrixTypeRE.FindStringSubmatch(s); m != nil {
		return "simdgroup_matrix<" + baseName(m[1]) + ">"
	}
	if m := atomicTypeRE.FindStringSubmatch(s); m != nil {
		return "atomic<" + baseName(m[1]) + ">"
	}
	if n := scalarNames[s]; n != "" {
		return n
	}
	if strings.Contains(s, "(unnamed enum ") {
		return "enumerator"
	}
	return strings.TrimPrefix(s, "metal::")
}

// endCalls checks the calls of Metal's library that end before a node of a depth.
func (t *tree) endCalls(depth int) {
	for len(t.calls) > 0 && t.calls[len(t.calls)-1].depth >= depth {
		c := t.calls[len(t.calls)-1]
		t.calls = t.calls[:len(t.calls)-1]
		if c.callee != nil {
			t.bindings(c)
		}
		if !c.own || c.callee == nil || c.callee.own || c.callee.space != "metal" && !strings.HasPrefix(c.callee.space, "metal::") || strings.HasPrefix(c.callee.name, "_") || c.callee.class != "" && strings.HasPrefix(c.callee.name, "operator") {
			continue
		}
		if text := callText(c.name, c.args); !slices.Contains(t.unit.Calls, text) {
			t.unit.Calls = append(t.unit.Calls, text)
		}
		if err := overloads().check(c.name, c.args); err != nil {
			t.diagAt(c, "%v", err)
		}
	}
}

// bindings checks the arguments of parameters that are references to thread memory in Metal, and values here.
func (t *tree) bindings(c *libraryCall) {
	for _, i := range c.callee.thread {
		if i < len(c.args) && !c.args[i].pointer && c.args[i].space != "" && c.args[i].space != "thread" {
			t.diagAt(c, "argument %d of %s lies in %s memory, and a reference to thread memory cannot bind to it", i+1, c.callee.name, c.args[i].space)
		}
	}
}

// diagAt reports an error in a call.
func (t *tree) diagAt(c *libraryCall, format string, a ...any) {
	file, line := t.file, t.line
	t.file, t.line = c.file, c.line
	t.diag(format, a...)
	t.file, t.line = file, line
}
