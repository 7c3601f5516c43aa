package schema

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Encode writes the struct that t points to as TOML, every key with its help as a comment, so that [Decode] makes the same
// of it. Tables that are not there (nil pointers) and empty lists of tables are left out.
func Encode(t any) []byte {
	e := encoder{}
	e.table("", reflect.ValueOf(t).Elem())
	return bytes.TrimLeft(e.b.Bytes(), "\n")
}

type encoder struct{ b bytes.Buffer }

// isTable reports whether a field's value is written below its own header.
func isTable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Struct
	}
	return false
}

// table writes the keys of a struct and then its tables, whose names begin with prefix.
func (e *encoder) table(prefix string, v reflect.Value) {
	type line struct{ pair, help string }
	var lines []line
	width := 0
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if isTable(f.Type) {
			continue
		}
		l := line{f.Tag.Get("toml") + " = " + tomlText(v.Field(i).Interface()), keyOf("", f, v.Field(i)).Help}
		lines = append(lines, l)
		if l.help != "" {
			width = max(width, len(l.pair))
		}
	}
	for _, l := range lines {
		if l.help == "" {
			fmt.Fprintf(&e.b, "%s\n", l.pair)
		} else {
			fmt.Fprintf(&e.b, "%-*s  # %s\n", width, l.pair, l.help)
		}
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); isTable(f.Type) {
			e.below(prefix+f.Tag.Get("toml"), v.Field(i))
		}
	}
}

// below writes a table, or several, under their headers.
func (e *encoder) below(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		fmt.Fprintf(&e.b, "\n[%s]\n", name)
		e.table(name+".", v)
	case reflect.Pointer:
		if !v.IsNil() {
			e.below(name, v.Elem())
		}
	case reflect.Map:
		if v.Len() == 0 {
			return
		}
		fmt.Fprintf(&e.b, "\n[%s]\n", name)
		m := v.Interface().(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&e.b, "%s = %s\n", tomlString(key), tomlText(m[key]))
		}
	case reflect.Slice:
		for i := range v.Len() {
			fmt.Fprintf(&e.b, "\n[[%s]]\n", name)
			e.table(name+".", v.Index(i))
		}
	}
}

// tomlText is a value in TOML.
func tomlText(x any) string {
	v := reflect.ValueOf(x)
	switch v.Kind() {
	case reflect.String:
		return tomlString(v.String())
	case reflect.Float64:
		s := strconv.FormatFloat(v.Float(), 'g', -1, 64)
		if !strings.ContainsAny(s, ".eNI") { // else it would be a whole number
			s += ".0"
		}
		return strings.NewReplacer("NaN", "nan", "Inf", "inf").Replace(s)
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = tomlText(v.Index(i).Interface())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Map:
		m := x.(map[string]any)
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(m)) {
			parts = append(parts, tomlString(key)+" = "+tomlText(m[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(x)
}

// tomlString is a text in quotes. TOML knows fewer escapes than Go.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ' || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
