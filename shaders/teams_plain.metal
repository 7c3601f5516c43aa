// How threads add up what they have, by way of threadgroup memory: teams.metal for GPUs without SIMD-group functions, or that
// get them wrong. A team is always a whole threadgroup.

constant uint group_threads [[function_constant(1000)]];  // of the threadgroup, in one dimension, a multiple of 32

// Floats of threadgroup memory that a sum over a threadgroup needs: the most threads that one has.
CONSTANT uint kRoom = 512;

// Where a thread stands in its threadgroup, which consists of lines of 32 threads.
struct Place {
  uint tid;
  uint lane;  // in its line
  uint line;
};

// The parameters of a kernel that make its place, and the place.
#define PLACE_PARAMETERS uint thread_index [[thread_index_in_threadgroup]]
#define PLACE Place{thread_index, thread_index % 32, thread_index / 32}

// The sum over a line, for every thread of it. All threads of the threadgroup must take part. Here and below the order is
// fixed, and room is free again afterwards.
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

// The sum and the maximum over a threadgroup, for every thread.
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

// The same over a team.
static inline float team_sum(float v, bool, threadgroup float* room, Place at) { return group_sum(v, room, at); }
static inline float team_max(float v, bool, threadgroup float* room, Place at) { return group_max(v, room, at); }

// Two sums at once, in twice the room.
static inline float2 team_sums(float a, float b, bool, threadgroup float* room, Place at) {
  const float x = group_sum(a, room, at), y = group_sum(b, room + kRoom, at);
  return float2(x, y);
}

// No thread of a team writes device memory before all have come here.
static inline void team_barrier(bool) { threadgroup_barrier(mem_flags::mem_device); }
