package metal

import (
	"math"
	"time"

	"coil/graph"
)

// Rates are what a prediction assumes of a GPU besides the published figures of its chip. All but the times are shares.
type Rates struct {
	Matmul        float64 `json:"matmul"`
	Attention     float64 `json:"attention"`
	Bandwidth     float64 `json:"bandwidth"`
	Overlap       float64 `json:"overlap"`
	Clock         float64 `json:"clock"`
	Sum           float64 `json:"sum"`
	Launch        float64 `json:"launch_seconds"`
	CommandBuffer float64 `json:"command_buffer_seconds"`
}

// AssumedRates are the rates that nobody measured for coil. Published measurements suggest them: float32 matmuls of other
// programs reach 65 to 85 % of the peak on M1 to M4, and M1 Max reads 317 of its 400 GB/s. A launch that waits for the one before
// takes 1.3 to 2.05 µs, and a new command buffer about 20 µs. The rate of attention is a guess. See docs/performance.md.
func AssumedRates() Rates {
	return Rates{Matmul: 0.7, Attention: 0.5, Bandwidth: 0.8, Overlap: 1, Clock: 1, Sum: 1, Launch: 1.6e-6, CommandBuffer: 20e-6}
}

// Assumption describes one of the rates.
type Assumption struct {
	Name    string
	Meaning string                // completes "70 % …" or "1.6 µs …"
	Seconds bool                  // a time, else a share
	Of      func(*Rates) *float64 // the rate
}

// Assumptions describes all rates, in the order of [Rates].
var Assumptions = []Assumption{
	{"matmul", "of the float32 peak in matmuls whose results have 512×512 elements or more", false, func(r *Rates) *float64 { return &r.Matmul }},
	{"attention", "of the float32 peak in attention, forward and backward", false, func(r *Rates) *float64 { return &r.Attention }},
	{"bandwidth", "of the memory's bandwidth where a launch is limited by it", false, func(r *Rates) *float64 { return &r.Bandwidth }},
	{"overlap", "of the shorter of a launch's arithmetic and memory traffic runs during the longer", false, func(r *Rates) *float64 { return &r.Overlap }},
	{"clock", "of the published clock after some seconds of work", false, func(r *Rates) *float64 { return &r.Clock }},
	{"sum", "of a step's time is that of its launches, one after another", false, func(r *Rates) *float64 { return &r.Sum }},
	{"launch", "more for each launch", true, func(r *Rates) *float64 { return &r.Launch }},
	{"command buffer", "idle after each command buffer of about 30 ms", true, func(r *Rates) *float64 { return &r.CommandBuffer }},
}

// Predict returns the seconds that a step of these costs takes on a chip:
//
//	Σ (max(c, m) + (1 − Overlap)·min(c, m) + Launch·launches) / Sum + CommandBuffer·⌈step / 30 ms⌉
//
// where c are the FLOPs of an operation over the rate of its kind, and m the bytes that it moves over that of the memory. The
// chip's figures must be known.
func Predict(costs []Cost, c Chip, r Rates) float64 {
	seconds := 0.0
	for _, x := range costs {
		arithmetic, memory := x.seconds(c, r)
		seconds += max(arithmetic, memory) + (1-r.Overlap)*min(arithmetic, memory) + r.Launch*float64(len(x.Kernels))
	}
	seconds /= r.Sum
	return seconds + r.CommandBuffer*math.Ceil(seconds/defaultTarget.Seconds())
}

// seconds returns the times that the arithmetic and the memory traffic of c take alone.
func (c Cost) seconds(chip Chip, r Rates) (arithmetic, memory float64) {
	share := r.Matmul
	if c.Op != nil && graph.Describe(c.Op).Kind == graph.KindAttention {
		share = r.Attention
	}
	return float64(c.FLOPs) / (share * r.Clock * chip.TFLOPS * 1e12), float64(c.Moved) / (r.Bandwidth * chip.Bandwidth * 1e9)
}

// OverlapOf returns the overlap with which a launch of this cost takes a given time, at the other rates: 1 if it takes as
// long as the longer of its arithmetic and its memory traffic, or less; 0 if it takes as long as both.
func (c Cost) OverlapOf(chip Chip, r Rates, seconds float64) float64 {
	arithmetic, memory := c.seconds(chip, r)
	return min(1, 1-(seconds-r.Launch*float64(len(c.Kernels))-max(arithmetic, memory))/min(arithmetic, memory))
}

// defaultTarget is the default GPU time of a command buffer.
const defaultTarget = 30 * time.Millisecond
