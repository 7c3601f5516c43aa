//go:build standin

package bridge

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/progrium/darwinkit/objc"

	"coil/metal/bridge/standin"
)

// compile compiles an empty source with the options that set makes.
func (f *fixture) compile(set func(options objc.Object)) {
	options := f.setup.new.send(classNamed("MTLCompileOptions")).object()
	f.setup.setLanguageVersion.send(options, languageVersion31)
	set(options)
	f.setup.newLibrary.send(f.object, address(objc.ToNSString("")), address(options.Ptr()), f.setup.newLibrary.faultAddress())
}

// The stand-in ends the process where a rule of Metal or of Objective-C is broken. Each case runs in a process of its own.
func TestMisuse(t *testing.T) {
	const variable = "STANDIN_MISUSE"
	size := [6]uint64{1, 1, 1, 32, 1, 1}
	cases := []struct {
		name, want string
		do         func(f *fixture, buffer, encoder objc.Object)
	}{
		{"unknown selector", "unrecognized selector: -[Encoder endEncodin]", func(_ *fixture, _, e objc.Object) {
			newMessage("endEncodin", typeVoid).send(e)
		}},
		{"message to a freed object", "unrecognized selector: -[Freed contents]", func(f *fixture, _, _ objc.Object) {
			o := f.setup.newBuffer.send(f.object, 100, 0).object()
			o.Release()
			f.setup.contents.send(o)
		}},
		{"released too often", "unrecognized selector: -[Freed release]", func(f *fixture, _, _ objc.Object) {
			o := f.setup.newBuffer.send(f.object, 100, 0).object()
			o.Release()
			o.Release()
		}},
		{"options", "newBufferWithLength:100 options:0x10", func(f *fixture, _, _ objc.Object) {
			f.setup.newBuffer.send(f.object, 100, 16)
		}},
		{"compiler options", "options of a library: version 0", func(f *fixture, _, _ objc.Object) {
			options := f.setup.new.send(classNamed("MTLCompileOptions")).object()
			f.setup.newLibrary.send(f.object, address(objc.ToNSString("")), address(options.Ptr()), f.setup.newLibrary.faultAddress())
		}},
		{"fast functions", "options of a library: version 0x30001, safe mode 1, precise functions 0", func(f *fixture, _, _ objc.Object) {
			f.compile(func(options objc.Object) { f.setup.setMathMode.send(options, mathModeSafe) })
		}},
		{"fast functions, said", "options of a library: version 0x30001, safe mode 1, precise functions 0", func(f *fixture, _, _ objc.Object) {
			f.compile(func(options objc.Object) {
				f.setup.setMathMode.send(options, mathModeSafe)
				f.setup.setMathFunctions.send(options, 0)
			})
		}},
		{"fast mathematics", "options of a library: version 0x30001, safe mode 0, precise functions 1", func(f *fixture, _, _ objc.Object) {
			f.compile(func(options objc.Object) {
				f.setup.setMathMode.send(options, 2) // MTLMathModeFast
				f.setup.setMathFunctions.send(options, mathFunctionsPrecise)
			})
		}},
		{"the default of an old system", "options of a library: version 0x30001, safe mode 0, precise functions 0", func(f *fixture, _, _ objc.Object) {
			standin.SetOld(true)
			f.compile(func(objc.Object) {})
		}},
		{"fast mathematics of an old system", "options of a library: version 0x30001, safe mode 0, precise functions 0", func(f *fixture, _, _ objc.Object) {
			standin.SetOld(true)
			f.compile(func(options objc.Object) { f.setup.setFastMathEnabled.send(options, 1) })
		}},
		{"the selector of a new system", "unrecognized selector: setMathFloatingPointFunctions:", func(f *fixture, _, _ objc.Object) {
			standin.SetOld(true)
			f.compile(func(options objc.Object) { f.setup.setMathFunctions.send(options, mathFunctionsPrecise) })
		}},
		{"no pipeline", "a dispatch without a pipeline", func(f *fixture, _, e objc.Object) {
			f.encoding.dispatch.send(e, size[:]...)
		}},
		{"another object for a pipeline", "setComputePipelineState:: a Device", func(f *fixture, _, e objc.Object) {
			f.encoding.setPipeline.send(e, address(f.object.Ptr()))
		}},
		{"no buffer", "a dispatch with no buffer at 1", func(f *fixture, _, e objc.Object) {
			f.encoding.setPipeline.send(e, address(f.Device.pipelines[f.take[2]-1].object.Ptr()))
			f.encoding.setBuffer.send(e, address(f.Device.buffers[0].object.Ptr()), 0, 0)
			f.encoding.dispatch.send(e, size[:]...)
		}},
		{"offset", "a dispatch with buffer 0 of 100 bytes from offset 100", func(f *fixture, _, e objc.Object) {
			f.encoding.setPipeline.send(e, address(f.Device.pipelines[f.take[1]-1].object.Ptr()))
			f.encoding.setBuffer.send(e, address(f.Device.buffers[0].object.Ptr()), 0, 0)
			f.encoding.setOffset.send(e, 100, 0)
			f.encoding.dispatch.send(e, size[:]...)
		}},
		{"offset of no buffer", "setBufferOffset: atIndex:3, where no buffer is", func(f *fixture, _, e objc.Object) {
			f.encoding.setOffset.send(e, 0, 3)
		}},
		{"grid", "a dispatch of 1 x 0 x 1 threadgroups", func(f *fixture, _, e objc.Object) {
			f.encoding.setPipeline.send(e, address(f.Device.pipelines[f.take[0]-1].object.Ptr()))
			f.encoding.dispatch.send(e, 1, 0, 1, 32, 1, 1)
		}},
		{"threads", "a dispatch of 32 x 32 x 1 threads", func(f *fixture, _, e objc.Object) {
			f.encoding.setPipeline.send(e, address(f.Device.pipelines[f.take[0]-1].object.Ptr()))
			f.encoding.dispatch.send(e, 1, 1, 1, 32, 32, 1)
		}},
		{"barrier", "memoryBarrierWithScope:2", func(f *fixture, _, e objc.Object) {
			f.encoding.barrier.send(e, 2)
		}},
		{"after the end", "a message after endEncoding", func(f *fixture, _, e objc.Object) {
			f.encoding.endEncoding.send(e)
			f.encoding.barrier.send(e, 1)
		}},
		{"not ended", "an encoder is freed before endEncoding", func(*fixture, objc.Object, objc.Object) {}},
		{"commit too early", "commit with an open encoder", func(f *fixture, b, _ objc.Object) {
			f.encoding.commit.send(b)
		}},
		{"commit twice", "commit with an open encoder, or twice", func(f *fixture, b, e objc.Object) {
			f.encoding.endEncoding.send(e)
			f.encoding.commit.send(b)
			f.encoding.commit.send(b)
		}},
		{"memory freed in flight", "buffer 0 of launch 0 was freed", func(f *fixture, b, e objc.Object) {
			f.encoding.setPipeline.send(e, address(f.Device.pipelines[f.take[1]-1].object.Ptr()))
			f.encoding.setBuffer.send(e, address(f.Device.buffers[0].object.Ptr()), 0, 0)
			f.encoding.dispatch.send(e, size[:]...)
			f.encoding.endEncoding.send(e)
			f.FreeBuffer(1)
			f.encoding.commit.send(b)
			time.Sleep(20 * time.Second)
		}},
	}
	for _, c := range cases {
		if os.Getenv(variable) == c.name {
			f := openFixture(t)
			f.buffer(t, 100)
			objc.WithAutoreleasePool(func() {
				b := f.encoding.commandBuffer.send(f.queue).object()
				c.do(f, b, f.encoding.encoder.send(b, dispatchTypeConcurrent).object())
			})
			os.Exit(0)
		}
	}
	if os.Getenv(variable) != "" {
		t.Fatal("no such case")
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			command := exec.Command(os.Args[0], "-test.run=^TestMisuse$")
			command.Env = append(os.Environ(), variable+"="+c.name)
			out, err := command.CombinedOutput()
			text, _, _ := strings.Cut(string(out), "\n")
			if err == nil || !strings.HasPrefix(text, "standin: "+c.want) {
				t.Errorf("%v: %q, want %q", err, text, c.want)
			}
		})
	}
}
