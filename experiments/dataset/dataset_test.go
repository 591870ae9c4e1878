package dataset

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	hex := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for _, s := range Table {
		if got, err := Find(s.Name); err != nil || got.Title != s.Title {
			t.Errorf("%s: not found: %v", s.Name, err)
		}
		if len(s.Classes) != 10 || s.Shape.Len() == 0 || len(s.Origins()) == 0 || s.Origins()[0] != s.URL {
			t.Errorf("%s: incomplete: %+v", s.Name, s)
		}
		for _, f := range slices.Concat(s.Files, s.downloads()) {
			if f.Name == "" || !hex.MatchString(f.MD5) || f.Content != "" && !hex.MatchString(f.Content) {
				t.Errorf("%s: bad file %+v", s.Name, f)
			}
		}
	}
	if _, err := Find("minst"); err == nil || !strings.Contains(err.Error(), strings.Join(Names(), ", ")) {
		t.Errorf("the error for an unknown name must list the known ones: %v", err)
	}
}

func TestOpenFolder(t *testing.T) {
	plain := map[string][]byte{}
	for name, data := range idxFiles() {
		content, err := gunzip(data)
		if err != nil {
			t.Fatal(err)
		}
		plain[strings.TrimSuffix(name, ".gz")] = content
	}
	with := func(name string, data []byte) map[string][]byte {
		files := idxFiles()
		files[name] = data
		return files
	}
	images := idx(0, 251, 20, 28, 28)
	for name, files := range map[string]map[string][]byte{
		"compressed":       idxFiles(),
		"plain":            plain,
		"two gzip members": with("train-images-idx3-ubyte.gz", zip(images[:999], images[999:])),
		"plain, named .gz": with("train-images-idx3-ubyte.gz", images),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := open(t.Context(), []Source{toy()}, "toy", Options{Dir: folder(t, files)})
			if err != nil {
				t.Fatal(err)
			}
			if s.Train.Len() != 20 || s.Test.Len() != 10 || !s.Official {
				t.Errorf("%d training and %d test images, official: %t", s.Train.Len(), s.Test.Len(), s.Official)
			}
			if !slices.Equal(s.Train.Images, images[16:]) || !slices.Equal(s.Test.Labels, []uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
				t.Error("wrong images or labels")
			}
		})
	}
	t.Run("someone's own", func(t *testing.T) {
		files := with("train-images-idx3-ubyte.gz", zip(idx(1, 251, 20, 28, 28)))
		s, err := open(t.Context(), []Source{toy()}, "toy", Options{Dir: folder(t, files)})
		if err != nil || s.Official {
			t.Errorf("must open, but not as official: %v", err)
		}
	})
	for _, name := range []string{"cifar-10-batches-bin", ""} {
		t.Run("cifar10 in /"+name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, name), cifarFiles())
			// The publisher's list of class names ends in empty lines.
			put(t, filepath.Join(dir, name), map[string][]byte{"batches.meta.txt": []byte("airplane\n\n\n")})
			checkCIFAR(t, dir)
		})
	}
	t.Run("cifar10 archive", func(t *testing.T) {
		checkCIFAR(t, folder(t, map[string][]byte{"cifar-10-binary.tar.gz": tarball(cifarFiles())}))
	})
}

func checkCIFAR(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(t.Context(), "cifar10", Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if s.Train.Len() != 20 || s.Test.Len() != 4 || len(s.Classes) != 10 || s.Official {
		t.Errorf("%d training and %d test images, %d classes, official: %t", s.Train.Len(), s.Test.Len(), len(s.Classes), s.Official)
	}
	// Image 6 is the third of the second file, image 3 of the test set its last.
	if s.Train.Labels[6] != 2 || s.Train.Images[6*3072] != 1+14 || s.Test.Images[4*3072-1] != (5+21+3071)%256 {
		t.Error("wrong images or labels")
	}
}

func TestMalformed(t *testing.T) {
	const images, labels = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
	files := idxFiles()
	huge := idx(0, 251, 20, 28, 28)
	copy(huge[4:], "\xff\xff\xff\xff")
	overflow := idx(0, 2, 1, 1, 1)
	copy(overflow[4:], strings.Repeat("\xff", 12))
	bin := cifarFiles()
	archive := tarball(bin)
	lacking := cifarFiles()
	delete(lacking, "data_batch_3.bin")
	ofNothing := cifarFiles()
	ofNothing["data_batch_3.bin"] = nil
	for name, c := range map[string]struct {
		source, file string
		data         []byte
		want         string
	}{
		"truncated":        {"toy", images, files[images][:len(files[images])-9], "truncated"},
		"no bytes":         {"toy", images, nil, "empty"},
		"empty gzip":       {"toy", images, zip(nil), "not an IDX file"},
		"web page":         {"toy", images, []byte("\n<!DOCTYPE html>"), "web page"},
		"other text":       {"toy", images, []byte("moved"), "not gzip"},
		"garbage behind":   {"toy", images, append(slices.Clone(files[images]), "more"...), "gzip"},
		"huge count":       {"toy", images, zip(huge), "declares [4294967295 28 28]"},
		"overflow":         {"toy", images, zip(overflow), "declares [4294967295 4294967295 4294967295]"},
		"labels":           {"toy", images, files[labels], "rank 1, want 3"},
		"images":           {"toy", labels, files[images], "rank 3, want 1"},
		"fewer labels":     {"toy", labels, zip(idx(0, 10, 19)), "20 images, but 19 labels"},
		"label 10":         {"toy", labels, zip(idx(0, 11, 20)), "label 10 of image 10"},
		"floats":           {"toy", images, zip([]byte{0, 0, 13, 3, 0, 0, 0, 1}), "type 0x0d"},
		"no images":        {"toy", images, zip(idx(0, 1, 0, 28, 28)), "no elements"},
		"header only":      {"toy", images, zip([]byte{0, 0, 8, 3, 0, 0}), "header"},
		"bytes behind":     {"toy", images, zip(append(idx(0, 251, 20, 28, 28), 1)), "holds 15681"},
		"wrong size":       {"toy", images, zip(idx(0, 251, 20, 32, 32)), "32×32 pixels, want 28×28"},
		"short record":     {"cifar10", "data_batch_3.bin", bin["data_batch_3.bin"][1:], "12291 is not a multiple of 3073"},
		"cifar label":      {"cifar10", "data_batch_3.bin", append(slices.Clone(bin["data_batch_3.bin"]), slices.Repeat([]byte{10}, 3073)...), "label 10 of record 4"},
		"cifar empty":      {"cifar10", "test_batch.bin", nil, "empty"},
		"archive cut":      {"cifar10", "cifar-10-binary.tar.gz", archive[:len(archive)*2/3], "truncated"},
		"archive's end":    {"cifar10", "cifar-10-binary.tar.gz", archive[:len(archive)-1], "truncated"},
		"archive lacks":    {"cifar10", "cifar-10-binary.tar.gz", tarball(lacking), "lacks data_batch_3.bin"},
		"archive of empty": {"cifar10", "cifar-10-binary.tar.gz", tarball(ofNothing), "data_batch_3.bin: malformed file: is empty"},
		"not an archive":   {"cifar10", "cifar-10-binary.tar.gz", []byte("moved"), "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			all := idxFiles()
			if c.source == "cifar10" {
				all = cifarFiles()
			}
			if c.file == "cifar-10-binary.tar.gz" {
				all = map[string][]byte{}
			}
			all[c.file] = c.data
			dir := folder(t, all)
			s, err := open(t.Context(), []Source{toy(), cifar()}, c.source, Options{Dir: dir})
			if !errors.Is(err, ErrMalformed) || s != nil {
				t.Fatalf("error %v, want one of a malformed file", err)
			}
			if !strings.Contains(err.Error(), filepath.Join(dir, c.file)) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q must name the file and say %q", err, c.want)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != len(all) {
				t.Errorf("the folder holds %v now (%v)", left, err)
			}
		})
	}
}

// pixels makes a set of grey 1×2 images.
func pixels(train, trainLabels, test, testLabels []uint8) *Set {
	s := &Set{Name: "pixels", Classes: []string{"a", "b"}}
	s.Shape.C, s.Shape.H, s.Shape.W = 1, 1, 2
	return s.with(Part{train, trainLabels}, Part{test, testLabels})
}

func TestCheck(t *testing.T) {
	got := Check(pixels([]uint8{0, 255, 0, 0, 0, 255}, []uint8{0, 1, 0}, []uint8{0, 255, 255, 0, 0, 0}, []uint8{0, 0, 0}))
	want := Report{
		Train:      PartReport{[]int{2, 1}, []float64{1. / 3}, []float64{math.Sqrt(2) / 3}},
		Test:       PartReport{[]int{3, 0}, []float64{1. / 3}, []float64{math.Sqrt(2) / 3}},
		Duplicates: []Duplicate{{0, 0, true}, {2, 1, false}},
	}
	for _, p := range []*PartReport{&got.Train, &got.Test} {
		for i, w := range []float64{1. / 3, math.Sqrt(2) / 3} {
			v := []*[]float64{&p.Mean, &p.Std}[i]
			if len(*v) == 1 && math.Abs((*v)[0]-w) < 1e-12 {
				(*v)[0] = w
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDigest(t *testing.T) {
	s := pixels([]uint8{1, 2, 3, 4}, []uint8{0, 1}, []uint8{5, 6}, []uint8{0})
	seen := map[string]bool{s.Digest: true}
	for _, other := range []*Set{
		pixels([]uint8{1, 2, 3, 5}, []uint8{0, 1}, []uint8{5, 6}, []uint8{0}),
		pixels([]uint8{1, 2, 3, 4}, []uint8{1, 1}, []uint8{5, 6}, []uint8{0}),
		pixels([]uint8{1, 2, 3, 4}, []uint8{0, 1}, []uint8{5, 7}, []uint8{0}),
		pixels([]uint8{1, 2, 3, 4}, []uint8{0, 1}, []uint8{5, 6}, []uint8{1}),
		pixels([]uint8{1, 2}, []uint8{0}, []uint8{3, 4, 5, 6}, []uint8{1, 0}),
	} {
		if seen[other.Digest] {
			t.Errorf("%v and %v share a digest with another set", other.Train, other.Test)
		}
		seen[other.Digest] = true
	}
}

func TestSubset(t *testing.T) {
	s := pixels([]uint8{1, 2, 3, 4, 5, 6}, []uint8{0, 1, 0}, []uint8{7, 8}, []uint8{1})
	sub, err := s.Subset(2)
	if err != nil {
		t.Fatal(err)
	}
	if want := pixels([]uint8{1, 2, 3, 4}, []uint8{0, 1}, []uint8{7, 8}, []uint8{1}); !reflect.DeepEqual(sub, want) {
		t.Errorf("got %+v, want %+v", sub, want)
	}
	for _, n := range []int{-1, 0, 4} {
		if _, err := s.Subset(n); err == nil {
			t.Errorf("no error for %d of 3", n)
		}
	}
}

// The four parts are disjoint, equal in size, cover the pool, keep every label
// with its image, and depend on the seed.
func TestSplit(t *testing.T) {
	var images, labels []uint8
	for i := range uint8(41) {
		images = append(images, i, i)
		labels = append(labels, i%2)
	}
	s := pixels(images[:60], labels[:30], images[60:], labels[30:])
	target, shadow := Split(s, 3)
	seen := map[uint8]bool{}
	for _, p := range []Part{target.Train, target.Test, shadow.Train, shadow.Test} {
		if p.Len() != 10 || len(p.Images) != 20 {
			t.Fatalf("a part of %d images", p.Len())
		}
		for i, l := range p.Labels {
			id := p.Images[2*i]
			if seen[id] || p.Images[2*i+1] != id || l != id%2 {
				t.Errorf("image %d comes twice, or with the wrong label", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != 40 {
		t.Errorf("%d images of 40", len(seen))
	}
	again, _ := Split(s, 3)
	other, _ := Split(s, 4)
	if again.Digest != target.Digest || other.Digest == target.Digest || shadow.Digest == target.Digest {
		t.Error("the split must be a function of the seed")
	}
	if !slices.Equal(s.Train.Images, images[:60]) {
		t.Error("the set was written to")
	}
}

func FuzzIDX(f *testing.F) {
	f.Add(idx(0, 251, 2, 3, 4), 3)
	f.Add(idx(0, 10, 5), 1)
	f.Add([]byte{0, 0, 8, 1, 255, 255, 255, 255}, 1)
	f.Fuzz(func(t *testing.T, data []byte, rank int) {
		rank = min(max(rank, 1), 8)
		dims, body, err := parseIDX(data, rank)
		if err != nil {
			return
		}
		n := 1
		for _, d := range dims {
			n *= d
		}
		if len(dims) != rank || n != len(body) || 4+4*rank+n != len(data) {
			t.Errorf("rank %d: dimensions %v, %d bytes of %d", rank, dims, len(body), len(data))
		}
	})
}

func FuzzCIFAR(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0, 4, 5})
	f.Add([]byte{9, 0, 0})
	f.Add([]byte{1, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Part
		if parseCIFAR(&p, data, 2, 3) != nil {
			return
		}
		if p.Len() == 0 || 3*p.Len() != len(data) || len(p.Images) != 2*p.Len() || slices.Max(p.Labels) > 2 {
			t.Errorf("%v gives %v", data, p)
		}
	})
}

func FuzzGzip(f *testing.F) {
	f.Add(zip([]byte("some"), []byte(" text")))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := newBlob(File{}, "x.gz", data)
		if err == nil && b.data == nil || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes and error %v", len(b.data), err)
		}
	})
}
