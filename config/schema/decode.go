package schema

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Beginner is a table that may start as a named one: its key preset is the name. Begin then sets the whole table, and its other
// keys override that.
type Beginner interface {
	Begin(preset string) error
}

// presetKey is the key that names what a [Beginner] starts as.
const presetKey = "preset"

// Decode lays a TOML document over the struct that t points to. Keys must be spelled exactly, case included. The error joins
// all that is wrong with the document, in its order, each with source, which is how errors call the document, and the line.
// Lines also finds the lines of errors that show up later.
func Decode(source string, text []byte, t any) (*Lines, error) {
	lines := &Lines{source: source}
	document, err := Document(source, text)
	if err != nil {
		return lines, err
	}
	lines.of = keyLines(string(text))
	d := decoder{lines: lines, keys: Keys(t)}
	d.table("", document, reflect.ValueOf(t).Elem())
	slices.SortStableFunc(d.errs, func(a, b located) int { return a.line - b.line })
	var errs []error
	for _, e := range d.errs {
		errs = append(errs, e.err)
	}
	return lines, errors.Join(errs...)
}

// Document reads any TOML document: values by key, tables as maps. The error starts with source and the line. Nesting is
// limited, because the time to read grows with its third power.
func Document(source string, text []byte) (map[string]any, error) {
	if n := tooDeep(string(text)); n > 0 {
		return nil, fmt.Errorf("%s:%d: arrays and tables are nested more than %d deep", source, n, deepest)
	}
	var document map[string]any
	if _, err := toml.Decode(string(text), &document); err != nil {
		return nil, syntax(source, text, err)
	}
	return document, nil
}

type located struct {
	line int
	err  error
}

type decoder struct {
	lines *Lines
	keys  []Key // of the whole document, for hints
	errs  []located
}

// wrong notes an error at the place of a key.
func (d *decoder) wrong(name string, err error) {
	d.errs = append(d.errs, located{d.lines.line(name), d.lines.at(name, err)})
}

// table decodes m to the struct v; the names of its keys start with prefix.
func (d *decoder) table(prefix string, m map[string]any, v reflect.Value) {
	if b, ok := v.Addr().Interface().(Beginner); ok && m[presetKey] != nil {
		d.begin(prefix+presetKey, m[presetKey], b)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		f, ok := field(v.Type(), key)
		_, begins := v.Addr().Interface().(Beginner)
		switch {
		case ok:
			d.value(prefix+key, m[key], f, v.FieldByIndex(f.Index))
		case !begins || key != presetKey:
			d.wrong(prefix+key, fmt.Errorf("no key %q%s", prefix+key, d.hint(prefix, key, v.Type())))
		}
	}
}

func (d *decoder) begin(name string, value any, b Beginner) {
	preset, ok := value.(string)
	if !ok {
		d.wrong(name, Errorf(name, " is %s, want the name of a preset, in quotes", show(value)))
	} else if err := b.Begin(preset); err != nil {
		d.wrong(name, Errorf(name, ": %v", err))
	}
}

// field is the field of a struct type whose key has exactly this name.
func field(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && f.Tag.Get("toml") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// hint ends the error of an unknown key: with the key that was probably meant, or else with all keys of the table.
func (d *decoder) hint(prefix, key string, t reflect.Type) string {
	if best := NearestKey(prefix+key, d.keys); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if _, ok := field(t, strings.ToLower(key)); ok {
		return fmt.Sprintf("; did you mean %q?", prefix+strings.ToLower(key))
	}
	var names []string
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("toml"))
	}
	if best := Nearest(key, names); best != "" {
		return fmt.Sprintf("; did you mean %q?", prefix+best)
	}
	return "; there are " + strings.Join(names, ", ")
}

func (d *decoder) value(name string, value any, f reflect.StructField, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if m, ok := value.(map[string]any); ok {
			d.table(name+".", m, v)
		} else {
			d.wrong(name, Errorf(name, " is %s, want a table: [%s]", show(value), name))
		}
	case reflect.Pointer: // to a struct: a table that need not be there
		v.Set(reflect.New(v.Type().Elem()))
		d.value(name, value, f, v.Elem())
	case reflect.Map:
		if m, ok := value.(map[string]any); ok {
			v.Set(reflect.ValueOf(m))
		} else {
			d.wrong(name, Errorf(name, ` is %s, want keys with values, as in { "train.steps" = 500 }`, show(value)))
		}
	case reflect.Slice:
		d.list(name, value, f, v)
	default:
		if err := keyOf(name, f, v).setTOML(value); err != nil {
			d.wrong(name, err)
		}
	}
}

func (d *decoder) list(name string, value any, f reflect.StructField, v reflect.Value) {
	items, ok := listOf(value)
	if !ok {
		want := "a list, as in [1, 2, 4]"
		if v.Type().Elem().Kind() == reflect.Struct {
			want = fmt.Sprintf("tables: [[%s]]", name)
		}
		d.wrong(name, Errorf(name, " is %s, want %s", show(value), want))
		return
	}
	made := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if made.Type().Elem().Kind() == reflect.Interface {
			made.Index(i).Set(reflect.ValueOf(item))
			continue
		}
		d.value(fmt.Sprintf("%s[%d]", name, i), item, f, made.Index(i))
	}
	v.Set(made)
}

func listOf(value any) ([]any, bool) {
	switch l := value.(type) {
	case []any:
		return l, true
	case []map[string]any:
		items := make([]any, len(l))
		for i, m := range l {
			items[i] = m
		}
		return items, true
	}
	return nil, false
}

// setTOML sets the key to a value of a TOML document.
func (k Key) setTOML(value any) error {
	switch x := value.(type) {
	case int64:
		switch k.v.Kind() {
		case reflect.Int, reflect.Uint64:
			return k.setInt(big.NewInt(x))
		case reflect.Float64:
			return k.setFloat(float64(x), strconv.FormatInt(x, 10))
		}
	case float64:
		if k.v.Kind() == reflect.Float64 {
			return k.setFloat(x, strconv.FormatFloat(x, 'g', -1, 64))
		}
	case bool:
		if k.v.Kind() == reflect.Bool {
			k.v.SetBool(x)
			return nil
		}
	case string:
		if k.v.Kind() == reflect.String {
			k.v.SetString(x)
			return k.Check()
		}
	}
	want := k.Wanted()
	if k.v.Kind() == reflect.String && k.Values == nil {
		want = "a text, in quotes"
	}
	return k.wrong(show(value), want)
}

// show is a TOML value for an error.
func show(value any) string {
	switch x := value.(type) {
	case string:
		return strconv.Quote(x)
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	case []any:
		return "a list"
	}
	return fmt.Sprint(value)
}
