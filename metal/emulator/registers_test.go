package emulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"coil/metal/emulator"
)

// Kernels that keep an array in registers or do not. Comments say what is expected of a line.
const arrays = `#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;
#define UNROLL _Pragma("clang loop unroll(full)")
#define INLINE static inline __attribute__((always_inline))

template <uint n>
INLINE void load_all(thread simdgroup_float8x8 (&to)[2][n], uint s, device const float* x) {
  UNROLL for (uint k = 0; k < n; k++) simdgroup_load(to[s][k], x + 8 * k, 8 * n);
}
kernel void good(device float* x [[buffer(0)]]) {
  simdgroup_float8x8 a[2][4];
  UNROLL for (uint s = 0; s < 2; s++) load_all<4>(a, s, x + 256 * s);
  for (uint k = 0; k < 1000; k += 8) {
    UNROLL for (uint s = 0; s < 2; s++) {
      const uint to = 1 - s;
      UNROLL for (uint j = 0; j < 4; j++) simdgroup_multiply(a[to][j], a[s][j], a[s][j]);
    }
  }
  UNROLL for (uint s = 0; s < 2; s++)
    UNROLL for (uint k = 0; k < 4; k++) simdgroup_store(a[s][k], x + 256 * s + 8 * k, 32);
}

kernel void rolled(device float* x [[buffer(0)]], constant uint& n [[buffer(1)]]) {
  float4 v[8];  // memory
  UNROLL for (uint k = 0; k < 8; k++) v[k] = float4(x[k]);
  for (uint k = 0; k < n; k++) {  // loop
    v[k & 7] = v[k & 3] * x[k];
  }
  x[0] = v[5].x;
}

kernel void short_loop(device float* x [[buffer(0)]]) {
  float v[2];
  for (uint k = 0; k < 2; k++)  // loop
    v[k] = x[k];
  x[0] = v[1];
}

kernel void derived(device float* x [[buffer(0)]]) {
  simdgroup_float8x8 a[3];
  UNROLL for (uint k = 0; k < 3; k++) simdgroup_load(a[k], x + 64 * k);
  for (uint k = 0; k < 2; k++) {  // loop
    const uint to = 2 - k;
    simdgroup_store(a[to], x);
  }
}

__attribute__((noinline)) static void scale(thread simdgroup_float8x8 (&a)[2], device const float* x) {
  UNROLL for (uint k = 0; k < 2; k++) simdgroup_load(a[k], x + 64 * k);
}
kernel void called(device float* x [[buffer(0)]]) {
  simdgroup_float8x8 a[2];  // memory
  scale(a, x);
  UNROLL for (uint k = 0; k < 2; k++) simdgroup_store(a[k], x + 64 * k);
}

kernel void chosen(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float v[16];  // memory
  UNROLL for (uint k = 0; k < 16; k++) v[k] = x[k];
  x[i] = v[i];
}

kernel void walked(device float* x [[buffer(0)]], constant uint& n [[buffer(1)]]) {
  float v[16];  // memory
  thread float* p = v;
  for (uint k = 0; k < n; k++) *p++ = x[k];
  x[0] = v[n - 1];
}

kernel void others(device float* x [[buffer(0)]], device float4* y [[buffer(1)]]) {
  threadgroup float t[64];
  for (uint k = 0; k < 64; k++) t[k] = x[k];
  for (uint k = 0; k < 64; k++) y[k] = float4(t[63 - k]);
}
`

func TestRegisters(t *testing.T) {
	t.Parallel()
	var want []string
	for i, line := range strings.Split(arrays, "\n") {
		for _, what := range []string{"loop", "memory"} {
			if strings.HasSuffix(line, "// "+what) {
				want = append(want, fmt.Sprint("arrays.metal:", i+1, " ", what))
			}
		}
	}
	diags, err := open(t, emulator.Options{}).Registers("arrays", arrays)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range diags {
		what := "loop"
		if strings.HasSuffix(d.Text, "is left in memory") {
			what = "memory"
		}
		got = append(got, fmt.Sprint(d.File, ":", d.Line, " ", what))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s\n%v", strings.Join(got, "\n"), strings.Join(want, "\n"), diags)
	}
}
