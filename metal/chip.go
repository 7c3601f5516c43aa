package metal

// chip is what the choice of kernels depends on. It must not depend on anything else, so that one chip always computes the
// same bits.
type chip struct {
	cores  int // of the GPU; 0 if not known
	scores int // floats of scratch for the scores of attention
	// partials is how many partial sums wait to be added to gradients.
	partials int
	tiles    []int // rows and columns of C that a threadgroup of a product may make
}
