// Reductions over threads with SIMD-group functions. teams_plain.metal has the same functions without them.

constant uint group_threads [[function_constant(1000)]];  // threads of the (one-dimensional) threadgroup, a multiple of 32

// The number of floats of threadgroup memory that a sum over a threadgroup needs.
CONSTANT uint kRoom = 32;

// A thread's position in its threadgroup, which consists of lines of 32 threads. Here a line is a SIMD-group.
struct Place {
  uint tid;
  uint lane;  // within the line
  uint line;
};

// The kernel parameters that a Place is made from, and the Place.
#define PLACE_PARAMETERS uint thread_index [[thread_index_in_threadgroup]], uint lane_index [[thread_index_in_simdgroup]], uint line_index [[simdgroup_index_in_threadgroup]]
#define PLACE Place{thread_index, lane_index, line_index}

// The sum over a line, returned to each of its threads. All threads of the threadgroup must call it. Here and below, the
// order of summation is fixed, and room may be reused after the call.
static inline float line_sum(float v, threadgroup float*, Place) { return simd_sum(v); }

// The sum and the maximum over a threadgroup, returned to every thread.
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

// The same over a team: the whole threadgroup, or one line.
static inline float team_sum(float v, bool whole, threadgroup float* room, Place at) {
  return whole ? group_sum(v, room, at) : simd_sum(v);
}

static inline float team_max(float v, bool whole, threadgroup float* room, Place at) {
  return whole ? group_max(v, room, at) : simd_max(v);
}

// Two sums at once. They need 2·kRoom floats.
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

// A barrier for device memory: every thread of the team arrives before any continues.
static inline void team_barrier(bool whole) {
  if (whole)
    threadgroup_barrier(mem_flags::mem_device);
  else
    simdgroup_barrier(mem_flags::mem_device);
}
