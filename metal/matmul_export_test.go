package metal

import (
	"coil/backend"
)

// SetScoreFloats makes unfused attention store fewer scores in the programs that are compiled from now on.
func (m *Metal) SetScoreFloats(n int) { m.chip.scores = n }

// SetPartialFloats makes fewer partial sums wait in the programs that are compiled from now on.
func (m *Metal) SetPartialFloats(n int) { m.chip.partials = n }

// Passing are the buffers of a program in which nothing outlives an operation, or none a step.
func Passing(p backend.Program) []Buffer {
	b := p.(*program).buffers
	return []Buffer{b[scratch], b[partials], b[bodyArena]}
}
