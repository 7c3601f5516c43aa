// Package optim has the optimizers. Each is a file and a line in the list of [Names]; it also has a kernel if the existing
// operations can't express its update.
package optim

import (
	"fmt"
	"slices"

	"coil/graph"
)

// An Optimizer updates weights from their gradients. It is a value: what it remembers from step to step is kept, and saved,
// for it.
type Optimizer interface {
	// States lists what the optimizer keeps for a parameter. All of it is 0 before the first step.
	States(p Parameter) []State

	// AppendScalars appends the scalars of a step, counted from 1, to dst. Their number is the same in every step.
	AppendScalars(dst []float32, step int) []float32

	// Record records, in the update, the update of all weights.
	Record(r *graph.Recorder, u Update)
}

// Parameter is a weight matrix, or a vector as one row.
type Parameter struct {
	Name       string
	Rows, Cols int
	Decay      bool // whether weight decay applies to it
	// Parts are the columns of each of the matrices that it holds side by side, if they are matrices inside a block; otherwise nil.
	Parts []int
}

// State is a tensor that an optimizer keeps for a parameter.
type State struct {
	Name       string // "first_moment": the same for all parameters
	Rows, Cols int
}

// Len is the number of values.
func (s State) Len() int { return s.Rows * s.Cols }

// Weight is a parameter with its tensors.
type Weight struct {
	Parameter
	X, Grad graph.Tensor
	States  []graph.Tensor // in the order of [Optimizer.States]
}

// Update is what the update of a step works on.
type Update struct {
	Weights []Weight       // in the order of their memory
	Factor  graph.Tensor   // [1,1]: factor of the gradients; where it is 0, the update changes nothing
	Rate    graph.Scalar   // learning rate
	Scalars []graph.Scalar // those of [Optimizer.AppendScalars]
}

// Settings are the numbers that optimizers can be given.
type Settings struct {
	Beta1, Beta2, Eps float64
	WeightDecay       float64 // of parameters that decay, times the learning rate

	// Of Muon and NorMuon.
	Momentum    float64
	NeuronDecay float64 // of the moments of neurons
	Rule        Rule
	MuonRate    float64 // of matrices inside blocks, relative to that of all other parameters
	Cautious    bool    // no weight decays against its update
}

// kind is an optimizer that can be chosen.
type kind struct {
	name string
	keys []string // of the configuration, that other optimizers may not read
	make func(Settings) Optimizer
}

var (
	adamwKeys = []string{"train.beta1", "train.beta2", "train.eps"}
	muonKeys  = []string{"train.momentum", "train.muon_rule", "train.muon_rate", "train.cautious"}
)

var kinds = []kind{
	{"adamw", adamwKeys, newAdamW},
	{"adafactor", nil, newAdafactor},
	{"muon", slices.Concat(adamwKeys, muonKeys), newMuon},
	{"normuon", slices.Concat(adamwKeys, muonKeys, []string{"train.neuron_decay"}), newNorMuon},
}

// Name is the name of an optimizer.
type Name string

// Values lists the names of all optimizers.
func (Name) Values() []string { return Names() }

// Names are the names of all optimizers.
func Names() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// Unread lists the keys of the configuration that other optimizers read, and this one does not.
func (n Name) Unread() []string {
	var unread []string
	for _, k := range kinds {
		if k.name != string(n) {
			unread = append(unread, k.keys...)
		}
	}
	if i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == string(n) }); i >= 0 {
		unread = slices.DeleteFunc(unread, func(key string) bool { return slices.Contains(kinds[i].keys, key) })
	}
	return unread
}

// New makes the optimizer of a name.
func New(name Name, s Settings) (Optimizer, error) {
	for _, k := range kinds {
		if k.name == string(name) {
			return k.make(s), nil
		}
	}
	return nil, fmt.Errorf("no optimizer %q", name)
}
