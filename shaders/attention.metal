// Causal attention that stores no scores, for heads of width w.
//
// A threadgroup of four SIMD-groups takes a block of the rows of one head of one sequence. Each SIMD-group keeps `strips`
// times eight of them, the operands as well as the results, in matrices of 8x8 in registers, and so reads each matrix of
// the other side once for all its strips. The other side goes through threadgroup memory in tiles of `across` rows.
//
// What is done to single scores must know where they stand, and the place of an element in a matrix is not ours to know:
// a strip of scores goes through threadgroup memory, where four threads share a row. The result, which the softmax as it
// goes along has to scale row by row, stays in registers: diag(α)·O is w/8 products where a tile takes w/8·across/4. To
// hold it in threadgroup memory would take more loads and stores than that, and the room of another threadgroup.

constant bool quads [[function_constant(10)]];  // rows of all operands begin at multiples of four
constant bool with_log_sum [[function_constant(11)]];

CONSTANT uint kThreads = 128, kSimds = 4;
CONSTANT uint kPad = 4;  // rows of a tile are longer, so that those of a matrix lie in different banks

constant float kLog2E = 1.44269504088896340736f;
constant float kLn2 = 0.69314718055994530942f;

struct AttentionParams {
  uint length, heads;
  uint qkv, out, dout, dqkv;  // strides
  float scale;                // 1/√w
};

// A head of a sequence.
struct Head {
  uint row;   // of all rows, the first
  uint col;   // of Out, the first
  uint cols;  // of Out: so far is a key from its query, and a value from its key
};

template <uint w>
static inline Head head_of(uint3 group, uint length, uint heads) {
  return Head{group.z * length, group.y * w, heads * w};
}

// Brings `rows` rows of width w into threadgroup memory, the first `valid` of them from element i on and zeros for the
// others. It is the work of `threads` threads.
template <uint w, uint rows, uint threads>
static inline void load_tile(threadgroup float* tile, device const void* x, uint i, uint stride, uint valid, uint tid,
                             bool bf16) {
  UNROLL for (uint t = 0; t < (rows * w / 4 + threads - 1) / threads; t++) {
    const uint e = t * threads + tid, r = e / (w / 4), c = e % (w / 4) * 4;
    if (rows * w / 4 % threads != 0 && r >= rows) continue;
    *(threadgroup float4*)(tile + r * (w + kPad) + c) =
        load_row(x, i + r * stride, c, r < valid ? w : 0, 0.0f, bf16, quads);
  }
}

// Brings eight rows into the matrices of strip s. `mine` is room for them that belongs to the SIMD-group.
template <uint w, uint strips>
INLINE void load_strip(thread simdgroup_float8x8 (&to)[strips][w / 8], uint s, threadgroup float* mine, device const void* x,
                       uint i, uint stride, uint valid, uint lane, bool bf16) {
  load_tile<w, 8, 32>(mine, x, i, stride, valid, lane, bf16);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint k = 0; k < w / 8; k++) simdgroup_load(to[s][k], mine + 8 * k, w + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

// Writes the eight rows of strip s, each times the factor of its threads.
template <uint w, uint strips>
INLINE void store_strip(thread simdgroup_float8x8 (&from)[strips][w / 8], uint s, threadgroup float* mine, device void* x,
                        uint i, uint stride, uint valid, float factor, uint lane, bool bf16) {
  UNROLL for (uint k = 0; k < w / 8; k++) simdgroup_store(from[s][k], mine + 8 * k, w + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  const uint r = lane / 4;
  for (uint c = lane % 4 * 4; c < w; c += 16) {
    const float4 v = *(threadgroup float4*)(mine + r * (w + kPad) + c) * factor;
    if (r < valid) store_row(x, i + r * stride, c, w, v, bf16, quads);
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

// to = A·Bᵀ for all strips, B being a tile.
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

// to += A·B for all strips, A being weights of the rows of a tile.
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

// A strip of scores between matrices and threads: thread `lane` has row lane/4, and of its columns the across/4 from
// lane%4·across/4 on.
template <uint strips, uint across>
INLINE void spread(thread float4* to, thread simdgroup_float8x8 (&from)[strips][across / 8], uint s, threadgroup float* mine,
                   uint lane) {
  UNROLL for (uint j = 0; j < across / 8; j++) simdgroup_store(from[s][j], mine + 8 * j, across + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint t = 0; t < across / 16; t++)
    to[t] = *(threadgroup float4*)(mine + lane / 4 * (across + kPad) + lane % 4 * (across / 4) + 4 * t);
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

template <uint strips, uint across>
INLINE void gather(thread simdgroup_float8x8 (&to)[strips][across / 8], uint s, thread float4* from, threadgroup float* mine,
                   uint lane) {
  UNROLL for (uint t = 0; t < across / 16; t++)
    *(threadgroup float4*)(mine + lane / 4 * (across + kPad) + lane % 4 * (across / 4) + 4 * t) = from[t];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint j = 0; j < across / 8; j++) simdgroup_load(to[s][j], mine + 8 * j, across + kPad);
  simdgroup_barrier(mem_flags::mem_threadgroup);
}

// The value and the maximum over the four threads that share a row.
static inline float quad_max_of(float v) {
  v = max(v, simd_shuffle_xor(v, 1));
  return max(v, simd_shuffle_xor(v, 2));
}

static inline float quad_sum_of(float v) {
  v += simd_shuffle_xor(v, 1);
  return v + simd_shuffle_xor(v, 2);
}

// Scores of keys j to j+3 for query i: those after the query count nothing.
static inline float4 seen(float4 v, uint j, uint i) {
  return float4(j <= i ? v.x : -INFINITY, j + 1 <= i ? v.y : -INFINITY, j + 2 <= i ? v.z : -INFINITY,
                j + 3 <= i ? v.w : -INFINITY);
}

static inline float4 exp2_of(float4 v) { return float4(exp2(v.x), exp2(v.y), exp2(v.z), exp2(v.w)); }

// Out = softmax(Q·Kᵀ/√w)·V for a block of queries. Keys and values take turns in one tile.
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
  const Head h = head_of<w>(group, p.length, p.heads);
  // The last blocks see the most keys: they go first.
  const uint start = (groups.x - 1 - group.x) * (kSimds * 8 * strips);
  const uint first = start + simd * 8 * strips, last = first + 8 * strips - 1;  // rows of the SIMD-group
  const uint r = lane / 4, c = lane % 4 * (across / 4);
  threadgroup float* tile = (threadgroup float*)tile_room;
  threadgroup float* strip = (threadgroup float*)strip_room + simd * 8 * (across + kPad);
  threadgroup float* diagonal = diagonals + simd * 64;
  threadgroup float* mine = tile + simd * 8 * (w + kPad);
  const uint queries = h.row * p.qkv + h.col, keys = queries + h.cols, values = keys + h.cols;

  simdgroup_float8x8 q[strips][w / 8], o[strips][w / 8];
  float most[strips], sum[strips];  // of a row: the largest score in units of log 2, and Σ exp2(score − most)
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint at = first + 8 * s;
    load_strip<w, strips>(q, s, mine, qkv, queries + at * p.qkv, p.qkv, at < p.length ? p.length - at : 0, lane, bf16_0);
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
        const uint i = first + 8 * s + r;
        float4 v[across / 16];
        spread<strips, across>(v, weights, s, strip, lane);
        float m = -INFINITY;
        UNROLL for (uint t = 0; t < across / 16; t++) {
          v[t] = seen(v[t], j + c + 4 * t, i);
          m = max(m, max(max(v[t].x, v[t].y), max(v[t].z, v[t].w)));
        }
        m = max(most[s], quad_max_of(m) * scale);
        float z = 0.0f;
        UNROLL for (uint t = 0; t < across / 16; t++) {
          v[t] = exp2_of(fma(v[t], float4(scale), float4(-m)));
          z += sum_of(v[t]);
        }
        const float alpha = exp2(most[s] - m);
        sum[s] = sum[s] * alpha + quad_sum_of(z);
        most[s] = m;
        if (lane % 4 == 0) diagonal[9 * r] = alpha;
        gather<strips, across>(weights, s, v, strip, lane);
        simdgroup_float8x8 d;
        simdgroup_load(d, diagonal, 8);
        UNROLL for (uint k = 0; k < w / 8; k++) {
          simdgroup_float8x8 scaled;
          simdgroup_multiply(scaled, d, o[s][k]);
          o[s][k] = scaled;
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_tile<w, across, kThreads>(tile, qkv, values + j * p.qkv, p.qkv, p.length - j, thread_in_group, bf16_0);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (active) add_weighted<w, strips, across>(o, weights, tile);
  }

  threadgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint at = first + 8 * s, row = h.row + at;
    const uint valid = at < p.length ? p.length - at : 0;
    store_strip<w, strips>(o, s, mine, out, row * p.out + h.col, p.out, valid, 1.0f / sum[s], lane, bf16_1);
    if (with_log_sum && lane % 4 == 0 && r < valid)
      log_sum[(row + r) * p.heads + group.y] = (most[s] + log2(sum[s])) * kLn2;
  }
}

// DQ = DS·K/√w for a block of queries; delta receives δ for attention_dkv.
template <uint w, uint strips, uint across>
[[max_total_threads_per_threadgroup(128)]] kernel void attention_dq(device const void* qkv [[buffer(0)]],
                                                                    device const void* out [[buffer(1)]],
                                                                    device const float* log_sum [[buffer(2)]],
                                                                    device const void* dout [[buffer(3)]],
                                                                    device void* dqkv [[buffer(4)]],
                                                                    device float* delta [[buffer(5)]],
                                                                    constant AttentionParams& p [[buffer(6)]],
                                                                    uint3 group [[threadgroup_position_in_grid]],
                                                                    uint3 groups [[threadgroups_per_grid]],
                                                                    uint thread_in_group [[thread_index_in_threadgroup]],
                                                                    uint lane [[thread_index_in_simdgroup]],
                                                                    uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup float4 tile_room[2 * across * (w + kPad) / 4], strip_room[kSimds * 8 * (across + kPad) / 4];
  const Head h = head_of<w>(group, p.length, p.heads);
  const uint start = (groups.x - 1 - group.x) * (kSimds * 8 * strips);  // the longest go first
  const uint first = start + simd * 8 * strips, last = first + 8 * strips - 1;
  const uint r = lane / 4, c = lane % 4 * (across / 4);
  threadgroup float* key_tile = (threadgroup float*)tile_room;
  threadgroup float* value_tile = key_tile + across * (w + kPad);
  threadgroup float* strip = (threadgroup float*)strip_room + simd * 8 * (across + kPad);
  threadgroup float* mine = (threadgroup float*)tile_room + simd * 8 * (w + kPad);
  const uint queries = h.row * p.qkv + h.col, keys = queries + h.cols, values = keys + h.cols;

  simdgroup_float8x8 q[strips][w / 8], g[strips][w / 8], dq[strips][w / 8];
  float shift[strips], d[strips];  // LogSum in units of log 2, and δ
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint at = first + 8 * s, row = h.row + at;
    const uint valid = at < p.length ? p.length - at : 0;
    load_strip<w, strips>(q, s, mine, qkv, queries + at * p.qkv, p.qkv, valid, lane, bf16_0);
    load_strip<w, strips>(g, s, mine, dout, row * p.dout + h.col, p.dout, valid, lane, bf16_3);
    UNROLL for (uint k = 0; k < w / 8; k++) dq[s][k] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    float sum = 0.0f;
    for (uint k = lane % 4 * 4; k < w; k += 16) {
      const uint n = r < valid ? w : 0;
      sum += sum_of(load_row(out, (row + r) * p.out + h.col, k, n, 0.0f, bf16_1, quads) *
                    load_row(dout, (row + r) * p.dout + h.col, k, n, 0.0f, bf16_3, quads));
    }
    d[s] = quad_sum_of(sum);
    shift[s] = 0.0f;
    if (r < valid) {
      shift[s] = log_sum[(row + r) * p.heads + group.y] * kLog2E;
      if (lane % 4 == 0) delta[(row + r) * p.heads + group.y] = d[s];
    }
  }
  const float scale = p.scale * kLog2E;

  const uint end = min(start + kSimds * 8 * strips, p.length);
  for (uint j = 0; j < end; j += across) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_tile<w, across, kThreads>(key_tile, qkv, keys + j * p.qkv, p.qkv, p.length - j, thread_in_group, bf16_0);
    load_tile<w, across, kThreads>(value_tile, qkv, values + j * p.qkv, p.qkv, p.length - j, thread_in_group, bf16_0);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (j > last || first >= p.length) continue;  // a whole SIMD-group; the barriers are met in each turn
    simdgroup_float8x8 weights[strips][across / 8], grads[strips][across / 8];
    scores_of<w, strips, across>(weights, q, key_tile);
    scores_of<w, strips, across>(grads, g, value_tile);
    UNROLL for (uint s = 0; s < strips; s++) {
      const uint i = first + 8 * s + r;
      float4 v[across / 16], e[across / 16];
      spread<strips, across>(v, weights, s, strip, lane);
      spread<strips, across>(e, grads, s, strip, lane);
      UNROLL for (uint t = 0; t < across / 16; t++)
        v[t] = exp2_of(fma(seen(v[t], j + c + 4 * t, i), float4(scale), float4(-shift[s]))) * (e[t] - d[s]);
      gather<strips, across>(weights, s, v, strip, lane);
    }
    add_weighted<w, strips, across>(dq, weights, key_tile);
  }

  threadgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint at = first + 8 * s;
    store_strip<w, strips>(dq, s, mine, dqkv, (h.row + at) * p.dqkv + h.col, p.dqkv, at < p.length ? p.length - at : 0, p.scale, lane, bf16_4);
  }
}

// DK = DSᵀ·Q/√w and DV = Pᵀ·DOut for a block of keys: as above with rows and columns of the scores exchanged. dkv begins
// at the columns of DK.
template <uint w, uint strips, uint across>
[[max_total_threads_per_threadgroup(128)]] kernel void attention_dkv(device const void* qkv [[buffer(0)]],
                                                                     device const float* log_sum [[buffer(1)]],
                                                                     device const void* dout [[buffer(2)]],
                                                                     device const float* delta [[buffer(3)]],
                                                                     device void* dkv [[buffer(4)]],
                                                                     constant AttentionParams& p [[buffer(5)]],
                                                                     uint3 group [[threadgroup_position_in_grid]],
                                                                     uint thread_in_group [[thread_index_in_threadgroup]],
                                                                     uint lane [[thread_index_in_simdgroup]],
                                                                     uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup float4 tile_room[2 * across * (w + kPad) / 4], strip_room[kSimds * 8 * (across + kPad) / 4];
  threadgroup float4 shifts[across / 4], deltas[across / 4];  // of the queries in the tile
  const Head h = head_of<w>(group, p.length, p.heads);
  const uint start = group.x * (kSimds * 8 * strips);
  const uint first = start + simd * 8 * strips;
  const uint r = lane / 4, c = lane % 4 * (across / 4);
  threadgroup float* query_tile = (threadgroup float*)tile_room;
  threadgroup float* grad_tile = query_tile + across * (w + kPad);
  threadgroup float* strip = (threadgroup float*)strip_room + simd * 8 * (across + kPad);
  threadgroup float* mine = (threadgroup float*)tile_room + simd * 8 * (w + kPad);
  const uint queries = h.row * p.qkv + h.col, keys = queries + h.cols, values = keys + h.cols;

  simdgroup_float8x8 k[strips][w / 8], v[strips][w / 8], dk[strips][w / 8], dv[strips][w / 8];
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint at = first + 8 * s, valid = at < p.length ? p.length - at : 0;
    load_strip<w, strips>(k, s, mine, qkv, keys + at * p.qkv, p.qkv, valid, lane, bf16_0);
    load_strip<w, strips>(v, s, mine, qkv, values + at * p.qkv, p.qkv, valid, lane, bf16_0);
    UNROLL for (uint m = 0; m < w / 8; m++) {
      dk[s][m] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
      dv[s][m] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
  }
  const float scale = p.scale * kLog2E;

  for (uint i = start / across * across; i < p.length; i += across) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_tile<w, across, kThreads>(query_tile, qkv, queries + i * p.qkv, p.qkv, p.length - i, thread_in_group, bf16_0);
    load_tile<w, across, kThreads>(grad_tile, dout, (h.row + i) * p.dout + h.col, p.dout, p.length - i, thread_in_group, bf16_2);
    if (thread_in_group < across) {
      const uint at = i + thread_in_group;
      const bool there = at < p.length;
      // A query that does not exist has weights of 0.
      ((threadgroup float*)shifts)[thread_in_group] = there ? log_sum[(h.row + at) * p.heads + group.y] * kLog2E : INFINITY;
      ((threadgroup float*)deltas)[thread_in_group] = there ? delta[(h.row + at) * p.heads + group.y] : 0.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (i + across <= first || first >= p.length) continue;  // a whole SIMD-group; the barriers are met in each turn
    simdgroup_float8x8 weights[strips][across / 8], grads[strips][across / 8];
    scores_of<w, strips, across>(weights, k, query_tile);
    scores_of<w, strips, across>(grads, v, grad_tile);
    UNROLL for (uint s = 0; s < strips; s++) {
      const uint j = first + 8 * s + r;
      float4 x[across / 16], e[across / 16];
      spread<strips, across>(x, weights, s, strip, lane);
      spread<strips, across>(e, grads, s, strip, lane);
      UNROLL for (uint t = 0; t < across / 16; t++) {
        const uint n = c + 4 * t, q = i + n;
        x[t] = exp2_of(fma(x[t], float4(scale), -shifts[n / 4]));
        x[t] = float4(q >= j ? x[t].x : 0.0f, q + 1 >= j ? x[t].y : 0.0f, q + 2 >= j ? x[t].z : 0.0f, q + 3 >= j ? x[t].w : 0.0f);
        e[t] = x[t] * (e[t] - deltas[n / 4]);
      }
      gather<strips, across>(weights, s, x, strip, lane);
      gather<strips, across>(grads, s, e, strip, lane);
    }
    add_weighted<w, strips, across>(dv, weights, grad_tile);
    add_weighted<w, strips, across>(dk, grads, query_tile);
  }

  threadgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint s = 0; s < strips; s++) {
    const uint at = first + 8 * s, valid = at < p.length ? p.length - at : 0;
    const uint i = (h.row + at) * p.dqkv + h.col;
    store_strip<w, strips>(dk, s, mine, dkv, i, p.dqkv, valid, p.scale, lane, bf16_4);
    store_strip<w, strips>(dv, s, mine, dkv, i + h.cols, p.dqkv, valid, 1.0f, lane, bf16_4);
  }
}

// The backward kernels hold twice as much of a row: heads of 64 leave room for one strip and a smaller tile.
template [[host_name("attention_16")]] [[kernel]] decltype(attention<16, 2, 32>) attention<16, 2, 32>;
template [[host_name("attention_32")]] [[kernel]] decltype(attention<32, 2, 32>) attention<32, 2, 32>;
template [[host_name("attention_64")]] [[kernel]] decltype(attention<64, 2, 32>) attention<64, 2, 32>;
template [[host_name("attention_dq_16")]] [[kernel]] decltype(attention_dq<16, 2, 32>) attention_dq<16, 2, 32>;
template [[host_name("attention_dq_32")]] [[kernel]] decltype(attention_dq<32, 2, 32>) attention_dq<32, 2, 32>;
template [[host_name("attention_dq_64")]] [[kernel]] decltype(attention_dq<64, 1, 16>) attention_dq<64, 1, 16>;
template [[host_name("attention_dkv_16")]] [[kernel]] decltype(attention_dkv<16, 2, 32>) attention_dkv<16, 2, 32>;
template [[host_name("attention_dkv_32")]] [[kernel]] decltype(attention_dkv<32, 2, 32>) attention_dkv<32, 2, 32>;
template [[host_name("attention_dkv_64")]] [[kernel]] decltype(attention_dkv<64, 1, 16>) attention_dkv<64, 1, 16>;
