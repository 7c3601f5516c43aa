// The softmax of attention with stored scores: one matrix [length, pitch] per head of each sequence. A SIMD-group or a
// threadgroup handles a row.

struct Rows {
  uint length, heads;  // positions; heads whose scores are stored, which may be fewer than all
  uint pitch, plane;   // elements between rows and between matrices of scores; multiples of four
  uint log_stride;     // stride of log_sum
  float scale;
  uint width, out_stride, dout_stride;  // columns of a head, and strides, for the backward pass
};

CONSTANT uint kBlock = 64;  // side of the largest matmul tile that reads the scores

constant bool with_log_sum [[function_constant(10)]];
constant bool whole [[function_constant(11)]];  // a threadgroup handles a row, otherwise a SIMD-group does

// exp(x·scale − shift) for columns j to j+3, and 0 for columns from n on.
static inline float4 exps(float4 x, uint j, uint n, float scale, float shift) {
  return float4(j < n ? exp(x.x * scale - shift) : 0.0f, j + 1 < n ? exp(x.y * scale - shift) : 0.0f,
                j + 2 < n ? exp(x.z * scale - shift) : 0.0f, j + 3 < n ? exp(x.w * scale - shift) : 0.0f);
}

// Matmuls read the triangle in whole tiles, so row i must be zero from the diagonal up to this column.
static inline uint filled(uint i, uint pitch) { return min((i / kBlock + 1) * kBlock, pitch); }

// Replaces row i of the scores by the softmax of its columns 0 to i.
[[max_total_threads_per_threadgroup(128)]] kernel void attention_softmax(
    device float* scores [[buffer(0)]],
    device float* log_sum [[buffer(1)]],
    constant Rows& p [[buffer(2)]],
    uint3 group [[threadgroup_position_in_grid]],
    PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint i = whole ? group.x : group.x * (group_threads / 32) + at.line, n = i + 1;
  const uint member = whole ? at.tid : at.lane, members = whole ? group_threads : 32;
  if (i >= p.length) return;
  device float4* row = (device float4*)(scores + (group.z * p.heads + group.y) * p.plane + i * p.pitch);
  float most = -INFINITY;
  for (uint j = 4 * member; j < n; j += 4 * members) {
    const float4 x = row[j / 4];
    most = max(most, max(max(x.x, j + 1 < n ? x.y : x.x), max(j + 2 < n ? x.z : x.x, j + 3 < n ? x.w : x.x)));
  }
  const float shift = team_max(most, whole, room, at) * p.scale;
  float sum = 0.0f;
  for (uint j = 4 * member; j < n; j += 4 * members) {
    const float4 e = exps(row[j / 4], j, n, p.scale, shift);
    sum += (e.x + e.y) + (e.z + e.w);
  }
  sum = team_sum(sum, whole, room, at);
  if (with_log_sum && member == 0) log_sum[(group.z * p.length + i) * p.log_stride + group.y] = shift + log(sum);
  // Computing the exponentials again is cheaper than storing them twice.
  const uint end = filled(i, p.pitch);
  for (uint j = 4 * member; j < end; j += 4 * members) {
    float4 x = float4(0.0f);
    if (j < n) x = exps(row[j / 4], j, n, p.scale, shift) / sum;
    row[j / 4] = x;
  }
}

// Replaces row i of the scores by P = exp(scores·scale − log_sum), and row i of grads, which holds DOut·Vᵀ, by
// P ∘ (grads − δ)·scale, where δ = Σ DOut_i ∘ Out_i.
[[max_total_threads_per_threadgroup(128)]] kernel void attention_softmax_backward(
    device float* scores [[buffer(0)]],
    device float* grads [[buffer(1)]],
    device const void* out [[buffer(2)]],
    device const void* dout [[buffer(3)]],
    device const float* log_sum [[buffer(4)]],
    constant Rows& p [[buffer(5)]],
    uint3 group [[threadgroup_position_in_grid]],
    PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint i = whole ? group.x : group.x * (group_threads / 32) + at.line, n = i + 1;
  const uint member = whole ? at.tid : at.lane, members = whole ? group_threads : 32;
  if (i >= p.length) return;
  const uint from = group.z * p.length + i;  // row in the batch
  float delta = 0.0f;
  for (uint c = member; c < p.width; c += members)
    delta += load(out, from * p.out_stride + group.y * p.width + c, bf16_2) *
             load(dout, from * p.dout_stride + group.y * p.width + c, bf16_3);
  delta = team_sum(delta, whole, room, at);
  const float shift = log_sum[from * p.log_stride + group.y];
  const uint first = (group.z * p.heads + group.y) * p.plane + i * p.pitch;
  device float4* row = (device float4*)(scores + first);
  device float4* grad = (device float4*)(grads + first);
  const uint end = filled(i, p.pitch);
  for (uint j = 4 * member; j < end; j += 4 * members) {
    float4 x = float4(0.0f), g = float4(0.0f);
    if (j < n) {
      x = exps(row[j / 4], j, n, p.scale, shift);
      g = grad[j / 4] - delta;
      // Past the diagonal, grads holds arbitrary values. Multiplying P = 0 by them could give NaN.
      g = float4(x.x * g.x, j + 1 < n ? x.y * g.y : 0.0f, j + 2 < n ? x.z * g.z : 0.0f, j + 3 < n ? x.w * g.w : 0.0f) * p.scale;
    }
    row[j / 4] = x;
    grad[j / 4] = g;
  }
}
