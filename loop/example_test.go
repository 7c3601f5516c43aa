package loop_test

import (
	"fmt"

	"coil/loop"
)

func ExampleParse() {
	for _, s := range []string{"1x6", "4x(1,4,1)"} {
		a, err := loop.Parse(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v: distinct layers %d, depth %d\n", a, a.Layers(), a.Depth())
	}
	// Output:
	// 1⊗6: distinct layers 1, depth 6
	// 4⊗(1,4,1): distinct layers 12, depth 24
}

// A looped model is unrolled: each new layer starts as the one that ran at its depth.
func ExampleArchitecture_Grow() {
	from, to := loop.Equal(2, 3), loop.Equal(6, 1)
	sources, err := from.Grow(to, loop.Growth{Method: "unroll"})
	fmt.Println(sources, err)
	// Output: [0 1 0 1 0 1] <nil>
}
