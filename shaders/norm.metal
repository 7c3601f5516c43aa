// Layernorm and rmsnorm of rows.
//
// A SIMD-group handles a row of up to 128 columns, a whole threadgroup a wider one. Each thread keeps its columns in registers
// through all passes: `held` vectors of four. That is why the kernels are templates.

constant bool whole [[function_constant(10)]];  // a threadgroup handles a row, otherwise a SIMD-group does
constant bool quads [[function_constant(11)]];  // all rows consist of whole vectors of four
constant bool rms [[function_constant(12)]];
constant bool with_bias [[function_constant(13)]];
constant bool with_stats [[function_constant(14)]];
constant bool with_y [[function_constant(15)]];
constant bool with_sums [[function_constant(16)]];  // compute the gradients of gain and bias
constant bool accumulate [[function_constant(17)]];
constant bool parted [[function_constant(18)]];  // a row here is a part of a row of the operands (one head)

CONSTANT uint kMost = 256;  // threads of the largest threadgroup that handles several rows at once

struct NormParams {
  uint rows, cols, parts;
  uint x, y;  // strides
  float eps;
};

// The offset of a row.
static inline uint begin(uint row, uint stride, uint parts, uint cols) {
  return parted ? row / parts * stride + row % parts * cols : row * stride;
}

// x and y may be the same buffer.
template <uint held>
[[max_total_threads_per_threadgroup(512)]] kernel void norm_forward(device const void* x [[buffer(0)]],
                                                                    device const void* gain [[buffer(1)]],
                                                                    device const void* bias [[buffer(2)]],
                                                                    device void* y [[buffer(3)]],
                                                                    device float* stats [[buffer(4)]],
                                                                    constant NormParams& p [[buffer(5)]],
                                                                    uint group [[threadgroup_position_in_grid]],
                                                                    PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place at = PLACE;
  const uint row = whole ? group : group * (group_threads / 32) + at.line;
  if (row >= p.rows) return;  // skips no barrier: with barriers, the grid has exactly one threadgroup per row
  const uint first = 4 * (whole ? at.tid : at.lane), step = 4 * (whole ? group_threads : 32);

  float4 v[held];
  float sum = 0.0f;
  UNROLL for (uint k = 0; k < held; k++) {
    v[k] = load_row(x, begin(row, p.x, p.parts, p.cols), first + k * step, p.cols, 0.0f, bf16_0, quads);
    sum += sum_of(v[k]);
  }
  float mean = 0.0f;
  if (!rms) {
    mean = team_sum(sum, whole, room, at) / float(p.cols);
    UNROLL for (uint k = 0; k < held; k++) {
      const uint c = first + k * step;
      v[k] = float4(c < p.cols ? v[k].x - mean : 0.0f, c + 1 < p.cols ? v[k].y - mean : 0.0f,
                    c + 2 < p.cols ? v[k].z - mean : 0.0f, c + 3 < p.cols ? v[k].w - mean : 0.0f);
    }
  }
  float squares = 0.0f;
  UNROLL for (uint k = 0; k < held; k++) squares += sum_of(v[k] * v[k]);
  squares = team_sum(squares, whole, room, at);
  const float rho = 1.0f / sqrt(squares / float(p.cols) + p.eps);

  if (with_stats && first == 0) {
    stats[2 * row] = mean;
    stats[2 * row + 1] = rho;
  }
  UNROLL for (uint k = 0; k < held; k++) {
    const uint c = first + k * step;
    float4 h = v[k] * rho * load_row(gain, 0, c, p.cols, 0.0f, bf16_1, quads);
    if (with_bias) h += load_row(bias, 0, c, p.cols, 0.0f, bf16_2, quads);
    store_row(y, begin(row, p.y, p.parts, p.cols), c, p.cols, h, bf16_3, quads);
  }
}

struct NormBackwardParams {
  uint rows, cols, parts;
  uint x, dy, dx, y;  // strides
  uint block;         // rows per threadgroup
  uint width;         // length of a row of sums, in vectors of four
};

// For each threadgroup, sums receives Σ DY ∘ x̂ and then Σ DY over its rows.
template <uint held>
[[max_total_threads_per_threadgroup(512)]] kernel void norm_backward(device const void* x [[buffer(0)]],
                                                                     device const void* gain [[buffer(1)]],
                                                                     device const float* stats [[buffer(2)]],
                                                                     device const void* dy [[buffer(3)]],
                                                                     device void* dx [[buffer(4)]],
                                                                     device float4* sums [[buffer(5)]],
                                                                     device void* y [[buffer(6)]],
                                                                     device const void* bias [[buffer(7)]],
                                                                     constant NormBackwardParams& p [[buffer(8)]],
                                                                     uint group [[threadgroup_position_in_grid]],
                                                                     PLACE_PARAMETERS) {
  threadgroup float room[2 * kRoom];
  threadgroup float4 parts[2 * kMost];
  const Place at = PLACE;
  const uint lines = group_threads / 32;
  const uint first = 4 * (whole ? at.tid : at.lane), step = 4 * (whole ? group_threads : 32);
  const uint end = min((group + 1) * p.block, p.rows);

  float4 w[held], dgain[held], dbias[held];
  UNROLL for (uint k = 0; k < held; k++) {
    w[k] = load_row(gain, 0, first + k * step, p.cols, 0.0f, bf16_1, quads);
    dgain[k] = float4(0.0f);
    dbias[k] = float4(0.0f);
  }
  for (uint row = group * p.block + (whole ? 0 : at.line); row < end; row += whole ? 1 : lines) {
    const float mean = rms ? 0.0f : stats[2 * row], rho = stats[2 * row + 1];
    float4 h[held], g[held];  // x̂ and DY ∘ Gain
    float sum_g = 0.0f, sum_gh = 0.0f;
    UNROLL for (uint k = 0; k < held; k++) {
      const uint c = first + k * step;
      const float4 d = load_row(dy, begin(row, p.dy, p.parts, p.cols), c, p.cols, 0.0f, bf16_3, quads);
      h[k] = (load_row(x, begin(row, p.x, p.parts, p.cols), c, p.cols, mean, bf16_0, quads) - mean) * rho;
      g[k] = d * w[k];
      sum_g += sum_of(g[k]);
      sum_gh += sum_of(g[k] * h[k]);
      if (with_sums) {
        dgain[k] += d * h[k];
        dbias[k] += d;
      }
      if (with_y) {
        float4 v = h[k] * w[k];
        if (with_bias) v += load_row(bias, 0, c, p.cols, 0.0f, bf16_7, quads);
        store_row(y, begin(row, p.y, p.parts, p.cols), c, p.cols, v, bf16_6, quads);
      }
    }
    const float2 means = team_sums(rms ? 0.0f : sum_g, sum_gh, whole, room, at) / float(p.cols);
    UNROLL for (uint k = 0; k < held; k++) {
      const uint c = first + k * step;
      float4 d = rho * (g[k] - means.x - h[k] * means.y);
      if (accumulate) d += load_row(dx, begin(row, p.dx, p.parts, p.cols), c, p.cols, 0.0f, bf16_4, quads);
      store_row(dx, begin(row, p.dx, p.parts, p.cols), c, p.cols, d, bf16_4, quads);
    }
  }
  if (!with_sums) return;
  const uint to = 2 * group * p.width;
  if (whole) {
    UNROLL for (uint k = 0; k < held; k++) {
      const uint c = (first + k * step) / 4;
      if (c < p.width) {
        sums[to + c] = dgain[k];
        sums[to + p.width + c] = dbias[k];
      }
    }
    return;
  }
  // One line adds all lines' sums for the gain, another those for the bias.
  parts[at.tid] = dgain[0];
  parts[group_threads + at.tid] = dbias[0];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint which = at.line; which < 2 && at.lane < p.width; which += lines) {
    float4 sum = parts[which * group_threads + at.lane];
    for (uint s = 1; s < lines; s++) sum += parts[which * group_threads + 32 * s + at.lane];
    sums[to + which * p.width + at.lane] = sum;
  }
}

template [[host_name("norm_forward_1")]] [[kernel]] decltype(norm_forward<1>) norm_forward<1>;
template [[host_name("norm_forward_2")]] [[kernel]] decltype(norm_forward<2>) norm_forward<2>;
template [[host_name("norm_forward_8")]] [[kernel]] decltype(norm_forward<8>) norm_forward<8>;
template [[host_name("norm_backward_1")]] [[kernel]] decltype(norm_backward<1>) norm_backward<1>;
template [[host_name("norm_backward_2")]] [[kernel]] decltype(norm_backward<2>) norm_backward<2>;
template [[host_name("norm_backward_8")]] [[kernel]] decltype(norm_backward<8>) norm_backward<8>;
