// y = α∘x + Δ∘u: the state x decays, each column at its own rate, and takes in u. Δ = softplus(step), α = exp(−Δ·exp(rate)).

static inline float softplus(float x) { return max(x, 0.0f) + log(1.0f + exp(-abs(x))); }

struct DecayParams {
  uint rows, cols;
  uint x, u, y;  // strides
};

kernel void decay_forward(device const void* x [[buffer(0)]],
                          device const void* u [[buffer(1)]],
                          device const void* rate [[buffer(2)]],
                          device const void* step [[buffer(3)]],
                          device void* y [[buffer(4)]],
                          constant DecayParams& p [[buffer(5)]],
                          uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = at.x;
  if (i >= p.rows || j >= p.cols) return;
  const float delta = softplus(load(step, j, bf16_3)), alpha = exp(-delta * exp(load(rate, j, bf16_2)));
  store(y, i * p.y + j, load(x, i * p.x + j, bf16_0) * alpha + load(u, i * p.u + j, bf16_1) * delta, bf16_4);
}

struct DecayBackwardParams {
  uint rows, cols;
  uint block, blocks;      // rows per thread, and threads per column
  uint x, u, dy, dx, du;   // strides
};

// For each block of rows, sums receives its partial gradients of rate and then of step.
kernel void decay_backward(device const void* x [[buffer(0)]],
                           device const void* u [[buffer(1)]],
                           device const void* rate [[buffer(2)]],
                           device const void* step [[buffer(3)]],
                           device const void* dy [[buffer(4)]],
                           device void* dx [[buffer(5)]],
                           device void* du [[buffer(6)]],
                           device float* sums [[buffer(7)]],
                           constant DecayBackwardParams& p [[buffer(8)]],
                           uint2 at [[thread_position_in_grid]]) {
  const uint b = at.y, j = at.x;
  if (b >= p.blocks || j >= p.cols) return;
  const float s = load(step, j, bf16_3), speed = exp(load(rate, j, bf16_2));
  const float delta = softplus(s), alpha = exp(-delta * speed);
  float of_state = 0.0f, of_input = 0.0f;
  for (uint i = b * p.block; i < min((b + 1) * p.block, p.rows); i++) {
    const float g = load(dy, i * p.dy + j, bf16_4);
    of_state += g * load(x, i * p.x + j, bf16_0);
    of_input += g * load(u, i * p.u + j, bf16_1);
    store(dx, i * p.dx + j, g * alpha, bf16_5);
    store(du, i * p.du + j, g * delta, bf16_6);
  }
  const float fall = alpha * speed * of_state;
  sums[2 * b * p.cols + j] = -fall * delta;
  sums[(2 * b + 1) * p.cols + j] = (of_input - fall) * sigmoid(s);
}
