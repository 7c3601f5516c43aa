// Matmul of bfloat matrices with Metal 4 tensor operations, which run on the matrix units of the M5. The epilogue is that of
// matmul.metal.
//
// Four SIMD-groups compute a 64x64 tile of C together. Metal decides which thread holds which element of the result, so the tile
// passes through threadgroup memory on its way to C. Elements outside the extents of a tensor read as zeros.
#include <metal_tensor>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>

#include "product.metal"

CONSTANT uint kSide = 64, kPitch = kSide + 4;  // of the tile

template <bool trans_a, bool trans_b>
[[max_total_threads_per_threadgroup(128)]] kernel void tensor_product(
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
  typedef tensor<device bfloat, dextents<int, 2>, tensor_inline> Matrix;
  threadgroup float4 room[kSide * kPitch / 4];
  threadgroup float* finished = (threadgroup float*)room;
  const Tile place = tile_of(p, group, kSide);
  const int m = p.m, n = p.n, k = place.end, row0 = place.row0, col0 = place.col0;

  // Extents and origins list the row direction first.
  Matrix whole_a((device bfloat*)a + place.at_a, trans_a ? dextents<int, 2>(m, k) : dextents<int, 2>(k, m),
                 array<int, 2>{1, int(p.a_stride)});
  Matrix whole_b((device bfloat*)b + place.at_b, trans_b ? dextents<int, 2>(k, n) : dextents<int, 2>(n, k),
                 array<int, 2>{1, int(p.b_stride)});
  auto tile_a = trans_a ? whole_a.slice(row0, 0) : whole_a.slice(0, row0);
  auto tile_b = trans_b ? whole_b.slice(0, col0) : whole_b.slice(col0, 0);
  constexpr auto descriptor = mpp::tensor_ops::matmul2d_descriptor(
      kSide, kSide, mpp::tensor_ops::dynamic_length_v<int>, trans_a, trans_b, false,
      mpp::tensor_ops::matmul2d_descriptor::mode::multiply);
  mpp::tensor_ops::matmul2d<descriptor, execution_simdgroups<4>> product;
  auto result = product.template get_destination_cooperative_tensor<decltype(tile_a), decltype(tile_b), float>();
  product.run(tile_a, tile_b, result);
  for (ushort i = 0; i < result.get_capacity(); i++) {
    if (!result.is_valid_element(i)) continue;
    const auto at = result.get_multidimensional_index(i);
    finished[at[1] * kPitch + at[0]] = result[i];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);

  const uint step = quads_c ? 4 : 1;
  for (uint e = tid * step; e < kSide * kSide; e += kThreads * step) {
    const uint r = e / kSide, here = e % kSide, there = head != 0 ? partner_of(here) : here;
    if (place.row0 + r >= p.m || place.col0 + here >= p.n) continue;
    threadgroup const float* v = finished + r * kPitch;
    finish(quads_c ? *(threadgroup const float4*)(v + here) : float4(v[here]),
           quads_c ? *(threadgroup const float4*)(v + there) : float4(v[there]), place.row0 + r, place.col0 + here,
           place.at_c + (place.row0 + r) * p.c_stride + place.col0 + here, p.n, c, bias, pre, residual, extra, p.ends);
  }

  // The first row of tiles also sums the columns of B. A thread sums every second row of one column.
  if (!(trans_a && with_sums && place.tile_m == 0)) return;
  const uint col = place.col0 + tid % kSide;
  float column = 0.0f;
  if (col < p.n)
    for (uint j = tid / kSide; j < place.end; j += kThreads / kSide) column += load(b, place.at_b + j * p.b_stride + col, bf16_1);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  finished[tid] = column;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (tid >= kSide || col >= p.n) return;
  column += finished[tid + kSide];
  if (split)
    store(sums, group.z * p.tiles_n * kSide + col, column, bf16_6);
  else
    store(sums, col, load(sums, col, bf16_6) + column, bf16_6);
}

template [[host_name("tensor_nn")]] [[kernel]] decltype(tensor_product<false, false>) tensor_product<false, false>;
template [[host_name("tensor_nt")]] [[kernel]] decltype(tensor_product<false, true>) tensor_product<false, true>;
template [[host_name("tensor_tn")]] [[kernel]] decltype(tensor_product<true, false>) tensor_product<true, false>;
