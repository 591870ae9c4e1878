package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// idx returns an IDX file of bytes that count up from first, below limit.
func idx(first, limit int, dims ...int) []byte {
	data := []byte{0, 0, 8, byte(len(dims))}
	n := 1
	for _, d := range dims {
		data = binary.BigEndian.AppendUint32(data, uint32(d))
		n *= d
	}
	for i := range n {
		data = append(data, byte((first+i)%limit))
	}
	return data
}

func zip(members ...[]byte) []byte {
	var b bytes.Buffer
	for _, m := range members {
		z := gzip.NewWriter(&b)
		z.Write(m)
		z.Close()
	}
	return b.Bytes()
}

// idxFiles returns 20 training and 10 test images of 28×28 pixels as published.
func idxFiles() map[string][]byte {
	return map[string][]byte{
		"train-images-idx3-ubyte.gz": zip(idx(0, 251, 20, 28, 28)),
		"train-labels-idx1-ubyte.gz": zip(idx(0, 10, 20)),
		"t10k-images-idx3-ubyte.gz":  zip(idx(7, 241, 10, 28, 28)),
		"t10k-labels-idx1-ubyte.gz":  zip(idx(0, 10, 10)),
	}
}

// cifarFiles returns 5×4 training and 4 test images of CIFAR-10's shape.
func cifarFiles() map[string][]byte {
	files := map[string][]byte{}
	for i, f := range cifar().Files {
		var data []byte
		for j := range 4 {
			data = append(data, byte(j))
			for k := range 3072 {
				data = append(data, byte(i+7*j+k))
			}
		}
		files[f.Name] = data
	}
	return files
}

func tarball(files map[string][]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w.WriteHeader(&tar.Header{Name: "cifar-10-batches-bin/" + name, Size: int64(len(files[name])), Mode: 0o644})
		w.Write(files[name])
	}
	w.Close()
	return zip(b.Bytes())
}

func cifar() Source {
	s, err := Find("cifar10")
	if err != nil {
		panic(err)
	}
	return s
}

// toy is a source that has published idxFiles at the origins.
func toy(origins ...origin) Source {
	var md5s, contents [4]string
	s := idxSource(Source{Name: "toy", URL: "http://toy.example/", Classes: make([]string, 10), Folders: []string{"toy", ""}}, md5s, contents, nil)
	for i := range s.Files {
		f := &s.Files[i]
		data := idxFiles()[f.Name]
		content, err := gunzip(data)
		if err != nil {
			panic(err)
		}
		f.MD5, f.Content = sum(data), sum(content)
	}
	s.origins = origins
	return s
}

// folder writes files into a new folder.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, files)
	return dir
}

func put(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
