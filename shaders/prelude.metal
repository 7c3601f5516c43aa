#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

// Every shader file starts with this one. Loops over function constants are free: the pipeline compiler knows their values.

// The compiler keeps a thread's arrays in registers only if every index is a compile-time constant. So loops over such arrays
// are unrolled, and functions that take them are inlined. Apple's compiler does neither by itself around SIMD-group matrices.
#define UNROLL _Pragma("clang loop unroll(full)")
#define INLINE static inline __attribute__((always_inline))

// A compile-time constant at program scope.
#define CONSTANT static constant constexpr const

// bf16_i: buffer i holds bfloat, not float. The backend sets all of them for every pipeline.
constant bool bf16_0 [[function_constant(0)]];
constant bool bf16_1 [[function_constant(1)]];
constant bool bf16_2 [[function_constant(2)]];
constant bool bf16_3 [[function_constant(3)]];
constant bool bf16_4 [[function_constant(4)]];
constant bool bf16_5 [[function_constant(5)]];
constant bool bf16_6 [[function_constant(6)]];
constant bool bf16_7 [[function_constant(7)]];
constant bool bf16_8 [[function_constant(8)]];
constant bool bf16_9 [[function_constant(9)]];

// Loads element i of a buffer of float or bfloat. All arithmetic is in float.
static inline float load(device const void* p, uint i, bool bf16) {
#ifndef NO_BFLOAT
  if (bf16) return float(((device const bfloat*)p)[i]);
#endif
  return ((device const float*)p)[i];
}

static inline void store(device void* p, uint i, float v, bool bf16) {
#ifndef NO_BFLOAT
  if (bf16) {
    ((device bfloat*)p)[i] = bfloat(v);
    return;
  }
#endif
  ((device float*)p)[i] = v;
}

// Loads elements i to i+3. The buffer is aligned to four elements, and i is a multiple of 4.
static inline float4 load4(device const void* p, uint i, bool bf16) {
#ifndef NO_BFLOAT
  if (bf16) {
    const bfloat4 v = ((device const bfloat4*)p)[i / 4];
    return float4(float(v.x), float(v.y), float(v.z), float(v.w));
  }
#endif
  return ((device const float4*)p)[i / 4];
}

static inline void store4(device void* p, uint i, float4 v, bool bf16) {
#ifndef NO_BFLOAT
  if (bf16) {
    ((device bfloat4*)p)[i / 4] = bfloat4(v);
    return;
  }
#endif
  ((device float4*)p)[i / 4] = v;
}

// For kernels with a vector variant (wide) and a scalar variant. The scalar variant loads element i into all four lanes and
// stores the first.
static inline float4 load_some(device const void* p, uint i, bool bf16, bool wide) {
  if (wide) return load4(p, i, bf16);
  return float4(load(p, i, bf16));
}

static inline void store_some(device void* p, uint i, float4 v, bool bf16, bool wide) {
  if (wide)
    store4(p, i, v, bf16);
  else
    store(p, i, v.x, bf16);
}

// Loads columns c to c+3 of a row of n columns that starts at element i. With quads, the row consists of whole vectors of
// four. Otherwise it may start anywhere and end inside the four. Columns past the end read as rest and are not written.
static inline float4 load_row(device const void* p, uint i, uint c, uint n, float rest, bool bf16, bool quads) {
  if (quads) return c < n ? load4(p, i + c, bf16) : float4(rest);
  return float4(c < n ? load(p, i + c, bf16) : rest, c + 1 < n ? load(p, i + c + 1, bf16) : rest,
                c + 2 < n ? load(p, i + c + 2, bf16) : rest, c + 3 < n ? load(p, i + c + 3, bf16) : rest);
}

static inline void store_row(device void* p, uint i, uint c, uint n, float4 v, bool bf16, bool quads) {
  if (quads) {
    if (c < n) store4(p, i + c, v, bf16);
    return;
  }
  if (c < n) store(p, i + c, v.x, bf16);
  if (c + 1 < n) store(p, i + c + 1, v.y, bf16);
  if (c + 2 < n) store(p, i + c + 2, v.z, bf16);
  if (c + 3 < n) store(p, i + c + 3, v.w, bf16);
}

// The values after a store and a load: rounded if the buffer holds bfloat.
static inline float4 as_stored(float4 v, bool bf16) {
#ifndef NO_BFLOAT
  if (bf16) return float4(float(bfloat(v.x)), float(bfloat(v.y)), float(bfloat(v.z)), float(bfloat(v.w)));
#endif
  return v;
}

static inline float sum_of(float4 v) { return (v.x + v.y) + (v.z + v.w); }

// Activation functions, numbered as in backend.Activation. 0: none.
CONSTANT uint kGELU = 1, kReLU = 2;

static inline float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

static inline float activate(uint f, float x) {
  if (f == kGELU) return x * sigmoid(1.5957691216057308f * (x + 0.044715f * x * x * x));
  if (f == kReLU) return x > 0.0f ? x : (x != x ? x : 0.0f);
  return x;
}

static inline float activate_slope(uint f, float x) {
  if (f == kGELU) {
    const float s = sigmoid(1.5957691216057308f * (x + 0.044715f * x * x * x));
    return s + x * s * (1.0f - s) * 1.5957691216057308f * (1.0f + 0.134145f * x * x);
  }
  if (f == kReLU) return x > 0.0f ? 1.0f : 0.0f;
  return 1.0f;
}

#ifdef PLAIN_SUMS
#include "teams_plain.metal"
#else
#include "teams.metal"
#endif
