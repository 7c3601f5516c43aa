package metal_test

import (
	"fmt"
	"testing"

	"coil/backend"
	"coil/backend/conformance"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
)

type windowed struct {
	*metal.Metal
	d *emulator.Device
	n *int
}

func (w windowed) Compile(r *backend.Recorder) (backend.Program, error) {
	p, err := w.Metal.Compile(r)
	if err == nil {
		f := metal.Windows(p)
		w.d.SetWindows(func(l *metal.Launch, bind int) (int, bool) {
			n, ok := f(l, bind)
			if ok {
				*w.n++
			}
			return n, ok
		})
	}
	return p, err
}

func TestZY(t *testing.T) {
	for order := range emulator.Order(3) {
		for _, bf := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v %v", order, bf), func(t *testing.T) {
				d := emulatortest.Open(t, emulator.Options{Checked: true, Order: order, Seed: 7})
				b, err := metal.New(d, metal.Options{BFloat16: bf})
				if err != nil {
					t.Fatal(err)
				}
				o := conformance.Options{}
				if bf {
					o.BFloat = metal.BFloats
				}
				n := 0
				conformance.Run(t, windowed{b, d, &n}, o)
				t.Log(n, "windows"); for _, k := range metal.PipelineKeys(b) { fmt.Println("KEY", bf, k) }
			})
		}
	}
}
