// Cross-entropy: loss, correctness and gradient of rows of logits.

constant bool wide [[function_constant(10)]];     // rows consist of whole vectors of four
constant bool whole [[function_constant(11)]];    // a threadgroup handles a row, otherwise a SIMD-group does
constant bool held [[function_constant(12)]];     // a thread keeps its share of the row in registers, so the row is read once
constant bool with_loss [[function_constant(13)]];
constant bool with_correct [[function_constant(14)]];
constant bool with_gradient [[function_constant(15)]];
constant bool weighted [[function_constant(16)]];  // rows have weights

struct CrossEntropyParams {
  uint rows, classes;
  uint logits, dlogits;  // strides
  uint scale;            // index of a scalar
  float weight;
};

// The threads of a row read it in quads. If wide, a quad is 4 adjacent elements. Otherwise the 4 elements of a quad are as many
// elements apart as the row has threads. In both cases neighbouring threads load neighbouring elements.
struct Quad {
  uint first, gap;
};

static inline Quad quad_at(uint k, uint member, uint members) {
  Quad q;
  q.first = k * 4 * members + (wide ? 4 * member : member);
  q.gap = wide ? 1 : members;
  return q;
}

// Elements past the end are -INFINITY, so they contribute nothing.
static inline float4 load_quad(device const void* x, uint from, Quad q, uint end) {
  if (wide) {
    if (q.first < end) return load4(x, from + q.first, bf16_0);
    return float4(-INFINITY);
  }
  const uint i = q.first, j = i + q.gap, k = j + q.gap, l = k + q.gap;
  return float4(i < end ? load(x, from + i, bf16_0) : -INFINITY, j < end ? load(x, from + j, bf16_0) : -INFINITY,
                k < end ? load(x, from + k, bf16_0) : -INFINITY, l < end ? load(x, from + l, bf16_0) : -INFINITY);
}

static inline void store_quad(device void* y, uint from, Quad q, uint end, float4 v) {
  if (wide) {
    if (q.first < end) store4(y, from + q.first, v, bf16_5);
    return;
  }
  const uint i = q.first, j = i + q.gap, k = j + q.gap, l = k + q.gap;
  if (i < end) store(y, from + i, v.x, bf16_5);
  if (j < end) store(y, from + j, v.y, bf16_5);
  if (k < end) store(y, from + k, v.z, bf16_5);
  if (l < end) store(y, from + l, v.w, bf16_5);
}

static inline float4 onehot(Quad q, uint target) {
  const uint d = target - q.first;  // wraps to a large number if the target comes before the quad
  return float4(float(d == 0), float(d == q.gap), float(d == 2 * q.gap), float(d == 3 * q.gap));
}

// Reports whether class j with logit x wins over the target: its logit is larger, or equal with j before the target. NaN wins.
static inline bool beats(float x, uint j, float chosen, uint target) {
  return !(x < chosen || (x == chosen && j >= target));
}

static inline bool any_beats(float4 v, Quad q, float chosen, uint target) {
  return beats(v.x, q.first, chosen, target) || beats(v.y, q.first + q.gap, chosen, target) ||
         beats(v.z, q.first + 2 * q.gap, chosen, target) || beats(v.w, q.first + 3 * q.gap, chosen, target);
}

static inline float largest(float4 v) { return max(max(v.x, v.y), max(v.z, v.w)); }
static inline float together(float4 v) { return (v.x + v.y) + (v.z + v.w); }


[[max_total_threads_per_threadgroup(512)]]
kernel void cross_entropy(device const void* logits [[buffer(0)]],
                          device const int* targets [[buffer(1)]],
                          device const float* scalars [[buffer(2)]],
                          device float* loss [[buffer(3)]],
                          device float* correct [[buffer(4)]],
                          device void* dlogits [[buffer(5)]],
                          device const float* weights [[buffer(6)]],
                          constant CrossEntropyParams& p [[buffer(7)]],
                          uint group [[threadgroup_position_in_grid]],
                          PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint row = whole ? group : group * (group_threads / 32) + at.line;
  const uint member = whole ? at.tid : at.lane, members = whole ? group_threads : 32;
  if (row >= p.rows) return;
  const uint from = row * p.logits, to = row * p.dlogits;
  const int wanted = targets[row];
  if (wanted < 0) {  // an ignored row; its logits may be NaN
    if (with_loss && member == 0) loss[row] = 0.0f;
    if (with_correct && member == 0) correct[row] = 0.0f;
    if (with_gradient)
      for (uint k = 0; k * 4 * members < p.classes; k++) store_quad(dlogits, to, quad_at(k, member, members), p.classes, float4(0.0f));
    return;
  }
  const uint target = uint(wanted);
  const float chosen = load(logits, from + target, bf16_0);

  // The largest logit m and the sum of exp(logit − m). m starts finite so that exp(−∞ − m) is not NaN.
  float m = -FLT_MAX, s = 0.0f;
  bool beaten = false;
  float4 v[4];
  if (held) {
    UNROLL for (uint k = 0; k < 4; k++) {
      const Quad q = quad_at(k, member, members);
      v[k] = load_quad(logits, from, q, p.classes);
      m = max(m, largest(v[k]));
      beaten = beaten || any_beats(v[k], q, chosen, target);
    }
    m = team_max(m, whole, room, at);
    UNROLL for (uint k = 0; k < 4; k++) {
      v[k] = exp(v[k] - m);
      s += together(v[k]);
    }
  } else {
    for (uint k = 0; k * 4 * members < p.classes; k++) {
      const Quad q = quad_at(k, member, members);
      const float4 x = load_quad(logits, from, q, p.classes);
      const float most = max(m, largest(x));
      s = s * exp(m - most) + together(exp(x - most));
      m = most;
      beaten = beaten || any_beats(x, q, chosen, target);
    }
    const float most = team_max(m, whole, room, at);
    s *= exp(m - most);
    m = most;
  }
  s = team_sum(s, whole, room, at);
  if (with_correct) {
    const float lost = team_max(beaten ? 1.0f : 0.0f, whole, room, at);
    if (member == 0) correct[row] = 1.0f - lost;
  }
  if (with_loss && member == 0) loss[row] = log(s) + (m - chosen);
  if (!with_gradient) return;

  // The gradient may overwrite the logits, so all threads must have read the target's logit first.
  team_barrier(whole);
  const float share = 1.0f / s;
  float scale = p.weight * scalars[p.scale];
  if (weighted) scale *= weights[row];
  if (held) {
    UNROLL for (uint k = 0; k < 4; k++) {
      const Quad q = quad_at(k, member, members);
      store_quad(dlogits, to, q, p.classes, scale * (v[k] * share - onehot(q, target)));
    }
  } else {
    for (uint k = 0; k * 4 * members < p.classes; k++) {
      const Quad q = quad_at(k, member, members);
      const float4 e = exp(load_quad(logits, from, q, p.classes) - m);
      store_quad(dlogits, to, q, p.classes, scale * (e * share - onehot(q, target)));
    }
  }
}
