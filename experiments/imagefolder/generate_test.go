package imagefolder

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rarespurious/experiments/seed"
)

func TestGenerate(t *testing.T) {
	root := t.TempDir()
	build := func(name string, from uint64) *Pack {
		t.Helper()
		dir := filepath.Join(root, name)
		if err := Generate(dir, from, 2); err != nil {
			t.Fatal(err)
		}
		return mustBuild(t, mustScan(t, dir), filepath.Join(root, "cache"), Options{Short: 64})
	}
	p := build("a", 7)
	if !p.Generated || len(p.Skipped) != 0 {
		t.Errorf("generated = %v, skipped %q", p.Generated, p.Skipped)
	}
	if !slices.Equal(p.Classes, ShapeNames()) || !slices.Equal(p.Contexts, TextureNames()) {
		t.Errorf("classes %q, contexts %q", p.Classes, p.Contexts)
	}
	cells := map[[2]int]int{}
	for i := range p.Len() {
		cells[[2]int{p.Context(i), p.Label(i)}]++
	}
	for c, context := range p.Contexts {
		for k, class := range p.Classes {
			if n := cells[[2]int{c, k}]; n != 2 {
				t.Errorf("%s/%s: %d images", context, class, n)
			}
		}
	}
	if p.Path(0) != "autumn/arrow/autumn_000000.jpg" || p.Path(3) != "autumn/crescent/autumn_000003.jpg" {
		t.Errorf("paths %s, %s", p.Path(0), p.Path(3))
	}
	for i := range p.Len() {
		if _, h, w := p.Image(i); min(h, w) != 64 || max(h, w) > 96 {
			t.Fatalf("%s is %dx%d", p.Path(i), h, w)
		}
	}
	if build("b", 7).Digest() != p.Digest() {
		t.Error("equal seeds must give equal images")
	}
	if build("c", 8).Digest() == p.Digest() {
		t.Error("another seed must give other images")
	}
	if left, _ := filepath.Glob(filepath.Join(root, "*.tmp*")); left != nil {
		t.Errorf("left %q", left)
	}
}

func TestGenerateKeepsWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "images")
	if err := Generate(dir, 1, 1); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "rock", "star", "rock_000008.jpg")
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := Generate(dir, 1, 1); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if after, err := os.Stat(file); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the same again wrote the files anew (%v)", err)
	}
	if err := Generate(dir, 2, 1); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("another seed into the same folder: %v", err)
	}
	other := write(t, map[string]string{"mine.txt": "x"})
	if err := Generate(other, 1, 1); err == nil {
		t.Error("a folder with other files must be refused")
	}
	if _, err := os.Stat(filepath.Join(other, Marker)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a refused folder was written to")
	}
}

// TestTexturesDiffer checks the premise of the experiment: the mean colour of
// a picture alone tells most contexts apart, and tells little of the class.
func TestTexturesDiffer(t *testing.T) {
	mean := func(s Shape, x Texture, from uint64) (m rgb) {
		c := drawImage(s, x, seed.Rand(from, "image/"+x.Name+s.Name))
		for _, p := range c.pix {
			for k := range m {
				m[k] += p[k] / float64(len(c.pix))
			}
		}
		return m
	}
	context, class := make([]rgb, len(Textures)), make([]rgb, len(Shapes))
	type sample struct {
		colour         rgb
		context, class int
	}
	var test []sample
	for x, texture := range Textures {
		for s, shape := range Shapes {
			m := mean(shape, texture, 0)
			context[x] = context[x].plus(m.scale(1 / float64(len(Shapes))))
			class[s] = class[s].plus(m.scale(1 / float64(len(Textures))))
			test = append(test, sample{mean(shape, texture, 1), x, s})
		}
	}
	var contextHits, classHits float64
	for _, s := range test {
		if nearest(context, s.colour) == s.context {
			contextHits += 1 / float64(len(test))
		}
		if nearest(class, s.colour) == s.class {
			classHits += 1 / float64(len(test))
		}
	}
	if contextHits < 0.7 || classHits > 0.3 {
		t.Errorf("nearest mean colour finds %.2f of the contexts and %.2f of the classes, want above .7 and below .3", contextHits, classHits)
	}
}

func (a rgb) plus(b rgb) rgb { return rgb{a[0] + b[0], a[1] + b[1], a[2] + b[2]} }

func nearest(list []rgb, c rgb) int {
	best, at := math.Inf(1), 0
	for i, l := range list {
		if d := math.Hypot(math.Hypot(l[0]-c[0], l[1]-c[1]), l[2]-c[2]); d < best {
			best, at = d, i
		}
	}
	return at
}

func TestShapes(t *testing.T) {
	const step = 0.05
	for i, s := range Shapes {
		if i > 0 && Shapes[i-1].Name >= s.Name {
			t.Errorf("%s is out of order", s.Name)
		}
		inside := 0
		for y := -2.0; y <= 2; y += step {
			for x := -2.0; x <= 2; x += step {
				if s.distance(x, y) < 0 {
					inside++
					if math.Hypot(x, y) > 1.35 {
						t.Fatalf("%s reaches (%.2f, %.2f)", s.Name, x, y)
					}
				}
			}
		}
		if area := float64(inside) * step * step; area < 0.7 || area > 3 {
			t.Errorf("%s has the area %.2f", s.Name, area)
		}
	}
}

func TestNoise(t *testing.T) {
	n, sum := noise(1), 0.0
	for i := range 10000 {
		v := n.lattice(i%100-50, i/100-50)
		if v < 0 || v >= 1 {
			t.Fatalf("lattice gives %v", v)
		}
		sum += v / 10000
	}
	if math.Abs(sum-0.5) > 0.012 { // four standard errors of a uniform mean
		t.Errorf("mean %.3f, want .5", sum)
	}
	// Between lattice points the noise is continuous, on them it is the lattice.
	if n.value(3, -4) != n.lattice(3, -4) || math.Abs(n.value(2.999999, -4)-n.value(3, -4)) > 1e-5 {
		t.Error("value does not interpolate the lattice")
	}
	if near, next, cell := n.cells(0.3, 0.7); near > next || cell < 0 || cell >= 1 {
		t.Errorf("cells %v, %v, %v", near, next, cell)
	}
}

func TestAnyColour(t *testing.T) {
	rng := seed.Rand(0, "colour")
	for range 1000 {
		for _, v := range anyColour(rng) {
			if v < 0 || v > 1 {
				t.Fatalf("channel %v", v)
			}
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "images")
	if err := Generate(dir, 0, 3); err != nil {
		b.Fatal(err)
	}
	f, err := Scan(dir)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		p, err := Build(context.Background(), f, b.TempDir(), Options{Short: 64})
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(f.Entries)), "µs/image")
}
