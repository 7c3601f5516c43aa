//go:build !((darwin && arm64 && cgo) || standin)

package bridge

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

func TestUnavailable(t *testing.T) {
	d, err := Open()
	if d != nil || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Open: %v, %v, want ErrUnavailable", d, err)
	}
	if want := unavailable(runtime.GOOS, runtime.GOARCH); err.Error() != want.Error() {
		t.Errorf("Open: %q, want %q", err, want)
	}
	for _, x := range []struct{ system, processor, want string }{
		{"darwin", "arm64", "xcode-select --install"},
		{"darwin", "amd64", "Apple silicon"},
		{"linux", "arm64", "linux/arm64"},
	} {
		if err := unavailable(x.system, x.processor); !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s/%s: %q does not say %q", x.system, x.processor, err, x.want)
		}
	}
}
