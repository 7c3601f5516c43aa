package theory

import (
	"strings"
	"testing"

	"coil/model"
	"coil/model/reference"
	"coil/task"
)

// As models of the package model, on examples of their tasks, the constructions answer every question.
func TestTrainable(t *testing.T) {
	s3, err := NamedGroup("S3")
	if err != nil {
		t.Fatal(err)
	}
	group := func(n int) (*Trainable, error) {
		return TrainableComposition(CompositionConfig{Group: s3, Length: n, Sharpness: 200})
	}
	hops := func(p, n int) (*Trainable, error) {
		return TrainableHops(HopsConfig{Hops: p, Length: n, Letters: 4, Sharpness: 50})
	}
	for _, c := range []struct {
		layers string
		build  func() (*Trainable, error)
	}{
		{"1x4", func() (*Trainable, error) { return group(16) }},
		{"1x3", func() (*Trainable, error) { return group(8) }},
		{"2x1", func() (*Trainable, error) { return hops(1, 20) }},
		{"1x(1,1,3)", func() (*Trainable, error) { return hops(8, 60) }},
		{"1x(1,1,1,2)", func() (*Trainable, error) { return hops(5, 40) }},
	} {
		w, err := c.build()
		if err != nil {
			t.Fatal(err)
		}
		if w.Config.Layers != c.layers {
			t.Errorf("%s is of %s", c.layers, w.Config.Layers)
		}
		of, err := w.Task.New()
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(w.Config, model.Loops{}, len(of.Vocabulary()), of.Length())
		if err != nil {
			t.Fatal(err)
		}
		r := reference.New(m, m.Architecture, w.Arena(m))
		sampler, ex := of.NewSampler(), task.NewExample(of)
		answers := 0
		for index := range uint64(4) {
			sampler.Sample(1, index, task.HeldOut, &ex)
			tokens := make([]int, len(ex.Tokens))
			for i, token := range ex.Tokens {
				tokens[i] = int(token)
			}
			all := r.Logits(tokens)
			for i, target := range ex.Targets {
				if target == task.Ignore {
					continue
				}
				answers++
				for k, logit := range all[len(all)-1][i] {
					if k != int(target) && !(logit <= all[len(all)-1][i][target]-certain+1e-9) {
						t.Errorf("%s: token %d has the logit %g at position %d, the right one %g", c.layers, k, logit, i, all[len(all)-1][i][target])
					}
				}
			}
		}
		if answers == 0 {
			t.Errorf("%s: no answers", c.layers)
		}
	}
	if _, err := group(6); err == nil || !strings.Contains(err.Error(), "a run needs a power of 2") {
		t.Errorf("words of 6: %v", err)
	}
	if _, err := hops(9, 10); err == nil || !strings.Contains(err.Error(), "9 hops in 10 letters") {
		t.Errorf("9 hops: %v", err)
	}
}
