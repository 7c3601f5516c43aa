// Code that all matmul kernels share: their parameters, the tile of C that a threadgroup computes, and the epilogue that writes
// elements to C.

// Parameters of the epilogue, which is applied to the product before it is written to C.
struct Epilogue {
  uint pre_stride, residual_stride, extra_stride;
  uint turned;  // number of leading columns of C that are rotated (rotary positions)
  uint length;  // positions of a sequence
};

struct Product {
  uint m, n, k;
  uint tiles_m, tiles_n;
  uint strip;  // width in tiles of the strips in which C is computed, top to bottom, so that tiles share A and B in caches
  uint inner;  // matrix z of a batch starts z / inner · outer + z % inner · step elements after the first
  uint a_stride, a_outer, a_step;
  uint b_stride, b_outer, b_step;
  uint c_stride, c_outer, c_step;
  uint part;  // inner positions of one part, if the product is split
  Epilogue ends;
};

constant bool whole_k [[function_constant(10)]];  // k is a multiple of kDepth
// Elements are loaded four at a time: row starts and padded row lengths are multiples of four.
constant bool quads_a [[function_constant(11)]];
constant bool quads_b [[function_constant(12)]];
constant bool quads_c [[function_constant(13)]];  // for C and all other operands of the epilogue
constant bool plain [[function_constant(14)]];    // C is float, and there is no epilogue
constant bool padded [[function_constant(15)]];   // C has space for whole tiles
constant bool accumulate [[function_constant(16)]];
constant bool with_bias [[function_constant(17)]];
constant bool with_pre [[function_constant(18)]];
constant bool with_residual [[function_constant(19)]];
constant uint activation [[function_constant(20)]];
constant bool with_sums [[function_constant(21)]];
constant bool split [[function_constant(22)]];  // matrix z is part z of the inner size; C and sums receive partial sums
constant uint triangle [[function_constant(23)]];
constant uint head [[function_constant(24)]];   // width of the rotated heads, a divisor of the tile side; 0: no rotation
constant uint slope [[function_constant(25)]];  // the product is multiplied by the derivative of this function

// Round the product to bfloat before it is rotated or multiplied, so that the bits equal those of separate launches.
constant bool rounded [[function_constant(26)]];

// Values of triangle, for products with a lower triangular matrix. Its diagonal tiles are padded with zeros. 0: not triangular.
CONSTANT uint kLowerC = 1;  // only tiles of C that intersect the triangle are needed
CONSTANT uint kLowerA = 2;  // op(A) is lower triangular
CONSTANT uint kUpperA = 3;  // op(A) is upper triangular

CONSTANT uint kActivation = 1, kSwiGLU = 2;  // values of slope; 0: none

CONSTANT uint kDepth = 16, kThreads = 128;

// The tile of C that a threadgroup computes, and the location of its operands.
struct Tile {
  uint tile_m, row0, col0;
  uint at_a, at_b, at_c;  // offsets of the matrices in their buffers
  uint end;               // end of the inner positions
};

static inline Tile tile_of(constant Product& p, uint3 group, uint side) {
  Tile t;
  const uint in_strip = p.strip * p.tiles_m;  // tiles of a strip; the last one may be narrower
  const uint strip = group.x / in_strip;
  const uint width = min(p.strip, p.tiles_n - strip * p.strip);
  t.tile_m = (group.x - strip * in_strip) / width;
  t.row0 = t.tile_m * side;
  t.col0 = (strip * p.strip + (group.x - strip * in_strip) % width) * side;
  const uint outer = group.z / p.inner, inner = group.z % p.inner;
  t.at_a = outer * p.a_outer + inner * p.a_step;
  t.at_b = outer * p.b_outer + inner * p.b_step;
  t.at_c = outer * p.c_outer + inner * p.c_step;
  t.end = p.k;
  if (split) t.end = min(p.part, p.k - group.z * p.part);
  if (triangle == kLowerA) t.end = min(p.k, t.row0 + side);
  return t;
}

static inline float4 activate4(float4 x) {
  return float4(activate(activation, x.x), activate(activation, x.y), activate(activation, x.z), activate(activation, x.w));
}

static inline float4 slope4(float4 x) {
  return float4(activate_slope(activation, x.x), activate_slope(activation, x.y), activate_slope(activation, x.z),
                activate_slope(activation, x.w));
}

static inline float4 sigmoid4(float4 x) { return float4(sigmoid(x.x), sigmoid(x.y), sigmoid(x.z), sigmoid(x.w)); }

// The other column of the pair that column col is rotated with.
static inline uint partner_of(uint col) { return col % head < head / 2 ? col + head / 2 : col - head / 2; }

// Applies the epilogue to element (row, col) of a product of n columns and writes it to element `at` of C. With quads_c, it
// handles four columns. other is the product at partner_of(col).
//
// If heads are rotated, extra holds the cosines and then the sines of the angles of each position. If slope is set, the product
// is the gradient of a function's value and extra is the function's argument. C then receives the gradient of the argument,
// and pre, if requested, the value.
static inline void finish(float4 v, float4 other, uint row, uint col, uint at, uint n, device void* c,
                          device const void* bias, device void* pre, device const void* residual, device const void* extra,
                          constant Epilogue& p) {
  if (accumulate) v += load_some(c, at, bf16_2, quads_c);
  if (with_bias) v += load_some(bias, col, bf16_3, quads_c);
  v = as_stored(v, rounded);
  if (head != 0 && col < p.turned) {
    if (with_bias) other += load_some(bias, partner_of(col), bf16_3, quads_c);
    other = as_stored(other, rounded);
    const uint t = row % p.length * head + col % (head / 2);
    const float4 cosine = load_some(extra, t, false, quads_c), sine = load_some(extra, t + head / 2, false, quads_c);
    if (partner_of(col) > col)
      v = v * cosine - other * sine;
    else
      v = other * sine + v * cosine;
  }
  if (slope == kActivation) {
    const float4 x = load_some(extra, row * p.extra_stride + col, bf16_7, quads_c);
    if (with_pre) store_some(pre, row * p.pre_stride + col, activate4(x), bf16_4, quads_c);
    v *= slope4(x);
  } else if (slope == kSwiGLU) {
    const float4 g = load_some(extra, row * p.extra_stride + col, bf16_7, quads_c);
    const float4 u = load_some(extra, row * p.extra_stride + col + n, bf16_7, quads_c);
    const float4 s = sigmoid4(g), silu = g * s;
    if (with_pre) store_some(pre, row * p.pre_stride + col, silu * u, bf16_4, quads_c);
    store_some(c, at + n, v * silu, bf16_2, quads_c);
    v = v * u * (s + silu * (1.0f - s));
  } else {
    if (with_pre) store_some(pre, row * p.pre_stride + col, v, bf16_4, quads_c);
    v = activate4(v);
  }
  if (with_residual) v += load_some(residual, row * p.residual_stride + col, bf16_5, quads_c);
  store_some(c, at, v, bf16_2, quads_c);
}
