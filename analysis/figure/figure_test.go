package figure

import (
	"bytes"
	"errors"
	"flag"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
)

var (
	regen = flag.Bool("regen", false, "write the golden files")
	show  = flag.String("show", "", "save the samples in full size in this folder, to be looked at")
)

// goldenDPI keeps the golden files small.
const goldenDPI = 50

// tolerance is the mean absolute difference that TestGolden allows.
const tolerance = .0003

func TestGolden(t *testing.T) {
	for name, f := range samples() {
		if *show != "" {
			if err := f.Save(filepath.Join(*show, name)); err != nil {
				t.Fatal(err)
			}
		}
		var got bytes.Buffer
		if err := f.encode(&got, "png", goldenDPI); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".png")
		if *regen {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := difference(t, got.Bytes(), want); d > tolerance {
			t.Errorf("%s differs from its golden file by %.4f", name, d)
		}
	}
}

// difference returns the mean absolute difference of two PNGs, in [0, 1]: 1 if
// their sizes differ. Rounding moves the shades of edges a little from one
// processor to another; a series that is missing is .0008.
func difference(t *testing.T, a, b []byte) float64 {
	t.Helper()
	var imgs [2]image.Image
	for i, raw := range [][]byte{a, b} {
		var err error
		if imgs[i], err = png.Decode(bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
	}
	box := imgs[0].Bounds()
	if box != imgs[1].Bounds() {
		return 1
	}
	sum := 0.0
	for y := range box.Dy() {
		for x := range box.Dx() {
			p := color.RGBAModel.Convert(imgs[0].At(x, y)).(color.RGBA)
			q := color.RGBAModel.Convert(imgs[1].At(x, y)).(color.RGBA)
			for _, d := range []int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B)} {
				sum += math.Abs(float64(d))
			}
		}
	}
	return sum / float64(3*255*box.Dx()*box.Dy())
}

// The tolerance of TestGolden is one that a missing series does not pass.
func TestDifference(t *testing.T) {
	var a, b bytes.Buffer
	f := curvesSample()
	if err := f.encode(&a, "png", goldenDPI); err != nil {
		t.Fatal(err)
	}
	p := f.Panels[1].(*Curves)
	p.Series[3].Points = nil
	if err := f.encode(&b, "png", goldenDPI); err != nil {
		t.Fatal(err)
	}
	if d := difference(t, a.Bytes(), b.Bytes()); d < 2*tolerance {
		t.Errorf("a missing series changes the picture by %.4f only", d)
	}
	if d := difference(t, a.Bytes(), a.Bytes()); d != 0 {
		t.Errorf("a picture differs from itself by %v", d)
	}
}

// Panels and legend lie inside the page and apart from each other.
func TestNothingOverlaps(t *testing.T) {
	for name, f := range samples() {
		for _, place := range []Place{Right, Below, NoLegend} {
			f.Legend = place
			p := f.layOut()
			boxes := []vg.Rectangle{}
			for _, c := range p.cells {
				boxes = append(boxes, vg.Rectangle{Min: c.body.Min, Max: vg.Point{X: c.body.Max.X, Y: c.titleTop}})
			}
			if place != NoLegend && !p.legend.empty() {
				boxes = append(boxes, vg.Rectangle{
					Min: vg.Point{X: p.at.X, Y: p.at.Y - p.legend.h}, Max: vg.Point{X: p.at.X + p.legend.w, Y: p.at.Y},
				})
			}
			top := p.h - margin - stack(p.header)
			for i, a := range boxes {
				if a.Min.X < 0 || a.Min.Y < 0 || a.Max.X > p.w || a.Max.Y > top {
					t.Errorf("%s, legend %d: box %d of %d is outside the page", name, place, i, len(boxes))
				}
				for j, b := range boxes[:i] {
					if a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y {
						t.Errorf("%s, legend %d: boxes %d and %d overlap", name, place, i, j)
					}
				}
			}
		}
	}
}

func TestEmptyFigure(t *testing.T) {
	for _, format := range Formats() {
		for _, f := range []*Figure{{}, {Title: "title"}, {Panels: []Panel{&Table{}}, Legend: Below}} {
			if err := f.Encode(&bytes.Buffer{}, format); err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
	}
}

func TestSameBytes(t *testing.T) {
	for _, name := range []string{"heat", "images", "bars"} {
		for _, format := range Formats() {
			var a, b bytes.Buffer
			if err := errors.Join(samples()[name].Encode(&a, format), samples()[name].Encode(&b, format)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a.Bytes(), b.Bytes()) {
				t.Errorf("%s: two %ss of one figure differ", name, format)
			}
		}
	}
}

func TestSave(t *testing.T) {
	base := filepath.Join(t.TempDir(), "fig")
	if err := tableSample().Save(base); err != nil {
		t.Fatal(err)
	}
	for format, magic := range map[string]string{"png": "\x89PNG", "svg": "<?xml", "pdf": "%PDF"} {
		raw, err := os.ReadFile(base + "." + format)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(raw), magic) {
			t.Errorf("%s begins with %q", format, raw[:5])
		}
	}
	err := tableSample().Save(filepath.Join(base, "none", "fig"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "fig.png") {
		t.Errorf("Save into no folder = %v", err)
	}
}

func TestUnknownFormatPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	tableSample().Encode(&bytes.Buffer{}, "bmp")
}
