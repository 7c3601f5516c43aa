package tui

import (
	"fmt"
	"strconv"
	"strings"
)

// loopName is the name of a value after a loop, loopOf the loop of a name.
func loopName(prefix string, n int) string { return fmt.Sprintf("%s_loop_%d", prefix, n) }

func loopOf(name, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(name, prefix+"_loop_")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0
}
