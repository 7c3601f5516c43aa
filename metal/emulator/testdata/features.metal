#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

#define UNROLL _Pragma("clang loop unroll(full)")
#define KERNEL_FOR(NAME, T) \
  kernel void scale_##NAME(device T* x [[buffer(0)]], constant float& s [[buffer(1)]], uint i [[thread_position_in_grid]]) { x[i] = T(float(x[i]) * s); }
KERNEL_FOR(float, float)
KERNEL_FOR(half, half)
KERNEL_FOR(bfloat, bfloat)

namespace util {
enum class Act : int { none, relu, gelu };
struct Item { float a; uint b; float4 v; float sum() const thread { return a + v.x + v.y + v.z + v.w; } };
struct Add { static float apply(float x, float y) { return x + y; } };
struct Mul { float operator()(float x, float y) const thread { return x * y; } };
constant float table[4] = {1.0f, 2.0f, 4.0f, 8.0f};
constexpr constant int kWide = 4;
template <typename Op> inline float fold(device const float* x, uint n, float init) {
  float r = init;
  for (uint i = 0; i < n; i++) r = Op::apply(r, x[i]);
  return r;
}
static inline float act(Act a, float x) {
  switch (a) {
    case Act::relu: return max(x, 0.0f);
    case Act::gelu: return 0.5f * x * (1.0f + precise::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
    default: return x;
  }
}
} // namespace util

struct Params { uint n; float eps; int mode; };

static void touch(constant Params& p, thread float& x) { x += p.eps; }
static float tile_sum(threadgroup const float* t, uint n) { float s = 0; for (uint i = 0; i < n; i++) s += t[i]; return s; }

[[kernel, max_total_threads_per_threadgroup(64)]]
void features(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], device util::Item* items [[buffer(2)]],
              constant Params& p [[buffer(3)]], constant uint* shape [[buffer(4)]], device atomic_uint* hits [[buffer(5)]],
              uint3 gid [[thread_position_in_grid]], uint3 tpos [[thread_position_in_threadgroup]],
              ushort lane [[thread_index_in_simdgroup]], uint flat [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64], extra[util::kWide];
  threadgroup util::Item shared_item;
  threadgroup atomic_uint counter;
  if (flat == 0) { atomic_store_explicit(&counter, 0u, memory_order_relaxed); shared_item.a = 3.0f; }
  if (flat < 4) extra[flat] = util::table[flat];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  UNROLL for (int i = 0; i < 4; i++) acc[i] = x[(gid.x * 4 + i) % p.n];
  float t = 0.5;
  touch(p, t);
  tile[flat] = acc[0] + t;
  atomic_fetch_add_explicit(&counter, 1u, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const device float4* x4 = reinterpret_cast<const device float4*>(x);
  float4 v = x4[0] * 2.0f + float4(acc[0], acc[1], acc[2], acc[3]);
  v.xy = v.yx;
  v = select(v, -v, v < 0.0f);
  float2 lo = v.xy, hi = v.zw;
  half4 h = half4(v);
  v += float4(h) + float4(lo, hi) + dot(lo, hi) + float(any(v > 1e9f));
  util::Item it = items[64 + (flat & 1)];
  it.v = v;
  util::Mul mul;
  it.a = mul(it.a, util::fold<util::Add>(x, 3, 0.0f));
  uint bits = as_type<uint>(it.a) & 0x7fffffffu;
  it.a = as_type<float>(bits);
  items[flat] = it;
  ushort k = lane;
  do { k = ushort(k / 2); } while (k > 3);
  if (flat == 0) atomic_fetch_add_explicit(hits, atomic_load_explicit(&counter, memory_order_relaxed), memory_order_relaxed);
  y[gid.x] = it.sum() + tile_sum(tile, 64) + extra[k] + shared_item.a + util::act(util::Act(p.mode), t) + shape[1] + tpos.x * 0.0f;
}

kernel void matrices(device float* y [[buffer(0)]]) {
  simdgroup_float8x8 m[2][2];
  for (int i = 0; i < 2; i++) for (int j = 0; j < 2; j++) m[i][j] = simdgroup_float8x8(float(i * 2 + j + 1)); // diagonal
  simdgroup_float8x8 s = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  for (int i = 0; i < 2; i++) simdgroup_multiply_accumulate(s, m[i][0], m[i][1], s); // 1*2 + 3*4 on the diagonal
  simdgroup_store(s, y, 16, ulong2(8, 0));
  simdgroup_barrier(mem_flags::mem_device);
  simdgroup_float8x8 t;
  simdgroup_load(t, y, 16, ulong2(8, 0));
  simdgroup_float8x8 two = simdgroup_float8x8(2.0f);
  simdgroup_multiply(s, t, two);
  simdgroup_store(s, y, 16, ulong2(0, 0), true);
  simdgroup_half8x8 h = simdgroup_half8x8(3.0h);
  simdgroup_multiply_accumulate(s, h, h, s);
  simdgroup_store(s, y + 128, 8);
}
