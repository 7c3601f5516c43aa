#include <metal_stdlib>
using namespace metal;

// Sum over the threadgroup; every thread gets it. red: at least 32 floats, free for reuse afterwards.
static float group_sum(float v, threadgroup float* red, uint lane, uint sg, uint nsg) {
  v = simd_sum(v);
  if (lane == 0) red[sg] = v;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  v = simd_sum(lane < nsg ? red[lane] : 0.0f);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return v;
}
static float group_max(float v, threadgroup float* red, uint lane, uint sg, uint nsg) {
  v = simd_max(v);
  if (lane == 0) red[sg] = v;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  v = simd_max(lane < nsg ? red[lane] : -MAXFLOAT);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return v;
}

// One threadgroup per row.
[[max_total_threads_per_threadgroup(256)]]
kernel void softmax(device const float* x [[buffer(0)]],
                    device float* y [[buffer(1)]],
                    constant uint& n [[buffer(2)]],
                    uint row [[threadgroup_position_in_grid]],
                    uint tid [[thread_position_in_threadgroup]],
                    uint nt [[threads_per_threadgroup]],
                    uint lane [[thread_index_in_simdgroup]],
                    uint sg [[simdgroup_index_in_threadgroup]],
                    uint nsg [[simdgroups_per_threadgroup]]) {
  threadgroup float red[32];
  x += row * n;
  y += row * n;
  float m = -MAXFLOAT;
  for (uint i = tid; i < n; i += nt) m = max(m, x[i]);
  m = group_max(m, red, lane, sg, nsg);
  float s = 0;
  for (uint i = tid; i < n; i += nt) {
    float e = exp(x[i] - m);
    y[i] = e;
    s += e;
  }
  s = 1.0f / group_sum(s, red, lane, sg, nsg);
  for (uint i = tid; i < n; i += nt) y[i] *= s;
}

struct NormParams {
  uint rows, n;
  float eps;
};

kernel void layernorm_forward(device const float* x [[buffer(0)]],
                              device const float* gamma [[buffer(1)]],
                              device const float* beta [[buffer(2)]],
                              device float* y [[buffer(3)]],
                              device float2* stats [[buffer(4)]], // mean, 1/std of each row
                              constant NormParams& p [[buffer(5)]],
                              uint row [[threadgroup_position_in_grid]],
                              uint tid [[thread_position_in_threadgroup]],
                              uint nt [[threads_per_threadgroup]],
                              uint lane [[thread_index_in_simdgroup]],
                              uint sg [[simdgroup_index_in_threadgroup]],
                              uint nsg [[simdgroups_per_threadgroup]]) {
  threadgroup float red[32];
  x += row * p.n;
  y += row * p.n;
  float s = 0;
  for (uint i = tid; i < p.n; i += nt) s += x[i];
  const float mean = group_sum(s, red, lane, sg, nsg) / p.n;
  float v = 0;
  for (uint i = tid; i < p.n; i += nt) {
    float d = x[i] - mean;
    v += d * d;
  }
  const float rstd = rsqrt(group_sum(v, red, lane, sg, nsg) / p.n + p.eps);
  for (uint i = tid; i < p.n; i += nt) y[i] = (x[i] - mean) * rstd * gamma[i] + beta[i];
  if (tid == 0) stats[row] = float2(mean, rstd);
}

kernel void layernorm_backward_x(device const float* x [[buffer(0)]],
                                 device const float* gamma [[buffer(1)]],
                                 device const float* dy [[buffer(2)]],
                                 device const float2* stats [[buffer(3)]],
                                 device float* dx [[buffer(4)]],
                                 constant NormParams& p [[buffer(5)]],
                                 uint row [[threadgroup_position_in_grid]],
                                 uint tid [[thread_position_in_threadgroup]],
                                 uint nt [[threads_per_threadgroup]],
                                 uint lane [[thread_index_in_simdgroup]],
                                 uint sg [[simdgroup_index_in_threadgroup]],
                                 uint nsg [[simdgroups_per_threadgroup]]) {
  threadgroup float red[32];
  const float2 st = stats[row];
  x += row * p.n;
  dy += row * p.n;
  dx += row * p.n;
  float a = 0, b = 0;
  for (uint i = tid; i < p.n; i += nt) {
    float g = dy[i] * gamma[i];
    a += g;
    b += g * (x[i] - st.x) * st.y;
  }
  a = group_sum(a, red, lane, sg, nsg) / p.n;
  b = group_sum(b, red, lane, sg, nsg) / p.n;
  for (uint i = tid; i < p.n; i += nt) {
    float h = (x[i] - st.x) * st.y;
    dx[i] = st.y * (dy[i] * gamma[i] - a - h * b);
  }
}

// dgamma, dbeta: a threadgroup of 32 x 8 threads takes 32 columns; y splits the rows.
kernel void layernorm_backward_w(device const float* x [[buffer(0)]],
                                 device const float* dy [[buffer(1)]],
                                 device const float2* stats [[buffer(2)]],
                                 device float* dgamma [[buffer(3)]],
                                 device float* dbeta [[buffer(4)]],
                                 constant NormParams& p [[buffer(5)]],
                                 uint2 group [[threadgroup_position_in_grid]],
                                 uint2 t [[thread_position_in_threadgroup]]) {
  threadgroup float2 part[8][32];
  const uint col = group.x * 32 + t.x;
  float2 s = float2(0.0f);
  if (col < p.n)
    for (uint r = t.y; r < p.rows; r += 8) {
      float2 st = stats[r];
      float g = dy[r * p.n + col];
      s += float2(g * (x[r * p.n + col] - st.x) * st.y, g);
    }
  part[t.y][t.x] = s;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint h = 4; h > 0; h /= 2) {
    if (t.y < h) part[t.y][t.x] += part[t.y + h][t.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (t.y == 0 && col < p.n) {
    dgamma[col] = part[0][t.x].x;
    dbeta[col] = part[0][t.x].y;
  }
}
