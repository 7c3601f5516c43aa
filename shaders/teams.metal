// How threads add up what they have, by SIMD-group functions; teams_plain.metal has the same without them.

constant uint group_threads [[function_constant(1000)]];  // of the threadgroup, in one dimension, a multiple of 32

// Floats of threadgroup memory that a sum over a threadgroup needs.
CONSTANT uint kRoom = 32;

// Where a thread stands in its threadgroup, which consists of lines of 32 threads: SIMD-groups.
struct Place {
  uint tid;
  uint lane;  // in its line
  uint line;
};

// The parameters of a kernel that make its place, and the place.
#define PLACE_PARAMETERS uint thread_index [[thread_index_in_threadgroup]], uint lane_index [[thread_index_in_simdgroup]], uint line_index [[simdgroup_index_in_threadgroup]]
#define PLACE Place{thread_index, lane_index, line_index}

// The sum over a line, for every thread of it. All threads of the threadgroup must take part. Here and below the order is
// fixed, and room is free again afterwards.
static inline float line_sum(float v, threadgroup float*, Place) { return simd_sum(v); }

// The sum and the maximum over a threadgroup, for every thread.
static inline float group_sum(float v, threadgroup float* room, Place at) {
  v = simd_sum(v);
  if (at.lane == 0) room[at.line] = v;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  v = simd_sum(at.lane < group_threads / 32 ? room[at.lane] : 0.0f);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return v;
}

static inline float group_max(float v, threadgroup float* room, Place at) {
  v = simd_max(v);
  if (at.lane == 0) room[at.line] = v;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  v = simd_max(at.lane < group_threads / 32 ? room[at.lane] : -INFINITY);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return v;
}

// The same over a team, which is the whole threadgroup or a line.
static inline float team_sum(float v, bool whole, threadgroup float* room, Place at) {
  return whole ? group_sum(v, room, at) : simd_sum(v);
}

static inline float team_max(float v, bool whole, threadgroup float* room, Place at) {
  return whole ? group_max(v, room, at) : simd_max(v);
}

// Two sums at once, in twice the room.
static inline float2 team_sums(float a, float b, bool whole, threadgroup float* room, Place at) {
  a = simd_sum(a);
  b = simd_sum(b);
  if (whole) {
    if (at.lane == 0) {
      room[at.line] = a;
      room[kRoom + at.line] = b;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    a = simd_sum(at.lane < group_threads / 32 ? room[at.lane] : 0.0f);
    b = simd_sum(at.lane < group_threads / 32 ? room[kRoom + at.lane] : 0.0f);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  return float2(a, b);
}

// No thread of a team writes device memory before all have come here.
static inline void team_barrier(bool whole) {
  if (whole)
    threadgroup_barrier(mem_flags::mem_device);
  else
    simdgroup_barrier(mem_flags::mem_device);
}
