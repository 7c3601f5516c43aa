//go:build linux

package emulator_test

import (
	"fmt"
	"syscall"
	"testing"

	"coil/metal"
	"coil/metal/emulator"
)

// BenchmarkKernels measures processor time, which a busy machine changes less than time.
func BenchmarkKernels(b *testing.B) {
	const source = head + `
kernel void add(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint i [[thread_position_in_grid]]) { y[i] = x[i] + 1.0f; }
kernel void barriers(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  for (int k = 0; k < 100; k++) threadgroup_barrier(mem_flags::mem_threadgroup);
  y[i] = x[i];
}
kernel void sums(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  float v = x[i];
  for (int k = 0; k < 100; k++) v = simd_sum(v) * 0.01f;
  y[i] = v;
}
`
	for _, checked := range []bool{false, true} {
		g := open(b, emulator.Options{Checked: checked, Workers: 1})
		lib, matmul := g.library("k", source), g.library("matmul", read(b, "matmul"))
		x, y := g.buffer(normal(1<<16, 1)), g.buffer(4<<16)
		params := g.buffer(matmulParams{256, 256, 256, 256, 256, 256, 1, 0})
		for _, c := range []struct {
			name string
			l    metal.Launch
			per  float64
			unit string
		}{
			{"add", launch(g.pipeline(lib, "add"), dims{256}, dims{256}, x, y), 1 << 16, "ns/thread"},
			{"barriers", launch(g.pipeline(lib, "barriers"), dims{64}, dims{256}, x, y), 100 << 14, "ns/barrier"},
			{"sums", launch(g.pipeline(lib, "sums"), dims{64}, dims{256}, x, y), 100 << 14, "ns/sum"},
			{"matmul256", launch(g.pipeline(matmul, "matmul_nn_64"), dims{4, 4}, dims{128}, x, x, y, params), 1e6, "ms"},
		} {
			b.Run(fmt.Sprintf("%s/checked=%v", c.name, checked), func(b *testing.B) {
				start := processorTime()
				for b.Loop() {
					if err := g.run(c.l); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(processorTime()-start)/float64(b.N)/c.per, c.unit)
			})
		}
	}
}

func processorTime() int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}
