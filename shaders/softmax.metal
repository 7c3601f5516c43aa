// Softmax of rows. A row of up to 128 columns is the work of a SIMD-group, of which a threadgroup has several; a wider one
// that of a threadgroup. Rows are read anew in each pass: the later ones find them in the cache.

constant bool whole [[function_constant(10)]];  // a threadgroup takes a row, not a SIMD-group
constant bool quads [[function_constant(11)]];  // all rows are whole vectors of four elements

struct SoftmaxParams {
  uint rows, cols;
  uint x, y;  // strides
};

static inline float4 exp4(float4 v) { return float4(exp(v.x), exp(v.y), exp(v.z), exp(v.w)); }

// X may be Y: a thread writes the columns that it alone reads.
[[max_total_threads_per_threadgroup(256)]] kernel void softmax(device const void* x [[buffer(0)]],
                                                               device void* y [[buffer(1)]],
                                                               constant SoftmaxParams& p [[buffer(2)]],
                                                               uint group [[threadgroup_position_in_grid]],
                                                               PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint row = whole ? group : group * (group_threads / 32) + at.line;
  if (row >= p.rows) return;  // never with a barrier ahead: then the grid has a threadgroup for each row
  const uint first = 4 * (whole ? at.tid : at.lane), step = 4 * (whole ? group_threads : 32);

  float most = -INFINITY;
  for (uint c = first; c < p.cols; c += step) {
    const float4 v = load_row(x, row * p.x, c, p.cols, -INFINITY, bf16_0, quads);
    most = max(most, max(max(v.x, v.y), max(v.z, v.w)));
  }
  most = team_max(most, whole, room, at);
  float sum = 0.0f;
  for (uint c = first; c < p.cols; c += step)
    sum += sum_of(exp4(load_row(x, row * p.x, c, p.cols, -INFINITY, bf16_0, quads) - most));
  sum = team_sum(sum, whole, room, at);
  for (uint c = first; c < p.cols; c += step) {
    const float4 v = exp4(load_row(x, row * p.x, c, p.cols, -INFINITY, bf16_0, quads) - most);
    store_row(y, row * p.y, c, p.cols, v / sum, bf16_1, quads);
  }
}

struct SoftmaxBackwardParams {
  uint rows, cols;
  uint y, dy, dx;  // strides
};

// DX may be DY.
[[max_total_threads_per_threadgroup(256)]] kernel void softmax_backward(device const void* y [[buffer(0)]],
                                                                        device const void* dy [[buffer(1)]],
                                                                        device void* dx [[buffer(2)]],
                                                                        constant SoftmaxBackwardParams& p [[buffer(3)]],
                                                                        uint group [[threadgroup_position_in_grid]],
                                                                        PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint row = whole ? group : group * (group_threads / 32) + at.line;
  if (row >= p.rows) return;
  const uint first = 4 * (whole ? at.tid : at.lane), step = 4 * (whole ? group_threads : 32);

  float delta = 0.0f;
  for (uint c = first; c < p.cols; c += step)
    delta += sum_of(load_row(y, row * p.y, c, p.cols, 0.0f, bf16_0, quads) * load_row(dy, row * p.dy, c, p.cols, 0.0f, bf16_1, quads));
  delta = team_sum(delta, whole, room, at);
  for (uint c = first; c < p.cols; c += step) {
    const float4 d = load_row(dy, row * p.dy, c, p.cols, 0.0f, bf16_1, quads) - delta;
    store_row(dx, row * p.dx, c, p.cols, load_row(y, row * p.y, c, p.cols, 0.0f, bf16_0, quads) * d, bf16_2, quads);
  }
}
