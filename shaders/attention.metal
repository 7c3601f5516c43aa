// Causal attention that stores no scores, for heads of width w.
//
// A threadgroup of four SIMD-groups processes a block of rows of one head of one sequence. Each SIMD-group holds `strips` strips
// of eight rows, operands and results, as 8x8 matrices in registers. So it reads each matrix of the other side once for all its
// strips. The other side is staged in threadgroup memory in tiles of `across` rows.
//
// Operations on single scores need the row and column of each score. Four threads share a row. Which elements of a matrix a
// thread holds is not documented. If layout.metal has confirmed the expected layout on this GPU, scores stay in registers.
// Otherwise a strip of scores passes through threadgroup memory. The result stays in registers even then, although the online
// softmax must scale it row by row: diag(α)·O costs w/8 products, and a tile costs w/8·across/4. Keeping the result in
// threadgroup memory would cost more loads and stores, and as much space as another threadgroup needs.

constant bool quads [[function_constant(10)]];  // rows of all operands start at multiples of four
constant bool with_log_sum [[function_constant(11)]];
constant bool in_registers [[function_constant(12)]];  // scores stay in registers: a thread works on the matrix elements it holds
constant bool turned [[function_constant(13)]];  // rotate the gradients of queries and keys back, as rotary does

CONSTANT uint kThreads = 128, kSimds = 4;
CONSTANT uint kPad = 4;  // padding of a tile's rows, so that the rows of a matrix fall into different banks

constant float kLog2E = 1.44269504088896340736f;
constant float kLn2 = 0.69314718055994530942f;

struct AttentionParams {
  uint length, heads, kv_heads;
  uint qkv, out, dout, dqkv;  // strides
  float scale;                // of scores
};

// A query head of a sequence, with its keys and values, which other query heads may share.
struct Head {
  uint row;         // first row of the sequence
  uint col;         // first column of the queries and of Out
  uint key, value;  // first columns of the keys and of the values
};

template <uint w>
static inline Head head_of(uint sequence, uint head, constant AttentionParams& p) {
  const uint shared = head / (p.heads / p.kv_heads);
  return Head{sequence * p.length, head * w, (p.heads + shared) * w, (p.heads + p.kv_heads + shared) * w};
}

// A thread's share of a strip of eight rows: a quarter of a row. In a row of scores, these are the columns
// first + t·step + {0, 1, gap, gap + 1} for t < across/16.
struct Spot {
  uint row, quarter;
  uint first, step, gap;
};

template <uint across>
static inline Spot spot_of(uint lane) {
  if (in_registers) {
    const uint first = lane / 8 % 2 * 4 + lane % 2 * 2;
    return Spot{lane / 16 * 4 + lane / 2 % 4, first / 2, first, 16, 8};
  }
  return Spot{lane / 4, lane % 4, lane % 4 * (across / 4), 4, 2};
}

// Loads elements i to i+3. With quads, i is a multiple of four.
static inline float4 load_four(device const void* x, uint i, bool bf16) {
  if (quads) return load4(x, i, bf16);
  return float4(load(x, i, bf16), load(x, i + 1, bf16), load(x, i + 2, bf16), load(x, i + 3, bf16));
}

static inline void store_four(device void* x, uint i, float4 v, bool bf16) {
  if (quads) {
    store4(x, i, v, bf16);
    return;
  }
  store(x, i, v.x, bf16);
  store(x, i + 1, v.y, bf16);
  store(x, i + 2, v.z, bf16);
  store(x, i + 3, v.w, bf16);
}

// Fills a tile of `rows` rows of width w in threadgroup memory: the first `valid` rows from element i on, the rest with zeros.
// `threads` threads take part. They copy whole rows in each round.
template <uint w, uint rows, uint threads>
static inline void load_tile(threadgroup float* tile, device const void* x, uint i, uint stride, uint valid, uint tid,
                             bool bf16) {
  constexpr uint step = threads / (w / 4), rounds = rows / step;
  static_assert(rounds * step == rows, "rounds take whole tiles");
  const uint r = tid / (w / 4), c = tid % (w / 4) * 4;
  threadgroup float* to = tile + r * (w + kPad) + c;
  i += r * stride + c;
  if (valid >= rows) {
    UNROLL for (uint t = 0; t < rounds; t++) {
      *(threadgroup float4*)to = load_four(x, i, bf16);
      to = to + step * (w + kPad);
      i += step * stride;
    }
  } else {
    UNROLL for (uint t = 0; t < rounds; t++) {
      float4 v = float4(0.0f);
      if (r + t * step < valid) v = load_four(x, i, bf16);
      *(threadgroup float4*)to = v;
      to = to + step * (w + kPad);
      i += step * stride;
    }
  }
}

// Loads eight rows into the matrices of strip s. `mine` is the SIMD-group's scratch space for eight rows.
template <uint w, uint strips>
INLINE void load_strip(thread simdgroup_float8x8 (&to)[strips][w / 8], uint s, threadgroup float* mine, device const void* x,
                       uint i, uint stride, uint valid, uint lane, bool bf16) {
  load_tile<w, 8, 32>(mine, x, i, stride, valid, lane, bf16);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint k = 0; k < w / 8; k++) simdgroup_load(to[s][k], mine + 8 * k, w + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

// Writes the eight rows of strip s, each multiplied by the factor of its threads.
template <uint w, uint strips>
INLINE void store_strip(thread simdgroup_float8x8 (&from)[strips][w / 8], uint s, threadgroup float* mine, device void* x,
                        uint i, uint stride, uint valid, float factor, Spot at, bool bf16) {
  UNROLL for (uint k = 0; k < w / 8; k++) simdgroup_store(from[s][k], mine + 8 * k, w + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  if (at.row < valid) {
    threadgroup float* v = mine + at.row * (w + kPad) + 4 * at.quarter;
    i += at.row * stride + 4 * at.quarter;
    UNROLL for (uint c = 0; c < w; c += 16) store_four(x, i + c, *(threadgroup float4*)(v + c) * factor, bf16);
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

// The same for gradients of queries or keys, which are rotated back. turns holds the cosines and then the sines of the angles of
// each row of the strip. The gradients are first rounded as a store would round them.
template <uint w, uint strips>
INLINE void store_turned(thread simdgroup_float8x8 (&from)[strips][w / 8], uint s, threadgroup float* mine, device void* x,
                         uint i, uint stride, uint valid, float factor, device const float* turns, Spot at, bool bf16) {
  UNROLL for (uint k = 0; k < w / 8; k++) simdgroup_store(from[s][k], mine + 8 * k, w + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  if (at.row < valid) {
    threadgroup float* v = mine + at.row * (w + kPad);
    device const float* turn = turns + at.row * w;
    UNROLL for (uint k = 0; k < w; k += 16) {
      const uint c = k + 4 * at.quarter, half_c = c % (w / 2);
      const float4 a = as_stored(*(threadgroup float4*)(v + half_c) * factor, bf16);
      const float4 b = as_stored(*(threadgroup float4*)(v + half_c + w / 2) * factor, bf16);
      const float4 cosine = load4(turn, half_c, false), sine = -load4(turn, half_c + w / 2, false);
      store_four(x, i + at.row * stride + c, c < w / 2 ? a * cosine - b * sine : a * sine + b * cosine, bf16);
    }
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

// to = A·Bᵀ for all strips, where B is a tile.
template <uint w, uint strips, uint across>
INLINE void scores_of(thread simdgroup_float8x8 (&to)[strips][across / 8], thread simdgroup_float8x8 (&a)[strips][w / 8],
                      threadgroup float* tile) {
  UNROLL for (uint s = 0; s < strips; s++)
    UNROLL for (uint j = 0; j < across / 8; j++) to[s][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  UNROLL for (uint k = 0; k < w / 8; k++)
    UNROLL for (uint j = 0; j < across / 8; j++) {
      simdgroup_float8x8 b;
      simdgroup_load(b, tile + 8 * j * (w + kPad) + 8 * k, w + kPad, ulong2(0, 0), true);
      UNROLL for (uint s = 0; s < strips; s++) simdgroup_multiply_accumulate(to[s][j], a[s][k], b, to[s][j]);
    }
}

// to += A·B for all strips, where A holds weights of the rows of the tile B.
template <uint w, uint strips, uint across>
INLINE void add_weighted(thread simdgroup_float8x8 (&to)[strips][w / 8],
                         thread simdgroup_float8x8 (&a)[strips][across / 8], threadgroup float* tile) {
  UNROLL for (uint j = 0; j < across / 8; j++)
    UNROLL for (uint k = 0; k < w / 8; k++) {
      simdgroup_float8x8 b;
      simdgroup_load(b, tile + 8 * j * (w + kPad) + 8 * k, w + kPad);
      UNROLL for (uint s = 0; s < strips; s++) simdgroup_multiply_accumulate(to[s][k], a[s][j], b, to[s][k]);
    }
}

// Moves a strip of scores from matrices to threads; gather moves it back.
template <uint strips, uint across>
INLINE void spread(thread float4* to, thread simdgroup_float8x8 (&from)[strips][across / 8], uint s, threadgroup float* mine,
                   Spot at) {
  if (in_registers) {
    UNROLL for (uint t = 0; t < across / 16; t++)
      to[t] = float4(from[s][2 * t].thread_elements()[0], from[s][2 * t].thread_elements()[1],
                     from[s][2 * t + 1].thread_elements()[0], from[s][2 * t + 1].thread_elements()[1]);
    return;
  }
  UNROLL for (uint j = 0; j < across / 8; j++) simdgroup_store(from[s][j], mine + 8 * j, across + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint t = 0; t < across / 16; t++)
    to[t] = *(threadgroup float4*)(mine + at.row * (across + kPad) + at.first + 4 * t);
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

template <uint strips, uint across>
INLINE void gather(thread simdgroup_float8x8 (&to)[strips][across / 8], uint s, thread float4* from, threadgroup float* mine,
                   Spot at) {
  if (in_registers) {
    UNROLL for (uint t = 0; t < across / 16; t++) {
      to[s][2 * t].thread_elements()[0] = from[t].x;
      to[s][2 * t].thread_elements()[1] = from[t].y;
      to[s][2 * t + 1].thread_elements()[0] = from[t].z;
      to[s][2 * t + 1].thread_elements()[1] = from[t].w;
    }
    return;
  }
  UNROLL for (uint t = 0; t < across / 16; t++)
    *(threadgroup float4*)(mine + at.row * (across + kPad) + at.first + 4 * t) = from[t];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint j = 0; j < across / 8; j++) simdgroup_load(to[s][j], mine + 8 * j, across + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

// Multiplies each row of strip s by the factor of its threads. Outside its diagonal, the 8x8 matrix `diagonal` must be zero.
template <uint w, uint strips>
INLINE void scale_rows(thread simdgroup_float8x8 (&o)[strips][w / 8], uint s, float factor, threadgroup float* diagonal,
                       Spot at) {
  if (in_registers) {
    UNROLL for (uint k = 0; k < w / 8; k++) {
      o[s][k].thread_elements()[0] *= factor;
      o[s][k].thread_elements()[1] *= factor;
    }
    return;
  }
  if (at.quarter == 0) diagonal[9 * at.row] = factor;
  simdgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_float8x8 d;
  simdgroup_load(d, diagonal, 8);
  UNROLL for (uint k = 0; k < w / 8; k++) {
    simdgroup_float8x8 scaled;
    simdgroup_multiply(scaled, d, o[s][k]);
    o[s][k] = scaled;
  }
}

// The maximum and the sum over the four threads that share a row.
static inline float row_max(float v) {
  v = max(v, simd_shuffle_xor(v, 1));
  return max(v, simd_shuffle_xor(v, in_registers ? 8 : 2));
}

static inline float row_sum(float v) {
  v += simd_shuffle_xor(v, 1);
  return v + simd_shuffle_xor(v, in_registers ? 8 : 2);
}

// Masks the scores of keys j + {0, 1, gap, gap + 1} for query i: keys after the query get −∞.
static inline float4 seen(float4 v, uint j, uint gap, uint i) {
  return float4(j <= i ? v.x : -INFINITY, j + 1 <= i ? v.y : -INFINITY, j + gap <= i ? v.z : -INFINITY,
                j + gap + 1 <= i ? v.w : -INFINITY);
}

// Elements i + {0, 1, gap, gap + 1}.
static inline float4 pick(threadgroup const float* x, uint i, uint gap) {
  return float4(x[i], x[i + 1], x[i + gap], x[i + gap + 1]);
}

static inline float4 exp2_of(float4 v) { return float4(exp2(v.x), exp2(v.y), exp2(v.z), exp2(v.w)); }

// Out = softmax(scale·Q·Kᵀ)·V for a block of queries. Keys and values use the same tile in turn.
template <uint w, uint strips, uint across>
[[max_total_threads_per_threadgroup(128)]] kernel void attention(device const void* qkv [[buffer(0)]],
                                                                 device void* out [[buffer(1)]],
                                                                 device float* log_sum [[buffer(2)]],
                                                                 constant AttentionParams& p [[buffer(3)]],
                                                                 uint3 group [[threadgroup_position_in_grid]],
                                                                 uint3 groups [[threadgroups_per_grid]],
                                                                 uint thread_in_group [[thread_index_in_threadgroup]],
                                                                 uint lane [[thread_index_in_simdgroup]],
                                                                 uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup float4 tile_room[across * (w + kPad) / 4], strip_room[kSimds * 8 * (across + kPad) / 4];
  threadgroup float diagonals[kSimds * 64];
  const Head h = head_of<w>(group.z, group.y, p);
  // The last blocks see the most keys, so they run first.
  const uint start = (groups.x - 1 - group.x) * (kSimds * 8 * strips);
  const uint first = start + simd * 8 * strips, last = first + 8 * strips - 1;  // rows of the SIMD-group
  const Spot at = spot_of<across>(lane);
  threadgroup float* tile = (threadgroup float*)tile_room;
  threadgroup float* strip = (threadgroup float*)strip_room + simd * 8 * (across + kPad);
  threadgroup float* diagonal = diagonals + simd * 64;
  threadgroup float* mine = tile + simd * 8 * (w + kPad);
  const uint rows = h.row * p.qkv, queries = rows + h.col, keys = rows + h.key, values = rows + h.value;

  simdgroup_float8x8 q[strips][w / 8], o[strips][w / 8];
  float most[strips], sum[strips];  // of a row: the largest score in units of log 2, and Σ exp2(score − most)
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint top = first + 8 * s;
    load_strip<w, strips>(q, s, mine, qkv, queries + top * p.qkv, p.qkv, top < p.length ? p.length - top : 0, lane, bf16_0);
    UNROLL for (uint k = 0; k < w / 8; k++) o[s][k] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    most[s] = -INFINITY;
    sum[s] = 0.0f;
  }
  diagonal[lane] = 0.0f;
  diagonal[32 + lane] = 0.0f;
  const float scale = p.scale * kLog2E;

  const uint end = min(start + kSimds * 8 * strips, p.length);
  for (uint j = 0; j < end; j += across) {
    const bool active = j <= last && first < p.length;
    simdgroup_float8x8 weights[strips][across / 8];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_tile<w, across, kThreads>(tile, qkv, keys + j * p.qkv, p.qkv, p.length - j, thread_in_group, bf16_0);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (active) {
      scores_of<w, strips, across>(weights, q, tile);
      UNROLL for (uint s = 0; s < strips; s++) {
        const uint i = first + 8 * s + at.row;
        float4 v[across / 16];
        spread<strips, across>(v, weights, s, strip, at);
        float m = -INFINITY;
        UNROLL for (uint t = 0; t < across / 16; t++) {
          v[t] = seen(v[t], j + at.first + t * at.step, at.gap, i);
          m = max(m, max(max(v[t].x, v[t].y), max(v[t].z, v[t].w)));
        }
        m = max(most[s], row_max(m) * scale);
        float z = 0.0f;
        UNROLL for (uint t = 0; t < across / 16; t++) {
          v[t] = exp2_of(fma(v[t], float4(scale), float4(-m)));
          z += sum_of(v[t]);
        }
        const float alpha = exp2(most[s] - m);
        sum[s] = sum[s] * alpha + row_sum(z);
        most[s] = m;
        gather<strips, across>(weights, s, v, strip, at);
        scale_rows<w, strips>(o, s, alpha, diagonal, at);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_tile<w, across, kThreads>(tile, qkv, values + j * p.qkv, p.qkv, p.length - j, thread_in_group, bf16_0);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (active) add_weighted<w, strips, across>(o, weights, tile);
  }

  threadgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint top = first + 8 * s, row = h.row + top;
    const uint valid = top < p.length ? p.length - top : 0;
    store_strip<w, strips>(o, s, mine, out, row * p.out + h.col, p.out, valid, 1.0f / sum[s], at, bf16_1);
    if (with_log_sum && at.quarter == 0 && at.row < valid)
      log_sum[(row + at.row) * p.heads + group.y] = (most[s] + log2(sum[s])) * kLn2;
  }
}

// DQ = scale·DS·K for a block of queries. delta receives δ, which attention_dkv needs.
template <uint w, uint strips, uint across>
[[max_total_threads_per_threadgroup(128)]] kernel void attention_dq(device const void* qkv [[buffer(0)]],
                                                                    device const void* out [[buffer(1)]],
                                                                    device const float* log_sum [[buffer(2)]],
                                                                    device const void* dout [[buffer(3)]],
                                                                    device void* dqkv [[buffer(4)]],
                                                                    device float* delta [[buffer(5)]],
                                                                    device const float* turns [[buffer(6)]],
                                                                    constant AttentionParams& p [[buffer(7)]],
                                                                    uint3 group [[threadgroup_position_in_grid]],
                                                                    uint3 groups [[threadgroups_per_grid]],
                                                                    uint thread_in_group [[thread_index_in_threadgroup]],
                                                                    uint lane [[thread_index_in_simdgroup]],
                                                                    uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup float4 tile_room[2 * across * (w + kPad) / 4], strip_room[kSimds * 8 * (across + kPad) / 4];
  const Head h = head_of<w>(group.z, group.y, p);
  const uint start = (groups.x - 1 - group.x) * (kSimds * 8 * strips);  // the longest blocks run first
  const uint first = start + simd * 8 * strips, last = first + 8 * strips - 1;
  const Spot at = spot_of<across>(lane);
  threadgroup float* key_tile = (threadgroup float*)tile_room;
  threadgroup float* value_tile = key_tile + across * (w + kPad);
  threadgroup float* strip = (threadgroup float*)strip_room + simd * 8 * (across + kPad);
  threadgroup float* mine = (threadgroup float*)tile_room + simd * 8 * (w + kPad);
  const uint rows = h.row * p.qkv, queries = rows + h.col, keys = rows + h.key, values = rows + h.value;

  simdgroup_float8x8 q[strips][w / 8], g[strips][w / 8], dq[strips][w / 8];
  float shift[strips], d[strips];  // LogSum in base 2, and δ
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint top = first + 8 * s, row = h.row + top;
    const uint valid = top < p.length ? p.length - top : 0;
    load_strip<w, strips>(q, s, mine, qkv, queries + top * p.qkv, p.qkv, valid, lane, bf16_0);
    load_strip<w, strips>(g, s, mine, dout, row * p.dout + h.col, p.dout, valid, lane, bf16_3);
    UNROLL for (uint k = 0; k < w / 8; k++) dq[s][k] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    float sum = 0.0f;
    shift[s] = 0.0f;
    if (at.row < valid) {
      const uint i = (row + at.row) * p.out + h.col + 4 * at.quarter, g_i = (row + at.row) * p.dout + h.col + 4 * at.quarter;
      UNROLL for (uint k = 0; k < w; k += 16) sum += sum_of(load_four(out, i + k, bf16_1) * load_four(dout, g_i + k, bf16_3));
      shift[s] = log_sum[(row + at.row) * p.heads + group.y] * kLog2E;
    }
    d[s] = row_sum(sum);
    if (at.row < valid && at.quarter == 0) delta[(row + at.row) * p.heads + group.y] = d[s];
  }
  const float scale = p.scale * kLog2E;

  const uint end = min(start + kSimds * 8 * strips, p.length);
  for (uint j = 0; j < end; j += across) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_tile<w, across, kThreads>(key_tile, qkv, keys + j * p.qkv, p.qkv, p.length - j, thread_in_group, bf16_0);
    load_tile<w, across, kThreads>(value_tile, qkv, values + j * p.qkv, p.qkv, p.length - j, thread_in_group, bf16_0);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (j > last || first >= p.length) continue;  // uniform over the SIMD-group, which still reaches every barrier
    simdgroup_float8x8 weights[strips][across / 8], grads[strips][across / 8];
    scores_of<w, strips, across>(weights, q, key_tile);
    scores_of<w, strips, across>(grads, g, value_tile);
    UNROLL for (uint s = 0; s < strips; s++) {
      const uint i = first + 8 * s + at.row;
      float4 v[across / 16], e[across / 16];
      spread<strips, across>(v, weights, s, strip, at);
      spread<strips, across>(e, grads, s, strip, at);
      UNROLL for (uint t = 0; t < across / 16; t++)
        v[t] = exp2_of(fma(seen(v[t], j + at.first + t * at.step, at.gap, i), float4(scale), float4(-shift[s]))) * (e[t] - d[s]);
      gather<strips, across>(weights, s, v, strip, at);
    }
    add_weighted<w, strips, across>(dq, weights, key_tile);
  }

  threadgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint top = first + 8 * s, valid = top < p.length ? p.length - top : 0;
    const uint i = (h.row + top) * p.dqkv + h.col;
    if (turned)
      store_turned<w, strips>(dq, s, mine, dqkv, i, p.dqkv, valid, p.scale, turns + top * w, at, bf16_4);
    else
      store_strip<w, strips>(dq, s, mine, dqkv, i, p.dqkv, valid, p.scale, at, bf16_4);
  }
}

// DK = scale·DSᵀ·Q and DV = Pᵀ·DOut for a block of keys, summed over the query heads that share them. It works like attention_dq
// with rows and columns of the scores swapped. dkv starts at the columns of DK.
template <uint w, uint strips, uint across>
[[max_total_threads_per_threadgroup(128)]] kernel void attention_dkv(device const void* qkv [[buffer(0)]],
                                                                     device const float* log_sum [[buffer(1)]],
                                                                     device const void* dout [[buffer(2)]],
                                                                     device const float* delta [[buffer(3)]],
                                                                     device void* dkv [[buffer(4)]],
                                                                     device const float* turns [[buffer(5)]],
                                                                     constant AttentionParams& p [[buffer(6)]],
                                                                     uint3 group [[threadgroup_position_in_grid]],
                                                                     uint thread_in_group [[thread_index_in_threadgroup]],
                                                                     uint lane [[thread_index_in_simdgroup]],
                                                                     uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup float4 tile_room[2 * across * (w + kPad) / 4], strip_room[kSimds * 8 * (across + kPad) / 4];
  threadgroup float shifts[across], deltas[across];  // of queries in the tile
  const uint shared = p.heads / p.kv_heads;
  const Head h = head_of<w>(group.z, group.y * shared, p);
  const uint start = group.x * (kSimds * 8 * strips);
  const uint first = start + simd * 8 * strips;
  const Spot at = spot_of<across>(lane);
  threadgroup float* query_tile = (threadgroup float*)tile_room;
  threadgroup float* grad_tile = query_tile + across * (w + kPad);
  threadgroup float* strip = (threadgroup float*)strip_room + simd * 8 * (across + kPad);
  threadgroup float* mine = (threadgroup float*)tile_room + simd * 8 * (w + kPad);
  const uint rows = h.row * p.qkv, keys = rows + h.key, values = rows + h.value;

  simdgroup_float8x8 k[strips][w / 8], v[strips][w / 8], dk[strips][w / 8], dv[strips][w / 8];
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint top = first + 8 * s, valid = top < p.length ? p.length - top : 0;
    load_strip<w, strips>(k, s, mine, qkv, keys + top * p.qkv, p.qkv, valid, lane, bf16_0);
    load_strip<w, strips>(v, s, mine, qkv, values + top * p.qkv, p.qkv, valid, lane, bf16_0);
    UNROLL for (uint m = 0; m < w / 8; m++) {
      dk[s][m] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
      dv[s][m] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
  }
  const float scale = p.scale * kLog2E;

  for (uint head = group.y * shared; head < (group.y + 1) * shared; head++) {
    const uint col = head * w;  // first column of the queries
    for (uint i = start / across * across; i < p.length; i += across) {
      threadgroup_barrier(mem_flags::mem_threadgroup);
      load_tile<w, across, kThreads>(query_tile, qkv, rows + col + i * p.qkv, p.qkv, p.length - i, thread_in_group, bf16_0);
      load_tile<w, across, kThreads>(grad_tile, dout, (h.row + i) * p.dout + col, p.dout, p.length - i, thread_in_group, bf16_2);
      if (thread_in_group < across) {
        const uint row = i + thread_in_group;
        const bool there = row < p.length;
        // Queries past the end get weights of 0.
        shifts[thread_in_group] = there ? log_sum[(h.row + row) * p.heads + head] * kLog2E : INFINITY;
        deltas[thread_in_group] = there ? delta[(h.row + row) * p.heads + head] : 0.0f;
      }
      threadgroup_barrier(mem_flags::mem_threadgroup);
      if (i + across <= first || first >= p.length) continue;  // uniform over the SIMD-group, which still reaches every barrier
      simdgroup_float8x8 weights[strips][across / 8], grads[strips][across / 8];
      scores_of<w, strips, across>(weights, k, query_tile);
      scores_of<w, strips, across>(grads, v, grad_tile);
      UNROLL for (uint s = 0; s < strips; s++) {
        const uint j = first + 8 * s + at.row;
        float4 x[across / 16], e[across / 16];
        spread<strips, across>(x, weights, s, strip, at);
        spread<strips, across>(e, grads, s, strip, at);
        UNROLL for (uint t = 0; t < across / 16; t++) {
          const uint n = at.first + t * at.step, q = i + n;
          x[t] = exp2_of(fma(x[t], float4(scale), -pick(shifts, n, at.gap)));
          x[t] = float4(q >= j ? x[t].x : 0.0f, q + 1 >= j ? x[t].y : 0.0f, q + at.gap >= j ? x[t].z : 0.0f,
                        q + at.gap + 1 >= j ? x[t].w : 0.0f);
          e[t] = x[t] * (e[t] - pick(deltas, n, at.gap));
        }
        gather<strips, across>(weights, s, x, strip, at);
        gather<strips, across>(grads, s, e, strip, at);
      }
      add_weighted<w, strips, across>(dv, weights, grad_tile);
      add_weighted<w, strips, across>(dk, grads, query_tile);
    }
  }

  threadgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint top = first + 8 * s, valid = top < p.length ? p.length - top : 0;
    const uint i = (h.row + top) * p.dqkv + group.y * w;
    if (turned)
      store_turned<w, strips>(dk, s, mine, dkv, i, p.dqkv, valid, p.scale, turns + top * w, at, bf16_4);
    else
      store_strip<w, strips>(dk, s, mine, dkv, i, p.dqkv, valid, p.scale, at, bf16_4);
    store_strip<w, strips>(dv, s, mine, dkv, i + p.kv_heads * w, p.dqkv, valid, 1.0f, at, bf16_4);
  }
}

// The backward kernels hold twice as many matrices per strip. With heads of 64, one strip and a smaller tile fit.
template [[host_name("attention_16")]] [[kernel]] decltype(attention<16, 2, 32>) attention<16, 2, 32>;
template [[host_name("attention_32")]] [[kernel]] decltype(attention<32, 2, 32>) attention<32, 2, 32>;
template [[host_name("attention_64")]] [[kernel]] decltype(attention<64, 2, 32>) attention<64, 2, 32>;
template [[host_name("attention_dq_16")]] [[kernel]] decltype(attention_dq<16, 2, 32>) attention_dq<16, 2, 32>;
template [[host_name("attention_dq_32")]] [[kernel]] decltype(attention_dq<32, 2, 32>) attention_dq<32, 2, 32>;
template [[host_name("attention_dq_64")]] [[kernel]] decltype(attention_dq<64, 1, 16>) attention_dq<64, 1, 16>;
template [[host_name("attention_dkv_16")]] [[kernel]] decltype(attention_dkv<16, 2, 32>) attention_dkv<16, 2, 32>;
template [[host_name("attention_dkv_32")]] [[kernel]] decltype(attention_dkv<32, 2, 32>) attention_dkv<32, 2, 32>;
template [[host_name("attention_dkv_64")]] [[kernel]] decltype(attention_dkv<64, 1, 16>) attention_dkv<64, 1, 16>;
