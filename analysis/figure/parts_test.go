package figure

import (
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/recorder"

	"rarespurious/analysis/table"
)

func TestParagraph(t *testing.T) {
	txt := "some words, and averyveryverylongword\n\nγ ≠ λ"
	for w := vg.Length(20); w < 200; w += 7 {
		all := ""
		for _, l := range paragraph(txt, small, w) {
			if small.Width(l.text) > w {
				t.Errorf("width %v: line %q is wider", w, l.text)
			}
			for _, r := range l.text {
				if r != ' ' {
					all += string(r)
				}
			}
		}
		if all != "somewords,andaveryveryverylongwordγ≠λ" {
			t.Errorf("width %v: the letters are %q", w, all)
		}
	}
	if got := len(paragraph(txt, small, 1000)); got != 3 {
		t.Errorf("%d lines, want 3: one of them blank", got)
	}
}

func TestTextIsReadable(t *testing.T) {
	for _, st := range []draw.TextStyle{figureTitle, panelTitle, axisLabel, small, smallBold, subtitle} {
		if st.Font.Size < 8 {
			t.Errorf("a text style of %v points", st.Font.Size)
		}
	}
}

func TestMaps(t *testing.T) {
	// Ends and middle stops as matplotlib and ColorBrewer print them.
	for _, c := range []struct {
		m    Map
		v    float64
		want color.RGBA
	}{
		{Viridis, 0, color.RGBA{0x44, 0x01, 0x54, 255}},
		{Viridis, 1, color.RGBA{0xfd, 0xe7, 0x25, 255}},
		{Viridis, -3, color.RGBA{0x44, 0x01, 0x54, 255}},
		{Viridis, math.Inf(1), color.RGBA{0xfd, 0xe7, 0x25, 255}},
		{YlOrRd, 0, color.RGBA{0xff, 0xff, 0xcc, 255}},
		{YlOrRd, .5, color.RGBA{0xfd, 0x8d, 0x3c, 255}},
		{YlOrRd, 1, color.RGBA{0x80, 0x00, 0x26, 255}},
		{YlOrRd, math.NaN(), absent},
	} {
		if got := c.m.at(c.v); got != c.want {
			t.Errorf("map %d at %v: %v, want %v", c.m, c.v, got, c.want)
		}
	}
}

func TestLooks(t *testing.T) {
	p := &Curves{}
	for i := range 30 {
		p.Series = append(p.Series, Series{Name: string(rune('A' + i))})
	}
	seen := map[look]string{}
	for name, l := range assign([]Panel{p}) {
		if other, ok := seen[l]; ok {
			t.Errorf("%s and %s look the same", name, other)
		}
		seen[l] = name
	}
	st := assign([]Panel{
		&Curves{Series: []Series{{Name: "a"}, {Name: "a, dashed", Like: "a", Dashed: true}}},
		&Bars{Series: []Series{{Name: "b", Colour: Orange}, {Name: "a"}}},
	})
	if len(st) != 2 || st["a"].colour != palette[Blue] || st["b"].colour != palette[Orange] {
		t.Errorf("looks = %v, want a blue and b orange", st)
	}
}

func TestFromCells(t *testing.T) {
	nan := math.NaN()
	cells := []table.Cell{
		{Panel: "mnist", Series: "R3", X: "0", Metric: "score", Mean: .1, SE: .01, N: 5, P: nan},
		{Panel: "mnist", Series: "R3", X: "10", Metric: "score", Mean: .8, SE: .02, N: 3, Diverged: 2, P: .01},
		{Panel: "mnist", Series: "R3", X: "10", Metric: "accuracy", Mean: .9},
		{Panel: "cifar10", Series: "R3", X: "10", Metric: "score", Mean: .7},
		{Panel: "mnist", Series: "S1", X: "3", Metric: "score", Mean: nan, SE: nan, P: nan},
	}
	want := []Series{
		{Name: "R3", Points: []Point{{X: 0, Y: .1, SE: .01}, {X: 10, Y: .8, SE: .02, Star: true, Note: "3 of 5"}}},
		{Name: "S1", Points: []Point{{X: 3, Y: nan, SE: nan}}},
	}
	got, categories := FromCells(cells, "mnist", "score", false)
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" || categories != nil {
		t.Errorf("categories %v; %s", categories, d)
	}

	want[0].Points[1].X, want[1].Points[0].X = 1, 2
	got, categories = FromCells(cells, "mnist", "score", true)
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" || !cmp.Equal(categories, []string{"0", "10", "3"}) {
		t.Errorf("named: categories %v; %s", categories, d)
	}

	cells[4].X = "inf"
	if _, categories = FromCells(cells, "mnist", "score", false); !cmp.Equal(categories, []string{"0", "10", "inf"}) {
		t.Errorf("with a category: %v", categories)
	}
}

// imageCanvas keeps the images drawn on it.
type imageCanvas struct {
	recorder.Canvas
	rects  []vg.Rectangle
	images []image.Image
}

func (c *imageCanvas) DrawImage(r vg.Rectangle, img image.Image) {
	c.rects, c.images = append(c.rects, r), append(c.images, img)
}

// Two images of one width get widths of their own without moving a pixel, and
// are upside down where that is asked for.
func TestImagesOnCanvas(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 2, 2))
	red := color.RGBA{255, 0, 0, 255}
	img.SetRGBA(0, 0, red)
	rect := vg.Rectangle{Max: vg.Point{X: 20, Y: 20}}
	for _, flip := range []bool{false, true} {
		var c imageCanvas
		o := outlined{&c, map[int]bool{}, flip}
		o.DrawImage(rect, img)
		o.DrawImage(rect, img)
		for i, want := range []vg.Length{20, 30} {
			if w := c.images[i].Bounds().Dx(); w != 2+i || c.rects[i].Size().X != want {
				t.Errorf("image %d: %d pixels on %v points, want %d on %v", i, w, c.rects[i].Size().X, 2+i, want)
			}
			y := 0
			if flip {
				y = 1
			}
			if got := c.images[i].At(0, y); got != red {
				t.Errorf("image %d, flip %v: the corner is %v", i, flip, got)
			}
		}
		if got := c.images[1].At(2, 0); got != (color.RGBA{255, 255, 255, 255}) {
			t.Errorf("the added column is %v, want white", got)
		}
	}
}

func TestWrongLimitsPanic(t *testing.T) {
	pt := []Series{{Points: []Point{{X: 1, Y: 1}}}}
	for name, p := range map[string]Panel{
		"0 on a log axis": &Curves{Y: Log, YLim: [2]float64{0, 1}, Series: pt},
		"backwards":       &Curves{XLim: [2]float64{1, -1}, Series: pt},
		"no length":       &Bars{Groups: []string{"a", "b"}, YLim: [2]float64{1, 1}, Series: pt},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			p.plot(styles{}, 100, 100)
		}()
	}
}

func TestWrongShapesPanic(t *testing.T) {
	for name, p := range map[string]Panel{
		"heat":     &Heat{Rows: 2, Cols: 2, Values: make([]float64, 3)},
		"image":    &Images{Images: []Image{{H: 2, W: 2, C: 1, Pix: make([]float32, 3)}}},
		"channels": &Images{Images: []Image{{H: 1, W: 1, C: 2, Pix: make([]float32, 2)}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			var c recorder.Canvas
			p.draw(draw.NewCanvas(&c, 100, 100))
		}()
	}
}
