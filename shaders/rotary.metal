// Rotary positions. A thread rotates four pairs of columns of one head, or one pair.

constant bool quads [[function_constant(10)]];
constant bool with_at [[function_constant(11)]];  // at holds the first position of each sequence; otherwise it is 0

struct RotaryParams {
  uint rows, stride;
  uint heads, width;
  uint length;
  float sign;  // -1 rotates back
};

// turns holds the cosines and then the sines of the angles of each position.
kernel void rotary(device void* x [[buffer(0)]],
                   device const float* turns [[buffer(1)]],
                   device const int* at [[buffer(2)]],
                   constant RotaryParams& p [[buffer(3)]],
                   uint2 thread_at [[thread_position_in_grid]]) {
  const uint half_width = p.width / 2, each = quads ? half_width / 4 : half_width;
  if (thread_at.y >= p.rows || thread_at.x >= p.heads * each) return;
  const uint head = thread_at.x / each, j = thread_at.x % each * (quads ? 4 : 1);
  const uint start = with_at ? uint(at[thread_at.y / p.length]) : 0;
  const uint i = thread_at.y * p.stride + head * p.width + j, t = (start + thread_at.y % p.length) * p.width + j;
  const float4 c = load_some(turns, t, false, quads), s = p.sign * load_some(turns, t + half_width, false, quads);
  const float4 a = load_some(x, i, bf16_0, quads), b = load_some(x, i + half_width, bf16_0, quads);
  store_some(x, i, a * c - b * s, bf16_0, quads);
  store_some(x, i + half_width, a * s + b * c, bf16_0, quads);
}
