// Forms of kernels in the field that coil's own shaders do without.
#include <metal_stdlib>

// Vector types without a namespace.
static inline uint2 halves(uint2 v) { return uint2(v.x / 2, v.y / 2); }

using namespace metal;

struct Inner { float offset; };
struct Shape {
  uint rows, cols;
  float scale;
  Inner inner;
  float steps[2];
};

static inline float scaled(const thread float& x, const thread Shape& s) { return x * s.scale + s.inner.offset + s.steps[1]; }
template <typename T> static inline T twice(thread const T& x) { return x + x; }

// Arguments without indices get the first that are free: x, y and p are 0, 1 and 2.
kernel void copied(const device float* x, device float* y, constant Shape& p, uint2 at [[thread_position_in_grid]]) {
  Shape s = p;  // out of constant memory
  Shape t;
  t = p;
  s.scale = t.scale + 1.0f;
  const uint i = at.y * s.cols + at.x;
  y[i] = scaled(x[i] + 1.0f, s) + twice(2.0f) + float(halves(at).x);
}

// Here y is 1, so x is 0 and n is 2.
kernel void mixed(device float* y [[buffer(1)]], device const float* x, constant uint& n, uint i [[thread_position_in_grid]]) {
  if (i < n) y[i] = -x[i];
}

kernel void bools(device const float4* v, device uint* out, uint i [[thread_position_in_grid]]) {
  const float4 a = v[2 * i], b = v[2 * i + 1];
  const bool4 less = a < b, odd = bool4(true, false, true, i == 0);
  const float4 c = select(a, b, less && odd);
  uint bits = 0;
  for (int k = 0; k < 4; k++) bits |= uint(less[k]) << k;
  bits |= uint(any(a > b)) << 4 | uint(all(a == b)) << 5 | uint(any(isnan(a))) << 6 | uint(all(!(less | odd))) << 7;
  bits |= uint(c.x) << 8 | uint(less.w) << 16;
  out[i] = bits;
}

kernel void limits(device float* y) {
  y[0] = numeric_limits<float>::max();
  y[1] = -metal::numeric_limits<float>::infinity();
  y[2] = float(numeric_limits<half>::max());
  y[3] = float(numeric_limits<bfloat>::epsilon());
  y[4] = float(numeric_limits<uchar>::max());
  y[5] = float(numeric_limits<int>::lowest());
}

// The host says how long the threadgroup memory is.
kernel void reversed(device const float* x, device float* y, threadgroup float* room [[threadgroup(0)]],
                     threadgroup uint* count [[threadgroup(1)]], uint i [[thread_index_in_threadgroup]],
                     uint n [[threads_per_threadgroup]]) {
  if (i == 0) *count = n;
  room[i] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[i] = room[*count - 1 - i];
}

constant bool with_bias [[function_constant(0)]];

// An argument that exists only with the constant.
kernel void biased(device float* y [[buffer(0)]], device const float* bias [[buffer(1), function_constant(with_bias)]],
                   uint i [[thread_position_in_grid]]) {
  y[i] = 1.0f;
  if (with_bias) y[i] += bias[i];
}
