package doctor

import (
	"strings"

	"coil/metal"
)

// Rate is one of the rates that [metal.Predict] assumes, beside what was measured.
type Rate struct {
	Name     string  `json:"name"` // of a [metal.Assumption]
	Assumed  float64 `json:"assumed"`
	Measured float64 `json:"measured"`
	By       string  `json:"measured_by"` // the measurement that decides: the one with the worst rate
	Holds    bool    `json:"holds"`       // within a twentieth
}

// Names of measurements, from which the rates are computed.
const (
	oneLaunch   = "launch without work"
	smallMatmul = "matmul TN 64×64"
	headPrefix  = "head of a language model, "
	warmSuffix  = ", at the end"
)

// compareRates computes the rates from the measurements, each from the one that gives the worst rate.
func (r *Report) compareRates(tell func(any)) {
	chip := r.GPU.Chip
	if chip.TFLOPS == 0 {
		return
	}
	measured := metal.Rates{Overlap: 1, Clock: 1, Sum: 1}
	by := map[*float64]string{}
	worst := func(rate *float64, seconds bool, x float64, name string) {
		if by[rate] == "" || seconds == (x > *rate) {
			*rate, by[rate] = x, name
		}
	}
	share := func(rate *float64, x float64, name string) { worst(rate, false, x, name) }
	duration := func(rate *float64, x float64, name string) { worst(rate, true, x, name) }

	for _, x := range r.Speeds {
		switch {
		case x.Name == oneLaunch:
			duration(&measured.Launch, x.Seconds, x.Name)
		case strings.HasSuffix(x.Name, warmSuffix):
			share(&measured.Clock, min(1, r.speedOf(strings.TrimSuffix(x.Name, warmSuffix)).Seconds/x.Seconds), x.Name)
		case strings.HasPrefix(x.Name, headPrefix): // limited by arithmetic and by memory
		case strings.HasPrefix(x.Name, "matmul") && x.Name != smallMatmul:
			share(&measured.Matmul, x.Share, x.Name)
		case strings.HasPrefix(x.Name, "attention") && strings.HasSuffix(x.Name, "heads of 64"):
			share(&measured.Attention, x.Share, x.Name)
		case x.FLOPs == 0:
			share(&measured.Bandwidth, float64(x.cost.Moved)/x.Seconds/(chip.Bandwidth*1e9), x.Name)
		}
	}
	at := measured // the rates of matmuls are those at the clock that the GPU had
	at.Clock = 1
	for _, x := range r.Speeds {
		if strings.HasPrefix(x.Name, headPrefix) {
			share(&measured.Overlap, x.cost.OverlapOf(chip, at, x.Seconds), x.Name)
		}
	}
	at.Overlap = measured.Overlap
	for _, x := range r.Steps {
		if x.Skipped == "" {
			share(&measured.Sum, metal.Predict(x.costs, chip, at)/x.GPU, "step of "+x.Preset)
			duration(&measured.CommandBuffer, max(0, x.Seconds-x.GPU)/float64(x.Commands), "step of "+x.Preset)
		}
	}

	assumed := metal.AssumedRates()
	for _, a := range metal.Assumptions {
		x := Rate{Name: a.Name, Assumed: *a.Of(&assumed), Measured: *a.Of(&measured), By: by[a.Of(&measured)]}
		if x.Holds = x.Measured >= 0.95*x.Assumed; a.Seconds {
			x.Holds = x.Measured <= 1.05*x.Assumed
		}
		r.Rates = append(r.Rates, x)
		tell(x)
	}
}

// speedOf returns the measurement of a name.
func (r *Report) speedOf(name string) Speed {
	for _, x := range r.Speeds {
		if x.Name == name {
			return x
		}
	}
	return Speed{}
}
