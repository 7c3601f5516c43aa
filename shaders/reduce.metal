// Sums over matrices. Many threadgroups sum a long input. Each writes to its element of a list, and a second launch sums the
// list. The order of summation depends only on the shape.

constant bool wide [[function_constant(10)]];     // a thread handles vectors of 4 elements of a row, otherwise single elements
constant bool squares [[function_constant(11)]];  // sum squares
constant bool whole [[function_constant(12)]];    // one threadgroup sums everything and writes the result
constant bool with_norms [[function_constant(13)]];

CONSTANT uint kMost = 256;  // threads of the largest threadgroup

static inline float together(float4 v) { return wide ? (v.x + v.y) + (v.z + v.w) : v.x; }

// How a matrix is divided: each row is cut into pieces, and `across` threads take up to 4 vectors each of a piece. A matrix
// without gaps between its rows is passed as one row.
struct Pieces {
  uint count;  // pieces in total
  uint each;   // pieces per row
  uint cols;
  uint across;
};

static inline uint row(constant Pieces& p, uint piece) { return piece / p.each; }

// The column of a thread's first vector.
static inline uint column(constant Pieces& p, uint piece, uint tid) {
  return (piece % p.each * 4 * p.across + tid % p.across) * (wide ? 4 : 1);
}

// The k-th vector of a thread, whose first vector is at column j of the row that starts at from. Past the end it is 0. The load
// is unconditional, so that a thread's loads do not wait for each other.
static inline float4 piece(device const void* x, uint from, uint j, uint k, constant Pieces& p, bool bf16) {
  j += k * p.across * (wide ? 4 : 1);
  float4 v = load_some(x, from + (j < p.cols ? j : 0), bf16, wide);
  if (j >= p.cols) v = float4(0.0f);
  return v;
}

struct SumParams {
  Pieces pieces;
  uint stride;
  float alpha;
  uint accumulate;
};

// y[group] = alpha · the sum of the threadgroup.
[[max_total_threads_per_threadgroup(256)]]
kernel void sum(device const void* x [[buffer(0)]],
                device float* y [[buffer(1)]],
                constant SumParams& p [[buffer(2)]],
                uint group [[threadgroup_position_in_grid]],
                uint groups [[threadgroups_per_grid]],
                PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint lines = group_threads / p.pieces.across;
  float4 s[4] = {float4(0.0f), float4(0.0f), float4(0.0f), float4(0.0f)};
  for (uint i = group * lines + at.tid / p.pieces.across; i < p.pieces.count; i += groups * lines) {
    const uint from = row(p.pieces, i) * p.stride, j = column(p.pieces, i, at.tid);
    float4 v[4];
    UNROLL for (uint k = 0; k < 4; k++) v[k] = piece(x, from, j, k, p.pieces, bf16_0);
    UNROLL for (uint k = 0; k < 4; k++) {
      if (squares) v[k] *= v[k];
      s[k] += v[k];
    }
  }
  const float all = group_sum(together((s[0] + s[1]) + (s[2] + s[3])), room, at);
  if (at.tid == 0) y[group] = p.alpha * all + (p.accumulate != 0 ? y[group] : 0.0f);
}

struct ColumnSumsParams {
  uint rows, cols, stride;
  uint height;  // rows per threadgroup
  uint across;  // threads per row
  uint accumulate;
};

// A threadgroup sums some columns over p.height rows and writes row group.y of y.
[[max_total_threads_per_threadgroup(256)]]
kernel void column_sums(device const void* x [[buffer(0)]],
                        device void* y [[buffer(1)]],
                        constant ColumnSumsParams& p [[buffer(2)]],
                        uint2 group [[threadgroup_position_in_grid]],
                        uint tid [[thread_index_in_threadgroup]]) {
  threadgroup float4 room[kMost];
  const uint line = tid / p.across, lines = group_threads / p.across;
  const uint j = (group.x * p.across + tid % p.across) * (wide ? 4 : 1);
  const uint from = group.y * p.height, to = min(from + p.height, p.rows);
  float4 s = float4(0.0f);
  if (j < p.cols)
    for (uint i = from + line; i < to; i += lines) s += load_some(x, i * p.stride + j, bf16_0, wide);
  room[tid] = s;
  for (uint half_of = lines / 2; half_of > 0; half_of /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (line < half_of) room[tid] += room[tid + half_of * p.across];
  }
  if (line > 0 || j >= p.cols) return;
  const uint at = group.y * p.cols + j;
  s = room[tid];
  if (p.accumulate != 0) s += load_some(y, at, bf16_1, wide);
  store_some(y, at, s, bf16_1, wide);
}

struct CosineParams {
  Pieces pieces;
  uint a, b;  // strides
  uint groups;
  float alpha;
  uint accumulate;
};

// The sums of a cosine, ⟨A,B⟩, ‖A‖² and ‖B‖², over a threadgroup.
static inline float3 group_sums(float3 v, threadgroup float* room, Place at) {
  const float x = group_sum(v.x, room, at), y = group_sum(v.y, room, at), z = group_sum(v.z, room, at);
  return float3(x, y, z);
}

static inline void finish_cosine(float3 s, device float* y, device float* norms, constant CosineParams& p) {
  float cosine = 0.0f;
  if (s.y != 0.0f && s.z != 0.0f) cosine = s.x / (sqrt(s.y) * sqrt(s.z));
  y[0] = p.alpha * cosine + (p.accumulate != 0 ? y[0] : 0.0f);
  if (with_norms) {
    norms[0] = s.x;
    norms[1] = s.y;
    norms[2] = s.z;
  }
}

// Writes the three sums of a threadgroup to sums[3·group] to sums[3·group+2], or the cosine if there is only one threadgroup.
[[max_total_threads_per_threadgroup(256)]]
kernel void cosine(device const void* a [[buffer(0)]],
                   device const void* b [[buffer(1)]],
                   device float* sums [[buffer(2)]],
                   device float* y [[buffer(3)]],
                   device float* norms [[buffer(4)]],
                   constant CosineParams& p [[buffer(5)]],
                   uint group [[threadgroup_position_in_grid]],
                   uint groups [[threadgroups_per_grid]],
                   PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint lines = group_threads / p.pieces.across;
  float4 ab = float4(0.0f), aa = ab, bb = ab;
  for (uint i = group * lines + at.tid / p.pieces.across; i < p.pieces.count; i += groups * lines) {
    const uint r = row(p.pieces, i), j = column(p.pieces, i, at.tid);
    float4 v[4], w[4];
    UNROLL for (uint k = 0; k < 4; k++) {
      v[k] = piece(a, r * p.a, j, k, p.pieces, bf16_0);
      w[k] = piece(b, r * p.b, j, k, p.pieces, bf16_1);
    }
    UNROLL for (uint k = 0; k < 4; k++) {
      ab += v[k] * w[k];
      aa += v[k] * v[k];
      bb += w[k] * w[k];
    }
  }
  const float3 s = group_sums(float3(together(ab), together(aa), together(bb)), room, at);
  if (at.tid > 0) return;
  if (whole) {
    finish_cosine(s, y, norms, p);
  } else {
    sums[3 * group] = s.x;
    sums[3 * group + 1] = s.y;
    sums[3 * group + 2] = s.z;
  }
}

// The cosine from the sums of the threadgroups, which are no more than the threads of this one.
[[max_total_threads_per_threadgroup(256)]]
kernel void cosine_end(device const float* sums [[buffer(0)]],
                       device float* y [[buffer(1)]],
                       device float* norms [[buffer(2)]],
                       constant CosineParams& p [[buffer(3)]],
                       PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  float3 s = float3(0.0f);
  if (at.tid < p.groups) s = float3(sums[3 * at.tid], sums[3 * at.tid + 1], sums[3 * at.tid + 2]);
  s = group_sums(s, room, at);
  if (at.tid == 0) finish_cosine(s, y, norms, p);
}

struct CosineBackwardParams {
  uint rows, cols, a, b, da, db;  // the last four are strides
  float alpha;
};

kernel void cosine_backward(device const void* a [[buffer(0)]],
                            device const void* b [[buffer(1)]],
                            device const float* norms [[buffer(2)]],
                            device void* da [[buffer(3)]],
                            device void* db [[buffer(4)]],
                            constant CosineBackwardParams& p [[buffer(5)]],
                            uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = wide ? at.x * 4 : at.x;
  const float aa = norms[1], bb = norms[2];
  if (i >= p.rows || j >= p.cols || aa == 0.0f || bb == 0.0f) return;
  const float both = sqrt(aa) * sqrt(bb), scale = p.alpha / both, cosine = p.alpha * (norms[0] / both);
  const float4 v = load_some(a, i * p.a + j, bf16_0, wide), w = load_some(b, i * p.b + j, bf16_1, wide);
  const float4 dv = load_some(da, i * p.da + j, bf16_3, wide), dw = load_some(db, i * p.db + j, bf16_4, wide);
  store_some(da, i * p.da + j, dv + (scale * w - cosine / aa * v), bf16_3, wide);
  store_some(db, i * p.db + j, dw + (scale * v - cosine / bb * w), bf16_4, wide);
}

struct ClipParams {
  float max;
};

kernel void clip_factor(device const float* squares_of [[buffer(0)]],
                        device float* norm [[buffer(1)]],
                        device float* factor [[buffer(2)]],
                        constant ClipParams& p [[buffer(3)]],
                        uint tid [[thread_position_in_grid]]) {
  if (tid > 0) return;
  const float n = sqrt(squares_of[0]);
  float f = 1.0f;
  if (!(n < INFINITY))  // nor NaN
    f = 0.0f;
  else if (p.max > 0.0f && n > p.max)
    f = p.max / n;
  norm[0] = n;
  factor[0] = f;
}
