package cpu

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Whoever claims parts of a lane, while its leader opens one operation after another: each part is claimed once, and none of an
// operation that has ended.
func TestClaim(t *testing.T) {
	const turns, helpers = 100000, 6
	var l lane
	var claimed [7]atomic.Int32 // how often, by part
	var end atomic.Bool
	var wait sync.WaitGroup
	work := func() bool {
		part := l.claim()
		if part < 0 {
			return false
		}
		claimed[part].Add(1)
		l.done.Add(1)
		return true
	}
	for range helpers {
		wait.Go(func() {
			for !end.Load() {
				work()
			}
		})
	}
	for turn := range turns {
		parts := 2 + turn%6
		l.open(turn, &kernel{parts: parts})
		for work() {
		}
		for int(l.done.Load()) < parts {
		}
		for part := range claimed {
			want := int32(1)
			if part >= parts {
				want = 0
			}
			if n := claimed[part].Swap(0); n != want {
				t.Errorf("turn %d of %d parts: part %d was claimed %d times", turn, parts, part, n)
			}
		}
		if t.Failed() {
			break
		}
	}
	end.Store(true)
	wait.Wait()
}
