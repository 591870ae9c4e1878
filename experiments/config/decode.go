package config

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// settings are values of Point fields by key, each of its field's type.
type settings map[string]any

// lists are lists of such values.
type lists map[string][]any

// decode stores value, as YAML gave it, in to, and reports everything that does
// not fit exactly: no unknown key passes, no text becomes a number and no 2.5
// an integer.
func decode(path string, value any, to reflect.Value, ps *problems) {
	if value == nil {
		ps.add(path, "has no value")
		return
	}
	switch to.Type() {
	case reflect.TypeFor[settings]():
		to.Set(reflect.MakeMap(to.Type()))
		eachKey(path, value, Keys(), ps, func(path, key string, v any) {
			to.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(decodeField(path, key, v, ps)))
		})
		return
	case reflect.TypeFor[lists]():
		to.Set(reflect.MakeMap(to.Type()))
		eachKey(path, value, Keys(), ps, func(path, key string, v any) {
			to.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(decodeFields(path, key, v, ps)))
		})
		return
	case reflect.TypeFor[Axis]():
		var a struct {
			Field  string
			Values any
		}
		before := len(ps.list)
		decode(path, value, reflect.ValueOf(&a).Elem(), ps)
		_, ok := fieldIndex[a.Field]
		switch broken := len(ps.list) > before; {
		case broken:
		case !ok:
			ps.add(path+".field", "%q is no field%s", a.Field, DidYouMean(a.Field, Keys()))
		case a.Values == nil:
			ps.add(path+".values", "missing")
		default:
			to.Set(reflect.ValueOf(Axis{a.Field, decodeFields(path+".values", a.Field, a.Values, ps)}))
		}
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		index := map[string]int{}
		for i := range to.NumField() {
			index[keyOf(to.Type().Field(i).Name)] = i
		}
		eachKey(path, value, slices.Sorted(maps.Keys(index)), ps, func(path, key string, v any) {
			decode(path, v, to.Field(index[key]), ps)
		})
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			ps.add(path, "is %s, not a list", kindOf(value))
			return
		}
		to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
		for i, v := range list {
			decode(fmt.Sprintf("%s[%d]", path, i), v, to.Index(i), ps)
		}
	case reflect.Interface:
		to.Set(reflect.ValueOf(value))
	default:
		decodeScalar(path, value, to, ps)
	}
}

func decodeScalar(path string, value any, to reflect.Value, ps *problems) {
	switch v := value.(type) {
	case string:
		if to.Kind() == reflect.String {
			to.SetString(v)
			return
		}
	case bool:
		if to.Kind() == reflect.Bool {
			to.SetBool(v)
			return
		}
	case int:
		switch to.Kind() {
		case reflect.Int:
			to.SetInt(int64(v))
			return
		case reflect.Float64:
			to.SetFloat(float64(v))
			return
		}
	case float64:
		if to.Kind() == reflect.Float64 && !math.IsNaN(v) && !math.IsInf(v, 0) {
			to.SetFloat(v)
			return
		}
	}
	want := map[reflect.Kind]string{reflect.String: "text", reflect.Bool: "true or false",
		reflect.Int: "a whole number", reflect.Float64: "a finite number"}[to.Kind()]
	ps.add(path, "is %s, not %s", kindOf(value), want)
}

// decodeField returns value in the type of the Point field key.
func decodeField(path, key string, value any, ps *problems) any {
	var p Point
	decode(path, value, p.field(key), ps)
	return p.field(key).Interface()
}

// decodeFields is decodeField for a list.
func decodeFields(path, key string, value any, ps *problems) []any {
	list, ok := value.([]any)
	if !ok {
		ps.add(path, "is %s, not a list of values", kindOf(value))
		return nil
	}
	if len(list) == 0 {
		ps.add(path, "is an empty list")
	}
	out := make([]any, len(list))
	for i, v := range list {
		before := len(ps.list)
		out[i] = decodeField(fmt.Sprintf("%s[%d]", path, i), key, v, ps)
		if len(ps.list) == before && slices.ContainsFunc(out[:i], func(o any) bool { return reflect.DeepEqual(o, out[i]) }) {
			ps.add(path, "has %v twice", out[i])
		}
	}
	return out
}

// eachKey calls fn for the keys of a map that are known, in order, and reports
// the others.
func eachKey(path string, value any, known []string, ps *problems, fn func(path, key string, v any)) {
	m, ok := value.(map[string]any)
	if !ok {
		ps.add(path, "is %s, not a map of keys", kindOf(value))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		at := strings.TrimPrefix(path+"."+key, ".")
		if !slices.Contains(known, key) {
			ps.add(at, "no such key%s", DidYouMean(key, known))
			continue
		}
		fn(at, key, m[key])
	}
}

// keyOf turns a field's name into its key: "XLabel" into "xlabel".
func keyOf(name string) string { return strings.ToLower(name) }

func kindOf(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("the text %q", v)
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	return fmt.Sprint(value)
}
