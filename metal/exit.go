package metal

import (
	"math"

	"coil/graph"
)

func (l *lowering) exit(o *graph.Exit) {
	l.perPosition("exit_distribution", o.Targets,
		struct{ Positions, Loops uint32 }{uint32(o.Targets.Len), uint32(o.Loops())},
		l.in(o.Z), l.index(o.Targets), l.out(o.P))
}

func (l *lowering) exitLoss(o *graph.ExitLoss) {
	l.perPosition("exit_loss", o.Targets,
		struct {
			Positions, Loops, Scale uint32
			Beta, Weight            float32
		}{uint32(o.Targets.Len), uint32(o.Loops()), uint32(o.Scale), o.Beta, o.Weight},
		l.in(o.Z), l.in(o.P), l.in(o.Losses), l.index(o.Targets), l.scalars(), l.out(o.Loss), l.out(o.Entropy), l.out(o.DZ))
}

// perPosition adds a launch of a thread for each target.
func (l *lowering) perPosition(kernel string, targets graph.Index, params any, args ...arg) {
	l.expect(targets, math.MaxInt32, true)
	l.add(launch{file: "exit", kernel: kernel, args: args, params: params, groups: one(ceil(targets.Len, groupThreads)), threads: one(groupThreads), grid: true})
}
