//go:build linux && amd64

package emulator

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What a Mac compiles first is a library, whose function constants are not known yet. So it is here: an array that is in
// registers then stays there when they are. A matrix is two elements of each thread, as on a GPU.
var registerFlags = []string{
	"-O2", "-DMSL_CHECKED", "-g", "-fno-discard-value-names", "-Xclang", "-fexperimental-assignment-tracking=disabled",
}

// Registers reports what keeps a thread's own arrays out of registers: each local variable that is left in memory when the
// source has been optimized, and each loop over a local array that the source does not ask to unroll, since Apple's compiler
// may not do it on its own. The error is a *CompileError if the source is at fault.
func (d *Device) Registers(name, source string) ([]Diag, error) {
	return d.compiler.registers(name, source)
}

// registers finds what it once found in the cache.
func (c *compiler) registers(name, source string) ([]Diag, error) {
	key := filepath.Join(c.cache, hash(c.id, "registers", name, source))
	unlock, err := lock(key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var found struct{ Registers []Diag }
	if b, err := os.ReadFile(key + ".json"); err == nil && json.Unmarshal(b, &found) == nil {
		touch(key + ".json")
		return found.Registers, nil
	}
	tmp, err := os.MkdirTemp(c.cache, "tmp-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	flags := slices.Concat([]string{"-x", "clcpp"}, metalFlags, registerFlags)
	u, err := c.translate(tmp, name, source, flags)
	if err != nil {
		return nil, err
	}
	flags = append(flags, "-w", "-I"+c.include)
	dump, msg, err := c.run(tmp, slices.Concat(flags, []string{"-fsyntax-only", "-Xclang", "-ast-dump", "k.cl"})...)
	if err != nil {
		return nil, compileError(name, msg, err)
	}
	if _, msg, err := c.run(tmp, slices.Concat(flags, []string{"-S", "-emit-llvm", "k.cl", "-o", "k.ll"})...); err != nil {
		return nil, compileError(name, msg, err)
	}
	code, err := os.ReadFile(filepath.Join(tmp, "k.ll"))
	if err != nil {
		return nil, err
	}
	all := append(rolledLoops(dump), inMemory(string(code))...)
	found.Registers = slices.DeleteFunc(all, func(d Diag) bool { return !slices.Contains(u.Files, d.File) })
	b, err := json.Marshal(found)
	if err == nil {
		err = os.WriteFile(filepath.Join(tmp, "json"), b, 0o666)
	}
	if err == nil {
		err = os.Rename(filepath.Join(tmp, "json"), key+".json")
	}
	return found.Registers, err
}

var (
	defineRE   = regexp.MustCompile(`(?m)^define .* !dbg !(\d+) \{$`)
	allocaRE   = regexp.MustCompile(`(?m)^ +(%(?:"[^"]*"|[\w.$]+)) = alloca (.*?)(?:, align \d+)?(?:, !dbg !\d+)?$`)
	declareRE  = regexp.MustCompile(`(?m)^ +#dbg_declare\(ptr (%(?:"[^"]*"|[\w.$]+)), !(\d+),`)
	variableRE = regexp.MustCompile(`(?m)^!(\d+) = (?:distinct )?!DI(?:LocalVariable|Subprogram)\((.*)\)$`)
	fileRE     = regexp.MustCompile(`(?m)^!(\d+) = !DIFile\(filename: "([^"]*)"`)
	nameRE     = regexp.MustCompile(`\bname: "([^"]*)"`)
	fileRefRE  = regexp.MustCompile(`\bfile: !(\d+)`)
	lineRE     = regexp.MustCompile(`\bline: (\d+)`)
)

// inMemory reports the variables of functions that optimized LLVM code has left in memory.
func inMemory(code string) []Diag {
	files := map[string]string{}
	for _, m := range fileRE.FindAllStringSubmatch(code, -1) {
		files[m[1]] = filepath.Base(m[2])
	}
	type declaration struct {
		name string
		at   Diag
	}
	named := map[string]declaration{}
	for _, m := range variableRE.FindAllStringSubmatch(code, -1) {
		field := func(re *regexp.Regexp) string {
			if f := re.FindStringSubmatch(m[2]); f != nil {
				return f[1]
			}
			return ""
		}
		line, _ := strconv.Atoi(field(lineRE))
		named[m[1]] = declaration{field(nameRE), Diag{File: files[field(fileRefRE)], Line: line}}
	}

	var out []Diag
	for _, f := range defineRE.FindAllStringSubmatchIndex(code, -1) {
		body, _, _ := strings.Cut(code[f[1]:], "\n}")
		function := named[code[f[2]:f[3]]]
		variables := map[string]declaration{}
		for _, m := range declareRE.FindAllStringSubmatch(body, -1) {
			variables[m[1]] = named[m[2]]
		}
		for _, m := range allocaRE.FindAllStringSubmatch(body, -1) {
			v, ok := variables[m[1]]
			if !ok { // a temporary, or a part of a variable
				v = declaration{strings.Trim(m[1], `%"`), function.at}
			}
			d := v.at
			d.Text = fmt.Sprintf("%s, %s, is left in memory", v.name, m[2])
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return out
}

// loop is a statement of clang's syntax tree.
type loop struct {
	depth    int
	at       Diag
	unrolled bool
}

// subscript is an expression x[i] of the tree; x is the first child and i the second.
type subscript struct {
	depth, children int
	own             bool // x is in the thread's own memory
}

// rolledLoops reports loops over local arrays, those of a caller among them, without the pragma that unrolls them: a loop is
// over an array if a variable that is declared in its head or body is in an index into the array.
func rolledLoops(dump string) []Diag {
	t := &tree{unit: &unit{}}
	var (
		out        []Diag
		loops      []loop
		subscripts []subscript
		unroll     = -1                // depth of the loop that the next statement is, if it is unrolled
		declaredIn = map[string]loop{} // address of a variable → the innermost loop around its declaration
	)
	for line := range strings.Lines(dump) {
		depth := strings.IndexFunc(line, func(r rune) bool { return r >= 'A' && r <= 'Z' || r == '<' })
		if depth < 0 {
			continue
		}
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line[depth:], "\n"), " ")
		addr, rest, _ := strings.Cut(rest, " ")
		head, tail := rest, ""
		if q := strings.IndexByte(rest, '\''); q >= 0 {
			head, tail = rest[:q], rest[q:]
		}
		begin, end, _ := strings.Cut(head, ",")
		t.place(begin)
		at := Diag{t.file, t.line, "a loop over a local array without UNROLL"}
		t.place(end)
		for len(loops) > 0 && loops[len(loops)-1].depth >= depth {
			loops = loops[:len(loops)-1]
		}
		for len(subscripts) > 0 && subscripts[len(subscripts)-1].depth >= depth {
			subscripts = subscripts[:len(subscripts)-1]
		}
		if n := len(subscripts); n > 0 && depth == subscripts[n-1].depth+2 {
			s := &subscripts[n-1]
			if s.children++; s.children == 1 {
				s.own = strings.HasPrefix(tail, "'__private ") || strings.HasPrefix(tail, "'const __private ")
			}
		}
		switch kind {
		case "LoopHintAttr":
			if strings.HasSuffix(rest, " Unroll Full") {
				unroll = depth
			}
		case "ForStmt", "WhileStmt", "DoStmt":
			loops = append(loops, loop{depth, at, unroll == depth})
			unroll = -1
		case "VarDecl":
			if len(loops) > 0 {
				declaredIn[addr] = loops[len(loops)-1]
			}
		case "ArraySubscriptExpr":
			subscripts = append(subscripts, subscript{depth: depth})
		case "DeclRefExpr":
			_, variable, ok := strings.Cut(tail, "Var 0x")
			if !ok {
				continue
			}
			variable, _, _ = strings.Cut("0x"+variable, " ")
			in, ok := declaredIn[variable]
			if !ok || in.unrolled || !slices.ContainsFunc(subscripts, func(s subscript) bool { return s.own && s.children > 1 }) {
				continue
			}
			if !slices.Contains(out, in.at) {
				out = append(out, in.at)
			}
		}
	}
	return out
}
