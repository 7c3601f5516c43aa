package metal

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"coil/backend"
	"coil/format"
	"coil/graph"
)

// program is a compiled recording.
type program struct {
	m      *Metal
	rec    *graph.Recorder
	memory backend.Memory

	steps     []recordedLaunch // what the launches are, for names and numbers
	launches  []Launch         // one for each step
	estimates []float64
	marks     []Launch // the last launch of each command buffer
	gate      int      // the launch after which parameters change; -1 if they do not
	ungated   bool     // parameters are changed by operations that do not ask the gate
	buffers   []Buffer // by region

	stateful     bool // it has state
	unrepeatable bool // running it again after part of it has run leaves other state

	slotBytes int
	control   int // bytes from the start of a slot
	offsets   []uint64
	bf16      []bool // storages that hold bfloat
	checks    []indexCheck
	sorted    []*sortedIndex
	results   int // floats

	count int         // steps started
	lists [2][]Launch // for Submit
	spare [][]command // of flights that have ended

	seconds float64 // of the GPU, for the last step

	position atomic.Int32 // see Position

	profiling bool
	times     []float64 // seconds of each launch, while profiling
	profiled  int       // steps that these are of
}

// layout is a lowered recording, before it has memory.
type layout struct {
	*lowering
	memory                 backend.Memory
	gate                   int
	ungated                bool
	stateful, unrepeatable bool
	sizes                  []uint64 // bytes of each region
}

func roundUp(n uint64) uint64 { return (n + 255) / 256 * 256 }

// layout places everything and lowers every operation.
func (m *Metal) layout(r *graph.Recorder) (*layout, error) {
	storages := r.Storages()
	chip := m.chip
	chip.tiles = tilesOf(m.variants)
	if m.tensors.Always && m.tensors.Off == "" {
		chip.tiles = []int{tensorTile}
	}
	l := &lowering{rec: r, chip: chip, variants: m.variants, tensors: m.prefersTensors, limits: m.limits, group: -1, hostTables: map[any]arg{},
		offsets: make([]uint64, len(storages)), regions: make([]region, len(storages)), windows: make([]uint64, len(storages)),
		bf16: make([]bool, len(storages))}
	if m.options.BFloat16 && r.Err() == nil {
		l.bf16 = BFloats(r)
	}
	groupPlan, stepPlan, err := graph.PlanArenas(r, func(i int) int {
		if l.bf16[i] {
			return (storages[i].Len + 1) / 2
		}
		return storages[i].Len
	}, nil)
	if err != nil {
		return nil, err
	}
	out := &layout{lowering: l, gate: -1, sizes: make([]uint64, firstParameter)}
	groups := uint64(r.Groups())
	l.scalarBytes = uint64(r.Scalars()+1) * 4
	slot := roundUp(l.scalarBytes + controlBytes)
	for i, s := range storages {
		bytes := uint64(s.Len) * 4
		place := func(in region, count uint64) {
			l.regions[i], l.offsets[i] = in, out.sizes[in]
			out.sizes[in] += roundUp(bytes * count)
		}
		switch s.Space {
		case graph.Parameter, graph.State:
			if b, ok := s.Buffer.(*buffer); !ok || b.m != m {
				return nil, fmt.Errorf("metal: a buffer of another backend")
			}
			l.regions[i] = region(len(out.sizes))
			out.sizes = append(out.sizes, 0)
			if s.Space == graph.State {
				l.windows[i] = bytes
				out.memory.State += int64(bytes * groups)
				out.stateful = true
			} else {
				out.memory.Buffers += int64(bytes)
			}
		case graph.Constant:
			place(constants, 1)
		case graph.Accumulator:
			place(accumulators, 1)
		case graph.Output:
			place(outputs, groups)
			l.windows[i] = bytes
		case graph.Input:
			l.regions[i], l.offsets[i], l.windows[i] = batch, slot, bytes
			slot += roundUp(bytes * groups)
		case graph.Temporary:
			if l.regions[i] = bodyArena; s.Update {
				l.regions[i] = updateArena
				l.offsets[i] = uint64(max(stepPlan.Offsets[i], 0)) * 4
			} else {
				l.offsets[i] = uint64(max(groupPlan.Offsets[i], 0)) * 4
			}
		}
	}
	l.sorted, slot = planSorted(r, slot)
	if slot = roundUp(slot); slot > 1<<31 {
		return nil, fmt.Errorf("metal: the inputs of a step take %s, more than the largest slot", format.Bytes(slot))
	}
	l.slotBytes = uint32(slot)
	out.sizes[batch] = slot * slots
	out.sizes[bodyArena], out.sizes[updateArena] = uint64(groupPlan.Len)*4, uint64(stepPlan.Len)*4
	out.sizes[results] = roundUp(uint64(r.ResultLen())*4) * slots

	out.lowerAll(out.sizes[accumulators])
	if l.err != nil {
		return nil, l.err
	}
	out.unrepeatable = unrepeatable(r)
	out.sizes[scratch], out.sizes[partials] = l.most, l.waiting.most
	out.sizes[hostTable] = uint64(len(l.hostTableData)) * 4
	for _, s := range l.launches {
		if s.params != nil {
			out.sizes[tables] += roundUp(uint64(len(bytesOf(s.params))))
		}
	}
	out.sizes[tables] = max(out.sizes[tables], 256) // also what stands for missing operands
	for _, n := range out.sizes {
		if int64(n) > m.max {
			return nil, fmt.Errorf("metal: a part of the program takes %s and the largest buffer of this device is %s: %w", format.Bytes(n), format.Bytes(m.max), backend.ErrMemory)
		}
	}
	bytes := func(rs ...region) (n int64) {
		for _, r := range rs {
			n += int64(out.sizes[r])
		}
		return n
	}
	out.memory.Accumulators = bytes(accumulators)
	out.memory.Activations = bytes(bodyArena, updateArena)
	out.memory.Workspace = bytes(scratch, partials, tables, constants, hostTable)
	out.memory.Batch = bytes(batch, results, outputs)
	return out, nil
}

// lowerAll lowers a whole step: the accumulators cleared, every group, the update, its results, and the journal.
func (l *layout) lowerAll(accumulated uint64) {
	if accumulated > 0 {
		l.clear(arg{region: accumulators, length: accumulated, access: writes})
	}
	for g := range l.rec.Groups() {
		l.group = g
		ops := l.rec.Body()
		for i := 0; i < len(ops); i++ {
			l.at, l.ahead = i, ops[i+1:]
			if l.lower(ops[i]); l.with != nil {
				i++
			}
		}
	}
	l.addWaiting()
	l.group, l.op, l.with, l.ahead = -1, nil, nil, nil
	for i, op := range l.rec.Update() {
		l.at = len(l.rec.Body()) + i
		if l.changesParameter(op) {
			if l.gate < 0 {
				l.op = nil
				l.openGate()
				l.gate = len(l.launches) - 1
			}
			l.ungated = l.ungated || !graph.Describe(op).Gated
		}
		l.lower(op)
	}
	l.op, l.at = nil, len(l.rec.Body())
	at, slot := uint64(0), uint32(roundUp(uint64(l.rec.ResultLen())*4))
	for _, t := range l.rec.Results() {
		from := l.in(t)
		l.copy(from, arg{region: results, from: at, length: from.length, slot: slot, access: writes})
		at += from.length
	}
	l.closeStep()
}

func (l *layout) changesParameter(op graph.Op) bool {
	return slices.ContainsFunc(graph.Describe(op).Writes, func(t graph.Tensor) bool {
		return l.rec.Storages()[t.Storage-1].Space == graph.Parameter
	})
}

// unrepeatable reports whether a program may leave other state when it runs again after part of it has run. It does not if each
// state that is written is touched by one operation only, which appends to it.
func unrepeatable(r *graph.Recorder) bool {
	touching, written := map[int]int{}, map[int]bool{}
	for _, op := range r.Body() {
		f, touched := graph.Describe(op), map[int]bool{}
		for _, t := range append(f.Reads, f.Writes...) {
			touched[t.Storage] = true
		}
		for s := range touched {
			touching[s]++
		}
		for _, t := range f.Writes {
			if r.Storages()[t.Storage-1].Space != graph.State {
				continue
			}
			if written[t.Storage] = true; !f.Appends {
				return true
			}
		}
	}
	for s := range written {
		if touching[s] > 1 {
			return true
		}
	}
	return false
}

// Plan returns the memory that Compile would take.
func (m *Metal) Plan(r *graph.Recorder) (backend.Memory, error) {
	l, err := m.layout(r)
	if err != nil {
		return backend.Memory{}, err
	}
	return l.memory, nil
}

// Compile lowers the recording, makes its pipelines and takes its memory. Where a kernel does not compile it takes a plainer
// variant, from then on.
func (m *Metal) Compile(r *graph.Recorder) (backend.Program, error) {
	if m.lost != nil {
		return nil, m.lost
	}
	for {
		p, err := m.newProgram(r)
		fault := (*KernelError)(nil)
		switch {
		case errors.As(err, &fault) && m.degrade(fault):
		case err != nil:
			return nil, err
		default:
			return p, nil
		}
	}
}

func (m *Metal) newProgram(r *graph.Recorder) (*program, error) {
	l, err := m.layout(r)
	if err != nil {
		return nil, err
	}
	need := l.memory
	need.Buffers = -need.State // all are there already, and state is among them
	if err := m.fits(need); err != nil {
		return nil, err
	}
	p := &program{m: m, rec: r, memory: l.memory, gate: l.gate, ungated: l.ungated, stateful: l.stateful, unrepeatable: l.unrepeatable, offsets: l.offsets, bf16: l.bf16, checks: l.checks,
		slotBytes: int(l.slotBytes), control: int(l.scalarBytes), results: r.ResultLen()}
	for _, s := range l.sorted {
		p.sorted = append(p.sorted, s)
	}
	p.position.Store(-1)
	count := len(l.launches)
	for i := range MaxCommands { // behind the step's own launches, to be resolved with them
		l.mark(i)
	}
	m.programs += p.memory.Own()
	if err := p.allocate(l); err != nil {
		p.Close()
		return nil, err
	}
	flags := barriers(l.launches[:count])
	table := tableWriter{bytes: m.device.Bytes(p.buffers[tables]), at: map[string]uint64{}}
	for i, s := range l.launches {
		x, err := p.resolve(s.launch, &table)
		if err != nil {
			p.Close()
			return nil, err
		}
		if i < count {
			x.Barrier = flags[i]
			p.launches = append(p.launches, x)
			p.estimates = append(p.estimates, s.estimate())
		} else {
			x.Barrier = true
			p.marks = append(p.marks, x)
		}
	}
	p.steps = l.launches[:count]
	return p, nil
}

// allocate makes the buffers of the program's regions and fills those that never change.
func (p *program) allocate(l *layout) error {
	m := p.m
	p.buffers = make([]Buffer, len(l.sizes))
	p.buffers[journal] = m.journal
	for i, n := range l.sizes[:firstParameter] {
		if n == 0 {
			continue
		}
		var err error
		if p.buffers[i], err = m.device.NewBuffer(int(n)); err != nil {
			return fmt.Errorf("metal: %w", err)
		}
	}
	for i, s := range p.rec.Storages() {
		switch s.Space {
		case graph.Parameter, graph.State:
			p.buffers[l.regions[i]] = s.Buffer.(*buffer).id
		case graph.Constant:
			copy(floats(m.device.Bytes(p.buffers[constants])[l.offsets[i]:]), s.Data)
		}
	}
	if len(l.hostTableData) > 0 {
		copy(floats(m.device.Bytes(p.buffers[hostTable])), l.hostTableData)
	}
	for slot := range slots {
		p.scalars(slot)[0] = 1
	}
	return nil
}

// tableWriter puts the constant arguments of launches into a buffer, equal ones once.
type tableWriter struct {
	bytes []byte
	next  uint64
	at    map[string]uint64
}

func (w *tableWriter) put(b []byte) uint64 {
	at, ok := w.at[string(b)]
	if !ok {
		at = w.next
		copy(w.bytes[at:], b)
		w.at[string(b)] = at
		w.next += roundUp(uint64(len(b)))
	}
	return at
}

// resolve gives a launch its pipeline and its memory.
func (p *program) resolve(x launch, table *tableWriter) (Launch, error) {
	pipeline, err := p.m.pipeline(x)
	if err != nil {
		return Launch{}, err
	}
	out := Launch{Pipeline: pipeline}
	for _, a := range x.args {
		out.Bind[out.Binds] = Bind{Buffer: p.buffers[a.region], Slot: a.slot, Offset: a.from}
		out.Binds++
	}
	if x.params != nil {
		out.Bind[out.Binds] = Bind{Buffer: p.buffers[tables], Offset: table.put(bytesOf(x.params))}
		out.Binds++
	}
	for i := range 3 {
		if uint64(x.groups[i]) > 1<<32-1 {
			return Launch{}, fmt.Errorf("metal: kernel %s over %d threadgroups", x.kernel, x.groups[i])
		}
		out.Groups[i], out.Threads[i] = uint32(x.groups[i]), uint32(x.threads[i])
	}
	return out, nil
}

func (p *program) Memory() backend.Memory { return p.memory }

// Close waits for the program's steps and frees what it holds.
func (p *program) Close() {
	if p.m == nil {
		return
	}
	m := p.m
	m.settle(len(m.flights)) // an error is kept for the next caller
	m.flights = slices.DeleteFunc(m.flights, func(f flight) bool { return f.p == p })
	for i := tables; i < firstParameter; i++ {
		if i != journal && p.buffers != nil && p.buffers[i] != 0 {
			m.device.FreeBuffer(p.buffers[i])
		}
	}
	m.programs -= p.memory.Own()
	*p = program{}
}

// slot is the bytes of a slot of the batch.
func (p *program) slot(i int) []byte {
	return p.m.device.Bytes(p.buffers[batch])[i*p.slotBytes:][:p.slotBytes]
}

func (p *program) scalars(slot int) []float32 { return floats(p.slot(slot)[:p.control]) }

func (p *program) writeControl(slot int, c control) {
	*(*control)(unsafe.Pointer(&p.slot(slot)[p.control])) = c
}

// name is the kernel of launch i.
func (p *program) name(i int) string { return p.steps[i].kernel }

// Run starts one step.
func (p *program) Run(s backend.Args) error {
	m := p.m
	if m.lost != nil {
		return m.lost
	}
	pending := 0
	for i := range m.flights {
		if m.flights[i].p == p {
			pending++
		}
	}
	if pending == depth {
		return fmt.Errorf("metal: run before the results of the step before the last were taken")
	}
	if err := s.Check(p.rec); err != nil {
		return fmt.Errorf("metal: %w", err)
	}
	for _, c := range p.checks {
		if err := c.check(s.Inputs[c.input]); err != nil {
			return fmt.Errorf("metal: %w", err)
		}
	}
	n := len(m.flights) - depth + 1 // of other programs too, no more are in flight at once
	if p.stateful {                 // a step that runs again must find state as the steps before it left it
		n = len(m.flights)
	}
	if n > 0 {
		if err := m.settle(n); err != nil {
			return err
		}
	}
	slot := p.count % slots
	p.fill(slot, s)
	p.count++
	m.number++
	m.flights = append(m.flights, flight{p: p, number: m.number, slot: slot, commands: p.spareCommands()})
	m.submit(&m.flights[len(m.flights)-1])
	return nil
}

// fill writes a step's numbers into a slot.
func (p *program) fill(slot int, s backend.Args) {
	copy(p.scalars(slot)[1:], s.Scalars)
	b := p.slot(slot)
	for i, st := range p.rec.Storages() {
		if st.Space == graph.Input {
			copy(ints(b[p.offsets[i]:]), s.Inputs[st.Number])
		}
	}
	for _, x := range p.sorted {
		values := s.Inputs[x.input]
		for g := range p.rec.Groups() {
			dst := ints(b[x.offset+uint64(g)*x.stride:])[:x.len()]
			x.fill(dst, values[g*x.window+x.key.index.Offset:][:x.key.index.Len])
		}
	}
}

// Results waits for the oldest step whose results were not taken.
func (p *program) Results(dst []float32) error {
	m := p.m
	i := slices.IndexFunc(m.flights, func(f flight) bool { return f.p == p })
	if i < 0 {
		return errors.New("metal: results of a step that was not run")
	}
	if len(dst) != p.results {
		return fmt.Errorf("metal: %d results asked, the program has %d", len(dst), p.results)
	}
	if err := m.settle(i + 1); err != nil {
		return err
	}
	if p.results > 0 {
		bytes := m.device.Bytes(p.buffers[results])
		copy(dst, floats(bytes[m.flights[i].slot*len(bytes)/slots:]))
	}
	p.seconds = m.flights[i].seconds
	p.keep(m.flights[i].commands)
	m.flights = slices.Delete(m.flights, i, i+1)
	return nil
}

// Seconds is the GPU time of the last step of p whose results were taken; 0 if p is not of this backend.
func Seconds(p backend.Program) float64 {
	if p, ok := p.(*program); ok {
		return p.seconds
	}
	return 0
}

// Position is the first operation of the command buffer that was last waited for: see [backend.Positioner].
func (p *program) Position() int { return int(p.position.Load()) }

// keep and spareCommands hand a flight's list of command buffers on, so that a step allocates nothing.
func (p *program) keep(c []command) { p.spare = append(p.spare, c) }

func (p *program) spareCommands() []command {
	n := len(p.spare)
	if n == 0 {
		return make([]command, 0, MaxCommands)
	}
	c := p.spare[n-1]
	p.spare = p.spare[:n-1]
	return c
}

// Output copies an output of the last step.
func (p *program) Output(t graph.Tensor, dst []float32) error {
	s := p.rec.Storages()[t.Storage-1]
	if s.Space != graph.Output || len(dst) != s.Len*p.rec.Groups() {
		return fmt.Errorf("metal: output of %d values asked, the batch has %d", len(dst), s.Len*p.rec.Groups())
	}
	if err := p.m.settle(len(p.m.flights)); err != nil {
		return err
	}
	copy(dst, floats(p.m.device.Bytes(p.buffers[outputs])[p.offsets[t.Storage-1]:]))
	return nil
}

// floats, ints and uints view memory of the device.
func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func ints(b []byte) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func uints(b []byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
