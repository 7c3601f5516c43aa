// The learned exit: the probability of leaving after each loop, the expected loss, and the gradient of the gate. A thread
// handles all loops of one position. Positions are adjacent in memory, loops are p.positions apart.

struct ExitParams {
  uint positions, loops;
};

kernel void exit_distribution(device const float* z [[buffer(0)]],
                              device const int* targets [[buffer(1)]],
                              device float* probability [[buffer(2)]],
                              constant ExitParams& p [[buffer(3)]],
                              uint i [[thread_position_in_grid]]) {
  if (i >= p.positions) return;
  const uint last = (p.loops - 1) * p.positions + i;
  if (targets[i] < 0) {  // an ignored position; its logits may be NaN
    for (uint k = i; k <= last; k += p.positions) probability[k] = 0.0f;
    return;
  }
  float left = 1.0f;
  for (uint k = i; k < last; k += p.positions) {
    const float x = z[k];
    probability[k] = left * sigmoid(x);
    left *= sigmoid(-x);
  }
  probability[last] = left;
}

// softplus(x) = ln(1 + exp(x)). With x the gate's logit, it is −ln P(stay), and softplus(−x) is −ln P(leave).
static inline float softplus(float x) { return max(x, 0.0f) + log(1.0f + exp(-abs(x))); }

struct ExitLossParams {
  uint positions, loops, scale;  // scale: index of a scalar
  float beta, weight;
};

kernel void exit_loss(device const float* z [[buffer(0)]],
                      device const float* probability [[buffer(1)]],
                      device const float* losses [[buffer(2)]],
                      device const int* targets [[buffer(3)]],
                      device const float* scalars [[buffer(4)]],
                      device float* loss [[buffer(5)]],
                      device float* entropy [[buffer(6)]],
                      device float* dz [[buffer(7)]],
                      constant ExitLossParams& p [[buffer(8)]],
                      uint i [[thread_position_in_grid]]) {
  if (i >= p.positions) return;
  const uint last = (p.loops - 1) * p.positions + i;
  if (targets[i] < 0) {
    for (uint k = i; k <= last; k += p.positions) dz[k] = 0.0f;
    loss[i] = 0.0f;
    entropy[i] = 0.0f;
    return;
  }
  dz[last] = 0.0f;
  const float scale = p.weight * scalars[p.scale];
  float e = losses[last], h = 0.0f;  // expected loss and entropy, given that the position reaches the loop after k
  for (uint k = last; k > i;) {
    k -= p.positions;
    const float x = z[k], here = losses[k], leave = sigmoid(x), stay = sigmoid(-x);
    dz[k] = scale * probability[k] * stay * (here + p.beta * x - (e - p.beta * h));
    e = leave * here + stay * e;
    h = leave * softplus(-x) + stay * (softplus(x) + h);
  }
  loss[i] = e;
  entropy[i] = h;
}
