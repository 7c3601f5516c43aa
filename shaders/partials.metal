// Adds partial sums to their gradients. Operations store their partial sums one after another, and one launch adds those of many
// operations.

// The partial sums of one operation for one gradient.
struct Source {
  uint from;  // offset of the first partial sum; each is a matrix of the gradient's shape
  uint parts;
  uint plane;  // distance between partial sums
  uint width;  // distance between rows
};

struct Target {
  uint group;       // its first threadgroup
  uint begin, end;  // range of its sources
  uint to, stride;
  uint cols;
  uint across;   // threadgroups per row
  uint vectors;  // nonzero: a thread adds 4 columns; 0: one
};

struct PartialsParams {
  uint targets;
  Target target[32];
  Source source[64];
};

// A threadgroup has up to 8 lines. Each line covers the same columns of a row. The partial sums are dealt round-robin to the
// lines, so the order of summation is fixed.
[[max_total_threads_per_threadgroup(256)]]
kernel void add_partials(device const float* partials [[buffer(0)]],
                         device float* sums [[buffer(1)]],
                         constant PartialsParams& p [[buffer(2)]],
                         uint group [[threadgroup_position_in_grid]],
                         PLACE_PARAMETERS) {
  threadgroup float4 room[8][32];
  const Place at = PLACE;
  const uint lines = group_threads / 32;
  uint k = 0;
  while (k + 1 < p.targets && group >= p.target[k + 1].group) k++;
  constant Target& t = p.target[k];
  const bool vectors = t.vectors != 0;
  const uint place = group - t.group, row = place / t.across;
  const uint col = (place % t.across * 32 + at.lane) * (vectors ? 4 : 1);
  float4 sum = float4(0.0f);
  uint part = at.line;
  for (uint i = t.begin; i < t.end; i++) {
    constant Source& s = p.source[i];
    for (; part < s.parts; part += lines)
      if (col < t.cols) sum += load_some(partials, s.from + part * s.plane + row * s.width + col, false, vectors);
    part -= s.parts;
  }
  room[at.line][at.lane] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (at.line > 0 || col >= t.cols) return;
  for (uint i = 1; i < lines; i++) sum += room[i][at.lane];
  const uint to = t.to + row * t.stride + col;
  store_some(sums, to, load_some(sums, to, false, vectors) + sum, false, vectors);
}
