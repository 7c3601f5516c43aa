#include <metal_stdlib>
using namespace metal;

// reverses blocks of the input, but forgets the barrier
kernel void racy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                 uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]],
                 uint n [[threads_per_threadgroup]]) {
  threadgroup float tile[256];
  tile[t] = x[i];
  y[i] = tile[n - 1 - t];
}
// barrier present, but the second use of the tile races with the first
kernel void racy_reuse(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                       uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]],
                       uint n [[threads_per_threadgroup]]) {
  threadgroup float tile[256];
  for (int k = 0; k < 2; k++) {
    tile[t] = x[i] + k;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = tile[n - 1 - t];
  }
}
// a SIMD-group exchanges through threadgroup memory with simdgroup_barrier: correct
kernel void simd_exchange(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                          uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[256];
  tile[t] = x[i];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  y[i] = tile[t ^ 31];
}
// ... but wrong across SIMD-groups
kernel void simd_exchange_bad(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                              uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[256];
  tile[t] = x[i];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  y[i] = tile[t ^ 63];
}
// barrier orders threadgroup memory only, the exchange goes through device memory
kernel void wrong_flags(device float* x [[buffer(0)]], uint t [[thread_index_in_threadgroup]],
                        uint n [[threads_per_threadgroup]]) {
  float v = x[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  x[n - 1 - t] = v;
}
kernel void oob(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  y[i] = x[i + 1];
}
kernel void oob_tile(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  threadgroup float* q = tile;
  q[t + 1] = 1.0f;
  y[t] = 0;
}
kernel void oob_local(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  float loc[8];
  for (uint i = 0; i < 8; i++) loc[i] = y[i];
  y[t] = loc[t];
}
kernel void divergent(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  if (t >= 40) return;
  y[t] = 1;
  threadgroup_barrier(mem_flags::mem_device);
  y[t] += 1;
}
kernel void divergent2(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  if (t < 32) {
    y[t] = 1;
    threadgroup_barrier(mem_flags::mem_device);
  } else {
    y[t] = 2;
    threadgroup_barrier(mem_flags::mem_device);
  }
}
kernel void divergent_simd(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  float v = t;
  if (t % 2 == 0) v = simd_sum(v);
  y[t] = v;
}
kernel void after_return(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  if (t >= 20) return;
  y[t] = simd_shuffle(float(t), ushort(t + 1));
}
kernel void uninit(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  if (t != 5) tile[t] = t;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[t] = tile[t ^ 1];
}
kernel void accumulate(device float* y [[buffer(0)]], uint t [[thread_position_in_grid]]) {
  y[t] += 1;
}
kernel void group_race(device float* y [[buffer(0)]], uint g [[threadgroup_position_in_grid]], uint t [[thread_position_in_threadgroup]]) {
  if (t == 0) y[g / 2] = g;
}
kernel void too_much_memory(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float a[5000];
  threadgroup float b[4000];
  a[t] = t; b[t] = t;
  y[t] = a[t] + b[t];
}
// right: neighbouring halves, and a count with atomics
kernel void halves(device half* y [[buffer(0)]], device atomic_uint* count [[buffer(1)]], uint t [[thread_position_in_grid]]) {
  y[t] = half(t) * 0.5h;
  atomic_fetch_add_explicit(count, 1u, memory_order_relaxed);
}
kernel void misaligned(device float* y [[buffer(0)]], uint t [[thread_position_in_grid]]) {
  device float4* p = (device float4*)(y + 1);
  p[t] = float4(1.0f, 2.0f, 3.0f, 4.0f);
}
kernel void partial_store(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  simdgroup_float8x8 m = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
  if (t == 3) return;
  simdgroup_store(m, y, 8);
}
// threadgroups of 20 threads have no lane 20
kernel void shuffle_no_lane(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  y[t] = simd_shuffle(float(t), ushort(t + 1));
}
kernel void mixed_atomic(device atomic_uint* y [[buffer(0)]], device uint* z [[buffer(1)]], uint t [[thread_index_in_threadgroup]]) {
  if (t == 0) z[0] = 1;
  else atomic_fetch_add_explicit(y, 1u, memory_order_relaxed);
}
kernel void transposed_origin(device float* y [[buffer(0)]]) {
  simdgroup_float8x8 m;
  simdgroup_load(m, y, 16, ulong2(8, 0), true);
  simdgroup_store(m, y, 16);
}
// the compiler makes one call of the two barriers, which has no line
kernel void merged_barriers(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  if (t < 32)
    threadgroup_barrier(mem_flags::mem_device);
  else
    threadgroup_barrier(mem_flags::mem_device);
  y[t] = 1;
}
kernel void quotient(device int* y [[buffer(0)]], uint t [[thread_position_in_grid]]) { y[t] = 100 / y[t]; }
kernel void endless(device int* y [[buffer(0)]], uint t [[thread_position_in_grid]]) {
  while (y[t] == 0) y[t + 1] = 0;
}
kernel void endless_barriers(device int* y [[buffer(0)]], uint t [[thread_position_in_grid]]) {
  while (true) threadgroup_barrier(mem_flags::mem_device);
}
kernel void large_arrays(device int* y [[buffer(0)]], uint t [[thread_position_in_grid]]) {
  int a[32768];
  for (int i = 0; i < 32768; i++) a[(i * 7 + y[0]) & 32767] = i;
  y[t] = a[y[1] & 32767];
}
kernel void overrun(device float* y [[buffer(0)]], constant uint& far [[buffer(1)]], uint t [[thread_position_in_grid]]) { y[t + far] = 1; }
kernel void underrun(device float* y [[buffer(0)]], constant uint& far [[buffer(1)]], uint t [[thread_position_in_grid]]) { y[0] = (y - far)[t]; }

// parts of launches that need a barrier between them
kernel void fill(device float* y [[buffer(0)]], uint t [[thread_position_in_grid]]) { y[t] = t; }
kernel void copy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint t [[thread_position_in_grid]]) { y[t] = x[t]; }
kernel void count(device atomic_uint* n [[buffer(0)]], uint t [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(n, 1u, memory_order_relaxed);
}
