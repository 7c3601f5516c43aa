package metal

import (
	"slices"
	"unsafe"

	"coil/backend"
	"coil/graph"
)

// Gate is the launch behind which a program changes parameters, -1 if it changes none, and the number of its launches.
func Gate(p backend.Program) (gate, launches int) {
	q := p.(*program)
	return q.gate, len(q.launches)
}

// Window is how many bytes a launch that was submitted may touch from where a bind points to.
func (m *Metal) Window(l *Launch, bind int) (length int, ok bool) {
	for i := range m.flights {
		p := m.flights[i].p
		if j := place(p.launches, l); j >= 0 {
			x := p.steps[j].launch
			if bind < len(x.args) {
				return int(x.args[bind].length), true
			}
			return len(bytesOf(x.params)), true
		}
		if place(p.marks, l) >= 0 {
			return []int{4, controlBytes}[bind], true
		}
	}
	return 0, false
}

// Access is what the lowering says that a launch that was submitted does to an argument; missing is one that stands for an
// operand that is not there.
func (m *Metal) Access(l *Launch, bind int) (reads_, writes_, missing bool) {
	for i := range m.flights {
		p := m.flights[i].p
		if j := place(p.launches, l); j >= 0 {
			x := p.steps[j].launch
			if bind == len(x.args) {
				return true, false, false // params
			}
			a := x.args[bind]
			return a.access&reads != 0, a.access&writes != 0, a.access == 0 && a.region == tables
		}
		if place(p.marks, l) >= 0 {
			return bind == 1, bind == 0, false
		}
	}
	panic("metal: a launch of no step in flight")
}

// Undefined are the buffers of the program of a launch that was submitted that hold nothing before its launches write it.
func (m *Metal) Undefined(l *Launch) (buffers []Buffer) {
	for i := range m.flights {
		if p := m.flights[i].p; place(p.launches, l) >= 0 {
			for _, r := range []region{results, outputs, accumulators, bodyArena, updateArena, scratch, partials} {
				if p.buffers[r] != 0 {
					buffers = append(buffers, p.buffers[r])
				}
			}
		}
	}
	return buffers
}

// place is the index of the element that l points to, or -1 if it is not in the list.
func place(list []Launch, l *Launch) int {
	if len(list) == 0 {
		return -1
	}
	if d := uintptr(unsafe.Pointer(l)) - uintptr(unsafe.Pointer(&list[0])); d < uintptr(len(list))*unsafe.Sizeof(*l) {
		return int(d / unsafe.Sizeof(*l))
	}
	return -1
}

// Files are the files of shaders that operation op of a program is computed by.
func Files(p backend.Program, op graph.Op) (files []string) {
	for _, s := range p.(*program).steps {
		if s.op == op && !slices.Contains(files, s.file) {
			files = append(files, s.file)
		}
	}
	return files
}

// AsksGate reports whether the launches of operation op that change a parameter ask the gate.
func AsksGate(p backend.Program, op graph.Op) bool {
	return slices.ContainsFunc(p.(*program).steps, func(s recordedLaunch) bool {
		return s.op == op && slices.ContainsFunc(s.args, func(a arg) bool { return a.region == journal })
	})
}
