package metal

// SetScoreFloats makes unfused attention store fewer scores, until restore is called.
func SetScoreFloats(n int) (restore func()) {
	was := scoreFloats
	scoreFloats = n
	return func() { scoreFloats = was }
}
