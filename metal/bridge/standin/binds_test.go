//go:build standin

package standin

import "testing"

func TestCountBinds(t *testing.T) {
	const source = `
kernel void none(uint i [[thread_position_in_grid]]) {}
kernel void two(device float* x [[buffer(0)]], constant uint& n [[ buffer(1) ]],
                uint i [[thread_position_in_grid]]) { other(x [[buffer(7)]]); }
template <typename T> kernel void many(device T* x [[buffer(0)]], device T* y [[buffer(11)]], device T* z [[buffer(3)]]) {}
template [[host_name("many_float")]] [[kernel]] decltype(many<float>) many<float>;
void broken(device float* x [[buffer(0)]]`
	for kernel, want := range map[string]int{"none": 0, "two": 2, "many_float": 12, "absent": -1, "broken": -1, "tw": -1} {
		if got := countBinds(source, kernel); got != want {
			t.Errorf("%s has %d buffers, want %d", kernel, got, want)
		}
	}
}
