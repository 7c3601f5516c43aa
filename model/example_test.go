package model_test

import (
	"fmt"

	"coil/model"
)

// A layer that runs four times has the depth of four layers, and nearly the parameters of one.
func ExampleNew() {
	for _, layers := range []string{"1x4", "4x1", "1x1"} {
		c := model.Default()
		c.Layers = layers
		m, err := model.New(c, model.Loops{}, 4, 64)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v: depth %d, %d parameters\n", m.Architecture, m.Architecture.Depth(), m.Size)
	}
	// Output:
	// 1⊗4: depth 4, 50624 parameters
	// 4⊗1: depth 4, 200576 parameters
	// 1⊗1: depth 1, 50624 parameters
}
