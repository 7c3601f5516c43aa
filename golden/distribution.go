package golden

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Distribution returns a file of Go's distribution.
func Distribution(t testing.TB, path ...string) []byte {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(append([]string{strings.TrimSpace(string(root))}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
