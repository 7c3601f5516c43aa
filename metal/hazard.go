package metal

// touch is a range of bytes that a launch reads or writes.
type touch struct {
	region   region
	from, to uint64
	access   access
}

// conflicts reports whether two launches that make these touches must not run at once: both touch a byte and one of them
// writes it. That is read after write, write after write and write after read.
func (a touch) conflicts(b touch) bool {
	return a.region == b.region && (a.access|b.access)&writes != 0 && a.from < b.to && b.from < a.to
}

func (a arg) touch() touch { return touch{a.region, a.from, a.from + a.length, a.access} }

// touches of a launch.
func (x launch) touches() []touch {
	var ts []touch
	for _, a := range x.args {
		if a.access != 0 {
			ts = append(ts, a.touch())
		}
	}
	return ts
}

// barriers says before which launches a barrier must stand so that no launch runs at once with one that it conflicts with.
// All touches of one region are moved by the same slot, so slots need no thought.
func barriers(steps []recordedLaunch) []bool {
	at := make([]bool, len(steps))
	var open []touch // of the launches since the last barrier
	for i, s := range steps {
		ts := s.touches()
		for _, a := range ts {
			for _, b := range open {
				if a.conflicts(b) {
					at[i] = true
				}
			}
		}
		if at[i] {
			open = open[:0]
		}
		open = append(open, ts...)
	}
	return at
}
