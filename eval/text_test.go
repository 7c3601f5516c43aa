package eval

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"coil/backend"
	"coil/metric"
	"coil/model"
	"coil/run"
	"coil/task"
	"coil/tokenizer"
)

func newText(t *testing.T, length int) task.Task {
	t.Helper()
	tk, err := task.Text{Field: "text", Tokenizer: tokenizer.BytesName, Length: length, Packing: task.Stream}.New()
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

// Each token of a continuation is drawn from the logits that a pass over the whole text before it gives, at each loop count.
func TestContinuations(t *testing.T) {
	const length = 24
	s := newSetting(t, "1x(1,4,1)", newText(t, length), nil)
	x, err := NewSamples(s.trained(), 4, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	samples, err := x.Run()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := x.Run(); err != nil || !slices.Equal(again, samples) {
		t.Errorf("a second time it goes on otherwise: %v", err)
	}
	if len(samples) != 2*3 {
		t.Fatalf("%d samples, want 2 texts at 3 loop counts", len(samples))
	}
	ex := task.NewExample(s.t)
	for i, got := range samples {
		text, loops := i/3, []int{1, 2, 4}[i%3]
		s.t.NewSampler().SampleKind(5, uint64(text), task.HeldOut, 0, &ex)
		all := slices.Clone(ex.Tokens)
		random := rand.New(rand.NewPCG(5, uint64(text)))
		for at := length / 2; at < length; at++ {
			var row []float32
			for _, x := range s.logits(t, s.m.Architecture.WithCount(loops), all)[at-1] {
				row = append(row, float32(x))
			}
			all[at] = draw(row, random)
		}
		want := run.Sample{Kind: "next token", Loops: loops, Question: task.Render(s.t, all[:length/2]), Want: task.Render(s.t, ex.Tokens[length/2:]),
			Said: task.Render(s.t, all[length/2:])}
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	plan, err := PlanSamples(s.trained(), 4, 5)
	if err != nil {
		t.Fatal(err)
	}
	var programs []backend.Memory
	for _, w := range x.(*continuations).writers {
		programs = append(programs, w.prompt.program.Memory(), w.next.program.Memory())
	}
	if taken := backend.Together(s.trained().Backend, programs...).Own(); plan.Own() != taken {
		t.Errorf("%d bytes are planned, %d taken", plan.Own(), taken)
	}
}

// Tokens are drawn with the probabilities softmax(logits/0.8).
func TestDraw(t *testing.T) {
	logits := []float32{1, 0, float32(math.Inf(-1)), 2}
	var counts [4]float64
	random := rand.New(rand.NewPCG(1, 2))
	const draws = 40_000
	for range draws {
		counts[draw(logits, random)]++
	}
	for i, p := range []float64{0.2093, 0.0600, 0, 0.7307} { // by Python: exp(x/0.8) of x = 1, 0, −∞, 2
		if d := counts[i]/draws - p; math.Abs(d) > 0.01 {
			t.Errorf("token %d has %.3f of the draws, want %.3f", i, counts[i]/draws, p)
		}
	}
	if n := draw([]float32{float32(math.NaN()), 1}, random); n != 1 {
		t.Errorf("%d is drawn from what is not finite", n)
	}
}
