package encode

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type base struct {
	ID string `json:"id"`
}

type everything struct {
	base
	Time    time.Time          `json:"time"`
	X       float64            `json:"x"`
	Y       float32            `json:"y,omitempty"`
	Numbers []float64          `json:"numbers"`
	Map     map[string]float64 `json:"map,omitempty"`
	Any     any                `json:"any"`
	Pointer *float64           `json:"pointer,omitempty"`
	Nested  []base             `json:"nested,omitempty"`
	Bytes   []byte             `json:"bytes"`
	Raw     json.RawMessage    `json:"raw,omitempty"`
	Hidden  int                `json:"-"`
	Plain   bool
	private float64
}

// Of finite numbers it writes what encoding/json does.
func TestAsEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		finite := rapid.Float64Range(-1e300, 1e300)
		x := finite.Draw(t, "x")
		v := everything{base: base{rapid.String().Draw(t, "id")}, Time: time.Unix(int64(rapid.IntRange(0, 1<<31).Draw(t, "time")), 5).UTC(), X: x,
			Y: float32(rapid.IntRange(0, 3).Draw(t, "y")) / 7, Numbers: rapid.SliceOf(finite).Draw(t, "numbers"), Map: rapid.MapOf(rapid.String(), finite).Draw(t, "map"),
			Any: rapid.SampledFrom([]any{nil, "a<b>", 5, true, []int{1}, map[string]any{"b": 1.5, "a": nil}, &x}).Draw(t, "any"), Bytes: []byte{1, 2},
			Nested: make([]base, rapid.IntRange(0, 2).Draw(t, "nested")), private: x}
		if rapid.Bool().Draw(t, "pointer") {
			v.Pointer, v.Raw = &x, json.RawMessage(`{"a":[1,2]}`)
		}
		if rapid.Bool().Draw(t, "nil") {
			v.Numbers, v.Bytes = nil, nil
		}
		var want, got bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		if err := JSON(&got, v); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.String(), got.String()); d != "" {
			t.Fatal(d)
		}
	})
}

func TestNotFinite(t *testing.T) {
	var b bytes.Buffer
	v := everything{X: math.NaN(), Y: float32(math.Inf(1)), Numbers: []float64{math.Inf(-1), 1}, Map: map[string]float64{"a": math.NaN()}, Any: math.NaN()}
	if err := Line(&b, v); err != nil {
		t.Fatal(err)
	}
	want := `{"id":"","time":"0001-01-01T00:00:00Z","x":"NaN","y":"+Inf","numbers":["-Inf",1],"map":{"a":"NaN"},"any":"NaN","bytes":null,"Plain":false}` + "\n"
	if b.String() != want {
		t.Errorf("%s, want %s", b.String(), want)
	}
}
