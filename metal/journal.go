package metal

// The journal is a small buffer in which every command buffer of a step leaves a mark; shaders/journal.metal has its
// layout and says what it is good for.
const (
	journalOpen  = 1 // uint32 of the journal
	journalDone  = 2
	journalMarks = 4
	journalBytes = (journalMarks + MaxCommands) * 4
)

// MaxCommands is how many command buffers a step is cut into at most.
const MaxCommands = 500

// control is what the journal's kernels read of a step; it lies in the batch, behind the scalars.
type control struct{ number, before, all uint32 }

const controlBytes = 12

// gate is an argument of every kernel that changes parameters: one uint, 0 if it must leave them as they are.
func (l *lowering) gate() arg { return arg{region: journal, length: 4, access: reads} }

func (l *lowering) control() arg {
	return arg{region: batch, from: l.scalarBytes, length: controlBytes, slot: l.slotBytes, access: reads}
}

func wholeJournal(a access) arg { return arg{region: journal, length: journalBytes, access: a} }

// openGate is launched before the first operation that changes a parameter.
func (l *lowering) openGate() {
	l.add(launch{file: "journal", kernel: "journal_gate", args: []arg{wholeJournal(reads | writes), l.control()}, threads: one(32), groups: one(1), grid: true})
}

// closeStep is the last launch of a step.
func (l *lowering) closeStep() {
	l.add(launch{file: "journal", kernel: "journal_close", args: []arg{wholeJournal(reads | writes), l.control()}, threads: one(32), groups: one(1), grid: true})
}

// mark is the last launch of command buffer i.
func (l *lowering) mark(i int) {
	mark := arg{region: journal, from: uint64(journalMarks+i) * 4, length: 4, access: writes}
	l.add(launch{file: "journal", kernel: "journal_mark", args: []arg{mark, l.control()}, threads: one(32), groups: one(1), grid: true})
}

// clear fills a region with zeros.
func (l *lowering) clear(a arg) {
	n := int(a.length / 4)
	l.add(launch{file: "journal", kernel: "journal_clear", args: []arg{a}, params: struct{ N uint32 }{uint32(n)},
		threads: one(256), groups: one((n + 255) / 256), grid: true})
}

// copy copies floats.
func (l *lowering) copy(from, to arg) {
	n := int(from.length / 4)
	l.add(launch{file: "journal", kernel: "journal_copy", args: []arg{from, to}, params: struct{ N uint32 }{uint32(n)},
		threads: one(256), groups: one((n + 255) / 256), grid: true})
}

// one is a grid of one dimension.
func one(n int) [3]int { return [3]int{n, 1, 1} }
