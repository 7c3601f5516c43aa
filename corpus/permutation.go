package corpus

import "math/bits"

// permuted returns the image of i under a permutation of the numbers below n, which key chooses. It is a Feistel cipher over the
// smallest even number of bits that hold n, repeated while the result is not below n: fewer than four times on average.
func permuted(key [2]uint64, i, n uint64) uint64 {
	const rounds = 8
	half := (bits.Len64(n-1) + 1) / 2
	mask := uint64(1)<<half - 1
	for {
		left, right := i>>half, i&mask
		for round := range uint64(rounds) {
			left, right = right, left^scramble(right^key[round&1]+round*0x9e3779b97f4a7c15)&mask
		}
		if i = left<<half | right; i < n {
			return i
		}
	}
}

// scramble is the finalizer of MurmurHash3 (Appleby, public domain): a bijection under which each bit of x affects each bit of
// the result.
func scramble(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// keyOf is the key of the permutation of an epoch.
func keyOf(seed, epoch uint64) [2]uint64 {
	high := scramble(seed + 0x9e3779b97f4a7c15)
	return [2]uint64{high, scramble(high ^ epoch + 0x9e3779b97f4a7c15)}
}
