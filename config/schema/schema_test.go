package schema

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type inner struct {
	Name  string         `toml:"name" help:"a name"`
	Set   map[string]any `toml:"set"`
	Deep  *deep          `toml:"deep"`
	Value []any          `toml:"value"`
}

type deep struct {
	Stages []stage `toml:"stages"`
}

type stage struct {
	Layers string `toml:"layers"`
}

type document struct {
	Text   string    `toml:"text" help:"any text"`
	Choice string    `toml:"choice" values:"one,two"`
	Number float64   `toml:"number" help:"a number" limits:"(0,1)" also:"figure"`
	Count  int       `toml:"count" limits:"[1,10]"`
	Seed   uint64    `toml:"seed"`
	Flag   bool      `toml:"flag"`
	List   []int     `toml:"list"`
	Seeds  []uint64  `toml:"seeds" limits:"[0,100]"`
	Shares []float64 `toml:"shares" limits:"(0,1]"`
	Table  struct {
		Choice string `toml:"choice" values:"left,right"`
	} `toml:"table"`
	Inner []inner `toml:"inner"`
}

func good() document {
	d := document{Text: "a \"b\" \\ \n\x1b[31m ⊗", Choice: "two", Number: 0.25, Count: 3, Seed: math.MaxInt64, Flag: true, List: []int{}, Seeds: []uint64{1, 2}, Shares: []float64{0.5, 1}}
	d.Table.Choice = "left"
	d.Inner = []inner{
		{Name: "first", Set: map[string]any{"train.steps": int64(5), "b": []any{int64(1), "x"}}, Value: []any{int64(1), 2.5, true, "x"}},
		{Name: "second", Deep: &deep{[]stage{{"2x1"}, {"4x1"}}}, Value: []any{}},
	}
	return d
}

// What is written is read back, by this package and, for the sake of others, as the TOML library reads it.
func TestEncode(t *testing.T) {
	want := good()
	text := Encode(&want)
	var got, theirs document
	if _, err := Decode("doc", text, &got); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s in\n%s", d, text)
	}
	if _, err := toml.Decode(string(text), &theirs); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if d := cmp.Diff(want, theirs); d != "" {
		t.Errorf("the library reads: %s", d)
	}
	if !strings.Contains(string(text), "number = 0.25") || !strings.Contains(string(text), "  # a number\n") {
		t.Errorf("there is no help in\n%s", text)
	}
}

// Any text survives, whatever characters it has.
func TestStrings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		var m map[string]string
		if _, err := toml.Decode("text = "+tomlString(want), &m); err != nil || m["text"] != want {
			t.Fatalf("%q becomes %q, %v", want, m["text"], err)
		}
	})
}

func TestDecodeErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"figure = 0.5", `doc:1: no key "figure"; did you mean "number"?`},
		{"\nNumber = 0.5", `doc:2: no key "Number"; did you mean "number"?`},
		{"[[inner]]\nname = 'a'\n[[inner]]\nnmae = 'b'", `doc:4: no key "inner[1].nmae"; did you mean "inner[1].name"?`},
		{"[[inner]]\n[inner.deep]\n[[inner.deep.stages]]\n[[inner.deep.stages]]\nlayers = 1", `doc:5: inner[0].deep.stages[1].layers is 1, want a text, in quotes`},
		{"[[inner]]\ndeep = { stages = [{ layers = 'x' },\n { layers = 1 }] }", `doc:3: inner[0].deep.stages[1].layers is 1`},
		{"inner = 1", `doc:1: inner is 1, want tables: [[inner]]`},
		{"[[inner]]\nset = 1", `doc:2: inner[0].set is 1, want keys with values`},
		{"seeds = [1, -2]", `doc:1: seeds[1] is -2, want 0 to 100`},
		{"shares = [\n0.5,\n0.0,\n]", `doc:3: shares[1] is 0, want more than 0 and at most 1`},
		{"shares = [0.5, 'x']", `doc:1: shares[1] is "x", want a number: more than 0 and at most 1`},
		{"number = 1", `doc:1: number is 1, want more than 0 and less than 1`},
		{"number = nan", `doc:1: number is NaN, want more than 0 and less than 1`},
		{"choice = 'three'", `doc:1: choice is "three", want one or two`},
		{"zzzzzzz = 1", `doc:1: no key "zzzzzzz"; there are text, choice, number,`},
		{"\"te\\u0078t2\" = 1", `doc:1: no key "text2"; did you mean "text"?`},
	} {
		d := good()
		if _, err := Decode("doc", []byte(c.text), &d); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

// Every key of a valid document has a line, and the line has the key: held against the keys that the TOML library reports.
func TestLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		want := map[string]int{}
		line := 1
		write := func(format string, args ...any) {
			s := fmt.Sprintf(format, args...)
			text.WriteString(s)
			line += strings.Count(s, "\n")
		}
		value := rapid.SampledFrom([]string{"1", "'a # ] = b'", `"a \" ] # ="`, "[1, 2]", "[\n 1, # ]\n 2,\n]", "\"\"\"x\n] \\\"\"\" = 1\"\"\"\"", "'''x\n'y' =\n'''", "1979-05-27 07:32:00",
			"{ a = 1, b.c = '}' }", "[{ a = ']' }, { a = 2 }]", "true # comment = 1"})
		prefix := ""
		arrays := map[string]int{}
		for i := range rapid.IntRange(0, 12).Draw(t, "lines") {
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				prefix = fmt.Sprintf("t%d.", i)
				want[prefix[:len(prefix)-1]] = line
				write("[ t%d ]  # ]\n", i)
			case 1:
				name := fmt.Sprintf("a%d", i%2)
				prefix = fmt.Sprintf("%s[%d].", name, arrays[name])
				arrays[name]++
				want[prefix[:len(prefix)-1]] = line
				write("[[%s]]\n", name)
			case 2:
				write("\n  # a comment = [\n")
			default:
				key := fmt.Sprintf("k%d", i)
				quote := rapid.SampledFrom([]string{"", `"`, "'"}).Draw(t, "quote")
				want[prefix+key] = line
				write("%s%s%s = %s\n", quote, key, quote, value.Draw(t, "value"))
			}
		}
		var m map[string]any
		if _, err := toml.Decode(text.String(), &m); err != nil {
			t.Fatalf("the test writes no TOML: %v\n%s", err, text.String())
		}
		got := keyLines(text.String())
		for name, n := range want {
			if got[name] != n {
				t.Errorf("%s is on line %d, want %d, in\n%s", name, got[name], n, text.String())
			}
		}
	})
}

// The scanner comes to an end on any text, also on one that is not TOML.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "[", "[[", "a", "a=", "a = [", "a = {", `a = "`, "a = '''", "[a.b", "=", "]", "}", ",", "\r", "a.b.c=1", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) { keyLines(text) })
}

func TestLimits(t *testing.T) {
	for _, s := range []string{"", "1", "[1", "1,2", "[a,2]", "[1,b]"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is an interval", s)
				}
			}()
			parseLimits(s)
		}()
	}
	for s, texts := range map[string][]string{"[0,1)": {"at least 0 and less than 1", "-0.1", "1"}, "(0,]": {"more than 0", "0"}, "[,5]": {"at most 5", "5.1"}, "[1,2]": {"1 to 2", "0.9", "2.1"}} {
		d := struct {
			X float64 `toml:"x"`
		}{}
		k := Keys(&d)[0]
		k.limits = parseLimits(s)
		for _, wrong := range texts[1:] {
			var e *Error
			if err := k.Set(wrong); !errors.As(err, &e) || e.Key != "x" || e.Text != " is "+wrong+", want "+texts[0] {
				t.Errorf("%s in %s: %v", wrong, s, err)
			}
		}
		if err := k.Set("1.5"); (err == nil) != (s != "[0,1)") {
			t.Errorf("1.5 in %s: %v", s, err)
		}
	}
}
