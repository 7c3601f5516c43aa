// Hard attention: all weight is on the key with the largest score. Of equal scores, the newest key wins.

constant bool quads [[function_constant(10)]];        // the heads of all operands consist of whole vectors of four
constant bool with_at [[function_constant(11)]];      // at holds the first position of each sequence; otherwise it is 0
constant bool with_chosen [[function_constant(12)]];  // write the chosen positions

struct HardParams {
  uint length, context;             // positions of a sequence: of queries, and of keys
  uint shared, width;               // query heads per key head; columns of a head
  uint queries, keys, values, out;  // strides
};

// A threadgroup handles one query of one head of one sequence.
[[max_total_threads_per_threadgroup(256)]] kernel void hard_attention(device const void* queries [[buffer(0)]],
                                                                      device const void* keys [[buffer(1)]],
                                                                      device const void* values [[buffer(2)]],
                                                                      device const int* at [[buffer(3)]],
                                                                      device void* out [[buffer(4)]],
                                                                      device float* chosen [[buffer(5)]],
                                                                      constant HardParams& p [[buffer(6)]],
                                                                      uint3 group [[threadgroup_position_in_grid]],
                                                                      uint3 groups [[threadgroups_per_grid]],
                                                                      PLACE_PARAMETERS) {
  threadgroup float room[kRoom];
  const Place place = PLACE;
  const uint row = group.z * p.length + group.x, head = group.y * p.width, kv = group.y / p.shared * p.width;
  const uint n = (with_at ? uint(at[group.z]) : 0) + group.x + 1;  // keys that the query sees
  float most = -INFINITY, newest = 0.0f;
  for (uint j = place.tid; j < n; j += group_threads) {
    float4 dots = float4(0.0f);
    for (uint c = 0; c < p.width; c += 4)
      dots += load_row(keys, (group.z * p.context + j) * p.keys + kv, c, p.width, 0.0f, bf16_1, quads) *
              load_row(queries, row * p.queries + head, c, p.width, 0.0f, bf16_0, quads);
    const float s = sum_of(dots);
    if (s >= most) {
      most = s;
      newest = float(j);
    }
  }
  const float top = group_max(most, room, place);
  const float j = group_max(most == top ? newest : 0.0f, room, place);
  for (uint c = 4 * place.tid; c < p.width; c += 4 * group_threads) {
    const float4 v = load_row(values, (group.z * p.context + uint(j)) * p.values + kv, c, p.width, 0.0f, bf16_2, quads);
    store_row(out, row * p.out + head, c, p.width, v, bf16_4, quads);
  }
  if (with_chosen && place.tid == 0) chosen[row * groups.y + group.y] = j;
}

struct HardBackwardParams {
  uint rows, cols;            // of DQKV
  uint length, heads;         // positions of a sequence; query heads
  uint shared, width;         // query heads per key head; columns of a head
  uint values;                // first column of the values
  uint dout, dqkv;            // strides
};

// A thread computes one element of DQKV.
kernel void hard_attention_backward(device const float* chosen [[buffer(0)]],
                                    device const void* dout [[buffer(1)]],
                                    device void* dqkv [[buffer(2)]],
                                    constant HardBackwardParams& p [[buffer(3)]],
                                    uint2 at [[thread_position_in_grid]]) {
  const uint row = at.y, col = at.x;
  if (row >= p.rows || col >= p.cols) return;
  float sum = 0.0f;
  if (col >= p.values) {
    const uint first = (col - p.values) / p.width * p.shared, c = (col - p.values) % p.width;
    const float j = float(row % p.length);
    for (uint i = row; i < (row / p.length + 1) * p.length; i++)
      for (uint h = first; h < first + p.shared; h++)
        if (chosen[i * p.heads + h] == j) sum += load(dout, i * p.dout + h * p.width + c, bf16_1);
  }
  store(dqkv, row * p.dqkv + col, sum, bf16_2);
}
