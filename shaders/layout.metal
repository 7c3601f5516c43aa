// Finds which elements of an 8x8 matrix each thread of a SIMD-group holds. Apple does not document this. Kernels that rely on a
// layout run only if this kernel confirms it.

// operands holds a matrix X and then 2·I. elements receives the two elements of 2·X that each thread holds. back receives 2·Y,
// where element e of thread t of Y is 2t + e.
kernel void matrix_layout(device const float* operands [[buffer(0)]],
                          device float* elements [[buffer(1)]],
                          device float* back [[buffer(2)]],
                          uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 x, two, product;
  simdgroup_load(x, operands);
  simdgroup_load(two, operands + 64);
  simdgroup_multiply(product, two, x);
  elements[2 * lane] = product.thread_elements()[0];
  elements[2 * lane + 1] = product.thread_elements()[1];
  x.thread_elements()[0] = float(2 * lane);
  x.thread_elements()[1] = float(2 * lane + 1);
  simdgroup_multiply(product, x, two);
  simdgroup_store(product, back);
}
