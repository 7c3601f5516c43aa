package metal

import (
	"errors"
	"fmt"
)

// matrixPlace is where a matrix of 8x8 has the two elements that a thread of its SIMD-group holds: this column of the row and
// the next one. It is what the kernels rely on that take scores from matrices.
func matrixPlace(lane int) (row, col int) {
	return lane/16*4 + lane/2%4, lane/8%2*4 + lane%2*2
}

// checkMatrices measures where the device's threads hold the elements of matrices. It returns an error if the measurement fails
// or differs from matrixPlace.
func (m *Metal) checkMatrices() error {
	p, err := m.pipeline(launch{file: "layout", kernel: "matrix_layout", threads: one(32)})
	if err != nil {
		return err
	}
	b, err := m.device.NewBuffer(4 * 256)
	if err != nil {
		return err
	}
	operands := floats(m.device.Bytes(b))
	for i := range 64 {
		operands[i] = float32(i)
	}
	for i := range 8 {
		operands[64+9*i] = 2
	}
	l := Launch{Pipeline: p, Binds: 3, Groups: [3]uint32{1, 1, 1}, Threads: [3]uint32{32, 1, 1}}
	for i, offset := range []uint64{0, 512, 768} {
		l.Bind[i] = Bind{Buffer: b, Offset: offset}
	}
	ticket, err := m.device.Submit([][]Launch{{l}}, 0)
	if err == nil {
		_, err = m.wait(&command{ticket: ticket})
	}
	if err != nil { // the buffer may still be in use
		return fmt.Errorf("the test of matrices: %w", errors.Join(err, m.device.Reset()))
	}
	defer m.device.FreeBuffer(b)
	elements, back := operands[128:192], operands[192:256]
	for lane := range 32 {
		row, col := matrixPlace(lane)
		for e := range 2 {
			at, i := 8*row+col+e, 2*lane+e
			if elements[i] != float32(2*at) || back[at] != float32(2*i) {
				return fmt.Errorf("thread %d of a SIMD-group holds other elements of a matrix than expected", lane)
			}
		}
	}
	return nil
}
