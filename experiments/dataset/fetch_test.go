package dataset

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serve publishes files and counts requests by "GET name" or "RANGE name".
func serve(t *testing.T, files map[string][]byte, wrap func(http.Handler) http.Handler) (web, func(string) int) {
	var mu sync.Mutex
	seen := map[string]int{}
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		how := "GET "
		if r.Header.Get("Range") != "" {
			how = "RANGE "
		}
		mu.Lock()
		seen[how+name]++
		mu.Unlock()
		data, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, name, time.Time{}, strings.NewReader(string(data)))
	})
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return web(server.URL + "/"), func(key string) int {
		mu.Lock()
		defer mu.Unlock()
		return seen[key]
	}
}

// nowhere is an address at which nothing listens.
const nowhere = web("http://127.0.0.1:1/")

const firstFile = "train-images-idx3-ubyte.gz"

func TestFetch(t *testing.T) {
	files := idxFiles()
	site, seen := serve(t, files, nil)
	cache := t.TempDir()
	var last Progress
	calls := 0
	o := Options{CacheDir: cache, Progress: func(p Progress) { last = p; calls++ }}
	s, err := open(t.Context(), []Source{toy(site)}, "toy", o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Train.Len() != 20 || !s.Official {
		t.Errorf("%d images, official: %t", s.Train.Len(), s.Official)
	}
	size := int64(len(files["t10k-labels-idx1-ubyte.gz"]))
	want := Progress{"toy", "t10k-labels-idx1-ubyte.gz", string(site) + "t10k-labels-idx1-ubyte.gz", size, size}
	if last != want {
		t.Errorf("last progress %+v, want %+v", last, want)
	}

	calls = 0
	again, err := open(t.Context(), []Source{toy(site)}, "toy", Options{CacheDir: cache, Offline: true, Progress: o.Progress})
	if err != nil || again.Digest != s.Digest || calls != 0 {
		t.Errorf("the cache must serve offline: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cache, "toy", ".fetch")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("scratch is left: %v", err)
	}

	// A letter changes in the cache: offline an error that says so, else fetched again.
	broken := filepath.Join(cache, "toy", "t10k-labels-idx1-ubyte")
	if err := os.WriteFile(broken, idx(1, 10, 10), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = open(t.Context(), []Source{toy(site)}, "toy", Options{CacheDir: cache, Offline: true})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), broken+": malformed file: md5") {
		t.Errorf("offline with a broken cache: %v", err)
	}
	again, err = open(t.Context(), []Source{toy(site)}, "toy", o)
	if err != nil || again.Digest != s.Digest || seen("GET "+firstFile) != 2 {
		t.Errorf("a broken cache must be fetched again: %v", err)
	}
}

func TestFetchArchive(t *testing.T) {
	site, _ := serve(t, map[string][]byte{"cifar-10-binary.tar.gz": tarball(cifarFiles())}, nil)
	s := cifar()
	s.origins = []origin{site}
	s.Files = slices.Clone(s.Files)
	for i, f := range s.Files {
		s.Files[i].MD5 = sum(cifarFiles()[f.Name])
	}
	s.Archive.MD5 = sum(tarball(cifarFiles()))
	cache := t.TempDir()
	for _, offline := range []bool{false, true} {
		set, err := open(t.Context(), []Source{s}, "cifar10", Options{CacheDir: cache, Offline: offline})
		if err != nil || set.Train.Len() != 20 || !set.Official {
			t.Fatalf("offline %t: %v", offline, err)
		}
	}
}

// The server breaks off in the middle of the first file; the download goes on
// where it stopped, in the same call or, if nothing came, in the next.
func TestResume(t *testing.T) {
	var breaks atomic.Int32
	site, seen := serve(t, idxFiles(), func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := filepath.Base(r.URL.Path)
			if name != firstFile || breaks.Load() == 0 {
				h.ServeHTTP(w, r)
				return
			}
			if breaks.Add(-1); r.Header.Get("Range") != "" {
				panic(http.ErrAbortHandler)
			}
			data := idxFiles()[name]
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Write(data[:len(data)/2])
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
	})
	for _, c := range []struct {
		breaks    int32
		wantFirst bool // whether the first call succeeds
	}{{1, true}, {2, false}} {
		breaks.Store(c.breaks)
		before, ranges := seen("GET "+firstFile), seen("RANGE "+firstFile)
		o := Options{CacheDir: t.TempDir()}
		_, err := open(t.Context(), []Source{toy(site)}, "toy", o)
		if (err == nil) != c.wantFirst {
			t.Errorf("%d breaks: %v", c.breaks, err)
		}
		if _, err := open(t.Context(), []Source{toy(site)}, "toy", o); err != nil {
			t.Errorf("%d breaks, second call: %v", c.breaks, err)
		}
		if seen("GET "+firstFile) != before || seen("RANGE "+firstFile) != ranges+1 {
			t.Errorf("%d breaks: %d whole and %d partial requests, want only one partial one served", c.breaks, seen("GET "+firstFile)-before, seen("RANGE "+firstFile)-ranges)
		}
	}
}

// A part on disk that is not of the server's file is not built upon.
func TestForeignPart(t *testing.T) {
	for name, part := range map[string][]byte{
		"longer":   make([]byte, 1<<20),
		"complete": idxFiles()[firstFile],
	} {
		t.Run(name, func(t *testing.T) {
			site, seen := serve(t, idxFiles(), nil)
			cache := t.TempDir()
			put(t, filepath.Join(cache, "toy", ".fetch", "0"), map[string][]byte{firstFile + ".part": part})
			if _, err := open(t.Context(), []Source{toy(site)}, "toy", Options{CacheDir: cache}); err != nil {
				t.Fatal(err)
			}
			if whole := seen("GET " + firstFile); whole != 1 && name == "longer" || whole != 0 && name == "complete" {
				t.Errorf("%d requests for the whole file", whole)
			}
		})
	}
}

func TestNextOrigin(t *testing.T) {
	good, _ := serve(t, idxFiles(), nil)
	portal, _ := serve(t, nil, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>log in</html>") })
	})
	missing, _ := serve(t, nil, nil)
	start := time.Now()
	s, err := open(t.Context(), []Source{toy(nowhere, portal, missing, good)}, "toy", Options{CacheDir: t.TempDir()})
	if err != nil || !s.Official {
		t.Errorf("the last origin has it: %v", err)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("failing over took %v", d)
	}

	cache, dir := t.TempDir(), t.TempDir()
	_, err = open(t.Context(), []Source{toy(nowhere, portal, missing)}, "toy", Options{Dir: dir, CacheDir: cache})
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) || !errors.Is(err, ErrUnavailable) || len(unavailable.Tried) != 5 {
		t.Fatalf("error %v, want one that lists five places", err)
	}
	for _, want := range []string{dir + ":", cache, string(nowhere) + ": " + firstFile, "web page", "404", "http://toy.example/", "--data-dir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestFolderBeforeCache(t *testing.T) {
	site, seen := serve(t, idxFiles(), nil)
	table := []Source{toy(site)}
	dir := folder(t, idxFiles())
	s, err := open(t.Context(), table, "toy", Options{Dir: dir, CacheDir: t.TempDir()})
	if err != nil || s.From != dir || seen("GET "+firstFile) != 0 {
		t.Errorf("the user's folder comes first: %v", err)
	}

	part := idxFiles()
	delete(part, "t10k-labels-idx1-ubyte.gz")
	dir = folder(t, part)
	_, err = open(t.Context(), table, "toy", Options{Dir: dir, CacheDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), dir+": lacks t10k-labels-idx1-ubyte.gz") {
		t.Errorf("half of a data set must not be passed over: %v", err)
	}

	dir = filepath.Join(t.TempDir(), "typo")
	if _, err := open(t.Context(), table, "toy", Options{Dir: dir, CacheDir: t.TempDir()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that does not exist must not be passed over: %v", err)
	}

	// Two data sets under the same file names, one of them beside the other.
	twin := toy()
	twin.Name, twin.Folders, twin.Files = "twin", []string{"twin", ""}, make([]File, 4)
	for i, f := range toy().Files {
		twin.Files[i].Name = f.Name
	}
	table = append(table, twin)
	dir = folder(t, idxFiles())
	if _, err := open(t.Context(), table, "twin", Options{Dir: dir}); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "is of toy") {
		t.Errorf("the files of another data set were taken: %v", err)
	}
	other := idxFiles()
	other[firstFile] = zip(idx(3, 251, 20, 28, 28))
	put(t, filepath.Join(dir, "twin"), other)
	for name, first := range map[string]uint8{"toy": 0, "twin": 3} {
		if s, err := open(t.Context(), table, name, Options{Dir: dir}); err != nil || s.Train.Images[0] != first {
			t.Errorf("%s: wrong files: %v", name, err)
		}
	}
}

// Many that want the same data at once fetch it once.
func TestConcurrentFetch(t *testing.T) {
	site, seen := serve(t, idxFiles(), nil)
	cache := t.TempDir()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := open(t.Context(), []Source{toy(site)}, "toy", Options{CacheDir: cache}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := seen("GET " + firstFile); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	hang := make(chan struct{})
	site, _ := serve(t, nil, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel(stop)
			<-hang
		})
	})
	defer close(hang)
	_, err := open(ctx, []Source{toy(site, nowhere)}, "toy", Options{CacheDir: t.TempDir()})
	if !errors.Is(err, stop) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want the cause of the end", err)
	}
}

// Package managers, played by shell scripts.
func TestPackages(t *testing.T) {
	bin, ship := t.TempDir(), folder(t, idxFiles())
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	script := func(name, body string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	module := goModule{"example.com/toy@v1.0.0", "."}
	debian := debianPackage{"dataset-toy", "no/such/place"}
	tryOne := func(o origin) error {
		_, err := open(t.Context(), []Source{toy(o)}, "toy", Options{CacheDir: t.TempDir()})
		return err
	}

	script("go", `[ "$*" = "mod download -json example.com/toy@v1.0.0" ] && echo '{"Dir":"`+ship+`"}'`)
	if err := tryOne(module); err != nil {
		t.Error(err)
	}
	script("go", `echo '{"Error":"unknown revision v1.0.0"}'; exit 1`)
	if err := tryOne(module); err == nil || !strings.Contains(err.Error(), "Go module example.com/toy@v1.0.0: unknown revision v1.0.0") {
		t.Errorf("a failed module: %v", err)
	}

	script("apt-get", `[ "$*" = "download dataset-toy" ] && : > dataset-toy_1_all.deb`)
	script("dpkg-deb", `[ "$1 $2" = "-x $PWD/dataset-toy_1_all.deb" ] && mkdir -p "$3/no/such" && cp -r "`+ship+`" "$3/no/such/place"`)
	if err := tryOne(debian); err != nil {
		t.Error(err)
	}
	script("apt-get", `echo "reading" >&2; echo "E: Unable to locate package dataset-toy" >&2; exit 100`)
	if err := tryOne(debian); err == nil || !strings.Contains(err.Error(), "exit status 100: E: Unable to locate package dataset-toy") {
		t.Errorf("a failed package: %v", err)
	}
}
