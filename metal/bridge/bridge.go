// Package bridge is the GPU of a Mac: a metal.Device over Apple's Metal, and the only package that needs cgo.
//
// It takes from darwinkit the Objective-C runtime and libffi, and sends every message as a prepared message (see message):
// darwinkit's own way of sending makes libffi keep addresses of memory that Go moves or frees.
package bridge

import "errors"

// ErrUnavailable is wrapped by what Open returns in a build without Metal.
var ErrUnavailable = errors.New("no Metal in this build")

// ErrNoDevice is what Open returns on a Mac that has no GPU for this process.
var ErrNoDevice = errors.New("macOS offers no Metal device to this process, neither a default one nor any other: " +
	"usually because it runs in a virtual machine without a GPU, or in a sandbox without access to the GPU")
