package emulator_test

import (
	"errors"
	"strings"
	"testing"

	"coil/metal"
	"coil/metal/emulator"
)

const (
	head  = "#include <metal_stdlib>\n#include <metal_simdgroup_matrix>\nusing namespace metal;\n"
	begin = "kernel void k(device float* x [[buffer(0)]], device float4* v [[buffer(1)]], uint i [[thread_position_in_grid]]) { "
)

// TestSources has sources that Apple's compiler, or the rules of this one, reject, each with one line that is wrong.
func TestSources(t *testing.T) {
	t.Parallel()
	g := open(t, emulator.Options{})
	for _, c := range []struct{ source, want string }{
		{begin + "device float* p = x + 1; auto q = p; q[i] = max(x[i], 0.0f); }", ""},
		{begin + "uint local = i, global = i, pipe = 1; x[local] = global + pipe; }", ""},
		{begin + "float4 w = float4(v[0].xy, 1, x[0]); v[0] = select(w, -w, w > 0.0f); x[0] = i > 3 ? w.x : w.y; }", ""},
		{"struct P { private: float a; public: float b; }; constexpr constant float table[2] = {1, 2};\n" + begin + "x[i] = table[i & 1]; }", ""},
		{"enum class E : int { a, b }; struct P { float a; }; static float f(P p) { return p.a; }\n" + begin + "P p; p.a = 1; P q = p; x[i] = f(q); }", ""},
		{"kernel void k(device bfloat* x [[buffer(0)]], device float* y [[buffer(1)]]) { x[0] = bfloat(y[0]); y[1] = float(x[1]); }", ""},
		{"[[kernel, max_total_threads_per_threadgroup(64)]] void k(device float* x [[buffer(0)]]) { x[0] = 1; }", ""},

		// Address spaces.
		{"float f(float* x) { return *x; }", "must name the address space"},
		{"float* f(device float* x) { return x; }", "must name the address space"},
		{"struct S { float* p; };", "must name the address space"},
		{"template <class T> T f(T* x) { return *x; }\n" + begin + "x[0] = f(x); }", "must name the address space"},
		{begin + "float* p = x; *p = 1; }", "must name the address space"},
		{begin + "float& p = x[0]; p = 1; }", "must name the address space"},
		{begin + "threadgroup float* p = x; }", "cannot initialize"},
		{begin + "auto p = (threadgroup float*)x; }", "mismatching address spaces"},
		{begin + "float thread = 1; x[0] = thread; }", "word of Metal"},
		{"void f(threadgroup float* t) {}\n" + begin + "f(x); }", "no matching function"},
		{"struct S { float a; float f() const { return a; } };", "name the address space of this method's object"},
		{"static float f(const thread float& x) { return x; }\n" + begin + "x[0] = f(x[1]); }", "device memory"},
		{"struct P { float a; };\nstatic float f(thread const P& p) { return p.a; }\nkernel void k(constant P& p [[buffer(0)]], device float* x [[buffer(1)]]) { x[0] = f(p); }", "constant memory"},
		{"kernel void k(constant float* x [[buffer(0)]]) { x[0] = 1; }", "read-only"},
		{"kernel void k(device const float* x [[buffer(0)]]) { x[0] = 1; }", "read-only"},
		{"int n = 3;", "must reside in constant"},

		// Parameters of kernels.
		{"kernel void k(device float* x [[buffer(0)]], uint i) { x[i] = 1; }", "has no [[…]] attribute"},
		{"kernel void k(device float* x [[buffer(0)]], device float* y [[buffer(0)]]) { }", "used twice"},
		{"constant int n = 1;\nkernel void k(device float* x [[buffer(n)]]) { }", "literal number"},
		{"kernel void k(uint x [[thread_position_in_gird]]) { }", "unknown attribute"},
		{"kernel void k(int x [[thread_position_in_grid]]) { }", "does not suit"},
		{"kernel void k(uint2 x [[thread_index_in_simdgroup]]) { }", "does not suit"},
		{"kernel void k(uint2 a [[thread_position_in_grid]], uint b [[threads_per_grid]]) { }", "same number of components"},
		{"kernel void k(uint a [[threads_per_simdgroup]], uint b [[thread_execution_width]]) { }", "used twice"},
		{"kernel void k(float x [[buffer(0)]]) { }", "needs a pointer"},
		{"kernel void k(threadgroup float& x [[threadgroup(0)]]) { }", "needs a pointer"},
		{"kernel void k(threadgroup float* x [[threadgroup(9)]]) { }", "from 0 to 3"},
		{"kernel void k(device float* x [[buffer(31)]]) { }", "from 0 to 30"},
		{"kernel int k(device float* x [[buffer(0)]]) { return 1; }", "must return void"},
		{"kernel void k(device float* x [[buffer(0)]]) { }\n" + begin + "}", "two kernels"},
		{"[[max_total_threads_per_threadgroup(32)]]\n" + begin + "}", "use 64 or none"},
		{"template <int N> kernel void f(device float* x [[buffer(0)]]) { x[0] = N; }\ntemplate [[host_name(\"a b\")]] [[kernel]] decltype(f<1>) f<1>;", "not an identifier"},
		{"constant float3 c [[function_constant(0)]];", "must be bool, int, uint or float"},
		{"constant int a [[function_constant(0)]]; constant int b [[function_constant(0)]];", "the same index"},

		// Threadgroup memory.
		{begin + "threadgroup float a[4] = {1}; x[0] = a[0]; }", "initializer"},
		{"static float f() { threadgroup float a[4]; return a[0]; }", "outermost block of a kernel"},
		{begin + "if (i > 0) { threadgroup float a[4]; x[0] = a[0]; } }", "outermost block of a kernel"},
		{begin + "threadgroup uint a; atomic_fetch_add_explicit(&a, 1u, memory_order_relaxed); }", "no matching function"},

		// The language.
		{begin + "double d = 1; x[0] = d; }", "no double"},
		{begin + "goto end; end: x[0] = 1; }", "no goto"},
		{begin + "long long n = 1; x[0] = n; }", "no such type"},
		{begin + "unsigned long long n = 1; x[0] = n; }", "no such type"},
		{begin + "auto f = [](float a) { return a; }; x[0] = f(1); }", "lambda"},
		{begin + "static int n; x[0] = n; }", "cannot be static"},
		{"struct S { virtual void f(); };", "virtual"},
		{"struct S {};\nstruct D : S {};", "derived"},
		{"float f() noexcept { return 1; }", "exceptions"},
		{"static float f(int n) { return n > 0 ? f(n - 1) : 0.0f; }\n" + begin + "x[0] = f(3); }", "no recursion"},
		{"static float g(int n);\nstatic float f(int n) { return g(n - 1); }\nstatic float g(int n) { return n > 0 ? f(n) : 0.0f; }\n" + begin + "x[0] = f(3); }", "no recursion"},
		{"kernel void f(device float* x [[buffer(0)]]) { x[0] = 1; }\n" + begin + "f(x); }", "calls the kernel"},
		{"template <int N> static float f() { if constexpr (N > 0) return 1; return 0; }\n" + begin + "x[0] = f<1>(); }", "C++17"},
		{begin + "float y; x[0] = y; }", "uninitialized"},
		{"static float f(float a) { if (a > 0) return 1; }", "non-void function"},
		{begin + "_S_SUM = 1; }", "choose another"},

		// Vectors and numbers.
		{begin + "v[0] = (float4)(1, 2, 3, 4); }", "comma expression"},
		{begin + "v[0] = float4(1, 2, 3); }", "number of components"},
		{begin + "v[0] = {1.0f, 2.0f}; }", "too few elements"},
		{begin + "v[0] = v[0] > 0.0f ? v[1] : v[2]; }", "use select"},
		{begin + "x[0] = v[0].s1; }", "components are xyzw"},
		{begin + "v[0].xy = v[0].lo; }", "components are xyzw"},
		{begin + "half4 h = half4(v[0]); v[0] = h; }", "incompatible"},
		{begin + "x[0] = max(x[0], 0); }", "ambiguous"},
		{begin + "x[0] = erf(x[0]); }", "undeclared identifier 'erf'"},
		{begin + "v[0] = metal::precise::exp(max(v[0], v[1])); uint n = uint(dot(v[0].xy, v[1].zw)); x[i] = simd_shuffle_xor(x[i], n); }", ""},
		{begin + "x[0] = simd_and(x[0]); }", "section 6.9.2"},
		{begin + "x[0] = simd_sum(ulong(i)); }", "section 6.9.2"},
		{begin + "x[0] = float(simd_max(bfloat(x[0]))); }", "simd_max(bfloat)"},
		{begin + "x[0] = float(simd_shuffle(bfloat(x[0]), i)); }", "simd_shuffle(bfloat, uint)"},
		{begin + "x[0] = dot(x[0], x[1]); }", "dot"},
		{begin + "v[0] = max(v[0], x[0]); }", "converted from float to float4"},
		{begin + "x[0] = fmax(x[0], half(1)); }", "ambiguous"},
		{begin + "x[0] = any(int2(1, 0)); }", "any(int2)"},
		{begin + "v[0] = select(v[0], v[1], int4(1, 0, 1, 0)); }", "select(float4, float4, int4)"},
		{begin + "x[0] = float(exp(bfloat(x[0]))); }", "exp"},
		{begin + "x[0] = float(precise::exp(half(x[0]))); }", "precise::exp(half)"},
		{"kernel void k(device bfloat* x [[buffer(0)]], device float* y [[buffer(1)]]) { x[0] = y[0]; }", "conversion to bfloat must be explicit"},
		{begin + "simdgroup_float8x8 m(0.0f); m.thread_elements()[1] = 2; x[0] = m.thread_elements()[0]; }", ""},
		{begin + "simdgroup_float8x8 m(0.0f); x[0] = m.thread_elements(); }", "incompatible type"},
		{begin + "simdgroup_float8x8 m(0.0f); m = m * m; }", "invalid operands"},
		{begin + "simdgroup_matrix<float, 4, 4> m; }", "only 8x8"},
	} {
		_, err := g.Library("k", head+c.source)
		var ce *emulator.CompileError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s\n%v", c.source, err)
		case c.want == "":
		case !errors.As(err, &ce):
			t.Errorf("%s\nwant a CompileError with %q, got %v", c.source, c.want, err)
		case !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "k.metal:"):
			t.Errorf("%s\nwant %q and a line, got %v", c.source, c.want, err)
		}
	}
}

// TestLines looks for the names and numbers that #line gives, in sources of several files.
func TestLines(t *testing.T) {
	t.Parallel()
	const prelude = "#line 1 \"prelude.metal\"\n" + head + "static void put(device float* x, uint i) {\n  x[i] = 1;\n}\n"
	source := func(body string) string {
		return prelude + "#line 1 \"matmul.metal\"\n#define N 1\nkernel void k(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {\n" + body + "\n}\n"
	}
	g := open(t, emulator.Options{Checked: true})
	for body, want := range map[string]string{
		"\n  x[i] = y;":           "matmul.metal:4:",
		"  float* p = x;":         "matmul.metal:3:",
		"\n\n  goto end;":         "matmul.metal:5:",
		"  put(x, i);\n#error no": "matmul.metal:4:",
	} {
		if _, err := g.Library("matmul", source(body)); err == nil || !strings.Contains(err.Error(), "\n"+want) {
			t.Errorf("%q: want %s, got %v", body, want, err)
		}
	}
	for body, want := range map[string]string{
		"  put(x, i);":          "k: prelude.metal:5: ",
		"\n  x[i + N] = 1;":     "k: matmul.metal:4: ",
		"\n\n  x[i] += x[i+1];": "k: matmul.metal:5: ",
	} {
		p := g.pipeline(g.library("matmul", source(body)), "k")
		check(t, g.run(launch(p, dims{9}, dims{32}, g.buffer(4*8*32))), want)
	}
}

// TestConstants gives the pipelines of one library different constants.
func TestConstants(t *testing.T) {
	t.Parallel()
	const source = head + `
constant bool flag [[function_constant(0)]];
constant int whole [[function_constant(1)]];
constant uint natural [[function_constant(7)]];
constant float real [[function_constant(65535)]];
constant float unused [[function_constant(3)]];
static float sum() { return float(whole) + float(natural); }
template <bool twice> kernel void both(device float* x [[buffer(0)]]) { x[0] = (flag ? real : -real) * (twice ? 2.0f : 1.0f) + sum(); }
template [[host_name("once")]] [[kernel]] decltype(both<false>) both<false>;
template [[host_name("twice")]] [[kernel]] decltype(both<true>) both<true>;
kernel void none(device float* x [[buffer(0)]]) { x[0] = 5.0f; }
`
	const half, minus3 = 0x3f000000, 0xfffffffd
	set := func(flag uint32, whole, natural, real uint32) []metal.Constant {
		return []metal.Constant{
			{Index: 0, Type: metal.ConstantBool, Bits: flag}, {Index: 1, Type: metal.ConstantInt, Bits: whole},
			{Index: 7, Type: metal.ConstantUint, Bits: natural}, {Index: 65535, Type: metal.ConstantFloat, Bits: real},
		}
	}
	for _, checked := range []bool{false, true} {
		g := open(t, emulator.Options{Checked: checked})
		other := open(t, emulator.Options{Checked: checked}) // of the same library
		lib := g.library("k", source)
		p := []metal.Pipeline{
			g.pipeline(lib, "once", set(1, 100, 20, half)...),
			g.pipeline(lib, "once", set(0, minus3, 0, half)...),
			g.pipeline(lib, "twice", set(1, 0, 1<<20, half)...),
			g.pipeline(lib, "none"),
		}
		q := other.pipeline(other.library("k", source), "once", set(0, 1, 1, 0)...)
		x, y := g.buffer(4), other.buffer(4)
		for range 2 {
			for i, want := range []float32{120.5, -3.5, 1<<20 + 1, 5} {
				check(t, g.run(launch(p[i], nil, nil, x)), "")
				check(t, other.run(launch(q, nil, nil, y)), "")
				if got := view[float32](g, x)[0]; got != want {
					t.Errorf("pipeline %d: %g, want %g", i, got, want)
				}
				if got := view[float32](other, y)[0]; got != 2 {
					t.Errorf("the other device: %g, want 2", got)
				}
			}
		}
		for want, c := range map[string]struct {
			kernel    string
			constants []metal.Constant
		}{
			"no kernel":     {"both", nil},
			"(flag)":        {"once", nil},
			"(real)":        {"twice", set(1, 1, 1, 1)[:3]},
			"constant 2":    {"none", []metal.Constant{{Index: 2}}},
			"another type":  {"none", []metal.Constant{{Index: 3, Type: metal.ConstantUint}}},
			"is set twice":  {"none", []metal.Constant{{Index: 0}, {Index: 0}}},
			"and has bits ": {"none", []metal.Constant{{Index: 0, Bits: 2}}},
		} {
			if _, err := g.Pipeline(lib, c.kernel, c.constants); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want %q, got %v", want, err)
			}
		}
	}
}
