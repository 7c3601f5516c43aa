package task_test

import (
	"fmt"
	"os"

	"coil/task"
)

// The letters of the definition's example: two hops from the last one.
func ExamplePHop_New() {
	t, err := task.PHop{Letters: 5, Length: 12, Hops: 2, Sampler: "no-repeats", Loss: "last"}.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	ex := task.NewExample(t)
	for i, letter := range "baebcabebdea" {
		ex.Tokens[i], ex.Targets[i] = letter-'a', task.Ignore
	}
	ex.Targets[11] = 'c' - 'a'
	if err := t.Explain(os.Stdout, ex); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 2 hops from position 12
	//
	//         ----+---10--
	// letters baebcabebdea
	// targets ___________c
	// walk        2 1    0
	//
	// start   at 12: a
	// hop 1   the last a before 12 is at 6; after it, at 7: b
	// hop 2   the last b before 7 is at 4; after it, at 5: c
	// answer  c
}
