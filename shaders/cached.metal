// Attention over a key/value cache. The keys and values of new positions are appended first. A threadgroup then processes a few
// queries of one head and all keys that they see, block by block, with an online softmax.

constant bool quads [[function_constant(10)]];    // the heads of all operands consist of whole vectors of four
constant bool with_at [[function_constant(11)]];  // at holds the first position of each sequence; otherwise it is 0
constant uint across [[function_constant(12)]];   // threads per row of values, four columns each; a power of two

struct CacheParams {
  uint rows, length, context;       // length: new positions of a sequence; context: positions that the cache holds
  uint heads, kv_heads, width;      // width: columns of a head
  uint parts;                       // parts of a head, 4·across columns each
  uint qkv, keys, values, out;      // strides
  float scale;                      // of scores
};

static inline uint start_of(device const int* at, uint sequence) { return with_at ? uint(at[sequence]) : 0; }

kernel void cache_append(device const void* qkv [[buffer(0)]],
                         device const int* at [[buffer(1)]],
                         device void* keys [[buffer(2)]],
                         device void* values [[buffer(3)]],
                         constant CacheParams& p [[buffer(4)]],
                         uint2 thread_at [[thread_position_in_grid]]) {
  const uint d = p.heads * p.width, kv = p.kv_heads * p.width, i = thread_at.y, j = quads ? thread_at.x * 4 : thread_at.x;
  if (i >= p.rows || j >= kv) return;
  const uint sequence = i / p.length, to = sequence * p.context + start_of(at, sequence) + i % p.length;
  store_some(keys, to * p.keys + j, load_some(qkv, i * p.qkv + d + j, bf16_0, quads), false, quads);
  store_some(values, to * p.values + j, load_some(qkv, i * p.qkv + d + kv + j, bf16_0, quads), false, quads);
}

CONSTANT uint kKeys = 512;     // keys of a block
CONSTANT uint kThreads = 256;  // threads of the largest threadgroup

template <uint queries>
[[max_total_threads_per_threadgroup(256)]] kernel void cached_attention(
    device const void* qkv [[buffer(0)]],
    device const void* keys [[buffer(1)]],
    device const void* values [[buffer(2)]],
    device const int* at [[buffer(3)]],
    device void* out [[buffer(4)]],
    constant CacheParams& p [[buffer(5)]],
    uint3 group [[threadgroup_position_in_grid]],
    PLACE_PARAMETERS) {
  threadgroup float scores[queries * kKeys];
  threadgroup float4 sums[kThreads];
  threadgroup float room[kRoom];
  const Place place = PLACE;
  const uint head = group.y / p.parts * p.width;  // first column of the head
  const uint kv = group.y / p.parts / (p.heads / p.kv_heads) * p.width;  // first column of its keys and values
  const uint column = (group.y % p.parts * across + place.tid % across) * 4;
  const uint share = place.tid / across, shares = group_threads / across;  // a thread adds the values of every shares-th key
  const uint valid = min(queries, p.length - group.x * queries);
  const uint row = group.z * p.length + group.x * queries;
  const uint first = start_of(at, group.z) + group.x * queries;  // position of the first query
  const uint end = first + valid;
  const uint key = group.z * p.context * p.keys + kv, value = group.z * p.context * p.values + kv;

  float most[queries], total[queries];
  float4 sum[queries];
  UNROLL for (uint r = 0; r < queries; r++) {
    most[r] = -INFINITY;
    total[r] = 0.0f;
    sum[r] = float4(0.0f);
  }
  for (uint from = 0; from < end; from += kKeys) {
    const uint n = min(kKeys, end - from);
    float high[queries];
    UNROLL for (uint r = 0; r < queries; r++) high[r] = -INFINITY;
    for (uint j = place.tid; j < n; j += group_threads) {
      float4 dots[queries];
      UNROLL for (uint r = 0; r < queries; r++) dots[r] = float4(0.0f);
      for (uint c = 0; c < p.width; c += 4) {
        const float4 k = load_row(keys, key + (from + j) * p.keys, c, p.width, 0.0f, false, quads);
        UNROLL for (uint r = 0; r < queries; r++)
          dots[r] += k * load_row(qkv, (row + min(r, valid - 1)) * p.qkv + head, c, p.width, 0.0f, bf16_0, quads);
      }
      UNROLL for (uint r = 0; r < queries; r++) {
        const float s = from + j <= first + r ? sum_of(dots[r]) * p.scale : -INFINITY;
        scores[r * kKeys + j] = s;
        high[r] = max(high[r], s);
      }
    }
    UNROLL for (uint r = 0; r < queries; r++) {
      const float top = max(most[r], group_max(high[r], room, place)), factor = exp(most[r] - top);
      float part = 0.0f;
      for (uint j = place.tid; j < n; j += group_threads) {
        const float e = exp(scores[r * kKeys + j] - top);
        scores[r * kKeys + j] = e;
        part += e;
      }
      total[r] = total[r] * factor + group_sum(part, room, place);  // its barriers make the scores visible to all
      sum[r] *= factor;
      most[r] = top;
    }
    for (uint j = share; j < n; j += shares) {
      const float4 v = load_row(values, value + (from + j) * p.values, column, p.width, 0.0f, false, quads);
      UNROLL for (uint r = 0; r < queries; r++) sum[r] += scores[r * kKeys + j] * v;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  UNROLL for (uint r = 0; r < queries; r++) {
    sums[place.tid] = sum[r];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (share == 0 && r < valid) {
      float4 v = sum[r];
      for (uint k = 1; k < shares; k++) v += sums[k * across + place.tid];
      store_row(out, (row + r) * p.out + head, column, p.width, v / total[r], bf16_4, quads);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

template [[host_name("cached_attention_1")]] [[kernel]] decltype(cached_attention<1>) cached_attention<1>;
template [[host_name("cached_attention_4")]] [[kernel]] decltype(cached_attention<4>) cached_attention<4>;
