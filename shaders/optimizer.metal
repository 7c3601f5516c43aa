// Optimizers. They change nothing if the gradient's factor is 0, or if the gate is closed because an earlier command buffer of
// the step failed.

constant bool wide [[function_constant(10)]];  // a thread handles vectors of 4 elements of a row, otherwise single elements
constant bool with_factor [[function_constant(11)]];

CONSTANT uint kMostLines = 8;  // lines of the largest threadgroup

static inline float factor_of(device const float* factor) { return with_factor ? factor[0] : 1.0f; }

static inline bool closed(device const float* factor, device const uint* gate) {
  return gate[0] == 0 || factor_of(factor) == 0.0f;
}

static inline float together(float4 v) { return wide ? (v.x + v.y) + (v.z + v.w) : v.x; }

struct AdamWParams {
  uint size;
  uint rate, correct1, correct2;  // indices of scalars
  float beta1, beta2, eps, decay;
};

kernel void adamw(device void* x [[buffer(0)]],
                  device const void* grad [[buffer(1)]],
                  device void* m [[buffer(2)]],
                  device void* v [[buffer(3)]],
                  device const float* factor [[buffer(4)]],
                  device const float* scalars [[buffer(5)]],
                  device const uint* gate [[buffer(6)]],
                  constant AdamWParams& p [[buffer(7)]],
                  uint tid [[thread_position_in_grid]]) {
  const uint i = wide ? tid * 4 : tid;
  if (i >= p.size || closed(factor, gate)) return;
  const float rate = scalars[p.rate], correct1 = scalars[p.correct1], correct2 = scalars[p.correct2];
  const float4 g = factor_of(factor) * load_some(grad, i, bf16_1, wide), w = load_some(x, i, bf16_0, wide);
  const float4 first = p.beta1 * load_some(m, i, bf16_2, wide) + (1.0f - p.beta1) * g;
  const float4 second = p.beta2 * load_some(v, i, bf16_3, wide) + (1.0f - p.beta2) * g * g;
  store_some(m, i, first, bf16_2, wide);
  store_some(v, i, second, bf16_3, wide);
  store_some(x, i, w - rate * (p.decay * w + first / correct1 / (sqrt(second / correct2) + p.eps)), bf16_0, wide);
}

struct AverageParams {
  uint size;
  uint decay;  // index of a scalar
};

kernel void average(device const void* x [[buffer(0)]],
                    device void* mean [[buffer(1)]],
                    device const float* factor [[buffer(2)]],
                    device const float* scalars [[buffer(3)]],
                    device const uint* gate [[buffer(4)]],
                    constant AverageParams& p [[buffer(5)]],
                    uint tid [[thread_position_in_grid]]) {
  const uint i = wide ? tid * 4 : tid;
  if (i >= p.size || closed(factor, gate)) return;
  const float decay = scalars[p.decay];
  const float4 v = load_some(x, i, bf16_0, wide), m = load_some(mean, i, bf16_1, wide);
  store_some(mean, i, decay * m + (1.0f - decay) * v, bf16_1, wide);
}

struct AdafactorParams {
  uint rows, cols, x, grad;  // the last two are strides
  uint height, across, all;  // rows of a tile; tiles side by side; tiles in total
  // Offsets of lists; see the comment above adafactor_sums.
  uint column_sums, tile_sums;
  uint new_columns, tile_norms, new_mean;
  uint rate, beta;  // indices of scalars
  float eps, clip, decay;
};

// The factors (a, b) of the update x -= a·u + b·x, given uu = Σu².
static inline float2 adafactor_step(float uu, device const float* scalars, constant AdafactorParams& p) {
  const float size = float(p.rows) * float(p.cols), rate = scalars[p.rate];
  return float2(rate / max(1.0f, sqrt(uu / size) / p.clip), rate * p.decay);
}

// A vector is updated by one threadgroup in two passes.
[[max_total_threads_per_threadgroup(256)]]
kernel void adafactor_vector(device void* x [[buffer(0)]],
                             device const void* grad [[buffer(1)]],
                             device void* col_v [[buffer(2)]],
                             device const float* factor [[buffer(3)]],
                             device const float* scalars [[buffer(4)]],
                             device const uint* gate [[buffer(5)]],
                             constant AdafactorParams& p [[buffer(6)]],
                             PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  if (closed(factor, gate)) return;
  const Place at = PLACE;
  const uint step = wide ? 4 : 1;
  const float f = factor_of(factor), beta = scalars[p.beta];
  float4 uu = float4(0.0f);
  for (uint j = at.tid * step; j < p.cols; j += group_threads * step) {
    const float4 g = f * load_some(grad, j, bf16_1, wide);
    const float4 v = beta * load_some(col_v, j, bf16_2, wide) + (1.0f - beta) * (g * g + p.eps);
    store_some(col_v, j, v, bf16_2, wide);
    const float4 u = g / sqrt(v);
    uu += u * u;
  }
  const float2 along = adafactor_step(group_sum(together(uu), room, at), scalars, p);
  for (uint j = at.tid * step; j < p.cols; j += group_threads * step) {
    const float4 w = load_some(x, j, bf16_0, wide);
    const float4 u = f * load_some(grad, j, bf16_1, wide) / sqrt(load_some(col_v, j, bf16_2, wide));
    store_some(x, j, w - (along.x * u + along.y * w), bf16_0, wide);
  }
}

// A matrix is updated by three launches over the same tiles. A tile has p.height rows. Each lane of a line handles 4 vectors of a
// row, and the lines take rows in turn. The first launch writes to sums
//
//	at 0: Σg² of each row of each tile
//	at column_sums: Σg² of each column of each tile
//	at tile_sums: Σg² of each tile, and the sum of the old moments of its rows (for the first tile of each row of tiles)
//
// The second launch writes to next
//
//	at 0: the new row moments
//	at new_columns: the new column moments
//	at tile_norms: Σu² of each tile
//	at new_mean: the mean of the new row moments
//
// The third launch replaces the old moments, which no tile needs any more, and updates X.

// The column of a thread's k-th vector.
static inline uint tile_column(uint tile, uint k, uint lane) { return ((tile * 4 + k) * 32 + lane) * (wide ? 4 : 1); }

[[max_total_threads_per_threadgroup(256)]]
kernel void adafactor_sums(device const void* grad [[buffer(0)]],
                           device const float* row_v [[buffer(1)]],
                           device const float* factor [[buffer(2)]],
                           device float* sums [[buffer(3)]],
                           constant AdafactorParams& p [[buffer(4)]],
                           uint2 tile [[threadgroup_position_in_grid]],
                           PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  threadgroup float4 columns[kMostLines][4][32];
  const Place at = PLACE;
  const uint lines = group_threads / 32;
  const float f = factor_of(factor);
  const uint from = tile.y * p.height, to = min(from + p.height, p.rows);
  float4 c[4] = {float4(0.0f), float4(0.0f), float4(0.0f), float4(0.0f)};
  float gg = 0.0f, moments = 0.0f;
  for (uint i0 = from; i0 < to; i0 += lines) {
    const uint i = i0 + at.line;
    float4 r = float4(0.0f);
    UNROLL for (uint k = 0; k < 4; k++) {
      const uint j = tile_column(tile.x, k, at.lane);
      if (i >= to || j >= p.cols) continue;
      const float4 g = f * load_some(grad, i * p.grad + j, bf16_0, wide);
      c[k] += g * g;
      r += g * g;
    }
    const float row = line_sum(together(r), room, at);
    if (i < to && at.lane == 0) {
      sums[i * p.across + tile.x] = row;
      gg += row;
      if (tile.x == 0) moments += row_v[i];
    }
  }
  UNROLL for (uint k = 0; k < 4; k++) columns[at.line][k][at.lane] = c[k];
  gg = group_sum(gg, room, at);
  moments = group_sum(moments, room, at);
  if (at.tid == 0) {
    const uint mine = p.tile_sums + 2 * (tile.y * p.across + tile.x);
    sums[mine] = gg;
    sums[mine + 1] = moments;
  }
  for (uint k = at.line; k < 4; k += lines) {
    const uint j = tile_column(tile.x, k, at.lane);
    if (j >= p.cols) continue;
    float4 column = columns[0][k][at.lane];
    for (uint line = 1; line < lines; line++) column += columns[line][k][at.lane];
    store_some(sums, p.column_sums + tile.y * p.cols + j, column, false, wide);
  }
}

[[max_total_threads_per_threadgroup(256)]]
kernel void adafactor_norms(device const void* grad [[buffer(0)]],
                            device const float* row_v [[buffer(1)]],
                            device const float* col_v [[buffer(2)]],
                            device const float* factor [[buffer(3)]],
                            device const float* scalars [[buffer(4)]],
                            device const float* sums [[buffer(5)]],
                            device float* next [[buffer(6)]],
                            constant AdafactorParams& p [[buffer(7)]],
                            uint2 tile [[threadgroup_position_in_grid]],
                            PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  threadgroup float4 columns[4][32];  // 1/√(new column moment)
  const Place at = PLACE;
  const uint lines = group_threads / 32;
  const float f = factor_of(factor), beta = scalars[p.beta], rows = float(p.rows), cols = float(p.cols);
  for (uint k = at.line; k < 4; k += lines) {
    const uint j = tile_column(tile.x, k, at.lane);
    if (j >= p.cols) continue;
    float4 s = float4(0.0f);
    for (uint t = 0; t < p.all / p.across; t++) s += load_some(sums, p.column_sums + t * p.cols + j, false, wide);
    const float4 v = beta * load_some(col_v, j, false, wide) + (1.0f - beta) * (s / rows + p.eps);
    if (tile.y == 0) store_some(next, p.new_columns + j, v, false, wide);
    columns[k][at.lane] = 1.0f / sqrt(v);
  }
  float gg = 0.0f, moments = 0.0f;
  for (uint t = at.tid; t < p.all; t += group_threads) {
    gg += sums[p.tile_sums + 2 * t];
    moments += sums[p.tile_sums + 2 * t + 1];
  }
  gg = group_sum(gg, room, at);
  moments = group_sum(moments, room, at);
  const float mean = beta * (moments / rows) + (1.0f - beta) * (gg / rows / cols + p.eps);

  const uint from = tile.y * p.height, to = min(from + p.height, p.rows);
  float4 uu = float4(0.0f);
  for (uint i0 = from; i0 < to; i0 += lines) {
    const uint i = i0 + at.line;
    float r = 0.0f;
    if (i < to)
      for (uint t = at.lane; t < p.across; t += 32) r += sums[i * p.across + t];
    r = line_sum(r, room, at);
    if (i >= to) continue;
    const float v = beta * row_v[i] + (1.0f - beta) * (r / cols + p.eps);
    if (tile.x == 0 && at.lane == 0) next[i] = v;
    const float by = f / sqrt(v / mean);
    UNROLL for (uint k = 0; k < 4; k++) {
      const uint column = tile_column(tile.x, k, at.lane);
      if (column >= p.cols) continue;
      const float4 u = by * columns[k][at.lane] * load_some(grad, i * p.grad + column, bf16_0, wide);
      uu += u * u;
    }
  }
  const float norm = group_sum(together(uu), room, at);
  if (at.tid > 0) return;
  next[p.tile_norms + tile.y * p.across + tile.x] = norm;
  if (tile.x == 0 && tile.y == 0) next[p.new_mean] = mean;
}

[[max_total_threads_per_threadgroup(256)]]
kernel void adafactor_update(device void* x [[buffer(0)]],
                             device const void* grad [[buffer(1)]],
                             device float* row_v [[buffer(2)]],
                             device float* col_v [[buffer(3)]],
                             device const float* factor [[buffer(4)]],
                             device const float* scalars [[buffer(5)]],
                             device const uint* gate [[buffer(6)]],
                             device const float* next [[buffer(7)]],
                             constant AdafactorParams& p [[buffer(8)]],
                             uint2 tile [[threadgroup_position_in_grid]],
                             PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  if (closed(factor, gate)) return;
  const Place at = PLACE;
  const uint lines = group_threads / 32;
  float uu = 0.0f;
  for (uint t = at.tid; t < p.all; t += group_threads) uu += next[p.tile_norms + t];
  const float2 along = adafactor_step(group_sum(uu, room, at), scalars, p);
  const float f = factor_of(factor), mean = next[p.new_mean];
  float4 c[4];
  UNROLL for (uint k = 0; k < 4; k++) {
    const uint j = tile_column(tile.x, k, at.lane);
    c[k] = float4(0.0f);
    if (j >= p.cols) continue;
    const float4 v = load_some(next, p.new_columns + j, false, wide);
    if (tile.y == 0 && at.line == 0) store_some(col_v, j, v, false, wide);
    c[k] = 1.0f / sqrt(v);
  }
  const uint from = tile.y * p.height, to = min(from + p.height, p.rows);
  for (uint i = from + at.line; i < to; i += lines) {
    const float v = next[i];
    if (tile.x == 0 && at.lane == 0) row_v[i] = v;
    const float by = along.x * f / sqrt(v / mean);
    UNROLL for (uint k = 0; k < 4; k++) {
      const uint j = tile_column(tile.x, k, at.lane);
      if (j >= p.cols) continue;
      const float4 w = load_some(x, i * p.x + j, bf16_0, wide), g = load_some(grad, i * p.grad + j, bf16_1, wide);
      store_some(x, i * p.x + j, w - (by * c[k] * g + along.y * w), bf16_0, wide);
    }
  }
}
