// Reductions over threads through threadgroup memory. They replace teams.metal on GPUs whose SIMD-group functions are missing
// or wrong. A team is always the whole threadgroup.

constant uint group_threads [[function_constant(1000)]];  // threads of the (one-dimensional) threadgroup, a multiple of 32

// The number of floats of threadgroup memory that a sum over a threadgroup needs: one per thread of the largest threadgroup.
CONSTANT uint kRoom = 512;

// A thread's position in its threadgroup, which consists of lines of 32 threads.
struct Place {
  uint tid;
  uint lane;  // within the line
  uint line;
};

// The kernel parameters that a Place is made from, and the Place.
#define PLACE_PARAMETERS uint thread_index [[thread_index_in_threadgroup]]
#define PLACE Place{thread_index, thread_index % 32, thread_index / 32}

// The sum over a line, returned to each of its threads. All threads of the threadgroup must call it. Here and below, the
// order of summation is fixed, and room may be reused after the call.
static inline float line_sum(float v, threadgroup float* room, Place at) {
  room[at.tid] = v;
  for (uint n = 16; n > 0; n /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (at.lane < n) room[at.tid] += room[at.tid + n];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  v = room[32 * at.line];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return v;
}

// The sum and the maximum over a threadgroup, returned to every thread.
static inline float group_sum(float v, threadgroup float* room, Place at) {
  room[at.tid] = v;
  for (uint n = group_threads; n > 1; n -= n / 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (at.tid < n / 2) room[at.tid] += room[at.tid + n - n / 2];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  v = room[0];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return v;
}

static inline float group_max(float v, threadgroup float* room, Place at) {
  room[at.tid] = v;
  for (uint n = group_threads; n > 1; n -= n / 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (at.tid < n / 2) room[at.tid] = max(room[at.tid], room[at.tid + n - n / 2]);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  v = room[0];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return v;
}

// The same over a team, the whole threadgroup.
static inline float team_sum(float v, bool, threadgroup float* room, Place at) { return group_sum(v, room, at); }
static inline float team_max(float v, bool, threadgroup float* room, Place at) { return group_max(v, room, at); }

// Two sums at once. They need 2·kRoom floats.
static inline float2 team_sums(float a, float b, bool, threadgroup float* room, Place at) {
  const float x = group_sum(a, room, at), y = group_sum(b, room + kRoom, at);
  return float2(x, y);
}

// A barrier for device memory: every thread of the team arrives before any continues.
static inline void team_barrier(bool) { threadgroup_barrier(mem_flags::mem_device); }
