//go:build linux && amd64

package emulator

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coil/shaders"
	"coil/thorough"
)

// values reads "float, device const float *" as the types of arguments.
func values(list string) []valueType {
	var out []valueType
	for _, s := range strings.Split(list, ", ") {
		if s != "" {
			out = append(out, readParameter(s).valueType)
		}
	}
	return out
}

// TestOverloads asks the table for calls that the specification has and for others.
func TestOverloads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, args, want string }{
		{"exp", "float4", ""},
		{"max", "uint, uint", ""},
		{"max", "half2, half2", ""},
		{"select", "float3, float3, bool3", ""},
		{"ldexp", "float2, int2", ""},
		{"frexp", "half, thread int &", ""},
		{"dot", "half3, half3", ""},
		{"fast::exp", "float", ""},
		{"simd_shuffle_down", "half4, uint", ""},
		{"simd_is_first", "", ""},
		{"simdgroup_load", "thread simdgroup_matrix<float> &, device float *", ""},
		{"simdgroup_load", "thread simdgroup_matrix<half> &, threadgroup const half *, int, ulong2, bool", ""},
		{"simdgroup_multiply_accumulate", "thread simdgroup_matrix<float> &, thread simdgroup_matrix<half> &, thread simdgroup_matrix<half> &, thread simdgroup_matrix<float> &", ""},
		{"atomic_fetch_add_explicit", "device atomic<uint> *, uint, memory_order", ""},

		{"erf", "float", "add a line"},
		{"exp", "bfloat", "ambiguous"},
		{"exp", "int", "ambiguous"},
		{"max", "float, int", "ambiguous"},
		{"max", "float, half", "ambiguous"},
		{"max", "uint, int", "ambiguous"},
		{"max", "float4, float", "converted from float to float4"},
		{"max", "short, char", "ambiguous"},
		{"dot", "float, float", "ambiguous"},
		{"dot", "float2, float3", "no such overload"},
		{"precise::exp", "half", "ambiguous"},
		{"simd_sum", "bfloat", "ambiguous"},
		{"simd_sum", "bfloat4", "no such overload"},
		{"simd_sum", "bool", "converted from bool to int"},
		{"simd_sum", "ulong", "ambiguous"},
		{"simd_xor", "float", "ambiguous"},
		{"simd_shuffle", "float, float", "converted from float to ushort"},
		{"any", "int4", "no such overload"},
		{"select", "float4, float4, int4", "no such overload"},
		{"select", "float4, float4, bool", "converted from bool to bool4"},
		{"simdgroup_load", "thread simdgroup_matrix<float> &, device half *", "no such overload"},
		{"simdgroup_load", "thread simdgroup_matrix<float> &, constant float *", "no such overload"},
		{"simdgroup_store", "thread simdgroup_matrix<float> &, device const float *", "no such overload"},
		{"simdgroup_load", "thread simdgroup_matrix<float> &, device float *, float", "converted from float to ulong"},
		{"atomic_fetch_add_explicit", "device uint *, uint, memory_order", "no such overload"},
		{"atomic_fetch_add_explicit", "device atomic<uint> *, int, memory_order", "converted from int to uint"},
		{"threadgroup_barrier", "int", "no such overload"},
	} {
		err := overloads().check(c.name, values(c.args))
		if c.want == "" && err != nil || c.want != "" && !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s(%s): want %q, got %v", c.name, c.args, c.want, err)
		}
	}
}

// TestShaderCalls checks that the front end, which holds every call of the library against the table, sees the shaders' calls.
func TestShaderCalls(t *testing.T) {
	t.Parallel()
	front := newFrontEnd(t)
	seen := map[string]bool{}
	names := thorough.Cases(t, 24, "shaders", shaders.Names())
	for _, name := range names {
		u, err := front.check(t, name, shaders.Source(name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, c := range u.Calls {
			seen[c] = true
		}
	}
	if !thorough.On() {
		return
	}
	for _, c := range []string{
		"max(float, float)", "min(uint, uint)", "simd_sum(float)", "simd_max(float)", "threadgroup_barrier(mem_flags)",
		"simdgroup_load(simdgroup_matrix<float>, threadgroup float *, uint)",
	} {
		if !seen[c] {
			t.Errorf("%s is not among the %d kinds of calls that were checked: %v", c, len(seen), seen)
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d kinds of calls were checked: %v", len(seen), seen)
	}
}

// TestHeader looks for functions of the emulator's own header that the specification lacks.
func TestHeader(t *testing.T) {
	t.Parallel()
	front := newFrontEnd(t)
	flags := slices.Concat([]string{"-x", "clcpp"}, metalFlags, []string{"-DMSL_FUNCTIONS=0", "-I" + front.include, "-fsyntax-only", "-Xclang", "-ast-dump", "empty.cl"})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "empty.cl"), []byte("#include <metal_stdlib>\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	dump, messages, err := front.run(dir, flags...)
	if err != nil {
		t.Fatal(err, messages)
	}
	u := &unit{}
	tree := u.newTree()
	type declared struct {
		name, params string
		depth        int
		template     bool
	}
	var all []declared
	var current *declared
	template := -1
	for line := range strings.Lines(dump) {
		tree.node(strings.TrimSuffix(line, "\n"))
		depth := strings.IndexFunc(line, func(r rune) bool { return r >= 'A' && r <= 'Z' || r == '<' })
		if depth < 0 {
			continue
		}
		kind, rest, _ := strings.Cut(line[depth:], " ")
		head, tail := rest, ""
		if q := strings.IndexByte(rest, '\''); q >= 0 {
			head, tail = rest[:q], rest[q:]
		}
		if template >= depth {
			template = -1
		}
		if current != nil && depth <= current.depth {
			all = append(all, *current)
			current = nil
		}
		switch space := tree.namespace(); {
		case kind == "FunctionTemplateDecl":
			template = depth
		case kind == "FunctionDecl" && (space == "metal" || strings.HasPrefix(space, "metal::")):
			name := strings.TrimPrefix(space+"::"+declaredName(kind, head, tail), "metal::")
			current = &declared{name: name, depth: depth, template: template >= 0}
		case kind == "ParmVarDecl" && current != nil && depth == current.depth+2 && declaredName(kind, head, tail) != "_site":
			p := parameter{valueType: tree.readType(tail)}
			if p.reference = strings.Contains(tail, "&"); p.reference {
				p.base = strings.TrimSpace(strings.TrimSuffix(p.base, "&"))
			}
			current.params += ", " + p.String()
		}
	}
	if len(all) < 500 {
		t.Errorf("only %d functions found in the header", len(all))
	}
	for _, f := range all {
		if strings.HasPrefix(f.name, "_") || strings.Contains(f.name, "::_") || f.name == "" {
			continue
		}
		params := strings.TrimPrefix(f.params, ", ")
		known := slices.ContainsFunc(overloads()[f.name], func(o overload) bool {
			return strings.ReplaceAll(o.String(), "thread ", "") == strings.ReplaceAll("("+params+")", "thread ", "")
		})
		if overloads()[f.name] == nil || !f.template && !known {
			t.Errorf("the header declares %s(%s), and overloads.txt does not", f.name, params)
		}
	}
}
