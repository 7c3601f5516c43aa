package run

import (
	"encoding/json"
	"reflect"
	"strings"
)

// members are the names in JSON of the members of a record, in lower case, as encoding/json compares them.
func members(record reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range record.NumField() {
		f := record.Field(i)
		if f.Anonymous {
			for name := range members(f.Type) {
				names[name] = true
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

var (
	eventNames = members(reflect.TypeFor[Event]())
	trainNames = members(reflect.TypeFor[Train]())
	evalNames  = members(reflect.TypeFor[Eval]())
)

// unknownMembers are the names of the members of a line, and of its record, that this version does not know: newer, train.newer.
func unknownMembers(line []byte) []string {
	var unknown []string
	var all map[string]json.RawMessage
	if json.Unmarshal(line, &all) != nil {
		return nil
	}
	for name := range all {
		lower := strings.ToLower(name)
		if !eventNames[lower] && lower != "values" && lower != "samples" { // those of formats 1 and 2
			unknown = append(unknown, name)
		}
	}
	for record, names := range map[string]map[string]bool{"train": trainNames, "eval": evalNames} {
		var own map[string]json.RawMessage
		if json.Unmarshal(all[record], &own) != nil {
			continue
		}
		for name := range own {
			if !names[strings.ToLower(name)] {
				unknown = append(unknown, record+"."+name)
			}
		}
	}
	return unknown
}
