//go:build !linux || !amd64

package emulator

import (
	"fmt"

	"coil/metal"
)

// Device is an emulated GPU.
type Device struct{ metal.Device }

// Open makes an emulated GPU.
func Open(Options) (*Device, error) {
	return nil, fmt.Errorf("%w: it needs Linux on amd64", ErrUnavailable)
}

// SetWindows narrows what a launch may touch.
func (*Device) SetWindows(func(l *metal.Launch, bind int) (length int, ok bool)) {}

// MarkUndefined forbids to read memory before it is written.
func (*Device) MarkUndefined(b metal.Buffer, offset, length int) {}

// Registers reports what keeps arrays out of registers.
func (*Device) Registers(name, source string) ([]Diag, error) { return nil, ErrUnavailable }

// SetThreadgroupMemory gives an argument in threadgroup memory its length.
func (*Device) SetThreadgroupMemory(p metal.Pipeline, index, bytes int) error { return ErrUnavailable }
