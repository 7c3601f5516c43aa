// Package encode writes values as JSON, including all numbers: NaN and the infinities, which JSON lacks, are the
// strings "NaN", "+Inf" and "-Inf", as in the events of a run.
package encode

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// JSON writes v, indented, and a line end.
func JSON(w io.Writer, v any) error {
	line, err := Marshal(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, line, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// Line writes v on one line.
func Line(w io.Writer, v any) error {
	line, err := Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// Marshal is like json.Marshal, with the same tags, except for numbers that are not finite, and that <, > and & stay.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := value(&b, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func value(b *bytes.Buffer, v reflect.Value) error {
	if !v.IsValid() {
		b.WriteString("null")
		return nil
	}
	if v.CanInterface() {
		switch v.Interface().(type) {
		case json.Marshaler, encoding.TextMarshaler:
			return leaf(b, v)
		}
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		x := v.Float()
		if math.IsNaN(x) || math.IsInf(x, 0) {
			b.WriteString(strconv.Quote(strconv.FormatFloat(x, 'g', -1, 64)))
			return nil
		}
	case reflect.Pointer, reflect.Interface:
		return value(b, v.Elem())
	case reflect.Struct:
		return object(b, fields(v))
	case reflect.Map:
		return mapping(b, v)
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && (v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8) {
			break
		}
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := value(b, v.Index(i)); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	return leaf(b, v)
}

// leaf writes what encoding/json writes as it is.
func leaf(b *bytes.Buffer, v reflect.Value) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.Interface()); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // its line end
	return nil
}

type member struct {
	name  string
	value reflect.Value
}

// fields are the members of a struct, with those of embedded structs in their place.
func fields(v reflect.Value) []member {
	var members []member
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "" && v.Field(i).Kind() == reflect.Struct:
			members = append(members, fields(v.Field(i))...)
			continue
		case !f.IsExported() || f.Tag.Get("json") == "-":
			continue
		case tag == "":
			tag = f.Name
		}
		if strings.Contains(options, "omitempty") && empty(v.Field(i)) || strings.Contains(options, "omitzero") && v.Field(i).IsZero() {
			continue
		}
		members = append(members, member{tag, v.Field(i)})
	}
	return members
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func mapping(b *bytes.Buffer, v reflect.Value) error {
	if v.IsNil() {
		b.WriteString("null")
		return nil
	}
	byName := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		byName[fmt.Sprint(k)] = v.MapIndex(k)
	}
	var members []member
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		members = append(members, member{name, byName[name]})
	}
	return object(b, members)
}

func object(b *bytes.Buffer, members []member) error {
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := leaf(b, reflect.ValueOf(m.name)); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := value(b, m.value); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}
