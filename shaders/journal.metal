// The journal says how far a step came, so that a step of which a command buffer failed leaves the weights as they are and
// can be run again. Every command buffer of a step ends by writing the step's number into its mark; the weights are
// updated only if all marks before are there and the step before was finished.

struct Control {
  uint number;  // of the step
  uint before;  // command buffers of the step before the one with the gate
  uint all;     // before its last one
};

// journal[kOpen] is the number of the last step whose gate opened, journal[kDone] of the last that was finished.
CONSTANT uint kGate = 0, kOpen = 1, kDone = 2, kMarks = 4;

static inline bool reached(device const uint* journal, uint number, uint buffers) {
  bool all = journal[kDone] == number - 1;
  for (uint i = 0; i < buffers; i++) all = all && journal[kMarks + i] == number;
  return all;
}

// The last launch of a command buffer, with the mark of that one.
kernel void journal_mark(device uint* mark [[buffer(0)]],
                         device const Control* control [[buffer(1)]],
                         uint i [[thread_position_in_grid]]) {
  if (i == 0) *mark = control->number;
}

// Before the first launch that changes a parameter.
kernel void journal_gate(device uint* journal [[buffer(0)]],
                         device const Control* control [[buffer(1)]],
                         uint i [[thread_position_in_grid]]) {
  if (i != 0) return;
  const bool open = reached(journal, control->number, control->before);
  journal[kGate] = open ? 1 : 0;
  if (open) journal[kOpen] = control->number;
}

// The last launch of a step. It closes the gate, so that the kernels of the next step that ask it find it closed if the
// command buffer with their own gate fails before that.
kernel void journal_close(device uint* journal [[buffer(0)]],
                          device const Control* control [[buffer(1)]],
                          uint i [[thread_position_in_grid]]) {
  if (i != 0) return;
  journal[kGate] = 0;
  if (reached(journal, control->number, control->all)) journal[kDone] = control->number;
}

// Copies n floats.
kernel void journal_copy(device const float* from [[buffer(0)]],
                         device float* to [[buffer(1)]],
                         constant uint& n [[buffer(2)]],
                         uint i [[thread_position_in_grid]]) {
  if (i < n) to[i] = from[i];
}

// Clears n floats.
kernel void journal_clear(device float* x [[buffer(0)]],
                          constant uint& n [[buffer(1)]],
                          uint i [[thread_position_in_grid]]) {
  if (i < n) x[i] = 0.0f;
}
