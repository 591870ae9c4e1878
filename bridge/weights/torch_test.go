package weights

import (
	"slices"
	"testing"
)

// What PyTorch of today no longer writes but old files have: an OrderedDict
// made from a list of pairs, byte strings for names, storages that are views
// of others, tensors on a GPU.
func TestOldPickles(t *testing.T) {
	storage := func(view string) string {
		return "(U\x07storagectorch.cuda\nFloatStorage\nU\x010U\x06cuda:0K\x06" + view + "tQ"
	}
	tensor := func(storage, offset, size string) string {
		return "ctorch._utils\n_rebuild_tensor\n(" + storage + offset + "(" + size + "t(K\x01ttR"
	}
	program := "\x80\x02ccollections\nOrderedDict\n](" +
		"](U\x01a" + tensor(storage("N"), "K\x01", "K\x02") + "e" +
		"](U\x01b" + tensor(storage("(U\x011K\x02K\x03t"), "K\x01", "K\x02") + "e" +
		"](U\x01a" + tensor(storage("N"), "K\x00", "K\x01") + "e" + // again: the last one counts
		"e\x85R."
	f, err := Decode(torchFile(t, program, "data/0", float6))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		name   string
		values []float32
	}{{"a", []float32{1}}, {"b", []float32{4, 5}}} {
		got, err := f.Tensors[i].Float32s()
		if err != nil || f.Tensors[i].Name != want.name || !slices.Equal(got, want.values) {
			t.Errorf("tensor %d: %s %v %v, want %s %v", i, f.Tensors[i].Name, got, err, want.name, want.values)
		}
	}
	for _, view := range []string{"(U\x011K\x02K\x05t", "(U\x011K\x07K\x00t", "(U\x011K\x02t", "K\x01", "(U\x011K\x02" + huge + "t"} {
		if _, err := Decode(torchFile(t, "\x80\x02}U\x01a"+tensor(storage(view), "K\x00", "K\x01")+"s.", "data/0", float6)); err == nil {
			t.Errorf("a storage's view %q is accepted", view)
		}
	}
}

// Tensors that share a storage share its bytes; only strided ones are copied.
func TestNoCopies(t *testing.T) {
	f, err := Open("testdata/views.pth")
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) *byte {
		x, ok := f.Tensors.Get(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		return &x.Data[0]
	}
	base, _ := f.Tensors.Get("base")
	if at("matrix") != &base.Data[0] || at("tail") != &base.Data[80] {
		t.Error("contiguous views are copied")
	}
	if at("transposed") == &base.Data[0] {
		t.Error("a transposed view is not copied")
	}
}
