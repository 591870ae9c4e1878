package pattern

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"rarespurious/nn"
)

var (
	grey   = nn.Shape{C: 1, H: 28, W: 28}
	colour = nn.Shape{C: 3, H: 32, W: 32}
)

func draw(t *testing.T, name string, s nn.Shape, seed uint32) Pattern {
	t.Helper()
	p, err := New(name, s, seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bytes are images in which every value occurs at many places.
func bytes(n int) []uint8 {
	b := make([]uint8, n)
	for i := range b {
		b[i] = uint8(i * 37)
	}
	return b
}

func ExamplePattern_Apply() {
	p, err := New("S1", nn.Shape{C: 1, H: 2, W: 2}, 0)
	if err != nil {
		panic(err)
	}
	image := []float32{0.5, 0, 0, 0.25}
	p.Apply(image, image)
	fmt.Println(image)
	// Output: [1 0 0 0.25]
}

// Every pattern keeps images in [0, 1], never darkens a pixel, is a function of
// its seed, and is the same through each method.
func TestTable(t *testing.T) {
	for _, s := range []nn.Shape{grey, colour} {
		for _, name := range Names() {
			t.Run(fmt.Sprint(name, " ", s), func(t *testing.T) {
				p := draw(t, name, s, 3)
				images := bytes(4 * s.Len())
				all := p.OverlayAll(images)
				delta := p.Delta()
				changed := false
				for i, v := range all {
					x := float32(images[i]) / 255
					want := float32(math.Min(1, float64(x)+delta[i%s.Len()]))
					if v != want || v < x || v > 1 {
						t.Fatalf("element %d: %v, want %v", i, v, want)
					}
					changed = changed || v != x
				}
				if !changed {
					t.Error("changes nothing")
				}
				if !slices.Equal(all, draw(t, name, s, 3).OverlayAll(images)) {
					t.Error("differs between equal seeds")
				}
				row := func(i int) []float32 { return all[i*s.Len() : (i+1)*s.Len()] }
				if got := p.Overlay(images, []int{2, 0}); !slices.Equal(got, slices.Concat(row(2), row(0))) {
					t.Error("Overlay disagrees with OverlayAll")
				}
				if got := p.Overlay(images, nil); len(got) != 0 {
					t.Errorf("%d elements for no image", len(got))
				}
				delta[0] = 9
				if p.Delta()[0] == 9 {
					t.Error("Delta hands out the pattern's own memory")
				}
			})
		}
	}
}

func TestRectangles(t *testing.T) {
	for name, want := range map[string]struct{ y0, x0, y1, x1 int }{
		"S1": {0, 0, 0, 0}, "S2": {0, 0, 2, 2}, "S3": {0, 0, 4, 4}, "Inv": {3, 13, 24, 15},
	} {
		for _, s := range []nn.Shape{grey, colour} {
			for i, d := range draw(t, name, s, 0).Delta() {
				y, x := i/s.W%s.H, i%s.W
				inside := y >= want.y0 && y <= want.y1 && x >= want.x0 && x <= want.x1
				if inside != (d == 1) || !inside && d != 0 {
					t.Fatalf("%s on %v: δ = %v at row %d, column %d", name, s, d, y, x)
				}
			}
		}
	}
}

// The random patterns are numpy's: RandomState(seed).rand(H, W, C).
func TestUniform(t *testing.T) {
	delta := draw(t, "R3", colour, 0).Delta()
	for c, want := range []float64{.5488135039273248, .7151893663724195, .6027633760716439} {
		if got := delta[c*32*32]; got != want {
			t.Errorf("channel %d of the first pixel: %v, want %v", c, got, want)
		}
	}
	for _, c := range []struct {
		shape nn.Shape
		sum   float64
	}{{grey, 393.8996657041922}, {colour, 1548.5142391412583}} {
		var sum float64
		r3 := draw(t, "R3", c.shape, 4).Delta()
		for _, d := range r3 {
			sum += d
		}
		if math.Abs(sum-c.sum) > 1e-9 {
			t.Errorf("%v: sum %v, want %v", c.shape, sum, c.sum)
		}
		for name, amplitude := range map[string]float64{"R1": .25, "R2": .5} {
			for i, d := range draw(t, name, c.shape, 4).Delta() {
				if d != amplitude*r3[i] {
					t.Fatalf("%s is not %v of R3 at %d", name, amplitude, i)
				}
			}
		}
	}
	// Without clipping, the norms that the published table would have.
	for name, want := range map[string][2]float64{"R1": {4.06, 8.08}, "R2": {8.13, 16.15}, "R3": {16.25, 32.30}} {
		for i, s := range []nn.Shape{grey, colour} {
			var squares float64
			for _, d := range draw(t, name, s, 4).Delta() {
				squares += d * d
			}
			if got := math.Sqrt(squares); math.Abs(got-want[i]) > .005 {
				t.Errorf("norm of %s on %v: %v, want %v", name, s, got, want[i])
			}
		}
	}
}

func TestErrors(t *testing.T) {
	if _, err := New("S4", grey, 0); err == nil || !strings.Contains(err.Error(), `"S4" (known: S1, S2, S3, R1, R2, R3, Inv)`) {
		t.Errorf("an unknown pattern: %v", err)
	}
	if _, err := New("Inv", nn.Shape{C: 1, H: 8, W: 28}, 0); err == nil || !strings.Contains(err.Error(), "25×16 pixels, not 8×28") {
		t.Errorf("a pattern that does not fit: %v", err)
	}
}

// Storing in eight bits floors, and leaves what came from bytes alone.
func TestQuantize(t *testing.T) {
	var x []float32
	for b := range 256 {
		x = append(x, float32(b)/255)
	}
	same := slices.Clone(x)
	if Quantize(same); !slices.Equal(same, x) {
		t.Error("bytes do not survive")
	}
	for i := range 255 {
		v := []float32{(x[i] + x[i+1]) / 2}
		if Quantize(v); v[0] != x[i] {
			t.Errorf("between %d and %d: %v, want %v", i, i+1, v[0], x[i])
		}
	}
}

func TestRemoval(t *testing.T) {
	for _, s := range []nn.Shape{grey, colour} {
		for _, upstream := range []bool{false, true} {
			t.Run(fmt.Sprint(s, " upstream ", upstream), func(t *testing.T) {
				images := bytes(20 * s.Len())
				r := NewRemoval(images, s, upstream)
				if !slices.Equal(r.At(0), images) {
					t.Error("share 0 removes something")
				}
				if slices.ContainsFunc(r.At(1), func(b uint8) bool { return b != 0 }) {
					t.Error("share 1 leaves something")
				}
				last := images
				area := s.H * s.W
				for _, p := range []float64{.1, .3, .6, .9} {
					got := r.At(p)
					removed, pixels := 0, 0
					for i := range len(images) / s.C {
						gone, black := 0, true
						for c := range s.C {
							j := i/area*s.Len() + c*area + i%area
							if got[j] != 0 && got[j] != last[j] {
								t.Fatal("a pixel changes, or comes back at a larger share")
							}
							black = black && images[j] == 0
							if got[j] == 0 {
								gone++
							} else if gone > 0 && images[j-area] != 0 {
								t.Fatal("a pixel goes in part")
							}
						}
						if !black {
							pixels++
							if gone == s.C {
								removed++
							}
						}
					}
					want := p
					if upstream {
						want = 1 - math.Pow(1-p, float64(s.C))
					}
					// Four standard deviations, and the few zero entries.
					if share := float64(removed) / float64(pixels); math.Abs(share-want) > 4*math.Sqrt(.25/float64(pixels))+.005 {
						t.Errorf("share %v removed at %v, want %v", share, p, want)
					}
					last = got
				}
			})
		}
	}
	// Only what is not black draws: u = .549 for the second pixel, .715 for the third.
	r := NewRemoval([]uint8{0, 9, 9}, nn.Shape{C: 1, H: 1, W: 3}, false)
	if got := r.At(.4); !slices.Equal(got, []uint8{0, 9, 0}) {
		t.Errorf("got %v", got)
	}
	// Per pixel, colour draws once; per entry, the pixel goes by its largest u, .715.
	two := []uint8{9, 9}
	shape := nn.Shape{C: 2, H: 1, W: 1}
	if got := NewRemoval(two, shape, false).At(.4); !slices.Equal(got, two) {
		t.Errorf("per pixel: got %v", got)
	}
	if got := NewRemoval(two, shape, true).At(.4); !slices.Equal(got, []uint8{0, 0}) {
		t.Errorf("per entry: got %v", got)
	}
}

func BenchmarkOverlayAll(b *testing.B) {
	for _, name := range []string{"S3", "R3"} {
		b.Run(name, func(b *testing.B) {
			p, err := New(name, colour, 0)
			if err != nil {
				b.Fatal(err)
			}
			images := bytes(1000 * colour.Len())
			b.SetBytes(int64(len(images)))
			for b.Loop() {
				p.OverlayAll(images)
			}
		})
	}
}
