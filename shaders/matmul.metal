// C[m,n] = f(op(A)·op(B) + bias) + residual, for one product or a batch. See finish for the epilogues of gradients and of
// rotated heads.
//
// A threadgroup of four SIMD-groups computes a square tile of C. Each SIMD-group computes a quarter of it in 8x8 matrices.
// Pieces of A and B, kDepth deep, are staged in threadgroup memory with the layout of device memory. A transposed operand is
// transposed when a SIMD-group loads a matrix. If both operands are bfloat, the pieces and the matrices are bfloat too, and only
// the accumulators are float. Rows in threadgroup memory are padded by 16 bytes, so that the rows of a matrix fall into
// different banks. A single buffer is enough: a core runs other threadgroups while one waits at a barrier.

#include "product.metal"

#ifndef PLAIN_MATMUL
// Write four elements to a tile: from device memory, or zeros.
INLINE void put4(threadgroup float* to, device const void* x, uint i, bool bf16) { *(threadgroup float4*)to = load4(x, i, bf16); }
INLINE void put4(threadgroup bfloat* to, device const void* x, uint i, bool) {
  *(threadgroup bfloat4*)to = ((device const bfloat4*)x)[i / 4];
}
INLINE void clear4(threadgroup float* to) { *(threadgroup float4*)to = float4(0.0f); }
INLINE void clear4(threadgroup bfloat* to) { *(threadgroup bfloat4*)to = bfloat4(float4(0.0f)); }

// Copies inner positions k0 to k0 + kDepth of `side` rows, starting at row first, to threadgroup memory. With down, memory
// row k is inner position k, and the `side` rows are memory columns. Past limit, the last elements are repeated, because they
// only affect rows and columns of C that do not exist. Past end in the inner dimension, the tile is filled with zeros.
template <typename T, uint side, bool down>
INLINE void load_tile(threadgroup T* tile, device const void* x, uint at, uint stride, uint first, uint limit, uint k0,
                      uint end, bool quads, bool bf16, uint tid) {
  constexpr uint width = down ? side : kDepth;
  constexpr uint pitch = width + 16 / sizeof(T);
  if (quads) {
    const uint last = (limit + 3) / 4 * 4 - 4;
    UNROLL for (uint i = 0; i < side * kDepth / 4 / kThreads; i++) {
      const uint e = i * kThreads + tid, r = e / (width / 4), c = e % (width / 4) * 4;
      const uint k = k0 + (down ? r : c);
      const uint o = down ? min(first + c, last) : min(first + r, limit - 1);
      if (whole_k || k < end)
        put4(tile + r * pitch + c, x, at + (down ? k * stride + o : o * stride + k), bf16);
      else
        clear4(tile + r * pitch + c);
    }
  } else {
    UNROLL for (uint i = 0; i < side * kDepth / kThreads; i++) {
      const uint e = i * kThreads + tid, r = e / width, c = e % width;
      const uint k = k0 + (down ? r : c);
      const uint o = min(first + (down ? c : r), limit - 1);
      float v = 0.0f;
      if (whole_k || k < end) v = load(x, at + (down ? k * stride + o : o * stride + k), bf16);
      tile[r * pitch + c] = T(v);
    }
  }
}

// Copies a tile that lies entirely inside the matrix, four elements at a time, without bounds checks. `from` points to the
// thread's first four elements. Its next four are `gap` elements further on.
template <typename T, uint side, bool down>
INLINE void copy_tile(threadgroup T* tile, device const char* from, uint gap, bool bf16, uint tid) {
  constexpr uint width = down ? side : kDepth;
  constexpr uint pitch = width + 16 / sizeof(T), lines = kThreads / (width / 4);
  threadgroup T* to = tile + tid / (width / 4) * pitch + tid % (width / 4) * 4;
  UNROLL for (uint i = 0; i < side * kDepth / 4 / kThreads; i++) put4(to + i * lines * pitch, from, i * gap, bf16);
}

// The address of a thread's first four elements in a tile that starts at element `at` of operand x.
template <uint side, bool down>
INLINE device const char* place_of(device const void* x, uint at, uint stride, bool bf16, uint tid) {
  constexpr uint quads = (down ? side : kDepth) / 4;
  return (device const char*)x + ulong(at + tid / quads * stride + tid % quads * 4) * (bf16 ? 2 : 4);
}

// The distance in elements between consecutive loads of a thread in copy_tile.
template <uint side, bool down>
INLINE uint gap_of(uint stride) {
  return kThreads / ((down ? side : kDepth) / 4) * stride;
}
#endif

#ifdef PLAIN_MATMUL
#include "plain.metal"
#else
template <typename T, uint tile, bool trans_a, bool trans_b>
[[max_total_threads_per_threadgroup(128)]] kernel void matmul(
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
    uint tid [[thread_index_in_threadgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  typedef simdgroup_matrix<T, 8, 8> Operand;
  constexpr uint half_tile = tile / 2;  // side of the quarter of a SIMD-group
  constexpr uint mats = tile / 16;      // matrices along that side
  constexpr uint pitch_a = (trans_a ? tile : kDepth) + 16 / sizeof(T);
  constexpr uint pitch_b = (trans_b ? kDepth : tile) + 16 / sizeof(T);
  constexpr uint size_a = (trans_a ? kDepth : tile) * pitch_a;
  constexpr uint size_b = (trans_b ? tile : kDepth) * pitch_b;
  constexpr uint pitch_c = tile + 4;
  constexpr uint size = (size_a + size_b) * sizeof(T), size_c = 16 * pitch_c * sizeof(float);
  constexpr uint vectors = (size > size_c ? size : size_c) / 16;
  threadgroup float4 room[vectors];
  threadgroup T* tile_a = (threadgroup T*)room;
  threadgroup T* tile_b = tile_a + size_a;
  threadgroup float* finished = (threadgroup float*)room;

  const Tile place = tile_of(p, group, tile);
  const uint row0 = place.row0, col0 = place.col0, end = place.end;
  if (triangle == kLowerC && col0 >= row0 + tile) return;
  const uint begin = triangle == kUpperA ? row0 : 0;

  // Tiles inside the matrix are copied through pointers that advance. The branch is uniform over the threadgroup.
  const bool inside_a = quads_a && row0 + tile <= p.m, inside_b = quads_b && col0 + tile <= p.n;
  device const char* from_a = place_of<tile, trans_a>(
      a, place.at_a + (trans_a ? begin * p.a_stride + row0 : row0 * p.a_stride + begin), p.a_stride, bf16_0, tid);
  device const char* from_b = place_of<tile, !trans_b>(
      b, place.at_b + (trans_b ? col0 * p.b_stride + begin : begin * p.b_stride + col0), p.b_stride, bf16_1, tid);
  const ulong next_a = ulong(trans_a ? kDepth * p.a_stride : kDepth) * (bf16_0 ? 2 : 4);
  const ulong next_b = ulong(trans_b ? kDepth : kDepth * p.b_stride) * (bf16_1 ? 2 : 4);

  simdgroup_float8x8 acc[mats][mats];
  UNROLL for (uint i = 0; i < mats; i++)
    UNROLL for (uint j = 0; j < mats; j++) acc[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  const uint simd_row = simd / 2 * half_tile, simd_col = simd % 2 * half_tile;

  // The first row of tiles also sums the columns of B. A thread sums `share` rows of each piece of one column.
  constexpr uint share = kDepth * tile / kThreads;
  const bool sum_columns = trans_a && with_sums && place.tile_m == 0;
  float column = 0.0f;

  for (uint k0 = begin; k0 < end; k0 += kDepth) {
    const bool whole = whole_k || k0 + kDepth <= end;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (inside_a && whole)
      copy_tile<T, tile, trans_a>(tile_a, from_a, gap_of<tile, trans_a>(p.a_stride), bf16_0, tid);
    else
      load_tile<T, tile, trans_a>(tile_a, a, place.at_a, p.a_stride, row0, p.m, k0, end, quads_a, bf16_0, tid);
    if (inside_b && whole)
      copy_tile<T, tile, !trans_b>(tile_b, from_b, gap_of<tile, !trans_b>(p.b_stride), bf16_1, tid);
    else
      load_tile<T, tile, !trans_b>(tile_b, b, place.at_b, p.b_stride, col0, p.n, k0, end, quads_b, bf16_1, tid);
    from_a = from_a + next_a;
    from_b = from_b + next_b;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (sum_columns) {
      float s = 0.0f;
      UNROLL for (uint r = 0; r < share; r++) s += float(tile_b[(tid / tile * share + r) * pitch_b + tid % tile]);
      column += s;
    }
    for (uint k = 0; k < kDepth; k += 8) {
      // These barriers order no memory. They stop the compiler from interleaving loads and products, which takes more registers.
      simdgroup_barrier(mem_flags::mem_none);
      Operand ma[mats];
      Operand mb[mats];
      UNROLL for (uint i = 0; i < mats; i++) {
        const uint row = simd_row + 8 * i;
        if (trans_a)
          simdgroup_load(ma[i], tile_a + k * pitch_a + row, pitch_a, ulong2(0, 0), true);
        else
          simdgroup_load(ma[i], tile_a + row * pitch_a + k, pitch_a);
      }
      UNROLL for (uint j = 0; j < mats; j++) {
        const uint col = simd_col + 8 * j;
        if (trans_b)
          simdgroup_load(mb[j], tile_b + col * pitch_b + k, pitch_b, ulong2(0, 0), true);
        else
          simdgroup_load(mb[j], tile_b + k * pitch_b + col, pitch_b);
      }
      simdgroup_barrier(mem_flags::mem_none);
      UNROLL for (uint i = 0; i < mats; i++)
        UNROLL for (uint j = 0; j < mats; j++) {
          const uint to = i % 2 == 0 ? j : mats - 1 - j;  // serpentine order: consecutive products share an operand
          simdgroup_multiply_accumulate(acc[i][to], ma[i], mb[to], acc[i][to]);
        }
    }
  }

  if (sum_columns) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    finished[tid] = column;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const uint col = col0 + tid;
    if (tid < tile && col < p.n) {
      float s = 0.0f;
      for (uint i = tid; i < kThreads; i += tile) s += finished[i];
      if (split)
        store(sums, group.z * p.tiles_n * tile + col, s, bf16_6);
      else
        store(sums, col, load(sums, col, bf16_6) + s, bf16_6);
    }
  }

  const uint row1 = row0 + simd_row, col1 = col0 + simd_col;
  if (plain && (padded || (row0 + tile <= p.m && col0 + tile <= p.n))) {
    device float* out = (device float*)c + place.at_c + row1 * p.c_stride + col1;
    UNROLL for (uint i = 0; i < mats; i++)
      UNROLL for (uint j = 0; j < mats; j++) simdgroup_store(acc[i][j], out + 8 * i * p.c_stride + 8 * j, p.c_stride);
    return;
  }
  // The two SIMD-groups side by side share space for eight rows of the tile. Each finishes its half of these rows, and also
  // reads the other half if heads are rotated.
  threadgroup_barrier(mem_flags::mem_threadgroup);
  threadgroup float* rows = finished + simd / 2 * 8 * pitch_c;
  UNROLL for (uint i = 0; i < mats; i++) {
    UNROLL for (uint j = 0; j < mats; j++) simdgroup_store(acc[i][j], rows + simd_col + 8 * j, pitch_c);
    if (head != 0)
      threadgroup_barrier(mem_flags::mem_threadgroup);
    else
      simdgroup_barrier(mem_flags::mem_threadgroup);
    const uint step = quads_c ? 4 : 1;
    for (uint e = lane * step; e < 8 * half_tile; e += 32 * step) {
      const uint r = e / half_tile, row = row1 + 8 * i + r, here = simd_col + e % half_tile, col = col0 + here;
      if (row < p.m && col < p.n) {
        threadgroup const float* v = rows + r * pitch_c;
        const uint there = head != 0 ? partner_of(here) : here;
        finish(quads_c ? *(threadgroup const float4*)(v + here) : float4(v[here]),
               quads_c ? *(threadgroup const float4*)(v + there) : float4(v[there]), row, col,
               place.at_c + row * p.c_stride + col, p.n, c, bias, pre, residual, extra, p.ends);
      }
    }
    if (head != 0)
      threadgroup_barrier(mem_flags::mem_threadgroup);
    else
      simdgroup_barrier(mem_flags::mem_threadgroup);
  }
}

template [[host_name("matmul_nn_32")]] [[kernel]] decltype(matmul<float, 32, false, false>) matmul<float, 32, false, false>;
template [[host_name("matmul_nt_32")]] [[kernel]] decltype(matmul<float, 32, false, true>) matmul<float, 32, false, true>;
template [[host_name("matmul_tn_32")]] [[kernel]] decltype(matmul<float, 32, true, false>) matmul<float, 32, true, false>;
template [[host_name("matmul_nn_64")]] [[kernel]] decltype(matmul<float, 64, false, false>) matmul<float, 64, false, false>;
template [[host_name("matmul_nt_64")]] [[kernel]] decltype(matmul<float, 64, false, true>) matmul<float, 64, false, true>;
template [[host_name("matmul_tn_64")]] [[kernel]] decltype(matmul<float, 64, true, false>) matmul<float, 64, true, false>;
template [[host_name("matmul_nn_32_bfloat")]] [[kernel]] decltype(matmul<bfloat, 32, false, false>) matmul<bfloat, 32, false, false>;
template [[host_name("matmul_nt_32_bfloat")]] [[kernel]] decltype(matmul<bfloat, 32, false, true>) matmul<bfloat, 32, false, true>;
template [[host_name("matmul_tn_32_bfloat")]] [[kernel]] decltype(matmul<bfloat, 32, true, false>) matmul<bfloat, 32, true, false>;
template [[host_name("matmul_nn_64_bfloat")]] [[kernel]] decltype(matmul<bfloat, 64, false, false>) matmul<bfloat, 64, false, false>;
template [[host_name("matmul_nt_64_bfloat")]] [[kernel]] decltype(matmul<bfloat, 64, false, true>) matmul<bfloat, 64, false, true>;
template [[host_name("matmul_tn_64_bfloat")]] [[kernel]] decltype(matmul<bfloat, 64, true, false>) matmul<bfloat, 64, true, false>;
#endif

struct Parts {
  uint m, n;
  uint parts;
  uint width, plane;  // elements of a row and of the whole of a part's C, which is padded to whole tiles
  uint c_stride;
  Epilogue ends;
};

// Adds the parts of a split product in order and applies the epilogue. Row m of the grid adds the column sums.
kernel void matmul_parts(device const float* products [[buffer(0)]],
                         device const float* partial_sums [[buffer(1)]],
                         device void* c [[buffer(2)]],
                         device const void* bias [[buffer(3)]],
                         device void* pre [[buffer(4)]],
                         device const void* residual [[buffer(5)]],
                         device void* sums [[buffer(6)]],
                         device const void* extra [[buffer(7)]],
                         constant Parts& p [[buffer(8)]],
                         uint2 place [[thread_position_in_grid]]) {
  const uint step = quads_c ? 4 : 1;
  const uint row = place.y, col = place.x * step;
  if (col >= p.n || row > p.m) return;
  if (row == p.m) {
    for (uint j = col; with_sums && j < col + step; j++) {
      float s = 0.0f;
      for (uint i = 0; i < p.parts; i++) s += partial_sums[i * p.width + j];
      store(sums, j, load(sums, j, bf16_6) + s, bf16_6);
    }
    return;
  }
  float4 v = float4(0.0f);
  for (uint i = 0; i < p.parts; i++) v += load_some(products, i * p.plane + row * p.width + col, false, quads_c);
  finish(v, v, row, col, row * p.c_stride + col, p.n, c, bias, pre, residual, extra, p.ends);
}
