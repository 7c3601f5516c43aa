//go:build !((darwin && arm64 && cgo) || standin)

package bridge

import (
	"fmt"
	"runtime"

	"coil/metal"
)

// Open says why there is no Metal here.
func Open() (metal.Device, error) { return nil, unavailable(runtime.GOOS, runtime.GOARCH) }

func unavailable(system, processor string) error {
	if system == "darwin" && processor == "arm64" {
		return fmt.Errorf("%w: this coil was built without cgo: install the Xcode command line tools (xcode-select --install) "+
			"and build with CGO_ENABLED=1 go install ./cmd/coil", ErrUnavailable)
	}
	return fmt.Errorf("%w: Metal needs a Mac with Apple silicon, and this coil was built for %s/%s: "+
		"on such a Mac build with CGO_ENABLED=1 GOARCH=arm64 go install ./cmd/coil", ErrUnavailable, system, processor)
}
