// Elementwise operations. A matrix without gaps between its rows is passed as one long row.

constant bool wide [[function_constant(10)]];       // a thread handles 4 elements of a row, otherwise one
constant uint activation [[function_constant(11)]];
constant bool second [[function_constant(12)]];     // the optional operand is present: Y of a gradient, B of a sum

static inline uint column(uint2 at) { return wide ? at.x * 4 : at.x; }

static inline float4 activate4(float4 x) {
  return float4(activate(activation, x.x), activate(activation, x.y), activate(activation, x.z), activate(activation, x.w));
}

static inline float4 slope4(float4 x) {
  return float4(activate_slope(activation, x.x), activate_slope(activation, x.y), activate_slope(activation, x.z),
                activate_slope(activation, x.w));
}

static inline float4 sigmoid4(float4 x) { return float4(sigmoid(x.x), sigmoid(x.y), sigmoid(x.z), sigmoid(x.w)); }

// The shape of all operands, and the stride of each.
struct ActivateParams {
  uint rows, cols, x, y;
};

kernel void activate_forward(device const void* x [[buffer(0)]],
                             device void* y [[buffer(1)]],
                             constant ActivateParams& p [[buffer(2)]],
                             uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = column(at);
  if (i >= p.rows || j >= p.cols) return;
  store_some(y, i * p.y + j, activate4(load_some(x, i * p.x + j, bf16_0, wide)), bf16_1, wide);
}

struct ActivateBackwardParams {
  uint rows, cols, x, dy, dx, y;
};

kernel void activate_backward(device const void* x [[buffer(0)]],
                              device const void* dy [[buffer(1)]],
                              device void* dx [[buffer(2)]],
                              device void* y [[buffer(3)]],
                              constant ActivateBackwardParams& p [[buffer(4)]],
                              uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = column(at);
  if (i >= p.rows || j >= p.cols) return;
  const float4 v = load_some(x, i * p.x + j, bf16_0, wide);
  const float4 d = load_some(dy, i * p.dy + j, bf16_1, wide);
  store_some(dx, i * p.dx + j, d * slope4(v), bf16_2, wide);
  if (second) store_some(y, i * p.y + j, activate4(v), bf16_3, wide);
}

struct SoftCapParams {
  uint rows, cols, x, y;
  float cap;
};

static inline float soft_cap(float x, float cap) { return cap - 2.0f * cap / (1.0f + exp(min(x * (2.0f / cap), 88.0f))); }

kernel void soft_cap_forward(device const void* x [[buffer(0)]],
                             device void* y [[buffer(1)]],
                             constant SoftCapParams& p [[buffer(2)]],
                             uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = column(at);
  if (i >= p.rows || j >= p.cols) return;
  const float4 v = load_some(x, i * p.x + j, bf16_0, wide);
  store_some(y, i * p.y + j, float4(soft_cap(v.x, p.cap), soft_cap(v.y, p.cap), soft_cap(v.z, p.cap), soft_cap(v.w, p.cap)), bf16_1, wide);
}

struct SoftCapBackwardParams {
  uint rows, cols, y, dy, dx;
  float cap;
};

kernel void soft_cap_backward(device const void* y [[buffer(0)]],
                              device const void* dy [[buffer(1)]],
                              device void* dx [[buffer(2)]],
                              constant SoftCapBackwardParams& p [[buffer(3)]],
                              uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = column(at);
  if (i >= p.rows || j >= p.cols) return;
  const float4 t = load_some(y, i * p.y + j, bf16_0, wide) / p.cap;
  store_some(dx, i * p.dx + j, load_some(dy, i * p.dy + j, bf16_1, wide) * (1.0f - t * t), bf16_2, wide);
}

// cols is the number of columns of Y. X has twice as many: the gates, then the values they multiply.
kernel void swiglu_forward(device const void* x [[buffer(0)]],
                           device void* y [[buffer(1)]],
                           constant ActivateParams& p [[buffer(2)]],
                           uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = column(at);
  if (i >= p.rows || j >= p.cols) return;
  const float4 g = load_some(x, i * p.x + j, bf16_0, wide);
  const float4 u = load_some(x, i * p.x + j + p.cols, bf16_0, wide);
  store_some(y, i * p.y + j, g * sigmoid4(g) * u, bf16_1, wide);
}

kernel void swiglu_backward(device const void* x [[buffer(0)]],
                            device const void* dy [[buffer(1)]],
                            device void* dx [[buffer(2)]],
                            device void* y [[buffer(3)]],
                            constant ActivateBackwardParams& p [[buffer(4)]],
                            uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = column(at);
  if (i >= p.rows || j >= p.cols) return;
  const float4 g = load_some(x, i * p.x + j, bf16_0, wide);
  const float4 u = load_some(x, i * p.x + j + p.cols, bf16_0, wide);
  const float4 d = load_some(dy, i * p.dy + j, bf16_1, wide);
  const float4 s = sigmoid4(g), silu = g * s;
  store_some(dx, i * p.dx + j, d * u * (s + silu * (1.0f - s)), bf16_2, wide);
  store_some(dx, i * p.dx + j + p.cols, d * silu, bf16_2, wide);
  if (second) store_some(y, i * p.y + j, silu * u, bf16_3, wide);
}

struct FillParams {
  uint rows, cols, y;
  float value;
};

kernel void fill(device void* y [[buffer(0)]],
                 constant FillParams& p [[buffer(1)]],
                 uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = column(at);
  if (i >= p.rows || j >= p.cols) return;
  store_some(y, i * p.y + j, float4(p.value), bf16_0, wide);
}

// An operand with stride 0 is one row that is added to every row.
struct AddParams {
  uint rows, cols, a, b, y;
  float alpha, beta;
};

kernel void add(device const void* a [[buffer(0)]],
                device const void* b [[buffer(1)]],
                device void* y [[buffer(2)]],
                constant AddParams& p [[buffer(3)]],
                uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = column(at);
  if (i >= p.rows || j >= p.cols) return;
  float4 v = p.alpha * load_some(a, i * p.a + j, bf16_0, wide);
  if (second) v += p.beta * load_some(b, i * p.b + j, bf16_1, wide);
  store_some(y, i * p.y + j, v, bf16_2, wide);
}
