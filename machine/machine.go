// Package machine reads the state of the computer while a program runs: memory, temperature and power.
package machine

// Reading is the state at a moment. Unknown values are zero.
type Reading struct {
	Resident    int64   // bytes of this process that are in memory
	Peak        int64   // the most that ever were
	Files       int64   // of those in memory, bytes of files, such as the program's own
	Temperature float64 // °C, of the hottest part of the processor
	Power       Power
}

// Power is where the computer's power comes from.
type Power int

// The sources of power.
const (
	PowerUnknown Power = iota
	Mains
	Battery
)
