package eval

import (
	"fmt"

	"coil/task"
)

// parts adds up what the targets of each part have scored.
type parts struct {
	task  task.Parted
	names []string
	of    []int     // the part of each target of an example, by its position
	tally [][]tally // [count][part]
}

// Parted returns the task, or an error if its targets have no parts.
func Parted(t task.Task) (task.Parted, error) {
	p, ok := t.(task.Parted)
	if !ok || len(p.Parts()) == 0 {
		return nil, fmt.Errorf("the targets of %s are all alike: addition, group-word and i-gsm have parts", t.Name())
	}
	return p, nil
}

// ByPart lets Run also give the score of each part of the targets. It fails if the task has no parts.
func (e *Evaluator) ByPart() error {
	t, err := Parted(e.task)
	if err != nil {
		return err
	}
	e.parts = &parts{task: t, names: t.Parts(), of: make([]int, t.Length()), tally: make([][]tally, len(e.counts))}
	return nil
}

func (p *parts) clear() {
	for c := range p.tally {
		p.tally[c] = make([]tally, len(p.names))
	}
}

// read finds the parts of an example.
func (p *parts) read(ex task.Example) error { return p.task.Part(ex, p.of) }

// add adds the targets of the example that was read, at a loop count.
func (p *parts) add(count int, targets []int32, loss, right []float32) {
	for i, target := range targets {
		if target != task.Ignore {
			p.tally[count][p.of[i]].addTarget(loss[i], right[i])
		}
	}
}

// scores is the score of each part that had targets.
func (p *parts) scores(count int) []Part {
	var all []Part
	for i, t := range p.tally[count] {
		if t.targets > 0 {
			s := t.score(p.names[i])
			all = append(all, Part{s.Kind, t.targets, s.Loss, s.Accuracy})
		}
	}
	return all
}
