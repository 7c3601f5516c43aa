// The Muon optimizer. A thread handles one element, or one column. All operands are float.

constant bool with_factor [[function_constant(10)]];
constant bool with_columns [[function_constant(11)]];  // scale the columns of the orthogonalized matrix (NorMuon)
constant bool cautious [[function_constant(12)]];

static inline float factor_of(device const float* factor) { return with_factor ? factor[0] : 1.0f; }

struct NesterovParams {
  uint rows, cols, grad, m, u;  // the last three are strides
  float beta;
};

kernel void nesterov(device const float* grad [[buffer(0)]],
                     device const float* m [[buffer(1)]],
                     device const float* factor [[buffer(2)]],
                     device float* u [[buffer(3)]],
                     constant NesterovParams& p [[buffer(4)]],
                     uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = at.x;
  if (i >= p.rows || j >= p.cols) return;
  const float g = (1.0f - p.beta) * (factor_of(factor) * grad[i * p.grad + j]);
  u[i * p.u + j] = p.beta * (p.beta * m[i * p.m + j] + g) + g;
}

struct NormalizeParams {
  uint rows, cols, x, y;  // the last two are strides
  float slack, eps;
};

kernel void normalize_matrix(device const float* x [[buffer(0)]],
                             device const float* squares [[buffer(1)]],
                             device float* y [[buffer(2)]],
                             constant NormalizeParams& p [[buffer(3)]],
                             uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = at.x;
  if (i >= p.rows || j >= p.cols) return;
  y[i * p.y + j] = x[i * p.x + j] / (p.slack * sqrt(squares[0]) + p.eps);
}

struct QuadraticParams {
  uint n, a, square, y;  // the last three are strides
  float c0, c1, c2;
};

kernel void quadratic(device const float* a [[buffer(0)]],
                      device const float* square [[buffer(1)]],
                      device float* y [[buffer(2)]],
                      constant QuadraticParams& p [[buffer(3)]],
                      uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = at.x;
  if (i >= p.n || j >= p.n) return;
  const float v = p.c1 * a[i * p.a + j] + p.c2 * square[i * p.square + j];
  y[i * p.y + j] = i == j ? v + p.c0 : v;
}

struct NeuronScaleParams {
  uint rows, cols, x, stats;  // the last two are strides
  float beta, eps;
};

kernel void neuron_scale(device const float* x [[buffer(0)]],
                         device const float* moments [[buffer(1)]],
                         device float* stats [[buffer(2)]],
                         constant NeuronScaleParams& p [[buffer(3)]],
                         uint2 at [[thread_position_in_grid]]) {
  const uint j = at.x;
  if (at.y > 0 || j >= p.cols) return;
  float squares = 0.0f;
  for (uint i = 0; i < p.rows; i++) {
    const float v = x[i * p.x + j];
    squares += v * v;
  }
  const float mean = squares / float(p.rows);
  const float by = 1.0f / (sqrt(p.beta * moments[j] + (1.0f - p.beta) * mean) + p.eps);
  stats[j] = mean;
  stats[p.stats + j] = by;
  stats[2 * p.stats + j] = squares * by * by;
}

struct MuonParams {
  uint rows, cols, x, m, o, grad;  // the last four are strides
  uint rate;                       // index of a scalar
  float beta, scale, decay;
};

kernel void muon(device float* x [[buffer(0)]],
                 device float* m [[buffer(1)]],
                 device const float* o [[buffer(2)]],
                 device const float* grad [[buffer(3)]],
                 device const float* factor [[buffer(4)]],
                 device const float* columns [[buffer(5)]],
                 device const float* squares [[buffer(6)]],
                 device const float* scalars [[buffer(7)]],
                 device const uint* gate [[buffer(8)]],
                 constant MuonParams& p [[buffer(9)]],
                 uint2 at [[thread_position_in_grid]]) {
  const uint i = at.y, j = at.x;
  if (i >= p.rows || j >= p.cols) return;
  const float f = factor_of(factor), rate = scalars[p.rate];
  if (gate[0] == 0 || f == 0.0f) return;
  const float w = x[i * p.x + j], d = o[i * p.o + j];
  float along = p.scale * d;
  if (with_columns) along *= columns[j] / max(1e-30f, sqrt(squares[0]));
  const bool opposed = cautious && ((d < 0.0f && w > 0.0f) || (d > 0.0f && w < 0.0f));
  x[i * p.x + j] = w - rate * (along + (opposed ? 0.0f : p.decay * w));
  m[i * p.m + j] = p.beta * m[i * p.m + j] + (1.0f - p.beta) * (f * grad[i * p.grad + j]);
}
