//go:build linux && amd64

package emulator

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"coil/shaders"
	"coil/thorough"
)

const metalHeader = "#include <metal_stdlib>\nusing namespace metal;\n"

// frontEnd is the part of the emulator that accepts and refuses sources.
type frontEnd struct{ *compiler }

func newFrontEnd(t testing.TB) frontEnd {
	t.Helper()
	c, err := newCompiler(Options{})
	if errors.Is(err, ErrUnavailable) && os.Getenv("COIL_REQUIRE") != "all" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return frontEnd{c}
}

// check reads a source without making code of it.
func (c frontEnd) check(t testing.TB, name, source string) (*unit, error) {
	t.Helper()
	tmp, flags := t.TempDir(), slices.Concat([]string{"-x", "clcpp", "-DMSL_FUNCTIONS=0", "-DMSL_ELEMENTS"}, metalFlags)
	u, err := c.translate(tmp, name, source, flags)
	if err != nil {
		return nil, err
	}
	return u, c.lint(tmp, name, flags, u)
}

// Places where a source can declare a name: at program scope, as a macro, elsewhere.
var programPlaces = []string{
	"static inline float %s(float x) { return x; }",
	"kernel void %s(device float* x [[buffer(0)]]) { x[0] = 1; }",
	"template <int n> static inline int %s() { return n; }",
	"struct %s { int x; };",
	"template <class T> struct %s { T x; };",
	"typedef int %s;",
	"using %s = int;",
	"template <class T> using %s = T;",
	"constant int %s = 1;",
	"constant int %s [[function_constant(0)]];",
	"enum %s { k1 };",
	"enum { k2, %s };",
	"enum class %s { k3 };",
	"namespace { static inline int %s() { return 1; } }",
}

var macroPlaces = []string{"#define %s 1", "#define %s(x) x"}

var innerPlaces = []string{
	"static inline float f1(float %s) { return 1; }",
	"struct S2 { float %s; };",
	"struct S3 { float %s() const thread { return 1; } };",
	"template <class %s> static inline int f4() { return 1; }",
	"template <int %s> static inline int f5() { return 1; }",
	"enum class E6 { k1, %s };",
	"namespace n7 { static inline int %s() { return 1; } }",
	"static inline float f8() { float %s = 1; return 1; }",
	"static inline float f9() { for (int %s = 0;;) return 1; }",
	"static inline void f10() { struct %s { int x; }; }",
	"kernel void k11(device float* %s [[buffer(0)]]) { }",
	"kernel void k12(device float* x [[buffer(0)]], uint %s [[thread_index_in_simdgroup]]) { }",
	"kernel void k13(device float* x [[buffer(0)]]) { threadgroup float %s[4]; x[0] = 1; }",
}

// TestNames plants names of each kind in every place where a source can declare one.
func TestNames(t *testing.T) {
	t.Parallel()
	front := newFrontEnd(t)
	every := thorough.Every(t, 17, "groups of names")
	groups := 0
	plant := func(places, names []string, refused bool) {
		t.Helper()
		for len(places) > 0 { // as many at a time as there are names
			n := min(len(places), len(names))
			if groups++; groups%every != 0 {
				places = places[n:]
				continue
			}
			source := metalHeader
			for i, p := range places[:n] {
				source += fmt.Sprintf(p+"\n", names[i])
			}
			_, err := front.check(t, "k", source)
			for i, p := range places[:n] {
				at := fmt.Sprintf("k.metal:%d: error: ", i+3)
				if e := fmt.Sprint(err); strings.Contains(e, at+names[i]+" is ") != refused && strings.Contains(e, at+"macro "+names[i]+" is ") != refused {
					t.Errorf("%s\nrefused is not %v at %s in %v", fmt.Sprintf(p, names[i]), refused, at, err)
				}
			}
			if !refused && err != nil {
				t.Error(err)
			}
			places = places[n:]
		}
	}
	// Macros that the emulator's own headers define make clang stop first, at the same line; these are others.
	macros := []string{"CHAR_BIT", "assert", "METAL_ALIGN", "M_E_H", "DBL_MAX", "LLONG_MIN", "HUGE_VALBF", "FP_ILOGB0", "M_PI_4", "FLT_RADIX", "SCHAR_MIN", "MAXHALF", "M_PI_BF", "TARGET_OS_OSX", "__METAL_X", "is_null_texture"}
	for _, places := range [][]string{programPlaces, macroPlaces, innerPlaces} {
		plant(places, []string{"vertex", "fragment", "object_data", "ray_data", "threadgroup_imageblock"}, true)
		plant(places, macros, true)
	}
	global := []string{"quad", "complex", "imaginary", "llong", "ullong", "simd", "main", "quad4", "float16", "packed_float3", "vector_int2", "double2", "intptr_t", "float4x4", "bool8", "matrix_float2x2"}
	library := []string{"divide", "sign", "length", "step", "bias", "mesh", "plus", "packed_vec", "sampler", "level", "texture2d", "quad_sum", "simd_ballot", "atomic_fence", "is_same_v", "numeric_limits"}
	for _, names := range [][]string{global, library} {
		plant(programPlaces, names, true)
		plant(macroPlaces, names, true)
		// Elsewhere they hide what Metal declares.
		plant(innerPlaces, names, false)
	}
	// Those that the headers define, and a local variable.
	for _, source := range []string{"static inline float f() {\n float INFINITY = 1; return 1; }", "static inline int f(int\n INT_MAX) { return 1; }", "struct S {\n float constant; };", "#define\\\n NAN 1"} {
		if _, err := front.check(t, "k", metalHeader+source); !strings.Contains(fmt.Sprint(err), "k.metal:4:") && !strings.Contains(fmt.Sprint(err), "k.metal:3:") {
			t.Errorf("%s\n%v", source, err)
		}
	}
}

// TestShaderNames looks at every name that the shaders declare, which is what the front end does, and brings back the fault
// that once went unseen: a function called quad.
func TestShaderNames(t *testing.T) {
	t.Parallel()
	front := newFrontEnd(t)
	loss := shaders.Source("loss")
	_, err := front.check(t, "loss", strings.ReplaceAll(loss, "quad_at", "quad"))
	if want := "error: quad is a name that Metal's headers declare or reserve"; !strings.Contains(loss, "quad_at") || !strings.Contains(fmt.Sprint(err), want) || !strings.Contains(fmt.Sprint(err), "loss.metal:") {
		t.Errorf("want %q, got %v", want, err)
	}
}

// TestNameTable compares the table with some entries of the lists that it was made from.
func TestNameTable(t *testing.T) {
	t.Parallel()
	names := reservedNames()
	for kind, list := range map[nameKind]string{
		keywordName: "vertex fragment kernel device constant thread threadgroup threadgroup_imageblock object_data ray_data half operator",
		macroName:   "INFINITY NAN MAXFLOAT HALF_MAX FLT_EPSILON M_2_SQRTPI_F M_SQRT1_2_H M_PI UCHAR_MAX LONG_MIN METAL_ASM is_function_constant_defined",
		globalName: "quad vec quad2 quad16 complex imaginary llong ullong float3 float8 half16 bfloat4 uchar2 packed_short4 vector_double3 size_t uint8_t " +
			"int64_t float4x4 half2x3 main metal simd as_type",
		libraryName: "abs atan2 clamp divide fract select sign step mix max3 simd_sum simd_shuffle_xor simdgroup_load simdgroup_float8x8 " +
			"make_filled_simdgroup_matrix quad_broadcast atomic_uint atomic_fetch_add_explicit texture2d depthcube array packed_vec plus minus multiplies " +
			"enable_if is_same numeric_limits memory_order_relaxed mem_flags fast precise sampler true_type",
		0: "quad_at float5 x kernels simdgroup room step_of half_way constants atom M_ FLT",
	} {
		for _, name := range strings.Fields(list) {
			if got := names.kind(name); got != kind {
				t.Errorf("%s is of kind %d, want %d", name, got, kind)
			}
		}
	}
}
