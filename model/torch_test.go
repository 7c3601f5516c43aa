package model_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"coil/model"
	"coil/model/reference"
	"coil/thorough"
)

// torchParity is what testdata/torch_parity.py writes of a model.
type torchParity struct {
	Logits reference.Matrix // of the first sequence
	Norms  map[string]float64
	Losses []float64
}

// torchArena has the weights of the script's formula.
func torchArena(m *model.Model) []float32 {
	x := make([]float32, m.Size)
	for _, p := range m.Parameters {
		phase := 0
		for _, b := range []byte(p.Name) {
			phase += int(b)
		}
		for n := range p.Size() {
			i := float64(n)
			v := 0.3 * math.Sin(0.7*i+0.013*i*i+float64(phase))
			if strings.HasSuffix(p.Name, ".gain") {
				v++
			}
			x[p.Offset+n] = float32(v)
		}
	}
	return x
}

func torchBatch(c reference.Case) (tokens, targets [][]int) {
	k := 0
	for range groups * sequences {
		x, y := make([]int, c.Length), make([]int, c.Length)
		for t := range x {
			x[t], y[t] = (k*k+3*k)%c.Vocabulary, (k*k+5*k+1)%c.Vocabulary
			if k%5 == 4 {
				y[t] = reference.Ignore
			}
			k++
		}
		tokens, targets = append(tokens, x), append(targets, y)
	}
	return tokens, targets
}

// norm of all elements.
func norm(g reference.Matrix) float64 {
	var s float64
	for _, row := range g {
		for _, v := range row {
			s += v * v
		}
	}
	return math.Sqrt(s)
}

// PyTorch computes the same model from its own functions: the reference agrees to float64's precision, and the model to
// float32's.
func TestPyTorchAgrees(t *testing.T) {
	data, err := os.ReadFile("testdata/torch_parity.json")
	if err != nil {
		t.Fatal(err)
	}
	var torch struct{ Models map[string]torchParity }
	if err := json.Unmarshal(data, &torch); err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(c *model.Config){
		"default":     func(*model.Config) {},
		"shared keys": func(c *model.Config) { c.KVHeads, c.HeadWidth, c.AttentionScale, c.QKVBias = 1, 6, 0.3, false },
		"head norms":  func(c *model.Config) { c.Heads, c.KVHeads, c.QKNorm, c.LogitSoftcap = 4, 2, true, 1.5 },
		"hard":        func(c *model.Config) { c.Attention = "hard" },
		"restart":     func(c *model.Config) { c.Carry, c.CarryRank, c.QKVBias = "restart", 5, false },
		"streams":     func(c *model.Config) { c.Streams = 3 },
		"loop ends":   func(c *model.Config) { c.LoopNorm, c.ResidualScale, c.Injection = true, "loops", "decay" },
	}
	if len(torch.Models) != len(changes) {
		t.Errorf("%d models, want %d", len(torch.Models), len(changes))
	}
	for _, name := range thorough.Cases(t, 3, "models", slices.Sorted(maps.Keys(torch.Models))) {
		want := torch.Models[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := reference.Case{Config: model.Default(), Vocabulary: 13, Length: 8}
			c.Config.Layers, c.Config.Width, c.Config.Heads, c.Config.Hidden = "1x3", 16, 2, 24
			changes[name](&c.Config)
			torchAgrees(t, c, want)
		})
	}
}

func torchAgrees(t *testing.T, c reference.Case, torch torchParity) {
	m := newModel(t, c)
	o := reference.AdamW{Rate: 2e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, Decay: 0.1}
	tr := newTrainer(t, newCPU(t, 2), m, m.Architecture, c.Regularize, torchArena(m), adamW(o))
	r := reference.New(m, m.Architecture, torchArena(m))
	tokens, targets := torchBatch(c)
	if len(torch.Losses) != 10 || len(torch.Norms) != len(m.Parameters) {
		t.Fatalf("%d losses and %d norms", len(torch.Losses), len(torch.Norms))
	}

	const exact = 1e-11 // some 1e4 roundings of 1e-16, magnified by ten steps
	limit := tolerance(m, m.Architecture)
	for step, want := range torch.Losses {
		loss, gradient := tr.run(t, tokens, targets)
		wantLoss, wantGradient := r.Gradient(tokens, targets)
		check(t, "the reference's loss", wantLoss, want, exact)
		check(t, "loss", loss, want, limit)
		if step == 0 {
			all := r.Logits(tokens[0])
			for i, row := range torch.Logits {
				for j, v := range row {
					check(t, "the reference's logit", all[2][i][j], v, exact)
				}
			}
			if d := distance(tr.logitsOf(t)[0], torch.Logits); !(d <= limit) {
				t.Errorf("logits are off by %.2g, limit %.2g", d, limit)
			}
			for _, p := range m.Parameters {
				check(t, "the reference's gradient norm of "+p.Name, norm(wantGradient[p.Name]), torch.Norms[p.Name], exact)
				g := reference.Matrix{make([]float64, p.Size())}
				for i, v := range gradient[p.Offset : p.Offset+p.Size()] {
					g[0][i] = float64(v)
				}
				check(t, "gradient norm of "+p.Name, norm(g), torch.Norms[p.Name], limit)
			}
		}
		n := reference.Clip(wantGradient, clip)
		limit += o.Rate * tolerance(m, m.Architecture) * min(n, clip) * math.Sqrt(float64(m.Size)) // as in compareTraining
		o.Step(r.Weights, wantGradient)
	}
}
