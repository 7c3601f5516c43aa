//go:build (darwin && arm64 && cgo) || standin

package bridge

// Without CoreGraphics, Metal shows no device to a process outside the window session: under ssh, tmux, launchd.

// #cgo LDFLAGS: -framework Metal -framework CoreGraphics
// void *MTLCreateSystemDefaultDevice(void);
// void *MTLCopyAllDevices(void);
import "C"

import (
	"github.com/progrium/darwinkit/objc"

	"coil/metal"
)

// Open opens the default device or, if there is none, the first.
func Open() (metal.Device, error) {
	var d *Device
	var err error
	objc.WithAutoreleasePool(func() {
		o := defaultDevice()
		if o.IsNil() {
			err = ErrNoDevice
			return
		}
		d, err = open(o)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// defaultDevice returns a device that the caller is to release, or nil.
func defaultDevice() objc.Object {
	if o := objc.ObjectFrom(C.MTLCreateSystemDefaultDevice()); !o.IsNil() {
		return o
	}
	all := objc.ObjectFrom(C.MTLCopyAllDevices())
	if all.IsNil() {
		return all
	}
	defer all.Release()
	if newMessage("count", typeUint).send(all).uint() == 0 {
		return objc.Object{}
	}
	return newMessage("objectAtIndex:", typeID, typeUint).send(all, 0).object().Retain()
}
