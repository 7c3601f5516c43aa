// Package schema is the mechanism of configurations. A table is a struct whose fields are keys, and a field's tag describes
// its key:
//
//	Rate float64 `toml:"rate" help:"peak learning rate" limits:"[0,1e6]" also:"lr,learning_rate"`
//
// toml is its name, and help describes it in a line. values lists the permitted texts; instead, the type may have a method
// Values, and a method Help that replaces help. limits is the interval of a number, alias a short name on the command line, and
// also the names that other programs use, for which errors suggest this key.
// A field that is a struct is a table in the table; its keys have dotted names such as "train.rate".
//
// [Keys] lists the keys of a table, [Decode] reads a table from TOML and [Encode] writes one.
package schema

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Key is one key of a table.
type Key struct {
	Name   string // "train.steps"
	Help   string
	Values []string // that a text may be; nil for any
	Alias  string   // short name on the command line, "" if there is none
	Also   []string // names that other programs have for it

	limits limits
	v      reflect.Value
}

// Keys lists the keys of the struct that t points to, in order, including the keys of its tables.
func Keys(t any) []Key { return keys("", reflect.ValueOf(t).Elem()) }

func keys(prefix string, v reflect.Value) []Key {
	all, ok := fields.Load(v.Type())
	if !ok {
		all, _ = fields.LoadOrStore(v.Type(), fieldsOf("", nil, v.Type()))
	}
	ks := make([]Key, len(all.([]described)))
	for i, f := range all.([]described) {
		ks[i] = f.key
		ks[i].Name, ks[i].v = prefix+f.key.Name, v.FieldByIndex(f.index)
	}
	return ks
}

// described is a field as a key, which has no value here.
type described struct {
	key   Key
	index []int // as [reflect.Value.FieldByIndex] takes it
}

// fields has those of each type of struct that was asked for: []described by reflect.Type. Reading all tags takes longer than
// anything that is done with the keys.
var fields sync.Map

// fieldsOf lists the fields of a struct type, including those of its tables. index is where the struct stands.
func fieldsOf(prefix string, index []int, t reflect.Type) []described {
	var all []described
	for i := range t.NumField() {
		f := t.Field(i)
		name, at := prefix+f.Tag.Get("toml"), append(slices.Clone(index), i)
		if f.Type.Kind() == reflect.Struct {
			all = append(all, fieldsOf(name+".", at, f.Type)...)
			continue
		}
		all = append(all, described{keyOf(name, f, reflect.Zero(f.Type)), at})
	}
	return all
}

func keyOf(name string, f reflect.StructField, v reflect.Value) Key {
	k := Key{Name: name, Help: f.Tag.Get("help"), Alias: f.Tag.Get("alias"), v: v}
	if values := f.Tag.Get("values"); values != "" {
		k.Values = strings.Split(values, ",")
	}
	if t, ok := v.Interface().(interface{ Values() []string }); ok {
		k.Values = t.Values()
		if k.Help == "" {
			k.Help = OneOf(k.Values)
		}
	}
	if t, ok := v.Interface().(interface{ Help() string }); ok {
		k.Help = t.Help()
	}
	if also := f.Tag.Get("also"); also != "" {
		k.Also = strings.Split(also, ",")
	}
	if l := f.Tag.Get("limits"); l != "" {
		k.limits = parseLimits(l)
	}
	return k
}

// Kind is what the value is: "int", "number", "text", "true or false", "list".
func (k Key) Kind() string {
	switch k.v.Kind() {
	case reflect.Int, reflect.Uint64:
		return "int"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	}
	return "text"
}

// Value is the key's value as Set takes it.
func (k Key) Value() string {
	if k.v.Kind() == reflect.Slice {
		parts := make([]string, k.v.Len())
		for i := range parts {
			parts[i] = fmt.Sprint(k.v.Index(i))
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(k.v)
}

// Error is a mistake in the value of a key.
type Error struct {
	Key  string // or table
	Text string // what follows the key in the message: " is 0, want at least 1"
}

func (e *Error) Error() string { return e.Key + e.Text }

// Errorf returns an [Error] whose message is the key and then the formatted text.
func Errorf(key, format string, args ...any) error { return &Error{key, fmt.Sprintf(format, args...)} }

func (k Key) wrong(is, want string) error { return Errorf(k.Name, " is %s, want %s", is, want) }

// Set sets the key from a text, as in Set("500"), Set("true"), Set("2,4,8"). The error, an [Error], describes the permitted
// values.
func (k Key) Set(s string) error {
	switch k.v.Kind() {
	case reflect.Int, reflect.Uint64:
		n, ok := new(big.Int).SetString(s, 10)
		if !ok {
			return k.wrong(strconv.Quote(s), k.Wanted())
		}
		return k.setInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return k.wrong(strconv.Quote(s), k.Wanted())
		}
		return k.setFloat(x, s)
	case reflect.Bool:
		if s != "true" && s != "false" {
			return k.wrong(strconv.Quote(s), k.Wanted())
		}
		k.v.SetBool(s == "true")
	case reflect.Slice:
		return k.setList(s)
	default:
		k.v.SetString(s)
	}
	return k.Check()
}

func (k Key) setInt(n *big.Int) error {
	lo, hi := k.limits.ints(k.v.Kind())
	switch {
	case n.Cmp(hi) > 0 && k.limits.hi == "":
		return k.wrong(n.String(), "at most "+hi.String())
	case n.Cmp(lo) < 0 || n.Cmp(hi) > 0:
		return k.wrong(n.String(), k.limits.text(k.v.Kind()))
	}
	if k.v.Kind() == reflect.Uint64 {
		k.v.SetUint(n.Uint64())
	} else {
		k.v.SetInt(n.Int64())
	}
	return nil
}

// setFloat sets a number that is written as s.
func (k Key) setFloat(x float64, s string) error {
	if err := k.checkFloat(x, s); err != nil {
		return err
	}
	k.v.SetFloat(x)
	return nil
}

func (k Key) setList(s string) error {
	if k.v.Type().Elem().Kind() == reflect.String {
		list := []string{}
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		k.v.Set(reflect.ValueOf(list))
		return nil
	}
	list := []int{}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" && s == "" {
			break
		}
		n, err := strconv.Atoi(part)
		if err != nil {
			return k.wrong(strconv.Quote(s), k.Wanted())
		}
		list = append(list, n)
	}
	k.v.Set(reflect.ValueOf(list))
	return nil
}

// Wanted says what the key's values are: "a whole number of at least 1", "adamw or adafactor", "true or false".
func (k Key) Wanted() string {
	limits := ""
	if k.limits != (limitsNone) {
		limits = ": " + k.limits.text(k.v.Kind())
	}
	switch k.Kind() {
	case "int":
		return "a whole number" + limits
	case "number":
		return "a number" + limits
	case "list":
		if k.v.Type().Elem().Kind() == reflect.String {
			return "texts with commas between"
		}
		return "whole numbers with commas between, as in 2,4,8"
	case "text":
		if k.Values != nil {
			return OneOf(k.Values)
		}
	}
	return k.Kind()
}

// Check returns an error, an [Error], unless the key's value is one that it may have.
func (k Key) Check() error {
	switch k.v.Kind() {
	case reflect.Int:
		return k.setInt(big.NewInt(k.v.Int()))
	case reflect.Uint64:
		return k.setInt(new(big.Int).SetUint64(k.v.Uint()))
	case reflect.Float64:
		return k.checkFloat(k.v.Float(), strconv.FormatFloat(k.v.Float(), 'g', -1, 64))
	case reflect.String:
		if k.Values == nil {
			return nil
		}
		for _, v := range k.Values {
			if k.v.String() == v {
				return nil
			}
		}
		return k.wrong(strconv.Quote(k.v.String()), OneOf(k.Values))
	}
	return nil
}

// checkFloat holds a number against the limits both as it is and as a float32, which is what a backend computes with: a
// number below 1 may be 1 there, and a very small one 0.
func (k Key) checkFloat(x float64, s string) error {
	const smallest = 0x1p-126 // below it a float32 loses digits, or counts as 0 on a GPU
	single := float64(float32(x))
	switch {
	case math.IsNaN(x), !k.limits.contain(x), math.IsInf(x, 0):
		return k.wrong(s, k.limits.text(reflect.Float64))
	case math.IsInf(single, 0):
		return k.wrong(s+", too large for a float32", k.limits.text(reflect.Float64))
	case x != 0 && math.Abs(single) < smallest:
		return k.wrong(s+", which is 0 as a float32", fmt.Sprintf("0 or at least %.2g", smallest))
	case !k.limits.contain(single):
		return k.wrong(fmt.Sprintf("%s, which is %g as a float32", s, float32(x)), k.limits.text(reflect.Float64))
	}
	return nil
}

// Check returns the errors of all keys of the struct that t points to, joined. Each name begins with prefix, as in "model.".
func Check(prefix string, t any) error {
	var errs []error
	for _, k := range keys(prefix, reflect.ValueOf(t).Elem()) {
		errs = append(errs, k.Check())
	}
	return errors.Join(errs...)
}

// OneOf is "a, b or c".
func OneOf(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
}
