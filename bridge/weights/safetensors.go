package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// The safetensors format: the header's length (8 bytes, little-endian), a JSON
// header, the tensors' bytes without gaps. The rules that are checked here are
// those of the reference implementation, and duplicate names are refused, as
// the format's description asks.
//
// Reference: github.com/huggingface/safetensors, README.md, "Format", and
// safetensors/src/tensor.rs, Metadata.validate.

// maxHeader is the reference implementation's limit, in bytes.
const maxHeader = 100_000_000

// metadataKey is the header's one key that is not a tensor.
const metadataKey = "__metadata__"

type entry struct {
	t          Tensor
	begin, end int
}

func decodeSafetensors(b []byte) (Dict, map[string]string, error) {
	if len(b) < 8 {
		return nil, nil, invalid("%d bytes have no room for the header's length", len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	b = b[8:]
	if n > maxHeader {
		return nil, nil, invalid("header length is %d bytes, at most %d are allowed", n, maxHeader)
	}
	if n > uint64(len(b)) {
		return nil, nil, invalid("header length is %d bytes, the file has %d more", n, len(b))
	}
	header, data := b[:n], b[n:]
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	d := make(Dict, 0, len(entries))
	at := 0
	for _, e := range entries {
		if e.begin != at || e.end < e.begin {
			return nil, nil, invalid("tensor %.80q: data_offsets [%d, %d] leave a hole or overlap: the tensor before ends at %d", e.t.Name, e.begin, e.end, at)
		}
		if e.end > len(data) {
			return nil, nil, invalid("tensor %.80q: data_offsets [%d, %d] pass the end of %d data bytes", e.t.Name, e.begin, e.end, len(data))
		}
		at = e.end
		e.t.Data = data[e.begin:e.end:e.end]
		d = append(d, e.t)
	}
	if at != len(data) {
		return nil, nil, invalid("%d bytes follow the last tensor", len(data)-at)
	}
	return d, metadata, d.Validate()
}

func parseHeader(header []byte) (entries []entry, metadata map[string]string, err error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, invalid("header does not begin with '{'")
	}
	if !utf8.Valid(header) {
		return nil, nil, invalid("header is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(header))
	err = eachKey(dec, func(key string) error {
		if key == metadataKey {
			metadata, err = parseMetadata(dec)
			return err
		}
		e, err := parseEntry(dec)
		if err != nil {
			return fmt.Errorf("tensor %.80q: %w", key, err)
		}
		e.t.Name = key
		entries = append(entries, e)
		return nil
	})
	if err == nil {
		if _, e := dec.Token(); !errors.Is(e, io.EOF) {
			err = errors.New("something follows the closing brace")
		}
	}
	if err != nil {
		return nil, nil, invalid("header: %w", err)
	}
	return entries, metadata, nil
}

func parseMetadata(dec *json.Decoder) (map[string]string, error) {
	m := map[string]string{}
	err := eachKey(dec, func(key string) error {
		var v *string
		if err := dec.Decode(&v); err != nil || v == nil {
			return fmt.Errorf("%s: %.80q is not a string", metadataKey, key)
		}
		m[key] = *v
		return nil
	})
	return m, err
}

func parseEntry(dec *json.Decoder) (e entry, err error) {
	var dtype, shape, offsets bool
	err = eachKey(dec, func(key string) error {
		switch key {
		case "dtype":
			dtype = true
			return dec.Decode(&e.t.DType)
		case "shape":
			shape = true
			e.t.Shape, err = decodeInts(dec, key)
			return err
		case "data_offsets":
			offsets = true
			ends, err := decodeInts(dec, key)
			if err == nil && len(ends) != 2 {
				err = fmt.Errorf("data_offsets has %d numbers, want 2", len(ends))
			}
			if err == nil {
				e.begin, e.end = ends[0], ends[1]
			}
			return err
		}
		var ignored json.RawMessage // as the reference implementation does
		return dec.Decode(&ignored)
	})
	if err == nil && !(dtype && shape && offsets) {
		err = errors.New("dtype, shape or data_offsets is missing")
	}
	return e, err
}

// decodeInts reads an array of non-negative integers. (Pointers, because
// encoding/json takes a null for a zero.)
func decodeInts(dec *json.Decoder, field string) ([]int, error) {
	var raw []*uint64
	if err := dec.Decode(&raw); err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	if raw == nil {
		return nil, fmt.Errorf("%s is null", field)
	}
	v := make([]int, len(raw))
	for i, p := range raw {
		if p == nil || *p > math.MaxInt {
			return nil, fmt.Errorf("%s[%d] is not an integer that fits", field, i)
		}
		v[i] = int(*p)
	}
	return v, nil
}

// eachKey reads a JSON object and calls visit after each key, to read the
// value. A repeated key is an error.
func eachKey(dec *json.Decoder, visit func(key string) error) error {
	if t, err := dec.Token(); err != nil {
		return err
	} else if t != json.Delim('{') {
		return fmt.Errorf("found %.80q, want an object", fmt.Sprint(t))
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok || seen[key] {
			return fmt.Errorf("key %.80q appears twice", fmt.Sprint(t))
		}
		seen[key] = true
		if err := visit(key); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// encodeSafetensors writes d in its own order, except that wider types come
// first, which keeps every tensor aligned. The bytes depend on nothing else.
func encodeSafetensors(w io.Writer, d Dict, metadata map[string]string) error {
	d = slices.Clone(d)
	slices.SortStableFunc(d, func(a, b Tensor) int { return cmp.Compare(dtypeBits[b.DType], dtypeBits[a.DType]) })
	header := []byte{'{'}
	field := func(key string, value any) error {
		if len(header) > 1 {
			header = append(header, ',')
		}
		k, err := compactJSON(key)
		if err != nil {
			return err
		}
		v, err := compactJSON(value)
		header = append(append(append(header, k...), ':'), v...)
		return err
	}
	if len(metadata) > 0 {
		for _, k := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(k) || !utf8.ValidString(metadata[k]) {
				return invalid("metadata %.80q is not UTF-8", k)
			}
		}
		if err := field(metadataKey, metadata); err != nil {
			return err
		}
	}
	at := 0
	for _, t := range d {
		if t.Name == metadataKey || slices.Contains([]DType{C32, C128}, t.DType) {
			return unsupported("tensor %.80q of type %s in a safetensors file", t.Name, t.DType)
		}
		err := field(t.Name, struct {
			DType   DType  `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{t.DType, append([]int{}, t.Shape...), [2]int{at, at + len(t.Data)}})
		if err != nil {
			return err
		}
		at += len(t.Data)
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if len(header) > maxHeader {
		return invalid("%d tensors need a header of %d bytes, at most %d are allowed", len(d), len(header), maxHeader)
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)); err != nil {
		return err
	}
	for _, t := range d {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}

// compactJSON is json.Marshal without the escapes meant for HTML.
func compactJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimRight(buf.Bytes(), "\n"), err
}
