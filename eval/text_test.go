package eval

import (
	"math"
	"testing"

	"coil/metric"
	"coil/model"
	"coil/task"
	"coil/tokenizer"
)

func newText(t *testing.T, length int) task.Task {
	t.Helper()
	tk, err := task.Text{Field: "text", Length: length, Packing: task.Stream}.New()
	if err == nil {
		err = task.Prepare(tk, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

// A model that finds all tokens equally likely needs log2 257 bits for each byte, and its perplexity is 257. An evaluation of more
// sequences than are held out has each once, so every byte.
func TestBitsPerByte(t *testing.T) {
	tk := newText(t, 200)
	s := newSetting(t, "1x2", tk, func(c *model.Config) { c.Width, c.Heads, c.InitStd = 8, 1, 1e-20 })
	e, err := New(s.trained(), 50, []int{2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	results, err := e.Run(1, 1_000_000, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := results[0]
	const bytes = 144_111 // held out: corpus/embedded/SOURCES.md
	if want := int(math.Ceil((bytes + 6) / 200.)); r.Examples != want {
		t.Errorf("%d sequences, want %d", r.Examples, want)
	}
	if bits := r.Value(metric.BitsPerByte); math.Abs(bits-math.Log2(257)) > 1e-5 {
		t.Errorf("%g bits per byte, want %g", bits, math.Log2(257))
	}
	if p := r.Value(metric.Perplexity); math.Abs(p-257) > 0.01 {
		t.Errorf("a perplexity of %g, want 257", p)
	}
}

// threes is a tokenizer whose tokens stand for three bytes, but for the end of a document, which stands for none.
type threes struct{ tokenizer.Bytes }

func (threes) Length(token int32) int { return 3 * tokenizer.Bytes{}.Length(token) }

type language struct{ task.Language }

func (language) Tokenizer() tokenizer.Tokenizer { return threes{} }

// Targets that stand for no text count neither as bits nor as bytes, and those that are ignored not at all.
func TestBitsPerByteOfTokens(t *testing.T) {
	lengths := textLengths(language{})
	var c tally
	targets, loss := []int32{7, 256, 8, task.Ignore}, []float32{3, 100, 4, 100}
	c.add(targets, loss, make([]float32, 4))
	c.addText(targets, loss, lengths)
	got := c.score("")
	if want := 7 / math.Ln2 / 6; math.Abs(got.Value(metric.BitsPerByte)-want) > 1e-12 {
		t.Errorf("%g bits per byte, want %g", got.BitsPerByte, want)
	}
	if want := 107. / 3; math.Abs(float64(got.Loss)-want) > 1e-12 {
		t.Errorf("a loss of %g, want %g", got.Loss, want)
	}
	if textLengths(newPHop(t)) != nil {
		t.Error("letters have lengths in bytes")
	}
}
