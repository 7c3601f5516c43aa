// Rotary positions. A thread turns the pairs of four columns of one head, or a single pair.

constant bool quads [[function_constant(10)]];

struct RotaryParams {
  uint rows, stride;
  uint heads, width;
  uint length;
  float sign;  // -1 turns back
};

// turns holds for each position the cosines of its angles and then the sines.
kernel void rotary(device void* x [[buffer(0)]],
                   device const float* turns [[buffer(1)]],
                   constant RotaryParams& p [[buffer(2)]],
                   uint2 at [[thread_position_in_grid]]) {
  const uint half_width = p.width / 2, each = quads ? half_width / 4 : half_width;
  if (at.y >= p.rows || at.x >= p.heads * each) return;
  const uint head = at.x / each, j = at.x % each * (quads ? 4 : 1);
  const uint i = at.y * p.stride + head * p.width + j, t = at.y % p.length * p.width + j;
  const float4 c = load_some(turns, t, false, quads), s = p.sign * load_some(turns, t + half_width, false, quads);
  const float4 a = load_some(x, i, bf16_0, quads), b = load_some(x, i + half_width, bf16_0, quads);
  store_some(x, i, a * c - b * s, bf16_0, quads);
  store_some(x, i + half_width, a * s + b * c, bf16_0, quads);
}
