// Embeddings and their gradients.

constant bool wide [[function_constant(10)]];        // a thread handles 4 elements of a row, otherwise one
constant bool with_table [[function_constant(11)]];  // compute the gradient of the table
constant bool with_positions [[function_constant(12)]];
constant bool with_at [[function_constant(13)]];  // at holds the first position of each sequence; otherwise it is 0

struct EmbeddingParams {
  uint rows, cols, table, positions, y;  // the last three are strides
  uint length;                           // positions of a sequence
};

kernel void embedding(device const void* table [[buffer(0)]],
                      device const int* index [[buffer(1)]],
                      device const void* positions [[buffer(2)]],
                      device void* y [[buffer(3)]],
                      device const int* at [[buffer(4)]],
                      constant EmbeddingParams& p [[buffer(5)]],
                      uint2 thread_at [[thread_position_in_grid]]) {
  const uint i = thread_at.y, j = wide ? thread_at.x * 4 : thread_at.x;
  if (i >= p.rows || j >= p.cols) return;
  const uint start = with_at ? uint(at[i / p.length]) : 0;
  float4 v = load_some(table, uint(index[i]) * p.table + j, bf16_0, wide);
  if (with_positions) v += load_some(positions, (start + i % p.length) * p.positions + j, bf16_2, wide);
  store_some(y, i * p.y + j, v, bf16_3, wide);
}

// sorted has the layout of index.go: the segments' starts come first, and the parameters give the offsets of the other lists.
struct EmbeddingBackwardParams {
  uint cols, dy, dtable, dpositions;  // the last three are strides
  uint segments, values, firsts, several, order;
  uint length, sequences;
};

// A row of threads adds the rows of one segment of the table's gradient, or of one position. If a value has a single segment,
// its sum goes to the gradient. Otherwise the sums go to partials, and embedding_partials adds them.
kernel void embedding_backward(device const void* dy [[buffer(0)]],
                               device const int* sorted [[buffer(1)]],
                               device void* dtable [[buffer(2)]],
                               device void* dpositions [[buffer(3)]],
                               device float* partials [[buffer(4)]],
                               constant EmbeddingBackwardParams& p [[buffer(5)]],
                               uint2 at [[thread_position_in_grid]]) {
  const uint s = at.y, j = wide ? at.x * 4 : at.x;
  if (j >= p.cols) return;
  float4 sum = float4(0.0f);
  if (with_table && s < p.segments) {
    const uint from = uint(sorted[s]), to = uint(sorted[s + 1]);
    if (from == to) return;
    for (uint k = from; k < to; k++) sum += load_some(dy, uint(sorted[p.order + k]) * p.dy + j, bf16_0, wide);
    if (s < uint(sorted[p.firsts + p.several])) {
      store_some(partials, s * p.cols + j, sum, false, wide);
    } else {
      const uint to_row = uint(sorted[p.values + s]) * p.dtable + j;
      store_some(dtable, to_row, load_some(dtable, to_row, bf16_2, wide) + sum, bf16_2, wide);
    }
  }
  if (with_positions && s >= p.segments && s < p.segments + p.length) {
    const uint t = s - p.segments;
    for (uint k = 0; k < p.sequences; k++) sum += load_some(dy, (t + k * p.length) * p.dy + j, bf16_0, wide);
    const uint to_row = t * p.dpositions + j;
    store_some(dpositions, to_row, load_some(dpositions, to_row, bf16_3, wide) + sum, bf16_3, wide);
  }
}

// A threadgroup of up to 8 lines adds the segments of one value, for the columns that a line covers.
[[max_total_threads_per_threadgroup(256)]]
kernel void embedding_partials(device const float* partials [[buffer(0)]],
                               device const int* sorted [[buffer(1)]],
                               device void* dtable [[buffer(2)]],
                               constant EmbeddingBackwardParams& p [[buffer(3)]],
                               uint2 group [[threadgroup_position_in_grid]],
                               PLACE_PARAMETERS) {
  threadgroup float4 room[8][32];
  const Place at = PLACE;
  const uint lines = group_threads / 32;
  const uint j = (group.x * 32 + at.lane) * (wide ? 4 : 1);
  const uint first = uint(sorted[p.firsts + group.y]), end = uint(sorted[p.firsts + group.y + 1]);
  if (first == end) return;  // uniform over the threadgroup
  float4 sum = float4(0.0f);
  if (j < p.cols)
    for (uint s = first + at.line; s < end; s += lines) sum += load_some(partials, s * p.cols + j, false, wide);
  room[at.line][at.lane] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (at.line == 0 && j < p.cols) {
    for (uint k = 1; k < lines; k++) sum += room[k][at.lane];
    const uint to_row = uint(sorted[p.values + first]) * p.dtable + j;
    store_some(dtable, to_row, load_some(dtable, to_row, bf16_2, wide) + sum, bf16_2, wide);
  }
}
