package tokenizer

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// splitMix is the generator SplitMix64.
type splitMix uint64

func (s *splitMix) next() uint64 {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// pool has characters or texts that are hard for a tokenizer.
type pool struct {
	Texts  []string  `json:"texts"`
	Ranges [][2]rune `json:"ranges"`
}

func (p pool) element(r uint64) string {
	if p.Texts != nil {
		return p.Texts[r%uint64(len(p.Texts))]
	}
	span := p.Ranges[r%uint64(len(p.Ranges))]
	return string(span[0] + rune((r>>16)%uint64(span[1]-span[0]+1)))
}

// samples makes the strings of testdata/samples.py.
type samples []pool

func newSamples(t testing.TB) samples {
	t.Helper()
	var s samples
	data, err := os.ReadFile("testdata/pools.json")
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// text is the string with an index.
func (s samples) text(index int) string {
	state := splitMix(index)
	r := state.next()
	n := uint64(len(s))
	pools := [3]pool{s[r%n], s[(r>>16)%n], s[(r>>32)%n]}
	var b strings.Builder
	for range (r >> 48) % 25 {
		r := state.next()
		e := pools[r%3].element(r >> 8)
		if (r>>4)%8 == 0 {
			e = strings.Repeat(e, int(1+(r>>56)%5))
		}
		b.WriteString(e)
	}
	return b.String()
}
