package imagefolder

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// load decodes a file of testdata, made by scripts/reference/resize.py.
func load(t *testing.T, name string) *Image {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	im, err := Decode(data, false)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return im
}

// difference returns the mean and the largest difference of two images of one
// size, in gray levels.
func difference(t *testing.T, a, b *Image) (mean, most float64) {
	t.Helper()
	if a.H != b.H || a.W != b.W {
		t.Fatalf("size %dx%d, want %dx%d", a.H, a.W, b.H, b.W)
	}
	for i := range a.Pix {
		d := float64(max(a.Pix[i], b.Pix[i]) - min(a.Pix[i], b.Pix[i]))
		mean += d / float64(len(a.Pix))
		most = max(most, d)
	}
	return mean, most
}

func TestResizeEqualsPIL(t *testing.T) {
	source := load(t, "source.png")
	for _, size := range [][2]int{{37, 53}, {16, 22}, {64, 91}, {37, 20}, {9, 53}, {1, 1}, {80, 7}} {
		h, w := size[0], size[1]
		want := load(t, fmt.Sprintf("source.%dx%d.png", h, w))
		if _, most := difference(t, Resize(source, h, w), want); most != 0 {
			t.Errorf("%dx%d: pixels differ from PIL's by up to %v", h, w, most)
		}
	}
}

func TestResizeConstant(t *testing.T) {
	im := &Image{H: 7, W: 9, Pix: bytes.Repeat([]byte{201}, 3*7*9)}
	for _, size := range [][2]int{{1, 1}, {3, 20}, {31, 2}} {
		if got := Resize(im, size[0], size[1]); !bytes.Equal(got.Pix, bytes.Repeat([]byte{201}, len(got.Pix))) {
			t.Errorf("a constant image resized to %v is not constant", size)
		}
	}
	if Resize(im, 7, 9) != im {
		t.Error("resizing to the same size should return the image itself")
	}
}

func TestFitSize(t *testing.T) {
	// Values of torchvision's int(size * long / short).
	for _, c := range []struct{ h, w, short, wantH, wantW int }{
		{500, 375, 256, 341, 256},
		{375, 500, 256, 256, 341},
		{227, 227, 64, 64, 64},
		{256, 1000, 256, 256, 1000},
		{3, 2, 5, 7, 5},
	} {
		if h, w := fitSize(c.h, c.w, c.short); h != c.wantH || w != c.wantW {
			t.Errorf("fitSize(%d, %d, %d) = %d, %d, want %d, %d", c.h, c.w, c.short, h, w, c.wantH, c.wantW)
		}
	}
}

func BenchmarkResize(b *testing.B) {
	im := &Image{H: 375, W: 500, Pix: make([]byte, 3*375*500)}
	for b.Loop() {
		Resize(im, 256, 341)
	}
}
