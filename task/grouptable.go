package task

import "fmt"

// GroupTable returns the texts of the elements of a group that the task group-word knows by this name, the first of them the
// identity's, and their product: times(a, b) is the number of the element that applies a first, then b.
func GroupTable(name string) (texts []string, times func(a, b int) int, err error) {
	g, err := newGroup(name)
	if err != nil {
		return nil, nil, fmt.Errorf("group %q: %w", name, err)
	}
	return g.texts, func(a, b int) int { return int(g.times(int32(a), int32(b))) }, nil
}
