// Weighted parts of rows, dot products of parts, and the softmax of short rows.

constant bool shared_x [[function_constant(10)]];       // X has one part, used for every part of Y
constant bool summed [[function_constant(11)]];         // Y has one part, the sum over the parts of X
constant bool with_residual [[function_constant(12)]];

struct WeighParams {
  uint rows, cols;            // shape of Y
  uint parts, width;          // parts per row; columns of a part
  uint x, w, residual, y;     // strides
  float alpha;
};

kernel void weigh(device const void* x [[buffer(0)]],
                  device const float* w [[buffer(1)]],
                  device const void* residual [[buffer(2)]],
                  device void* y [[buffer(3)]],
                  constant WeighParams& p [[buffer(4)]],
                  uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, c = at.x;
  if (i >= p.rows || c >= p.cols) return;
  float v = 0.0f;
  if (summed) {
    for (uint j = 0; j < p.parts; j++) v += w[i * p.w + j] * load(x, i * p.x + j * p.width + c, bf16_0);
  } else {
    v = w[i * p.w + c / p.width] * load(x, i * p.x + (shared_x ? c % p.width : c), bf16_0);
  }
  v *= p.alpha;
  if (with_residual) v += load(residual, i * p.residual + c, bf16_2);
  store(y, i * p.y + c, v, bf16_3);
}

constant bool whole [[function_constant(13)]];       // a threadgroup computes a product, otherwise a SIMD-group does
constant bool shared_a [[function_constant(14)]];    // A has one part, used for every part of B
constant bool shared_b [[function_constant(15)]];
constant bool accumulate [[function_constant(16)]];

struct DotsParams {
  uint rows, parts, width;
  uint a, b, y;  // strides
  float alpha;
};

// y[i,j] = alpha·⟨part j of row i of A, part j of row i of B⟩.
kernel void dots(device const void* a [[buffer(0)]],
                 device const void* b [[buffer(1)]],
                 device float* y [[buffer(2)]],
                 constant DotsParams& p [[buffer(3)]],
                 uint group [[threadgroup_position_in_grid]],
                 PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint which = whole ? group : group * (group_threads / 32) + at.line;
  if (which >= p.rows * p.parts) return;  // skips no barrier: with barriers, the grid has exactly one threadgroup per product
  const uint i = which / p.parts, j = which % p.parts;
  const uint from_a = i * p.a + (shared_a ? 0 : j * p.width), from_b = i * p.b + (shared_b ? 0 : j * p.width);
  float v = 0.0f;
  for (uint c = whole ? at.tid : at.lane; c < p.width; c += whole ? group_threads : 32)
    v += load(a, from_a + c, bf16_0) * load(b, from_b + c, bf16_1);
  v = p.alpha * team_sum(v, whole, room, at);
  if ((whole ? at.tid : at.lane) != 0) return;
  y[i * p.y + j] = accumulate ? y[i * p.y + j] + v : v;
}

// The same for parts of one column: an elementwise product.
kernel void products(device const void* a [[buffer(0)]],
                     device const void* b [[buffer(1)]],
                     device float* y [[buffer(2)]],
                     constant DotsParams& p [[buffer(3)]],
                     uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = at.x;
  if (i >= p.rows || j >= p.parts) return;
  const float v = p.alpha * load(a, i * p.a + (shared_a ? 0 : j), bf16_0) * load(b, i * p.b + (shared_b ? 0 : j), bf16_1);
  y[i * p.y + j] = accumulate ? y[i * p.y + j] + v : v;
}

struct SoftmaxParams {
  uint rows, cols;
  uint x, y;  // strides
  float scale;
};

// A thread handles one row. x and y may be the same buffer.
kernel void softmax(device const float* x [[buffer(0)]],
                    device float* y [[buffer(1)]],
                    constant SoftmaxParams& p [[buffer(2)]],
                    uint i [[thread_position_in_grid]]) {
  if (i >= p.rows) return;
  float most = -INFINITY, sum = 0.0f;
  for (uint j = 0; j < p.cols; j++) most = max(most, p.scale * x[i * p.x + j]);
  for (uint j = 0; j < p.cols; j++) {
    const float e = exp(p.scale * x[i * p.x + j] - most);
    sum += e;
    y[i * p.y + j] = e;
  }
  for (uint j = 0; j < p.cols; j++) y[i * p.y + j] /= sum;
}

struct SoftmaxBackwardParams {
  uint rows, cols;
  uint y, dy, dx;  // strides
  float scale;
};

// dx and dy may be the same buffer.
kernel void softmax_backward(device const float* y [[buffer(0)]],
                             device const float* dy [[buffer(1)]],
                             device float* dx [[buffer(2)]],
                             constant SoftmaxBackwardParams& p [[buffer(3)]],
                             uint i [[thread_position_in_grid]]) {
  if (i >= p.rows) return;
  float along = 0.0f;
  for (uint j = 0; j < p.cols; j++) along += y[i * p.y + j] * dy[i * p.dy + j];
  for (uint j = 0; j < p.cols; j++) dx[i * p.dx + j] = p.scale * y[i * p.y + j] * (dy[i * p.dy + j] - along);
}
