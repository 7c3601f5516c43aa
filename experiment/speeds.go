package experiment

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"coil/model"
	"coil/run"
)

// Speed is what training steps of a size of model take on a machine.
type Speed struct {
	Rate   float64 `json:"rate"`   // FLOPs a second
	Memory int64   `json:"memory"` // bytes
}

// Speeds are those that were measured on a machine with a version of coil. For one goroutine.
type Speeds struct {
	path    string
	machine string
	known   map[string]Speed
	more    bool // than the file has
}

// speedsFile is the file of Speeds.
type speedsFile struct {
	Machine string           `json:"machine"`
	Speeds  map[string]Speed `json:"speeds"`
}

// ReadSpeeds reads earlier measurements from a file in a folder. machine describes all that speed depends on: the device, the
// kernels, the number of cores, the version of coil. Unreadable measurements are repeated.
func ReadSpeeds(folder, machine string) *Speeds {
	sum := sha256.Sum256([]byte(machine))
	s := &Speeds{path: filepath.Join(folder, fmt.Sprintf("speeds-%x.json", sum[:8])), machine: machine, known: map[string]Speed{}}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return s
	}
	var f speedsFile
	if json.Unmarshal(text, &f) != nil || f.Machine != machine {
		return s
	}
	for kind, speed := range f.Speeds {
		if speed.Rate > 0 && speed.Memory > 0 {
			s.known[kind] = speed
		}
	}
	return s
}

// Path is the file that the speeds are kept in.
func (s *Speeds) Path() string { return s.path }

// Save writes new measurements, if any, to the file.
func (s *Speeds) Save() error {
	if !s.more {
		return nil
	}
	text, err := json.MarshalIndent(speedsFile{s.machine, s.known}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return err
	}
	err = run.Exclusive(s.path+".lock", func() error { return run.ReplaceFile(s.path, append(text, '\n')) })
	s.more = err != nil
	return err
}

// kind is everything about a cell that the speed of its steps depends on, except the number of layers, with which work grows.
func (c Cell) kind() string {
	m := c.Config.Model
	heads := fmt.Sprint(m.Heads)
	if m.KVHeads > 0 || m.HeadWidth > 0 || m.Attention == model.HardAttention { // files of speeds without them stay valid
		heads = fmt.Sprintf("%d of %d of width %d, %s", m.Heads, m.Layout().KVHeads, m.Layout().Width, m.Attention)
	}
	return fmt.Sprintf("width %d, hidden %d, heads %s, length %d, vocabulary %d, batch %d, %s", m.Width, m.Hidden, heads,
		c.model.Length, c.model.Vocabulary, c.sampleBatch(), c.Config.Train.Optimizer)
}

func (s *Speeds) of(c Cell) (Speed, bool) {
	speed, ok := s.known[c.kind()]
	return speed, ok
}

func (s *Speeds) add(c Cell, speed Speed) { s.known[c.kind()], s.more = speed, true }

// Know reports whether all speeds are known that the cells need.
func (s *Speeds) Know(cells []Cell, done func(Cell) bool) bool {
	for _, c := range cells {
		if _, known := s.of(c); !known && !done(c) {
			return false
		}
	}
	return true
}
