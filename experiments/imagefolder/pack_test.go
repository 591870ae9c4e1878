package imagefolder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample is a folder of 4 pictures, one of them damaged if asked for.
func sample(t *testing.T, extra map[string]string) *Folder {
	return mustScan(t, write(t, extra, "dim/bear/a.jpg", "dim/dog/b.jpg", "rock/bear/c.jpg", "rock/dog/d.jpg"))
}

func mustBuild(t *testing.T, f *Folder, dir string, o Options) *Pack {
	t.Helper()
	p, err := Build(context.Background(), f, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// files returns the names in dir.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestBuild(t *testing.T) {
	f, dir := sample(t, nil), filepath.Join(t.TempDir(), "cache")
	var seen []Progress
	o := Options{Short: 12, Observe: func(p Progress) {
		if p.Done == 0 {
			if begun, _ := filepath.Glob(p.File + "*"); begun != nil {
				t.Error("something was written before the observer heard of it")
			}
		}
		seen = append(seen, p)
	}}
	p := mustBuild(t, f, dir, o)
	if p.Len() != 4 || p.Short != 12 {
		t.Fatalf("%d images of %d pixels", p.Len(), p.Short)
	}
	for i := range p.Len() {
		data, err := os.ReadFile(filepath.Join(f.Root, p.Path(i)))
		if err != nil {
			t.Fatal(err)
		}
		im, err := Decode(data, false)
		if err != nil {
			t.Fatal(err)
		}
		pixels, h, w := p.Image(i)
		if h != 12 || w != 15 || !bytes.Equal(pixels, Resize(im, 12, 15).Pix) {
			t.Errorf("image %d: %dx%d, or other pixels", i, h, w)
		}
		if p.Label(i) != i%2 || p.Context(i) != i/2 {
			t.Errorf("image %d: label %d, context %d", i, p.Label(i), p.Context(i))
		}
	}
	names := files(t, dir)
	if len(names) != 1 || !strings.HasPrefix(names[0], "images-12-") {
		t.Fatalf("cache holds %q, want one file", names)
	}
	info, err := os.Stat(filepath.Join(dir, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 5 || seen[0].Done != 0 || seen[4].Done != 4 || seen[0].Bytes != info.Size() || seen[0].Refused != nil {
		t.Errorf("progress %+v for a file of %d bytes", seen, info.Size())
	}

	// A second Build reads the file; a changed folder or option makes another.
	seen = nil
	if q := mustBuild(t, f, dir, o); len(seen) != 0 || q.Digest() != p.Digest() {
		t.Error("a whole cache should be used as it is")
	}
	now := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(f.Root, p.Path(2)), now, now); err != nil {
		t.Fatal(err)
	}
	if q := mustBuild(t, mustScan(t, f.Root), dir, o); len(seen) != 5 || q.Digest() != p.Digest() {
		t.Error("a touched file should make another cache of the same digest")
	}
	if q := mustBuild(t, f, dir, Options{Short: 11}); q.Digest() == p.Digest() {
		t.Error("another size should change the digest")
	}
	mustBuild(t, f, dir, Options{Short: 12, Orient: true})
	if n := len(files(t, dir)); n != 4 {
		t.Errorf("%d cache files, want 4", n)
	}
	if err := p.Close(); err != nil || p.Close() != nil {
		t.Errorf("Close: %v, or not repeatable", err)
	}
}

func TestBuildReplacesCorrupt(t *testing.T) {
	f, dir := sample(t, nil), t.TempDir()
	want := mustBuild(t, f, dir, Options{Short: 12}).Digest()
	file := filepath.Join(dir, files(t, dir)[0])
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 1
		return b
	}
	for name, content := range map[string][]byte{
		"empty": nil, "header cut": whole[:20], "index cut": whole[:100], "pixels cut": whole[:len(whole)-1],
		"longer": append(bytes.Clone(whole), 0), "magic": flip(0), "key": flip(8), "sum of the index": flip(40),
		"count": flip(72), "offset": flip(headerSize), "height": flip(headerSize + 8), "last pixel": flip(len(whole) - 1),
	} {
		os.Remove(file) // earlier packs keep their mapping of it
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		var refused error
		p := mustBuild(t, f, dir, Options{Short: 12, Observe: func(p Progress) { refused = p.Refused }})
		if !errors.Is(refused, ErrCorrupt) || !strings.Contains(refused.Error(), file) {
			t.Errorf("%s: refused with %v", name, refused)
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, whole) || p.Digest() != want {
			t.Errorf("%s: not rebuilt as it was", name)
		}
	}
}

func TestBuildListsUnreadable(t *testing.T) {
	whole := string(picture(t, "x"))
	f := sample(t, map[string]string{
		"dim/bear/zero.jpg":   "",
		"dim/bear/html.jpg":   "<html>not found</html>",
		"dim/bear/half.jpg":   whole[:len(whole)/2],
		"rock/dog/half.jpg":   whole[:len(whole)-20],
		"rock/dog/scan.tiff":  "II*\x00",
		"rock/dog/Thumbs.db":  "x",
		"rock/dog/png.jpg":    string(encodePNG(t, load(t, "source.png").rgba())),
		"rock/dog/ribbon.png": string(encodePNG(t, (&Image{H: 1, W: 9000, Pix: make([]byte, 27000)}).rgba())),
	})
	want := []string{"dim/bear/half.jpg", "dim/bear/html.jpg", "dim/bear/zero.jpg", "rock/dog/half.jpg", "rock/dog/ribbon.png", "rock/dog/scan.tiff"}
	dir := t.TempDir()
	_, err := Build(context.Background(), f, dir, Options{Short: 96})
	u, ok := errors.AsType[*UnreadableError](err)
	if !ok {
		t.Fatalf("error %v, want an UnreadableError", err)
	}
	var got []string
	for _, e := range u.Files {
		got = append(got, e.Path)
		if !strings.Contains(err.Error(), e.Path) {
			t.Errorf("the message does not name %s", e.Path)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || u.Total != 11 || !errors.Is(err, ErrFormat) || !errors.Is(err, ErrTooLarge) {
		t.Errorf("unreadable %q of %d, want %q", got, u.Total, want)
	}
	if names := files(t, dir); len(names) != 0 {
		t.Errorf("a failed Build left %q", names)
	}

	// A fault that only decoding finds removes the file begun.
	g := sample(t, map[string]string{"dim/bear/half.jpg": whole[:len(whole)-20]})
	want = want[:1]
	if _, err := Build(context.Background(), g, dir, Options{Short: 12}); err == nil || !strings.Contains(err.Error(), want[0]) {
		t.Errorf("error %v, want one that names %s", err, want[0])
	}
	if names := files(t, dir); len(names) != 0 {
		t.Errorf("a failed Build left %q", names)
	}
}

func TestBuildCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	_, err := Build(ctx, sample(t, nil), dir, Options{Short: 12, Workers: 1, Observe: func(p Progress) {
		if p.Done == 1 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(files(t, dir)) != 0 {
		t.Errorf("error %v, files %q; want a clean cancellation", err, files(t, dir))
	}
}

func TestBuildNoticesChange(t *testing.T) {
	f := sample(t, nil)
	file := filepath.Join(f.Root, f.Entries[3].Path)
	_, err := Build(context.Background(), f, t.TempDir(), Options{Short: 12, Observe: func(p Progress) {
		if p.Done == 0 {
			if err := os.WriteFile(file, encodePNG(t, load(t, "source.png").rgba()), 0o644); err != nil {
				t.Error(err)
			}
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "rock/dog/d.jpg: changed while it was read") {
		t.Errorf("error %v, want the changed file", err)
	}
}

// rgba returns im as the standard library's type.
func (im *Image) rgba() *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, im.W, im.H))
	n := im.H * im.W
	for i := range n {
		m.SetRGBA(i%im.W, i/im.W, color.RGBA{im.Pix[i], im.Pix[n+i], im.Pix[2*n+i], 255})
	}
	return m
}
