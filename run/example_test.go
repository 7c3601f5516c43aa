package run_test

import (
	"fmt"
	"os"

	"coil/run"
)

// A run is made, records what happens, and is read by others at the same time.
func Example() {
	root, err := os.MkdirTemp("", "runs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(root)
	r, err := run.Create(root, "addition", []byte("[train]\nsteps = 2\n"), run.Info{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	if err := r.Append(run.Event{Kind: run.KindTrain, Step: 2, Train: &run.Train{Loss: new(run.Number(0.5))}}); err != nil {
		fmt.Println(err)
		return
	}

	path, err := run.Resolve(root, "latest")
	if err != nil {
		fmt.Println(err)
		return
	}
	reader, err := run.View(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	history, err := reader.History()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range history.Train.Points(run.Loss.Key()) {
		fmt.Println(reader.Info().Name, p.Step, p.Y)
	}
	// Output: addition 2 0.5
}
