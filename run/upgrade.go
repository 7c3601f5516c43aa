package run

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// decodeEvent reads a line of events.jsonl, of any format. A line of formats 1 and 2 has all its numbers in one object, under
// names such as accuracy_loop_3, and its samples beside them.
func decodeEvent(line []byte) (Event, error) {
	var l struct {
		Event
		Values  map[string]Number `json:"values"`
		Samples []Sample          `json:"samples"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return Event{}, err
	}
	if l.Kind == "" {
		return Event{}, errors.New("it has no kind")
	}
	e := l.Event
	switch {
	case e.Kind == KindTrain && e.Train == nil && l.Values != nil:
		e.Train = TrainOf(l.Values)
	case e.Kind == KindEval && e.Eval == nil && (l.Values != nil || l.Samples != nil):
		e.Eval = EvalOf(l.Values)
		e.Eval.Samples = l.Samples
	case e.Kind == KindSetup && e.Setup != nil && e.Setup.Blocks == nil:
		// Blocks once had the same number of layers each.
		var old struct {
			Setup struct {
				Layers int `json:"layers_per_block"`
			} `json:"setup"`
		}
		if err := json.Unmarshal(line, &old); err == nil && old.Setup.Layers > 0 {
			e.Setup.Blocks = slices.Repeat([]int{old.Setup.Layers}, len(e.Setup.Loops))
		}
	}
	if e.Kind == KindSetup || e.Kind == KindCheckpoint {
		if s, ok := l.Values["seconds"]; ok && e.Seconds == nil {
			e.Seconds = &s
		}
	}
	return e, nil
}

// TrainOf is the record of numbers by name, as [Key.String] names them.
func TrainOf(values map[string]Number) *Train {
	t := &Train{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		quantity, loop, looped := loopOf(name)
		group, isCosine := strings.CutPrefix(name, string(Cosine)+"_")
		kind, isTime := strings.CutPrefix(name, string(Time)+"_")
		switch {
		case set(trainMembers, t, Quantity(name), v):
		case name == string(LowPower):
			t.Machine.LowPower = new(v > 0)
		case name == string(OnBattery):
			t.Machine.OnBattery = new(v > 0)
		case looped && has(trainLoopMembers, quantity):
			i := indexOf(&t.Loops, TrainLoop{Loop: loop}, func(l TrainLoop) bool { return l.Loop == loop })
			set(trainLoopMembers, &t.Loops[i], quantity, v)
		case isCosine && group != "":
			put(&t.Cosines, group, v)
		case isTime && kind != "":
			put(&t.Times, kind, v)
		default:
			put(&t.Other, name, v)
		}
	}
	slices.SortFunc(t.Loops, func(a, b TrainLoop) int { return cmp.Compare(a.Loop, b.Loop) })
	return t
}

// EvalOf is the record of numbers by name, as [Key.String] names them.
func EvalOf(values map[string]Number) *Eval {
	e := &Eval{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		quantity, loop, looped := loopOf(name)
		of, kind, isKind := strings.Cut(name, " ")
		switch {
		case set(scoreMembers, &e.Score, Quantity(name), v):
		case name == string(Examples):
			e.Examples = &v
		case looped && (quantity == Change || has(scoreMembers, quantity)):
			i := indexOf(&e.Loops, LoopScore{Loop: loop}, func(l LoopScore) bool { return l.Loop == loop })
			if l := &e.Loops[i]; !set(scoreMembers, &l.Score, quantity, v) {
				l.Change = &v
			}
		case isKind && kind != "" && has(scoreMembers, Quantity(of)):
			i := indexOf(&e.Kinds, KindScore{Kind: kind}, func(k KindScore) bool { return k.Kind == kind })
			set(scoreMembers, &e.Kinds[i].Score, Quantity(of), v)
		default:
			put(&e.Other, name, v)
		}
	}
	slices.SortFunc(e.Loops, func(a, b LoopScore) int { return cmp.Compare(a.Loop, b.Loop) })
	return e
}

// loopOf takes a name such as accuracy_loop_3 apart.
func loopOf(name string) (quantity Quantity, loop int, ok bool) {
	prefix, digits, ok := strings.Cut(name, "_loop_")
	loop, err := strconv.Atoi(digits)
	return Quantity(prefix), loop, ok && err == nil && loop > 0
}

// has reports whether a quantity is a member.
func has[R any](members []member[R], quantity Quantity) bool {
	return slices.ContainsFunc(members, func(m member[R]) bool { return m.quantity == quantity })
}

// set gives a member its value, and reports whether there is such a member.
func set[R any](members []member[R], r *R, quantity Quantity, v Number) bool {
	for _, m := range members {
		if m.quantity == quantity {
			*m.of(r) = &v
			return true
		}
	}
	return false
}

// indexOf returns the index of the first element that matches, after appending missing if there is none.
func indexOf[E any](list *[]E, missing E, matches func(E) bool) int {
	if i := slices.IndexFunc(*list, matches); i >= 0 {
		return i
	}
	*list = append(*list, missing)
	return len(*list) - 1
}

func put(m *map[string]Number, name string, v Number) {
	if *m == nil {
		*m = map[string]Number{}
	}
	(*m)[name] = v
}
