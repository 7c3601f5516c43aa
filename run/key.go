package run

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"coil/metric"
)

// A Quantity is what a number of a record measures.
type Quantity string

// The quantities that records have members for.
const (
	Loss            Quantity = "loss"
	Accuracy        Quantity = "accuracy"
	Exact           Quantity = "exact"
	BitsPerByte     Quantity = "bits_per_byte"
	Change          Quantity = "change"
	Examples        Quantity = "examples"
	Rate            Quantity = "lr"
	GradNorm        Quantity = "grad_norm"
	Tokens          Quantity = "tokens"
	Epoch           Quantity = "epoch"
	TokensPerSecond Quantity = "tokens_per_second"
	Utilization     Quantity = "mfu"
	Seconds         Quantity = "seconds"
	DataWait        Quantity = "data_wait"
	LoopCount       Quantity = "loops"
	ExitLoop        Quantity = "exit_loop"
	ExitEntropy     Quantity = "exit_entropy"
	ExitAfter       Quantity = "exit" // has a loop
	Regularizer     Quantity = "regularizer"
	Cosine          Quantity = "cosine" // has a part: the group of weights
	Time            Quantity = "time"   // has a part: the kind of operation
	Memory          Quantity = "memory"
	MemoryPeak      Quantity = "memory_peak"
	Temperature     Quantity = "temperature"
	Thermal         Quantity = "thermal"
	LowPower        Quantity = "low_power"
	OnBattery       Quantity = "on_battery"
)

// A Key says which number of a record: a quantity, of the whole or of a part of it.
type Key struct {
	Quantity Quantity
	Loop     int    // after which loop, from 1; 0 if of no single one
	Part     string // kind of examples, group of weights or kind of operation; "" if of all
}

// Judged is the quantity of a metric.
func Judged(m metric.Metric) Quantity { return Quantity(m.Member()) }

// Key is that of the whole.
func (q Quantity) Key() Key { return Key{Quantity: q} }

// After is that of a loop.
func (q Quantity) After(loop int) Key { return Key{Quantity: q, Loop: loop} }

// Of is that of a part.
func (q Quantity) Of(part string) Key { return Key{Quantity: q, Part: part} }

// String names the number as people see it, and as lines of formats 1 and 2 have it: loss, accuracy_loop_3, "exact 4 hops",
// time_matmul.
func (k Key) String() string {
	switch {
	case k.Loop > 0:
		return fmt.Sprintf("%s_loop_%d", k.Quantity, k.Loop)
	case k.Part == "":
		return string(k.Quantity)
	case k.Quantity == Cosine || k.Quantity == Time:
		return string(k.Quantity) + "_" + k.Part
	}
	return string(k.Quantity) + " " + k.Part
}

// A member is a number of a record of type R that is always of the whole.
type member[R any] struct {
	quantity Quantity
	of       func(*R) **Number
}

var trainMembers = []member[Train]{
	{Loss, func(t *Train) **Number { return &t.Loss }},
	{Accuracy, func(t *Train) **Number { return &t.Accuracy }},
	{Rate, func(t *Train) **Number { return &t.Rate }},
	{GradNorm, func(t *Train) **Number { return &t.GradNorm }},
	{Tokens, func(t *Train) **Number { return &t.Tokens }},
	{Epoch, func(t *Train) **Number { return &t.Epoch }},
	{TokensPerSecond, func(t *Train) **Number { return &t.TokensPerSecond }},
	{Utilization, func(t *Train) **Number { return &t.Utilization }},
	{Seconds, func(t *Train) **Number { return &t.Seconds }},
	{DataWait, func(t *Train) **Number { return &t.DataWait }},
	{LoopCount, func(t *Train) **Number { return &t.LoopCount }},
	{ExitLoop, func(t *Train) **Number { return &t.Exit.Loop }},
	{ExitEntropy, func(t *Train) **Number { return &t.Exit.Entropy }},
	{Regularizer, func(t *Train) **Number { return &t.Regularizer }},
	{Memory, func(t *Train) **Number { return &t.Machine.Memory }},
	{MemoryPeak, func(t *Train) **Number { return &t.Machine.MemoryPeak }},
	{Temperature, func(t *Train) **Number { return &t.Machine.Temperature }},
	{Thermal, func(t *Train) **Number { return &t.Machine.Thermal }},
}

var trainLoopMembers = []member[TrainLoop]{
	{Loss, func(l *TrainLoop) **Number { return &l.Loss }},
	{ExitAfter, func(l *TrainLoop) **Number { return &l.Exit }},
}

var scoreMembers = []member[Score]{
	{Loss, func(s *Score) **Number { return &s.Loss }},
	{Accuracy, func(s *Score) **Number { return &s.Accuracy }},
	{Exact, func(s *Score) **Number { return &s.Exact }},
	{BitsPerByte, func(s *Score) **Number { return &s.BitsPerByte }},
}

// Value is a figure of the score; false if that does not have it.
func (s Score) Value(q Quantity) (float64, bool) {
	for _, m := range scoreMembers {
		if v := *m.of(&s); m.quantity == q && v != nil {
			return float64(*v), true
		}
	}
	return 0, false
}

// each calls yield with the present members, under the key that of returns, and reports whether to continue.
func each[R any](members []member[R], r *R, key Key, yield func(Key, Number) bool) bool {
	for _, m := range members {
		key.Quantity = m.quantity
		if v := *m.of(r); v != nil && !yield(key, *v) {
			return false
		}
	}
	return true
}

// eachPart calls yield with the values of a map.
func eachPart(values map[string]Number, key func(string) Key, yield func(Key, Number) bool) bool {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !yield(key(name), values[name]) {
			return false
		}
	}
	return true
}

// other is the key of a number without a member.
func other(name string) Key { return Key{Quantity: Quantity(name)} }

// Numbers are the numbers that the record has.
func (t *Train) Numbers() iter.Seq2[Key, Number] {
	return func(yield func(Key, Number) bool) {
		if t == nil || !each(trainMembers, t, Key{}, yield) {
			return
		}
		for i := range t.Loops {
			if !each(trainLoopMembers, &t.Loops[i], Key{Loop: t.Loops[i].Loop}, yield) {
				return
			}
		}
		for _, b := range []struct {
			quantity Quantity
			value    *bool
		}{{LowPower, t.Machine.LowPower}, {OnBattery, t.Machine.OnBattery}} {
			if b.value != nil && !yield(b.quantity.Key(), flag(*b.value)) {
				return
			}
		}
		_ = eachPart(t.Cosines, Cosine.Of, yield) && eachPart(t.Times, Time.Of, yield) && eachPart(t.Other, other, yield)
	}
}

// Numbers are the numbers that the record has.
func (e *Eval) Numbers() iter.Seq2[Key, Number] {
	return func(yield func(Key, Number) bool) {
		if e == nil || !each(scoreMembers, &e.Score, Key{}, yield) {
			return
		}
		if e.Examples != nil && !yield(Examples.Key(), *e.Examples) {
			return
		}
		for i := range e.Kinds {
			if !each(scoreMembers, &e.Kinds[i].Score, Key{Part: e.Kinds[i].Kind}, yield) {
				return
			}
		}
		for i := range e.Loops {
			l := &e.Loops[i]
			if !each(scoreMembers, &l.Score, Key{Loop: l.Loop}, yield) || l.Change != nil && !yield(Change.After(l.Loop), *l.Change) {
				return
			}
		}
		eachPart(e.Other, other, yield)
	}
}

// flag is a truth as a number: 0 or 1.
func flag(b bool) Number {
	if b {
		return 1
	}
	return 0
}
