#include <metal_stdlib>
#include <metal_tensor>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;

struct Shape { int m, n, k, lda, ldb, ldc; };

template <bool trans_a, bool trans_b>
kernel void product(device const void* a [[buffer(0)]], device const void* b [[buffer(1)]], device float* c [[buffer(2)]],
                    constant Shape& p [[buffer(3)]], uint2 group [[threadgroup_position_in_grid]]) {
  typedef tensor<device bfloat, dextents<int, 2>, tensor_inline> Matrix;
  Matrix whole_a((device bfloat*)a, trans_a ? dextents<int, 2>(p.m, p.k) : dextents<int, 2>(p.k, p.m), array<int, 2>{1, p.lda});
  Matrix whole_b((device bfloat*)b, trans_b ? dextents<int, 2>(p.k, p.n) : dextents<int, 2>(p.n, p.k), array<int, 2>{1, p.ldb});
  constexpr auto descriptor = mpp::tensor_ops::matmul2d_descriptor(64, 32, mpp::tensor_ops::dynamic_length_v<int>, trans_a, trans_b, false,
                                                                   mpp::tensor_ops::matmul2d_descriptor::mode::multiply);
  mpp::tensor_ops::matmul2d<descriptor, execution_simdgroups<4>> op;
  const int row0 = group.y * 64, col0 = group.x * 32;
  auto tile_a = trans_a ? whole_a.slice(row0, 0) : whole_a.slice(0, row0);
  auto tile_b = trans_b ? whole_b.slice(0, col0) : whole_b.slice(col0, 0);
  auto result = op.template get_destination_cooperative_tensor<decltype(tile_a), decltype(tile_b), float>();
  op.run(tile_a, tile_b, result);
  for (ushort i = 0; i < result.get_capacity(); i++) {
    if (!result.is_valid_element(i)) continue;
    const auto at = result.get_multidimensional_index(i);
    const int row = row0 + at[1], col = col0 + at[0];
    if (row < p.m && col < p.n) c[row * p.ldc + col] = result[i];
  }
}

template [[host_name("product_nn")]] [[kernel]] decltype(product<false, false>) product<false, false>;
template [[host_name("product_nt")]] [[kernel]] decltype(product<false, true>) product<false, true>;
template [[host_name("product_tn")]] [[kernel]] decltype(product<true, false>) product<true, false>;

kernel void product_divergent(device const void* a [[buffer(0)]], device const void* b [[buffer(1)]], device float* c [[buffer(2)]],
                              constant Shape& p [[buffer(3)]], uint tid [[thread_index_in_threadgroup]]) {
  typedef tensor<device bfloat, dextents<int, 2>, tensor_inline> Matrix;
  Matrix tile_a((device bfloat*)a, dextents<int, 2>(p.k, p.m), array<int, 2>{1, p.lda});
  Matrix tile_b((device bfloat*)b, dextents<int, 2>(p.n, p.k), array<int, 2>{1, p.ldb});
  constexpr auto descriptor = mpp::tensor_ops::matmul2d_descriptor(64, 32, mpp::tensor_ops::dynamic_length_v<int>);
  mpp::tensor_ops::matmul2d<descriptor, execution_simdgroups<4>> op;
  auto result = op.get_destination_cooperative_tensor<decltype(tile_a), decltype(tile_b), float>();
  if (tid < 64) op.run(tile_a, tile_b, result);
  if (result.is_valid_element(1)) c[tid] = result[1];
}
