// The journal records how far a step has come. If a command buffer of a step fails, the weights stay unchanged and the step can
// be run again. Each command buffer of a step ends by writing the step's number to its mark. The weights are updated only if
// all earlier marks are set and the previous step is complete.

struct Control {
  uint number;  // number of the step
  uint before;  // command buffers of the step before the one with the gate
  uint all;     // command buffers of the step before its last one
};

// journal[kOpen] is the number of the last step whose gate opened, journal[kDone] that of the last complete step.
CONSTANT uint kGate = 0, kOpen = 1, kDone = 2, kMarks = 4;

static inline bool reached(device const uint* journal, uint number, uint buffers) {
  bool all = journal[kDone] == number - 1;
  for (uint i = 0; i < buffers; i++) all = all && journal[kMarks + i] == number;
  return all;
}

// The last launch of a command buffer; mark is the mark of that buffer.
kernel void journal_mark(device uint* mark [[buffer(0)]],
                         device const Control* control [[buffer(1)]],
                         uint i [[thread_position_in_grid]]) {
  if (i == 0) *mark = control->number;
}

// Runs before the first launch that changes a parameter.
kernel void journal_gate(device uint* journal [[buffer(0)]],
                         device const Control* control [[buffer(1)]],
                         uint i [[thread_position_in_grid]]) {
  if (i != 0) return;
  const bool open = reached(journal, control->number, control->before);
  journal[kGate] = open ? 1 : 0;
  if (open) journal[kOpen] = control->number;
}

// The last launch of a step. It closes the gate. So if the command buffer with the next step's gate fails, kernels of that step
// find the gate closed.
kernel void journal_close(device uint* journal [[buffer(0)]],
                          device const Control* control [[buffer(1)]],
                          uint i [[thread_position_in_grid]]) {
  if (i != 0) return;
  journal[kGate] = 0;
  if (reached(journal, control->number, control->all)) journal[kDone] = control->number;
}

kernel void journal_copy(device const float* from [[buffer(0)]],
                         device float* to [[buffer(1)]],
                         constant uint& n [[buffer(2)]],
                         uint i [[thread_position_in_grid]]) {
  if (i < n) to[i] = from[i];
}

kernel void journal_clear(device float* x [[buffer(0)]],
                          constant uint& n [[buffer(1)]],
                          uint i [[thread_position_in_grid]]) {
  if (i < n) x[i] = 0.0f;
}
