package metal

import "strings"

// Chip is an Apple GPU as it is sold with all its cores. The figures are those of its maker and of measurements that others
// have published (metal-benchmarks by Philip Turner for M1 and M2); later chips are partly computed from clocks. They are
// for comparison: nothing depends on them but the first guess at tiles and times.
type Chip struct {
	Name      string
	Cores     int
	TFLOPS    float64 // peak of float32 with all cores: cores · 128 · 2 · clock
	Bandwidth float64 // of memory, GB/s
}

// Chips are those that are known.
var Chips = []Chip{
	{"Apple M1", 8, 2.6, 68},
	{"Apple M1 Pro", 16, 5.3, 200},
	{"Apple M1 Max", 32, 10.6, 400},
	{"Apple M1 Ultra", 64, 21.2, 800},
	{"Apple M2", 10, 3.6, 102},
	{"Apple M2 Pro", 19, 6.8, 205},
	{"Apple M2 Max", 38, 13.6, 400},
	{"Apple M2 Ultra", 76, 27.2, 800},
	{"Apple M3", 10, 3.8, 102},
	{"Apple M3 Pro", 18, 6.9, 154},
	{"Apple M3 Max", 40, 14.3, 400},
	{"Apple M3 Ultra", 80, 28, 819},
	{"Apple M4", 10, 4.3, 120},
	{"Apple M4 Pro", 20, 9.2, 273},
	{"Apple M4 Max", 40, 17.8, 546},
	{"Apple M5", 10, 3.8, 154},
	{"Apple M5 Pro", 20, 8, 307},
	{"Apple M5 Max", 40, 16, 614},
}

// ChipNamed returns the chip that a device's name means, ignoring case and the word Apple.
func ChipNamed(name string) (Chip, bool) {
	want := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "apple ")
	for _, c := range Chips {
		if strings.TrimPrefix(strings.ToLower(c.Name), "apple ") == want {
			return c, true
		}
	}
	return Chip{}, false
}

// WithCores is the chip with this number of cores; the peak is proportional to it.
func (c Chip) WithCores(n int) Chip {
	if n > 0 && c.Cores > 0 {
		c.TFLOPS *= float64(n) / float64(c.Cores)
		c.Cores = n
	}
	return c
}
