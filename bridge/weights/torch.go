package weights

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
)

// A .pth file is a pickle of nested containers, in which a tensor is a view
// (offset, sizes, strides) of a storage, and storages, the raw bytes, which
// tensors may share. In the zip form they are members of an uncompressed
// archive; in the older form they follow the pickle in one stream.
//
// Reference: PyTorch, torch/serialization.py, _save and _legacy_save.

// A storage is a run of elements of one type.
type storage struct {
	dtype DType
	n     int    // elements
	data  []byte // nil until read
}

// A storageView is n elements of a storage from offset on. (Files of 2017 have
// views of storages; later ones only whole storages.)
type storageView struct {
	of        *storage
	offset, n int
}

// storages collects what the persistent IDs of a pickle name.
type storages struct {
	byKey map[string]*storage
	keys  []string // in the order of their first mention
}

// resolve understands ("storage", type, key, location, elements[, view]).
func (s *storages) resolve(id tuple) (any, error) {
	if len(id) != 5 && len(id) != 6 || id[0] != "storage" {
		return nil, unsupported("pickle: a persistent ID is not a storage")
	}
	class, ok := id[1].(global)
	dt, ok2 := storageType(class)
	key, ok3 := id[2].(string)
	n, ok4 := natural(id[4])
	if !ok || !ok2 || !ok3 || !ok4 {
		return nil, invalid("pickle: a storage has no type, key or size")
	}
	st := s.byKey[key]
	if st == nil {
		st = &storage{dtype: dt, n: n}
		s.byKey[key] = st
		s.keys = append(s.keys, key)
	}
	if st.dtype != dt || st.n != n {
		return nil, invalid("storage %.80q: %d×%s here, %d×%s before", key, n, dt, st.n, st.dtype)
	}
	view := storageView{st, 0, n}
	if len(id) == 6 && id[5] != nil { // (key, offset, elements)
		v, _ := id[5].(tuple)
		if len(v) != 3 {
			return nil, invalid("storage %.80q: its view has %d fields, want 3", key, len(v))
		}
		offset, ok := natural(v[1])
		m, ok2 := natural(v[2])
		if !ok || !ok2 || offset > n || m > n-offset {
			return nil, invalid("storage %.80q: its view passes its end", key)
		}
		view.offset, view.n = offset, m
	}
	return view, nil
}

func natural(v any) (int, bool) {
	n, ok := v.(int64)
	return int(n), ok && n >= 0 && n <= math.MaxInt
}

func decodeTorchZip(b []byte) (Dict, map[string]string, error) {
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, nil, invalid("zip: %w", err)
	}
	members := make(map[string]*zip.File, len(r.File))
	prefix, found := "", false
	for _, f := range r.File {
		if members[f.Name] != nil {
			return nil, nil, invalid("zip: two members are called %.80q", f.Name)
		}
		members[f.Name] = f
		if p, ok := strings.CutSuffix(f.Name, "data.pkl"); ok && strings.Count(p, "/") <= 1 && !found {
			prefix, found = p, true
		}
	}
	if !found {
		return nil, nil, invalid("zip: no member data.pkl, so not a PyTorch file")
	}
	if members[prefix+"constants.pkl"] != nil {
		return nil, nil, unsupported("a TorchScript archive: its weights are inside a program")
	}
	left := budget(len(b)) // members do not overlap, so together they fit into the file
	read := func(name string) ([]byte, error) { return storedMember(b, members[prefix+name], name, &left) }

	if members[prefix+"byteorder"] != nil {
		order, err := read("byteorder")
		if err != nil {
			return nil, nil, err
		}
		if string(order) != "little" {
			return nil, nil, unsupported("byteorder %.20q", order)
		}
	}
	program, err := read("data.pkl")
	if err != nil {
		return nil, nil, err
	}
	stores := &storages{byKey: map[string]*storage{}}
	copies := budget(len(b))
	u := &unpickler{buf: program, storage: stores.resolve, budget: &copies}
	root, err := u.load()
	if err != nil {
		return nil, nil, err
	}
	for _, key := range stores.keys {
		st := stores.byKey[key]
		st.data, err = read("data/" + key)
		if err != nil {
			return nil, nil, err
		}
		size := dtypeBits[st.dtype] / 8
		if len(st.data)%size != 0 || len(st.data)/size != st.n {
			return nil, nil, invalid("storage %.80q: %d bytes, want %d×%s", key, len(st.data), st.n, st.dtype)
		}
	}
	return stateDict(root, &copies)
}

// storedMember returns the bytes of an uncompressed member of the archive b
// without copying them.
func storedMember(b []byte, f *zip.File, name string, left *budget) ([]byte, error) {
	if f == nil {
		return nil, invalid("zip: no member %.80q", name)
	}
	if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 {
		return nil, unsupported("zip: member %.80q is compressed, which torch.save never does", name)
	}
	off, err := f.DataOffset()
	if err != nil {
		return nil, invalid("zip: member %.80q: %w", name, err)
	}
	if n := f.UncompressedSize64; off < 0 || off > int64(len(b)) || n > uint64(int64(len(b))-off) {
		return nil, invalid("zip: member %.80q: %d bytes at %d pass the end of the file", name, n, off)
	}
	data := b[off : off+int64(f.UncompressedSize64)]
	if err := left.spend(len(data), fmt.Sprintf("zip: member %.80q overlaps others", name)); err != nil {
		return nil, err
	}
	if sum := crc32.ChecksumIEEE(data); sum != f.CRC32 {
		return nil, invalid("zip: member %.80q: CRC-32 is %08x, want %08x", name, sum, f.CRC32)
	}
	return data, nil
}

// legacyMagic begins a file of the older form: a pickle of one large integer.
var legacyMagic = []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")

func decodeTorchLegacy(b []byte) (Dict, map[string]string, error) {
	stores := &storages{byKey: map[string]*storage{}}
	copies := budget(len(b))
	u := &unpickler{buf: b, storage: stores.resolve, budget: &copies}
	// Magic number, protocol version, system, the object, the storages' keys.
	var parts [5]any
	for i := range parts {
		v, err := u.load()
		if err != nil {
			return nil, nil, err
		}
		parts[i] = v
	}
	if parts[1] != int64(1001) {
		return nil, nil, invalid("protocol_version is %s, want 1001", describe(parts[1]))
	}
	if sys, ok := parts[2].(*dict); !ok || sys.get("little_endian") != true {
		return nil, nil, unsupported("sys_info does not say little_endian")
	}
	keys, ok := parts[4].(*list)
	if !ok {
		return nil, nil, invalid("the storages' keys are not a list")
	}
	for _, k := range keys.items {
		key, _ := k.(string)
		st := stores.byKey[key]
		if st == nil || st.data != nil {
			return nil, nil, invalid("storage %.80q is not one that a tensor uses, or comes twice", key)
		}
		n := u.length(8)
		size := uint64(dtypeBits[st.dtype] / 8)
		if u.err == nil && n != uint64(st.n) {
			return nil, nil, invalid("storage %.80q: %d elements, want %d", key, n, st.n)
		}
		if u.err != nil || n > uint64(len(u.buf))/size {
			return nil, nil, invalid("storage %.80q: the file ends before its %d×%s", key, st.n, st.dtype)
		}
		st.data = slices.Clip(u.read(n * size))
	}
	for _, key := range stores.keys {
		if stores.byKey[key].data == nil {
			return nil, nil, invalid("storage %.80q is missing", key)
		}
	}
	return stateDict(parts[3], &copies)
}

func (d *dict) get(key string) any {
	for _, it := range slices.Backward(d.items) {
		if it.key == key {
			return it.value
		}
	}
	return nil
}

// nested lists the keys under which checkpoints keep their state dict, the
// most common first.
var nested = []string{"state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params"}

// stateDict finds the state dict in what a pickle holds: the value of one of
// the nested keys that is itself a dict, or else root. Entries that are not
// tensors are passed over.
func stateDict(root any, b *budget) (Dict, map[string]string, error) {
	d, ok := root.(*dict)
	for range 8 {
		if !ok {
			break
		}
		i := slices.IndexFunc(nested, func(key string) bool { _, isDict := d.get(key).(*dict); return isDict })
		if i < 0 {
			break
		}
		d = d.get(nested[i]).(*dict)
	}
	if !ok {
		return nil, nil, unsupported("the file holds no dict of tensors")
	}
	var tensors Dict
	at := map[string]int{}
	for _, it := range d.items {
		ref, ok := it.value.(*tensorRef)
		if !ok {
			continue
		}
		name, ok := it.key.(string)
		if !ok {
			return nil, nil, invalid("a tensor's name is not a string")
		}
		i, again := at[name] // as in Python, the last value counts
		if !again {
			i = len(tensors)
			at[name] = i
			tensors = append(tensors, Tensor{})
		}
		t, err := ref.read(b)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %.80q: %w", name, err)
		}
		t.Name = name
		tensors[i] = t
	}
	if len(tensors) == 0 && len(d.items) > 0 {
		var keys []string
		for _, it := range brief(d.items) {
			keys = append(keys, describe(it.key))
		}
		return nil, nil, unsupported("the file holds no dict of tensors: its keys are %s", strings.Join(keys, ", "))
	}
	return tensors, d.metadata(), tensors.Validate()
}

// describe names a value of a pickle in a few words. A tuple is not printed:
// tuples that share parts, a few bytes each, would be gigabytes of text.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%.40q", v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("a %T", v)
}

// metadata returns what [encodeTorch] attached.
func (d *dict) metadata() map[string]string {
	if d.attrs == nil {
		return nil
	}
	m, ok := d.attrs.get("metadata").(*dict)
	if !ok {
		return nil
	}
	metadata := map[string]string{}
	for _, it := range m.items {
		k, ok := it.key.(string)
		v, ok2 := it.value.(string)
		if ok && ok2 {
			metadata[k] = v
		}
	}
	return metadata
}

// read cuts the tensor out of its storage: a slice of it where the elements
// already lie in row-major order, a copy, charged to b, where they do not.
func (r *tensorRef) read(b *budget) (Tensor, error) {
	shape, err := naturals(r.shape, "size", b)
	if err != nil {
		return Tensor{}, err
	}
	stride, err := naturals(r.stride, "stride", b)
	if err != nil {
		return Tensor{}, err
	}
	offset, ok := natural(r.offset)
	if !ok || len(shape) != len(stride) {
		return Tensor{}, invalid("storage_offset is not an integer, or %d sizes have %d strides", len(shape), len(stride))
	}
	t := Tensor{DType: r.dtype, Shape: shape}
	n, err := byteLen(r.dtype, shape)
	if err != nil {
		return Tensor{}, err
	}
	if n == 0 {
		t.Data = []byte{}
		return t, nil
	}
	// All products below are at most last, which fits the storage.
	size := dtypeBits[r.dtype] / 8
	unit := dtypeBits[r.storage.of.dtype] / 8
	data := r.storage.of.data[r.storage.offset*unit : (r.storage.offset+r.storage.n)*unit]
	have := len(data) / size
	last := offset
	for i, d := range shape {
		if last >= have || stride[i] != 0 && d-1 > (have-1-last)/stride[i] {
			last = have
			break
		}
		last += (d - 1) * stride[i]
	}
	if last >= have {
		return Tensor{}, invalid("size %v, stride %v at storage_offset %d pass the end of a storage of %d elements", brief(shape), brief(stride), offset, have)
	}
	if contiguous(shape, stride) {
		t.Data = data[offset*size : offset*size+n : offset*size+n]
		return t, nil
	}
	if err := b.spend(n, "strided view"); err != nil {
		return Tensor{}, err
	}
	t.Data = gather(data[offset*size:], shape, stride, size, n)
	return t, nil
}

func naturals(v any, field string, b *budget) ([]int, error) {
	items, ok := v.(tuple)
	if !ok {
		return nil, invalid("%s is not a tuple", field)
	}
	if err := b.spend(len(items), field); err != nil {
		return nil, err
	}
	out := make([]int, len(items))
	for i, x := range items {
		if out[i], ok = natural(x); !ok {
			return nil, invalid("%s[%d] is not a natural number", field, i)
		}
	}
	return out, nil
}

// contiguous reports whether strides are those of row-major order; axes of
// size 1 may have any.
func contiguous(shape, stride []int) bool {
	want := 1
	for i, d := range slices.Backward(shape) {
		if d != 1 && stride[i] != want {
			return false
		}
		want *= d
	}
	return true
}

// gather copies the elements of a strided view, n bytes in all, into
// row-major order.
func gather(data []byte, shape, stride []int, size, n int) []byte {
	out := make([]byte, 0, n)
	index := make([]int, len(shape))
	at := 0
	for {
		out = append(out, data[at*size:(at+1)*size]...)
		axis := len(shape) - 1
		for ; axis >= 0; axis-- { // odometer
			index[axis]++
			at += stride[axis]
			if index[axis] < shape[axis] {
				break
			}
			at -= index[axis] * stride[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return out
		}
	}
}
