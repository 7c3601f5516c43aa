#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

struct Params {
  uint M, N, K;      // C is M x N
  uint lda, ldb, ldc; // row strides, in elements
  float alpha;
  float beta;
};

// C = alpha * op(A) * op(B) + beta * C, any M, N, K. One threadgroup of 128 threads (4 SIMD-groups)
// computes a BM x BN tile; each SIMD-group a BM/2 x BN/2 part of it as 8x8 matrices.
template <int BM, int BN, int BK, bool TA, bool TB>
kernel void matmul(device const float* A [[buffer(0)]],
                 device const float* B [[buffer(1)]],
                 device float* C [[buffer(2)]],
                 constant Params& p [[buffer(3)]],
                 uint2 group [[threadgroup_position_in_grid]],
                 uint tid [[thread_index_in_threadgroup]],
                 uint sg [[simdgroup_index_in_threadgroup]]) {
  constexpr int LDA = BK + 4;
  constexpr int LDB = BN + 4;
  constexpr int TM = BM / 16;
  constexpr int TN = BN / 16;
  threadgroup float As[BM * LDA];
  threadgroup float Bs[BK * LDB];
  threadgroup float Cs[BM * LDB];

  const uint row0 = group.y * BM;
  const uint col0 = group.x * BN;
  const uint sr = (sg / 2) * (BM / 2);
  const uint sc = (sg % 2) * (BN / 2);

  simdgroup_float8x8 acc[TM][TN];
  for (int i = 0; i < TM; i++)
    for (int j = 0; j < TN; j++) acc[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);

  for (uint k0 = 0; k0 < p.K; k0 += BK) {
    for (uint e = tid; e < uint(BM * BK); e += 128) {
      uint r = e / BK, k = e % BK;
      bool in = row0 + r < p.M && k0 + k < p.K;
      uint at = TA ? (k0 + k) * p.lda + row0 + r : (row0 + r) * p.lda + k0 + k;
      As[r * LDA + k] = in ? A[at] : 0.0f;
    }
    for (uint e = tid; e < uint(BK * BN); e += 128) {
      uint k = e / BN, c = e % BN;
      bool in = k0 + k < p.K && col0 + c < p.N;
      uint at = TB ? (col0 + c) * p.ldb + k0 + k : (k0 + k) * p.ldb + col0 + c;
      Bs[k * LDB + c] = in ? B[at] : 0.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int k = 0; k < BK; k += 8) {
      simdgroup_float8x8 a[TM];
      simdgroup_float8x8 b[TN];
      for (int i = 0; i < TM; i++) simdgroup_load(a[i], &As[(sr + 8 * i) * LDA + k], LDA);
      for (int j = 0; j < TN; j++) simdgroup_load(b[j], &Bs[k * LDB + sc + 8 * j], LDB);
      for (int i = 0; i < TM; i++)
        for (int j = 0; j < TN; j++) simdgroup_multiply_accumulate(acc[i][j], a[i], b[j], acc[i][j]);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }

  for (int i = 0; i < TM; i++)
    for (int j = 0; j < TN; j++) simdgroup_store(acc[i][j], &Cs[(sr + 8 * i) * LDB + sc + 8 * j], LDB);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint e = tid; e < uint(BM * BN); e += 128) {
    uint r = e / BN, c = e % BN;
    if (row0 + r < p.M && col0 + c < p.N) {
      device float& out = C[(row0 + r) * p.ldc + col0 + c];
      float v = p.alpha * Cs[r * LDB + c];
      if (p.beta != 0.0f) v += p.beta * out;
      out = v;
    }
  }
}

template [[host_name("matmul_nn")]] [[kernel]] decltype(matmul<32, 32, 16, false, false>) matmul<32, 32, 16, false, false>;
template [[host_name("matmul_nt")]] [[kernel]] decltype(matmul<32, 32, 16, false, true>) matmul<32, 32, 16, false, true>;
template [[host_name("matmul_tn")]] [[kernel]] decltype(matmul<32, 32, 16, true, false>) matmul<32, 32, 16, true, false>;
template [[host_name("matmul_nn_64")]] [[kernel]] decltype(matmul<64, 64, 8, false, false>) matmul<64, 64, 8, false, false>;
