// C[m,n] = f(op(A)·op(B) + bias) + residual, one product or a batch of them.
//
// A threadgroup of four SIMD-groups makes a square tile of C, each SIMD-group a quarter of it in matrices of 8x8. Pieces
// of A and B, kDepth deep, go through threadgroup memory as they lie in device memory: a transposed operand is turned
// when a SIMD-group loads a matrix. Rows there are 16 bytes longer than they need to be, so that those of a matrix lie in
// different banks. One buffer is enough: a core has other threadgroups to run while one waits at a barrier.

struct Product {
  uint m, n, k;
  uint tiles_m, tiles_n;
  uint strip;  // tiles of C are made in strips so many tiles wide, from the top down, so that they share A and B in caches
  uint inner;  // matrix z of a batch lies z / inner · outer + z % inner · step elements after the first
  uint a_stride, a_outer, a_step;
  uint b_stride, b_outer, b_step;
  uint c_stride, c_outer, c_step;
  uint pre_stride, residual_stride;
  uint part;  // of the inner size that one part takes, if it is split
};

constant bool whole_k [[function_constant(10)]];  // k is a multiple of kDepth
// Four elements are loaded at a time: rows begin at multiples of four, and row length (or its padding) is one as well.
constant bool quads_a [[function_constant(11)]];
constant bool quads_b [[function_constant(12)]];
constant bool quads_c [[function_constant(13)]];  // of C, and of all else that the epilogue touches
constant bool plain [[function_constant(14)]];    // C is float, and the product is all that it takes
constant bool padded [[function_constant(15)]];   // C has room for whole tiles
constant bool accumulate [[function_constant(16)]];
constant bool with_bias [[function_constant(17)]];
constant bool with_pre [[function_constant(18)]];
constant bool with_residual [[function_constant(19)]];
constant uint activation [[function_constant(20)]];
constant bool with_sums [[function_constant(21)]];
constant bool split [[function_constant(22)]];  // batch z is part z of the inner size; C and sums receive partial sums
constant uint triangle [[function_constant(23)]];

// What triangle says of a product by a lower triangular matrix, whose diagonal tiles are filled up with zeros. 0: nothing.
CONSTANT uint kLowerC = 1;  // only tiles of C that touch the triangle are wanted
CONSTANT uint kLowerA = 2;  // op(A) is lower triangular
CONSTANT uint kUpperA = 3;  // op(A) is upper triangular

CONSTANT uint kDepth = 16, kThreads = 128, kPad = 4;

// Brings kDepth inner positions from k0 on of `side` rows (columns if the inner size runs down) from the first on into
// threadgroup memory. Beyond limit the last ones are repeated: they only reach rows and columns of C that do not exist.
// Beyond end in the inner direction there must be zeros.
template <int side, bool down>
static inline void load_tile(threadgroup float* tile, device const void* x, uint at, uint stride, uint first, uint limit,
                             uint k0, uint end, bool quads, bool bf16, uint tid) {
  constexpr uint width = down ? side : kDepth;
  constexpr uint pitch = width + kPad;
  if (quads) {
    const uint last = (limit + 3) / 4 * 4 - 4;
    for (uint i = 0; i < uint(side * kDepth / 4 / kThreads); i++) {
      const uint e = i * kThreads + tid, r = e / (width / 4), c = e % (width / 4) * 4;
      const uint k = k0 + (down ? r : c);
      const uint o = down ? min(first + c, last) : min(first + r, limit - 1);
      float4 v = float4(0.0f);
      if (whole_k || k < end) v = load4(x, at + (down ? k * stride + o : o * stride + k), bf16);
      *(threadgroup float4*)(tile + r * pitch + c) = v;
    }
  } else {
    for (uint i = 0; i < uint(side * kDepth / kThreads); i++) {
      const uint e = i * kThreads + tid, r = e / width, c = e % width;
      const uint k = k0 + (down ? r : c);
      const uint o = min(first + (down ? c : r), limit - 1);
      float v = 0.0f;
      if (whole_k || k < end) v = load(x, at + (down ? k * stride + o : o * stride + k), bf16);
      tile[r * pitch + c] = v;
    }
  }
}

// Element (row, col) of the product on its way into C; finish4 takes four columns.
static inline void finish(float v, uint row, uint col, uint at, device void* c, device const void* bias, device void* pre,
                          device const void* residual, uint pre_stride, uint residual_stride) {
  if (accumulate) v += load(c, at, bf16_2);
  if (with_bias) v += load(bias, col, bf16_3);
  if (with_pre) store(pre, row * pre_stride + col, v, bf16_4);
  v = activate(activation, v);
  if (with_residual) v += load(residual, row * residual_stride + col, bf16_5);
  store(c, at, v, bf16_2);
}

static inline void finish4(float4 v, uint row, uint col, uint at, device void* c, device const void* bias, device void* pre,
                           device const void* residual, uint pre_stride, uint residual_stride) {
  if (accumulate) v += load4(c, at, bf16_2);
  if (with_bias) v += load4(bias, col, bf16_3);
  if (with_pre) store4(pre, row * pre_stride + col, v, bf16_4);
  v = float4(activate(activation, v.x), activate(activation, v.y), activate(activation, v.z), activate(activation, v.w));
  if (with_residual) v += load4(residual, row * residual_stride + col, bf16_5);
  store4(c, at, v, bf16_2);
}

template <int tile, bool trans_a, bool trans_b>
[[max_total_threads_per_threadgroup(128)]] kernel void matmul(
    device const void* a [[buffer(0)]],
    device const void* b [[buffer(1)]],
    device void* c [[buffer(2)]],
    device const void* bias [[buffer(3)]],
    device void* pre [[buffer(4)]],
    device const void* residual [[buffer(5)]],
    device void* sums [[buffer(6)]],
    constant Product& p [[buffer(7)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint tid [[thread_index_in_threadgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  constexpr int half_tile = tile / 2;  // side of a SIMD-group's quarter
  constexpr int mats = tile / 16;      // matrices along that side
  constexpr int pitch_a = (trans_a ? tile : kDepth) + kPad;
  constexpr int pitch_b = (trans_b ? kDepth : tile) + kPad;
  constexpr int floats_a = (trans_a ? kDepth : tile) * pitch_a;
  constexpr int floats_b = (trans_b ? tile : kDepth) * pitch_b;
  threadgroup float4 room[(floats_a + floats_b) / 4];
  threadgroup float* tile_a = (threadgroup float*)room;
  threadgroup float* tile_b = tile_a + floats_a;

  const uint in_strip = p.strip * p.tiles_m;  // tiles of all strips but a narrower last one
  const uint strip = group.x / in_strip;
  const uint width = min(p.strip, p.tiles_n - strip * p.strip);
  const uint tile_m = (group.x - strip * in_strip) / width;
  const uint row0 = tile_m * tile;
  const uint col0 = (strip * p.strip + (group.x - strip * in_strip) % width) * tile;
  if (triangle == kLowerC && col0 >= row0 + tile) return;

  const uint outer = group.z / p.inner, inner = group.z % p.inner;
  const uint at_a = outer * p.a_outer + inner * p.a_step;
  const uint at_b = outer * p.b_outer + inner * p.b_step;
  const uint at_c = outer * p.c_outer + inner * p.c_step;
  uint end = p.k;
  if (split) end = min(p.part, p.k - group.z * p.part);
  if (triangle == kLowerA) end = min(p.k, row0 + tile);

  simdgroup_float8x8 acc[mats][mats];
  UNROLL for (int i = 0; i < mats; i++)
    UNROLL for (int j = 0; j < mats; j++) acc[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  const uint simd_row = simd / 2 * half_tile, simd_col = simd % 2 * half_tile;

  // The first row of tiles also adds up the columns of B: each thread some rows of each piece of one column.
  constexpr uint share = kDepth * tile / kThreads;
  const bool sum_columns = trans_a && with_sums && tile_m == 0;
  float column = 0.0f;

  for (uint k0 = triangle == kUpperA ? row0 : 0; k0 < end; k0 += kDepth) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_tile<tile, trans_a>(tile_a, a, at_a, p.a_stride, row0, p.m, k0, end, quads_a, bf16_0, tid);
    load_tile<tile, !trans_b>(tile_b, b, at_b, p.b_stride, col0, p.n, k0, end, quads_b, bf16_1, tid);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (sum_columns) {
      float s = 0.0f;
      for (uint r = 0; r < share; r++) s += tile_b[(tid / tile * share + r) * pitch_b + tid % tile];
      column += s;
    }
    for (int k = 0; k < kDepth; k += 8) {
      // These fences move no data: they keep the compiler from mixing loads and products, which takes more registers.
      simdgroup_barrier(mem_flags::mem_none);
      simdgroup_float8x8 ma[mats];
      simdgroup_float8x8 mb[mats];
      UNROLL for (int i = 0; i < mats; i++) {
        const uint row = simd_row + 8 * i;
        if (trans_a)
          simdgroup_load(ma[i], tile_a + k * pitch_a + row, pitch_a, ulong2(0, 0), true);
        else
          simdgroup_load(ma[i], tile_a + row * pitch_a + k, pitch_a);
      }
      UNROLL for (int j = 0; j < mats; j++) {
        const uint col = simd_col + 8 * j;
        if (trans_b)
          simdgroup_load(mb[j], tile_b + col * pitch_b + k, pitch_b, ulong2(0, 0), true);
        else
          simdgroup_load(mb[j], tile_b + k * pitch_b + col, pitch_b);
      }
      simdgroup_barrier(mem_flags::mem_none);
      UNROLL for (int i = 0; i < mats; i++)
        UNROLL for (int j = 0; j < mats; j++) {
          const int to = i % 2 == 0 ? j : mats - 1 - j;  // there and back: one operand of each product is the last one's
          simdgroup_multiply_accumulate(acc[i][to], ma[i], mb[to], acc[i][to]);
        }
    }
  }

  if (sum_columns) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tile_a[tid] = column;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const uint col = col0 + tid;
    if (tid < tile && col < p.n) {
      float s = 0.0f;
      for (uint i = tid; i < kThreads; i += tile) s += tile_a[i];
      if (split)
        store(sums, group.z * p.tiles_n * tile + col, s, bf16_6);
      else
        store(sums, col, load(sums, col, bf16_6) + s, bf16_6);
    }
  }

  const uint row1 = row0 + simd_row, col1 = col0 + simd_col;
  if (plain && (padded || (row0 + tile <= p.m && col0 + tile <= p.n))) {
    device float* out = (device float*)c + at_c + row1 * p.c_stride + col1;
    UNROLL for (int i = 0; i < mats; i++)
      UNROLL for (int j = 0; j < mats; j++) simdgroup_store(acc[i][j], out + 8 * i * p.c_stride + 8 * j, p.c_stride);
    return;
  }
  // Each SIMD-group spreads eight rows of its quarter at a time over its threads.
  threadgroup_barrier(mem_flags::mem_threadgroup);
  constexpr int pitch = half_tile + kPad;
  threadgroup float* rows = tile_a + simd * 8 * pitch;
  UNROLL for (int i = 0; i < mats; i++) {
    UNROLL for (int j = 0; j < mats; j++) simdgroup_store(acc[i][j], rows + 8 * j, pitch);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    const uint step = quads_c ? 4 : 1;
    for (uint e = lane * step; e < uint(8 * half_tile); e += 32 * step) {
      const uint r = e / half_tile, row = row1 + 8 * i + r, col = col1 + e % half_tile;
      const uint at = at_c + row * p.c_stride + col;
      threadgroup const float* v = rows + r * pitch + e % half_tile;
      if (row < p.m && col < p.n) {
        if (quads_c)
          finish4(*(threadgroup const float4*)v, row, col, at, c, bias, pre, residual, p.pre_stride, p.residual_stride);
        else
          finish(*v, row, col, at, c, bias, pre, residual, p.pre_stride, p.residual_stride);
      }
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
  }
}

template [[host_name("matmul_nn_32")]] [[kernel]] decltype(matmul<32, false, false>) matmul<32, false, false>;
template [[host_name("matmul_nt_32")]] [[kernel]] decltype(matmul<32, false, true>) matmul<32, false, true>;
template [[host_name("matmul_tn_32")]] [[kernel]] decltype(matmul<32, true, false>) matmul<32, true, false>;
template [[host_name("matmul_nn_64")]] [[kernel]] decltype(matmul<64, false, false>) matmul<64, false, false>;
template [[host_name("matmul_nt_64")]] [[kernel]] decltype(matmul<64, false, true>) matmul<64, false, true>;
template [[host_name("matmul_tn_64")]] [[kernel]] decltype(matmul<64, true, false>) matmul<64, true, false>;

struct Parts {
  uint m, n;
  uint parts;
  uint width, plane;  // of a part's C, which is made of whole tiles: its row, and all of it
  uint c_stride, pre_stride, residual_stride;
};

// Adds up the parts of a product that was split, in order, and finishes it. Row m of the grid is the sums.
kernel void matmul_parts(device const float* products [[buffer(0)]],
                         device const float* partial_sums [[buffer(1)]],
                         device void* c [[buffer(2)]],
                         device const void* bias [[buffer(3)]],
                         device void* pre [[buffer(4)]],
                         device const void* residual [[buffer(5)]],
                         device void* sums [[buffer(6)]],
                         constant Parts& p [[buffer(7)]],
                         uint2 place [[thread_position_in_grid]]) {
  const uint step = quads_c ? 4 : 1;
  const uint row = place.y, col = place.x * step, at = row * p.c_stride + col;
  if (col >= p.n || row > p.m) return;
  if (row == p.m) {
    for (uint j = col; with_sums && j < col + step; j++) {
      float s = 0.0f;
      for (uint i = 0; i < p.parts; i++) s += partial_sums[i * p.width + j];
      store(sums, j, load(sums, j, bf16_6) + s, bf16_6);
    }
  } else if (quads_c) {
    float4 v = float4(0.0f);
    for (uint i = 0; i < p.parts; i++) v += *(device const float4*)(products + i * p.plane + row * p.width + col);
    finish4(v, row, col, at, c, bias, pre, residual, p.pre_stride, p.residual_stride);
  } else {
    float v = 0.0f;
    for (uint i = 0; i < p.parts; i++) v += products[i * p.plane + row * p.width + col];
    finish(v, row, col, at, c, bias, pre, residual, p.pre_stride, p.residual_stride);
  }
}
