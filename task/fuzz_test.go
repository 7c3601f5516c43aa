package task

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// FuzzTasks: a task refuses any table that is impossible, and makes valid examples from any other. Explain solves each of them.
func FuzzTasks(f *testing.F) {
	for kind := range byte(5) {
		f.Add(kind, byte(4), byte(64), byte(4), byte(0), uint64(1))
		f.Add(kind, byte(3), byte(9), byte(2), byte(3), uint64(2))
		f.Add(kind, byte(0), byte(0), byte(255), byte(1), uint64(3))
	}
	f.Fuzz(func(t *testing.T, kind, a, b, c, flags byte, seed uint64) {
		var table any
		var made Task
		var err error
		switch kind % 5 {
		case 0:
			x := PHop{int(a), int(b), int(c), pick(flags, 0, noRepeats, planted), pick(flags, 1, lossEvery, lossLast)}
			table = x
			made, err = x.New()
		case 1:
			x := Addition{int(a % 12), []int{int(b % 40), int(c % 40)}, nil, pick(flags, 0, mostFirst, leastFirst)}
			table = x
			made, err = x.New()
		case 2:
			x := GroupWord{pick(flags, 0, "S", "Z") + fmt.Sprint(a%9), []int{int(b), int(c)}, nil, pick(flags, 1, lossEvery, lossLast)}
			table = x
			made, err = x.New()
		case 3:
			x := Assignment{int(a), int(b), []int{int(c % 8)}, nil, pick(flags, 0, mathFormat, bothFormat), int(flags >> 4), pick(flags, 1, lossEvery, lossLast)}
			table = x
			made, err = x.New()
		case 4:
			x := IGSM{int(a), int(b%6) + 1, int(b/6%6) + 1, int(c % 24), int(c/24) + 5, mostOperands, pick(flags, 0, lightLaw, fixedLaw), nil,
				pick(flags, 1, wholeNames, letterNames), pick(flags, 2, askOne, askEvery), 0}
			table = x
			made, err = x.New()
		}
		if err != nil {
			return
		}
		s, ex := made.NewSampler(), NewExample(made)
		for i := range uint64(3) {
			s.Sample(seed, i, Split(i%2), &ex)
			size := int32(len(made.Vocabulary()))
			for _, k := range slices.Concat(ex.Tokens, ex.Targets) {
				if k >= size || k < 0 && k != Ignore {
					t.Fatalf("%+v: token %d of %d", table, k, size)
				}
			}
			if !slices.ContainsFunc(ex.Targets, func(k int32) bool { return k != Ignore }) {
				t.Fatalf("%+v: no target", table)
			}
			var b bytes.Buffer
			if err := made.Explain(&b, ex); err != nil {
				t.Fatalf("%+v: example %d of seed %d: %v", table, i, seed, err)
			}
		}
	})
}

// pick takes one of two values, as a bit of the flags says.
func pick[T any](flags, bit byte, no, yes T) T {
	if flags>>bit&1 == 0 {
		return no
	}
	return yes
}
