package run

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// anyRecord is a record some of whose members are there.
func anyRecord[R any](t *rapid.T) *R {
	var r R
	draw(t, reflect.ValueOf(&r).Elem(), false)
	return &r
}

var anyNumber = rapid.Custom(func(t *rapid.T) Number {
	return rapid.OneOf(rapid.Just(Number(0)), rapid.Map(rapid.Float64(), func(x float64) Number { return Number(x) }),
		rapid.SampledFrom([]Number{Number(math.NaN()), Number(math.Inf(1)), Number(math.Inf(-1))})).Draw(t, "number")
})

// draw gives a value members that are there or not; all of them if full.
func draw(t *rapid.T, v reflect.Value, full bool) {
	if !full && v.Kind() != reflect.Struct && rapid.Bool().Draw(t, "is missing") {
		return
	}
	text := rapid.StringMatching(`[a-z][a-z ]{0,5}`)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i), full)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		draw(t, v.Elem(), true)
	case reflect.Slice:
		for range rapid.IntRange(1, 3).Draw(t, "elements") {
			e := reflect.New(v.Type().Elem()).Elem()
			draw(t, e, full)
			v.Set(reflect.Append(v, e))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(rapid.MapOfN(text, anyNumber, 1, 3).Draw(t, "map")))
	case reflect.Float64:
		v.SetFloat(float64(anyNumber.Draw(t, "number")))
	case reflect.Int:
		v.SetInt(rapid.Int64Range(1, 20).Draw(t, "int"))
	case reflect.String:
		v.SetString(text.Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	default:
		panic("a record has a member of kind " + v.Kind().String())
	}
}

// archivedEvents are the files of events that earlier versions of coil wrote, by their path.
func archivedEvents(t *testing.T) []string {
	t.Helper()
	files := must(filepath.Glob("../cmd/coil/testdata/format[012]/*/events.jsonl"))(t)
	files = append(files, must(filepath.Glob("../cmd/coil/testdata/format[012]/experiments/*/cells/*/events.jsonl"))(t)...)
	if len(files) < 12 {
		t.Fatalf("there are only %d archived files: %v", len(files), files)
	}
	return files
}

// flat is a line as formats 1 and 2 have it.
type flat struct {
	Kind    string
	Step    int
	Values  map[string]Number
	Samples []Sample
}

// Every number of an archived line is in its event, under its name, and none beside it; and the event is written and read again
// as it is.
func TestArchivedEvents(t *testing.T) {
	seen := map[string]bool{}
	for _, path := range archivedEvents(t) {
		for line := range strings.Lines(string(must(os.ReadFile(path))(t))) {
			if !strings.HasSuffix(line, "\n") {
				continue // cut by a kill
			}
			var was flat
			if err := json.Unmarshal([]byte(line), &was); err != nil {
				t.Fatal(err)
			}
			e := must(decodeEvent([]byte(line)))(t)
			got := map[string]Number{}
			for k, v := range e.Train.Numbers() {
				got[k.String()] = v
			}
			for k, v := range e.Eval.Numbers() {
				got[k.String()] = v
			}
			if e.Seconds != nil {
				got["seconds"] = *e.Seconds
			}
			if diff := cmp.Diff(was.Values, got, sameNumber, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s: %s %d: %s", path, was.Kind, was.Step, diff)
			}
			var samples []Sample
			if e.Eval != nil {
				samples = e.Eval.Samples
				if len(e.Eval.Other) > 0 {
					t.Fatalf("%s: %v have no member", path, e.Eval.Other)
				}
			}
			if e.Train != nil && len(e.Train.Other) > 0 {
				t.Fatalf("%s: %v have no member", path, e.Train.Other)
			}
			if e.Kind != was.Kind || e.Step != was.Step || !slices.Equal(samples, was.Samples) {
				t.Fatalf("%s: %+v became %+v", path, was, e)
			}
			again := must(decodeEvent(must(encodeEvent(e))(t)))(t)
			if diff := cmp.Diff(e, again, sameNumber); diff != "" {
				t.Fatalf("%s: written and read again: %s", path, diff)
			}
			for name := range was.Values {
				seen[strings.TrimRight(name, "0123456789")] = true
			}
		}
	}
	for _, name := range []string{"loss", "accuracy", "exact", "loss_loop_", "accuracy_loop_", "exact_loop_", "change_loop_", "accuracy n=", "exact n=", "examples",
		"lr", "loops", "exit_loop", "exit_loop_", "exit_entropy", "regularizer", "cosine_attention.q", "time_matmul", "data_wait", "memory", "memory_peak"} {
		if !seen[name] {
			t.Errorf("no archived line has %s", name)
		}
	}
}

// Numbers by name make a record, and the record has them under these names.
func TestRecordsOfNames(t *testing.T) {
	names := rapid.SampledFrom([]string{"loss", "accuracy", "exact", "examples", "lr", "loops", "exit_loop", "exit_loop_2", "exit_loop_17", "loss_loop_1", "loss_loop_0", "loss_loop_-3",
		"loss_loop_x", "accuracy_loop_3", "change_loop_3", "new_loop_2", "_loop_", "time_matmul", "time_", "cosine_a.b", "accuracy 4 hops", "exact ", "new a", " ", "", "thermal", "on_battery"})
	values := rapid.MapOf(names, anyNumber)
	rapid.Check(t, func(t *rapid.T) {
		want := values.Draw(t, "values")
		for name, numbers := range map[string]func() map[Key]Number{
			"train": func() map[Key]Number { return maps.Collect(TrainOf(want).Numbers()) },
			"eval":  func() map[Key]Number { return maps.Collect(EvalOf(want).Numbers()) },
		} {
			got := map[string]Number{}
			for k, v := range numbers() {
				got[k.String()] = v
			}
			want := maps.Clone(want)
			if v, ok := want["on_battery"]; ok && name == "train" {
				want["on_battery"] = flag(v > 0)
			}
			if diff := cmp.Diff(want, got, sameNumber, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
		}
	})
}

// Numbers has a key of its own for each number of a record.
func TestNumbersOfARecord(t *testing.T) {
	count := func(v any) int { // numbers and flags in JSON, except the numbers of loops
		n := 0
		var walk func(v any, name string)
		walk = func(v any, name string) {
			switch v := v.(type) {
			case map[string]any:
				for name, v := range v {
					walk(v, name)
				}
			case []any:
				for _, v := range v {
					walk(v, "")
				}
			case float64, bool:
				if name != "loop" || v != 7.0 {
					n++
				}
			}
		}
		var any any
		if err := json.Unmarshal(must(json.Marshal(v))(t), &any); err != nil {
			t.Fatal(err)
		}
		walk(any, "")
		return n
	}
	one := new(Number(1))
	train := &Train{one, one, one, one, one, one, one, one, one, one, one, []TrainLoop{{7, one, one}}, Exit{one, one}, one, map[string]Number{"a": 1}, map[string]Number{"a": 1},
		Machine{one, one, one, one, new(true), new(false)}, map[string]Number{"a": 1}}
	if got, want := len(maps.Collect(train.Numbers())), count(train); got != want {
		t.Errorf("a report of training has %d numbers, but Numbers returns %d", want, got)
	}
	score := Score{one, one, one, one}
	eval := &Eval{score, one, []KindScore{{"a", score}}, []LoopScore{{7, score, one}}, map[string]Number{"a": 1}, nil, nil}
	if got, want := len(maps.Collect(eval.Numbers())), count(eval); got != want {
		t.Errorf("an evaluation has %d numbers, but Numbers returns %d", want, got)
	}
}

// What a newer coil adds is passed over.
func TestUnknownMembers(t *testing.T) {
	e, err := decodeEvent([]byte(`{"kind":"train","step":3,"new":[1],"train":{"loss":2,"newer":{"x":1}},"values":{"accuracy":1}}`))
	if err != nil || *e.Train.Loss != 2 || e.Train.Accuracy != nil {
		t.Errorf("%+v, %v", e.Train, err)
	}
	if e, err = decodeEvent([]byte(`{"kind":"newer","step":3,"values":{"loss":2}}`)); err != nil || e.Step != 3 || e.Train != nil || e.Eval != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

// docs/run-format.md has every member of an event, and every kind.
func TestEventsAreDocumented(t *testing.T) {
	page := string(must(os.ReadFile("../docs/run-format.md"))(t))
	seen := 0
	want := func(name string) {
		seen++
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
	var walk func(t reflect.Type)
	walk = func(r reflect.Type) {
		for r.Kind() == reflect.Pointer || r.Kind() == reflect.Slice {
			r = r.Elem()
		}
		if r.Kind() != reflect.Struct || r == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range r.NumField() {
			f := r.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				want(name)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Event]())
	if seen < 60 {
		t.Errorf("only %d members were looked for", seen)
	}
	for _, kind := range []string{KindStart, KindSetup, KindTrain, KindEval, KindCheckpoint, KindResume, KindPause, KindContinue, KindNote, KindStop, KindEnd, KindError} {
		want(kind)
	}
}
