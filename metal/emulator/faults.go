//go:build linux && amd64

package emulator

import (
	"bytes"
	"fmt"
	"strings"
)

// Kinds of faults, as in runtime/rt.cpp.
const (
	outOfBounds = 1 + iota
	dataRace
	groupRace
	launchRace
	unwritten
	readOnly
	barrierDivergence
	simdDivergence
	threadgroupMemory
	undefinedBehaviour
	stackOverflow
	timeOver
)

var kinds = [...]string{
	outOfBounds:        "out of bounds",
	dataRace:           "data race",
	groupRace:          "data race between threadgroups",
	launchRace:         "missing barrier between launches",
	unwritten:          "read of undefined memory",
	readOnly:           "write to read-only memory",
	barrierDivergence:  "barrier divergence",
	simdDivergence:     "SIMD divergence",
	threadgroupMemory:  "too much threadgroup memory",
	undefinedBehaviour: "undefined behaviour",
	stackOverflow:      "stack overflow",
	timeOver:           "time-out",
}

// code is Metal's code for a command buffer that ends with such a fault.
func (f *cFault) code() int {
	switch f.Kind {
	case outOfBounds, readOnly:
		return codePageFault
	case timeOver:
		return codeTimeout
	}
	return codeInternal
}

// describe returns the text of a launch's fault. Faults with equal places are reported once.
func (p *pipeline) describe(f *cFault, ran map[uint32]*pipeline) (text, place string) {
	at := p.place(f.PC, f.Site)
	other := p
	if f.Kind == launchRace {
		other = ran[f.Launch2]
	}
	at2 := ""
	if f.PC2 != 0 {
		at2 = other.place(f.PC2, f.Site2)
	}

	memory := "unknown memory"
	switch {
	case f.Buf == -1:
		memory = "threadgroup memory"
	case f.Buf >= 0:
		memory = fmt.Sprintf("buffer %d", f.Buf)
		for _, pr := range p.kernel.Params {
			if pr.Attr == "buffer" && pr.Index == int(f.Buf) {
				memory += " (" + pr.Name + ")"
			}
		}
	}
	verb := func(write bool) string {
		if write {
			return "write"
		}
		return "read"
	}
	note, _, _ := bytes.Cut(f.Text[:], []byte{0})
	words := string(note)
	thread := fmt.Sprintf("thread %d of threadgroup %d", f.Tid, f.Group)
	access := verb(f.Write&1 != 0)
	if f.Size > 0 { // the processor does not report the size
		access += fmt.Sprintf(" of %d bytes", f.Size)
	}
	access += fmt.Sprintf(" at offset %d of %s by %s", int64(f.Off), memory, thread)
	switch f.Kind {
	case outOfBounds, unwritten, readOnly:
		if words != "" {
			words = ", " + words
		}
		words = access + words
	case dataRace:
		who := fmt.Sprintf("thread %d", f.Tid2)
		if f.Tid2 == f.Tid { // the last of several
			who = "others"
		}
		words = fmt.Sprintf("%s, and %s by %s at %s, with no barrier between", access, verb(f.Write&2 != 0), who, at2)
	case groupRace:
		words = fmt.Sprintf("%s, and %s by thread %d of another threadgroup at %s", access, verb(f.Write&2 != 0), f.Tid2, at2)
	case launchRace:
		if at2 != "" {
			at2 = " at " + at2
		}
		words = fmt.Sprintf("%s, and %s by %s%s, in a launch before or after it", access, verb(f.Write&2 != 0), other.kernel.Name, at2)
	case barrierDivergence, simdDivergence:
		words += ": " + thread
		if f.Tid2 != f.Tid {
			words += fmt.Sprintf(" and thread %d", f.Tid2)
			if at2 != "" {
				words += " at " + at2
			}
		}
	case threadgroupMemory:
		words = fmt.Sprintf("%d bytes, there are %d", f.Size, threadgroupBytes)
	default:
		words += ": " + thread
	}
	text = fmt.Sprintf("%s: %s: %s: %s", p.kernel.Name, at, kinds[f.Kind], words)
	return text, fmt.Sprint(f.Kind, at, at2, f.Launch2)
}

// place is the line of the source for an address of code. Where the compiler has merged calls and dropped their line, the site
// gives it. Code that belongs to no line, such as a function's entry, has the kernel's.
func (p *pipeline) place(pc uint64, site uint32) string {
	if p.lib.lines == nil {
		p.lib.lines = readLines(p.lib.file)
	}
	if s := p.lib.lines.at(pc); s != "" && !strings.HasPrefix(s, entryFile) {
		return s
	}
	for _, f := range p.lib.Files {
		hash := uint32(0) // as _msl_site of the shim
		for i := range len(f) {
			hash = hash*31 + uint32(f[i])
		}
		if site != 0 && hash<<20 == site>>20<<20 {
			return fmt.Sprintf("%s:%d", f, site&(1<<20-1))
		}
	}
	return p.kernel.At
}
