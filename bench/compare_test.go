package bench

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fixed is a result of eight quiet rounds in which all takes by times as long, but for one percent of noise.
func fixed(by float64) *Result {
	var rs Rounds
	var took []float64
	for _, noise := range []float64{0, 3, 1, 7, 2, 5, 4, 6} {
		took = append(took, by*(1+noise/700))
		rs = append(rs, Round{took[len(took)-1], 100, 100})
	}
	l := Layout{Rounds: rs}
	r := &Result{Format: resultFormat, Device: "d", Kernels: "k", Workers: 2, Parts: []string{"steps"}, Configurations: []string{"c"}, Peak: 100,
		Machine: &Machine{Rounds: rs}, Matmuls: []Matmuls{{Name: "c", Shapes: []Matmul{{Shape: Shape{1, 2, 3}, NN: l, NT: l, TN: l}}}},
		Operations: []Operations{{Name: "c", Optimizer: "adamw", Workers: 2, Rounds: rs, Ops: []Operation{{Name: "o", Calls: 1, Took: took, Update: true}}}},
		Steps:      []Step{{Name: "c", Tokens: 1, FLOPs: 10, Rounds: rs}}}
	r.finish()
	return r
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		by   float64 // the old time over the new one
		want Verdict
	}{{1, Same}, {1.002, Same}, {1.05, Faster}, {1 / 1.05, Slower}} {
		for _, d := range Compare(fixed(1), fixed(1/c.by)).Rows {
			want, by := c.want, c.by
			if d.Row == "multiply-adds" {
				want, by = Same, 1
			}
			if d.Verdict != want || d.Speed.Estimate < by-1e-3 || d.Speed.Estimate > by+1e-3 {
				t.Errorf("%g times as fast: %s %s is %s: %+v", c.by, d.Set, d.Row, d.Verdict, *d.Speed)
			}
		}
	}
}

// A machine that is half as fast because its clock is does not make the program slower.
func TestCompareIsRelativeToThePeak(t *testing.T) {
	slow := fixed(2)
	slow.Peak = 50
	for i := range slow.Steps[0].Rounds {
		r := &slow.Steps[0].Rounds[i]
		r.Before, r.After = 50, 50
	}
	slow.Machine, slow.Matmuls, slow.Operations = nil, nil, nil
	slow.finish()
	c := Compare(fixed(1), slow)
	if len(c.Rows) != 1 || c.Rows[0].Verdict != Same || len(c.Absent) != 6 {
		t.Errorf("%+v", c)
	}
}

// What is not the same work is not compared, and what differs between the machines is said.
func TestCompareOtherWork(t *testing.T) {
	n := fixed(1)
	n.Steps[0].FLOPs++
	n.Operations[0].Ops[0].Calls++
	n.Kernels, n.Workers = "x", 3
	c := Compare(fixed(1), n)
	for _, d := range c.Rows {
		if other := d.Set == "steps" || d.Set == "c: operations"; other != (d.Verdict == OtherWork) {
			t.Errorf("%s %s: %s", d.Set, d.Row, d.Verdict)
		}
	}
	if !reflect.DeepEqual(c.Other, []string{"kernels", "workers"}) {
		t.Errorf("differs in %q", c.Other)
	}
}

// The update's time is a wall clock's: its operations take all workers.
func TestUpdateSeconds(t *testing.T) {
	o := fixed(1).Operations[0]
	if o.Update.Median != o.Ops[0].Seconds.Median/2 || o.Share != 1 {
		t.Errorf("%+v takes %v of two workers", o.Ops[0].Seconds, o.Update)
	}
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	want := fixed(1)
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(whole)
	for what, c := range map[string]struct{ text, want string }{
		"cut short":        {text[:len(text)/2], "not a result of coil bench"},
		"empty":            {"", "not a result of coil bench"},
		"foreign":          {`{"name": "bench"}`, "not a result of coil bench"},
		"another format":   {strings.Replace(text, `"coil_bench": 1`, `"coil_bench": 7`, 1), "format 7 of another version"},
		"a text":           {strings.Replace(text, `"workers": 2`, `"workers": "two"`, 1), "wrong type"},
		"negative time":    {strings.Replace(text, `"seconds": 1,`, `"seconds": -1,`, 1), "-1 seconds between peaks"},
		"no peak":          {strings.Replace(text, `"peak_after": 100`, `"peak_after": 0`, 1), "peaks of 100 and 0"},
		"no usual peak":    {strings.Replace(text, `"usual_peak": 100`, `"usual_peak": 0`, 1), "usual peak of 0"},
		"a time is absent": {strings.Replace(text, `"took": [`, `"took": [1,`, 1), "o of c has 9 times in 8 rounds"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if c.text == text {
			t.Fatalf("%s: nothing was changed", what)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want %q", what, err, c.want)
		}
	}
	if _, err := Load(path + "x"); err == nil || strings.Count(err.Error(), path) != 1 {
		t.Errorf("%v", err)
	}
}
