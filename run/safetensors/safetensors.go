// Package safetensors reads and writes named float32 tensors in the safetensors format, which PyTorch, MLX, JAX and
// the Hugging Face tools read too.
//
// A file is
//
//	8 bytes   n, the length of the header, little-endian
//	n bytes   header: JSON, padded with spaces so that the data begins at a multiple of 8
//	the rest  data: the tensors, row-major, little-endian, without gaps
//
// and the header maps each tensor's name to its type, its shape and its place in the data:
//
//	{"__metadata__":{"step":"500"},"wte":{"dtype":"F32","shape":[256,64],"data_offsets":[0,65536]}}
package safetensors

import "math"

const (
	// maxHeader is the limit that the reference implementation sets.
	maxHeader = 100_000_000

	// maxTensors keeps a header of nothing but names from filling the memory.
	maxTensors = 200_000

	// metadataKey is the one name in the header that is not a tensor's.
	metadataKey = "__metadata__"

	// float32Type is the only type that Write writes and File.Read reads.
	float32Type = "F32"

	// chunk is how many bytes are converted at a time.
	chunk = 256 << 10
)

// elementSize has the bytes per element of each type. The format's types of less than a byte are left out.
var elementSize = map[string]uint64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
	"U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4,
	"U64": 8, "I64": 8, "F64": 8, "C64": 8,
}

// bytesOf returns the size of a tensor. It reports false if the size does not fit an int64.
func bytesOf(shape []int, elementSize uint64) (int64, bool) {
	n := elementSize
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/uint64(d) {
			return 0, false
		}
		n *= uint64(d)
	}
	return int64(n), true
}
