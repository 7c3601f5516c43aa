// Matmul without SIMD-group matrices, for GPUs on which these are missing or wrong. Everything but the kernel is shared with
// matmul.metal.
//
// A threadgroup computes a 32x32 tile of C. A thread computes 4x4 elements, whose rows and columns are 8 apart. Pieces of A and
// B, kDepth deep, are staged in threadgroup memory, one row per inner position. The tile of C is staged there too, because the
// epilogue of an element may need another element of its row.

CONSTANT uint kTile = 32, kSide = 8, kEach = 4;  // side of a tile; threads along it; elements of a thread along it
CONSTANT uint kPlainThreads = kSide * kSide, kPitch = kTile + 1;

// Loads inner positions k0 to k0 + kDepth of kTile rows, starting at row first. With down, memory row k is inner
// position k, and the kTile rows are memory columns. Elements past limit, or past end in the inner dimension, are 0.
template <bool down>
static inline void load_piece(threadgroup float* piece, device const void* x, uint at, uint stride, uint first, uint limit,
                              uint k0, uint end, bool bf16, uint tid) {
  for (uint e = tid; e < kTile * kDepth; e += kPlainThreads) {
    const uint k = down ? e / kTile : e % kDepth, o = down ? e % kTile : e / kDepth;
    float v = 0.0f;
    if (first + o < limit && k0 + k < end)
      v = load(x, at + (down ? (k0 + k) * stride + first + o : (first + o) * stride + k0 + k), bf16);
    piece[k * kPitch + o] = v;
  }
}

template <bool trans_a, bool trans_b>
[[max_total_threads_per_threadgroup(64)]] kernel void plain_product(
    device const void* a [[buffer(0)]],
    device const void* b [[buffer(1)]],
    device void* c [[buffer(2)]],
    device const void* bias [[buffer(3)]],
    device void* pre [[buffer(4)]],
    device const void* residual [[buffer(5)]],
    device void* sums [[buffer(6)]],
    device const void* extra [[buffer(7)]],
    constant Product& p [[buffer(8)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint tid [[thread_index_in_threadgroup]]) {
  threadgroup float room[kTile * kPitch];
  threadgroup float* piece_a = room;
  threadgroup float* piece_b = room + kDepth * kPitch;
  const Tile place = tile_of(p, group, kTile);
  const uint row0 = place.row0, col0 = place.col0, end = place.end;
  if (triangle == kLowerC && col0 >= row0 + kTile) return;
  const uint row = tid / kSide, col = tid % kSide;
  const bool sum_columns = trans_a && with_sums && place.tile_m == 0 && tid < kTile;

  float acc[kEach][kEach], column = 0.0f;
  UNROLL for (uint i = 0; i < kEach; i++)
    UNROLL for (uint j = 0; j < kEach; j++) acc[i][j] = 0.0f;
  for (uint k0 = triangle == kUpperA ? row0 : 0; k0 < end; k0 += kDepth) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_piece<trans_a>(piece_a, a, place.at_a, p.a_stride, row0, p.m, k0, end, bf16_0, tid);
    load_piece<!trans_b>(piece_b, b, place.at_b, p.b_stride, col0, p.n, k0, end, bf16_1, tid);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint k = 0; k < kDepth; k++) {
      float x[kEach], y[kEach];
      UNROLL for (uint i = 0; i < kEach; i++) x[i] = piece_a[k * kPitch + row + kSide * i];
      UNROLL for (uint j = 0; j < kEach; j++) y[j] = piece_b[k * kPitch + col + kSide * j];
      UNROLL for (uint i = 0; i < kEach; i++)
        UNROLL for (uint j = 0; j < kEach; j++) acc[i][j] = fma(x[i], y[j], acc[i][j]);
      if (sum_columns) column += piece_b[k * kPitch + tid];
    }
  }

  if (sum_columns && col0 + tid < p.n) {
    if (split)
      store(sums, group.z * p.tiles_n * kTile + col0 + tid, column, bf16_6);
    else
      store(sums, col0 + tid, load(sums, col0 + tid, bf16_6) + column, bf16_6);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL for (uint i = 0; i < kEach; i++)
    UNROLL for (uint j = 0; j < kEach; j++) room[(row + kSide * i) * kPitch + col + kSide * j] = acc[i][j];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint step = quads_c ? 4 : 1;
  for (uint e = tid * step; e < kTile * kTile; e += kPlainThreads * step) {
    const uint r = e / kTile, here = e % kTile, there = head != 0 ? partner_of(here) : here;
    if (row0 + r >= p.m || col0 + here >= p.n) continue;
    threadgroup const float* v = room + r * kPitch + here;
    threadgroup const float* w = room + r * kPitch + there;
    finish(quads_c ? float4(v[0], v[1], v[2], v[3]) : float4(v[0]), quads_c ? float4(w[0], w[1], w[2], w[3]) : float4(w[0]),
           row0 + r, col0 + here, place.at_c + (row0 + r) * p.c_stride + col0 + here, p.n, c, bias, pre, residual, extra, p.ends);
  }
}

template [[host_name("plain_nn_32")]] [[kernel]] decltype(plain_product<false, false>) plain_product<false, false>;
template [[host_name("plain_nt_32")]] [[kernel]] decltype(plain_product<false, true>) plain_product<false, true>;
template [[host_name("plain_tn_32")]] [[kernel]] decltype(plain_product<true, false>) plain_product<true, false>;
