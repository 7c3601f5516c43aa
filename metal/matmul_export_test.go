package metal

import "coil/backend"

// SetScoreFloats makes unfused attention store fewer scores, until restore is called.
func SetScoreFloats(n int) (restore func()) {
	was := scoreFloats
	scoreFloats = n
	return func() { scoreFloats = was }
}

// Passing are the buffers of a program in which nothing outlives an operation, or none a step.
func Passing(p backend.Program) []Buffer {
	b := p.(*program).buffers
	return []Buffer{b[scratch], b[groupArena]}
}
