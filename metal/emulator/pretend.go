//go:build linux && amd64

package emulator

type feature struct {
	prefix string
	family int
}

// features are what not every family of Apple's GPUs has, by the beginning of the names of the functions, attributes and
// types that ask for it, with the first family that has it according to the Metal Feature Set Tables. Attributes are no
// part of the tables: a kernel that knows its SIMD-group is taken to need what makes use of it.
var features = []feature{
	{"simd_shuffle", 6},
	{"simd_", 7},
	{"simdgroup_load", 7}, {"simdgroup_store", 7}, {"simdgroup_multiply", 7}, {"make_filled_simdgroup_matrix", 7},
	{"thread_index_in_simdgroup", 6}, {"simdgroup_index_in_threadgroup", 6}, {"simdgroups_per_threadgroup", 6},
	{"bfloat", 6},
}
