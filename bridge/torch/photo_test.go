package torch_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// album is photos in memory.
type album []picture

type picture struct {
	pixels []byte
	h, w   int
	label  int
}

func (a album) Len() int                       { return len(a) }
func (a album) Image(i int) ([]byte, int, int) { return a[i].pixels, a[i].h, a[i].w }
func (a album) Label(i int) int                { return a[i].label }

// whole is the view that leaves nothing out.
func whole(h, w int) torch.Window { return torch.Window{H: h, W: w} }

// snapshots are n photos of various sizes whose class is their brightest channel.
func snapshots(n int) album {
	rng := rand.New(rand.NewPCG(4, 4))
	a := make(album, n)
	for i := range a {
		p := picture{h: 9 + rng.IntN(9), w: 9 + rng.IntN(9), label: rng.IntN(3)}
		for c := range 3 {
			for range p.h * p.w {
				v := rng.IntN(120)
				if c == p.label {
					v += 60
				}
				p.pixels = append(p.pixels, byte(v))
			}
		}
		a[i] = p
	}
	return a
}

// see returns what a network without layers makes of the windows: the pixels.
func see(d *torch.Device, a album, side int, rows []int64, windows []torch.Window) ([]float32, error) {
	x, err := torch.NewPhotoData(d, a, side, whole)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	n := 3 * side * side
	// With zero weights all three probabilities are 1/3, so the gradient of a
	// wrong class's weights is x/3.
	s, err := torch.NewStack(d, nn.Arch{Name: "eye", In: nn.Shape{C: 3, H: side, W: side}, Classes: 3,
		Layers: []nn.Layer{{Op: nn.Flatten}, {Op: nn.Linear, Name: "fc", Out: 3}}}, 1, torch.StackOptions{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	g, err := s.NewVec()
	if err != nil {
		return nil, err
	}
	defer g.Close()
	var out []float32
	for i, r := range rows {
		b := torch.Batch{Data: x, Rows: [][]int64{{r}}}
		if windows != nil {
			b.Windows = [][]torch.Window{windows[i : i+1]}
		}
		if _, err := s.Grad(g, b); err != nil {
			return nil, err
		}
		all, err := g.Get()
		if err != nil {
			return nil, err
		}
		other := (a[r].label + 1) % 3
		for _, v := range all[other*n : (other+1)*n] {
			out = append(out, 3*v)
		}
	}
	return out, nil
}

// Windows are scaled as torchvision's resized_crop scales float images.
func TestCropsEqualTorchvision(t *testing.T) {
	var ref struct {
		H, W, Side int
		Crops      []struct {
			Window torch.Window
			Pixels []float64
		}
	}
	b, err := os.ReadFile("testdata/crops.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &ref); err != nil {
		t.Fatal(err)
	}
	p := picture{h: ref.H, w: ref.W}
	for c := range 3 {
		for y := range ref.H {
			for x := range ref.W {
				p.pixels = append(p.pixels, byte((c*83+y*y*7+x*13+x*y%29*5)%256))
			}
		}
	}
	onCPU(t, func(d *torch.Device) error {
		for _, c := range ref.Crops {
			got, err := see(d, album{p}, ref.Side, []int64{0}, []torch.Window{c.Window})
			if err != nil {
				return err
			}
			for i, want := range c.Pixels {
				if math.Abs(float64(got[i])-want) > 3e-6 {
					t.Errorf("%+v: pixel %d is %v, torchvision has %v", c.Window, i, got[i], want)
					break
				}
			}
		}
		return nil
	})
}

// Without a window a photo is seen through its view; a mirrored window is the
// mirror of the window.
func TestViewAndMirror(t *testing.T) {
	a := snapshots(5)
	onCPU(t, func(d *torch.Device) error {
		rows := []int64{3, 0, 4}
		var all, mirrored []torch.Window
		for _, r := range rows {
			w := whole(a[r].h, a[r].w)
			all = append(all, w)
			w.Flip = true
			mirrored = append(mirrored, w)
		}
		const side = 8
		viewed, err := see(d, a, side, rows, nil)
		if err != nil {
			return err
		}
		if same, err := see(d, a, side, rows, all); err != nil || !slices.Equal(same, viewed) {
			t.Errorf("a view differs from its window (%v)", err)
		}
		flipped, err := see(d, a, side, rows, mirrored)
		if err != nil {
			return err
		}
		for i := range viewed {
			if x := i % side; viewed[i] != flipped[i-x+side-1-x] {
				t.Fatalf("pixel %d is not mirrored", i)
			}
		}
		return nil
	})
}

func TestWindowFaults(t *testing.T) {
	a := snapshots(2)
	onCPU(t, func(d *torch.Device) error {
		h, w := a[0].h, a[0].w
		for _, bad := range []torch.Window{
			{Top: 1, H: h, W: w}, {Left: -1, H: 1, W: 1}, {H: 0, W: 1}, {H: h, W: w + 1},
		} {
			if _, err := see(d, a, 4, []int64{0}, []torch.Window{bad}); err == nil || !strings.Contains(err.Error(), "window") {
				t.Errorf("%+v of %d by %d: error %v", bad, h, w, err)
			}
		}
		if _, err := see(d, a, 4, []int64{2}, nil); err == nil {
			t.Error("a third photo of two")
		}
		if _, err := torch.NewPhotoData(d, album{}, 4, whole); err == nil {
			t.Error("no photos")
		}
		x, err := torch.NewPhotoData(d, a, 4, whole)
		if err != nil {
			return err
		}
		if _, err := x.Overlay(d, make([]float32, 48), []uint8{1}); err == nil {
			t.Error("a pattern on photos")
		}
		s := stack(d, photoNet(4), 1, 1, torch.StackOptions{})
		if _, err := s.Grad(nil, torch.Batch{Data: x, Rows: [][]int64{{0}}, Shifts: [][]uint8{{80}}}); err == nil {
			t.Error("a shift of photos")
		}
		pixels := data(d, 4, nn.Shape{C: 3, H: 4, W: 4}, 3)
		if _, err := s.Grad(nil, torch.Batch{Data: pixels, Rows: [][]int64{{0}}, Windows: [][]torch.Window{{whole(4, 4)}}}); err == nil {
			t.Error("a window of images of one size")
		}
		return nil
	})
}

func photoNet(side int) nn.Arch {
	return nn.Arch{Name: "photo", In: nn.Shape{C: 3, H: side, W: side}, Classes: 3, Mean: []float32{.5, .4, .3}, Std: []float32{.2, .3, .2},
		Layers: []nn.Layer{
			{Op: nn.Conv, Name: "conv", Out: 6, K: 3, Stride: 2, Pad: 1, Bias: true}, {Op: nn.ReLU},
			{Op: nn.AdaptiveAvg, Out: 1}, {Op: nn.Flatten}, {Op: nn.Linear, Name: "fc", Out: 3},
		}}
}

// fitPhotos trains on snapshots and returns the epochs' losses and θ.
func fitPhotos(d *torch.Device, epochs, batch, micro int) (losses []float64, theta []float32, err error) {
	a := snapshots(50)
	x, err := torch.NewPhotoData(d, a, 8, whole)
	if err != nil {
		return nil, nil, err
	}
	defer x.Close()
	s := stack(d, photoNet(8), 1, 1, torch.StackOptions{})
	defer s.Close()
	o, err := s.NewOptimizer()
	if err != nil {
		return nil, nil, err
	}
	defer o.Close()
	rng := rand.New(rand.NewPCG(1, 9))
	for range epochs {
		e := torch.Epoch{Data: x, Order: [][]int64{order(len(a), rng.Uint64())}, Batch: batch, Micro: micro,
			Hyper: []torch.Hyper{{SGD: true, LR: 0.1, Momentum: 0.9}}, Seeds: []uint64{1}, Windows: [][]torch.Window{nil}}
		for _, r := range e.Order[0] {
			p := a[r]
			top, left := rng.IntN(3), rng.IntN(3)
			e.Windows[0] = append(e.Windows[0], torch.Window{Top: top, Left: left, H: p.h - top, W: p.w - left, Flip: rng.IntN(2) == 0})
		}
		loss, err := s.Train(context.Background(), o, e)
		if err != nil {
			return nil, nil, err
		}
		losses = append(losses, loss[0])
	}
	theta, _, err = s.Save()
	return losses, theta, err
}

// Training on photos learns and gives the same bits twice. Without batch norm
// the sum of a step's parts is the step, up to rounding.
func TestTrainOnPhotos(t *testing.T) {
	onCPU(t, func(d *torch.Device) error {
		losses, theta, err := fitPhotos(d, 12, 16, 0)
		if err != nil {
			return err
		}
		if losses[0] < 0.5 || losses[11] > 0.2 {
			t.Errorf("losses %v, want from about 1.1 to below .2", losses)
		}
		if _, again, err := fitPhotos(d, 12, 16, 0); err != nil || !slices.Equal(theta, again) {
			t.Errorf("a second run gives other bits (%v)", err)
		}
		if _, same, err := fitPhotos(d, 12, 16, 16); err != nil || !slices.Equal(theta, same) {
			t.Errorf("parts of the whole size give other bits (%v)", err)
		}
		parts, inParts, err := fitPhotos(d, 12, 16, 5)
		if err != nil {
			return err
		}
		if dist := distance(theta, inParts); dist > 1e-4 || dist == 0 {
			t.Errorf("in parts of 5 the parameters differ by %g, want a rounding", dist)
		}
		if math.Abs(parts[11]-losses[11]) > 1e-4 {
			t.Errorf("in parts the loss is %g, whole %g", parts[11], losses[11])
		}
		return nil
	})
}

// Whole photos, of the sizes that the quick and the paper profiles cache, to
// what their networks see.
func BenchmarkCrop(b *testing.B) {
	for _, size := range [][3]int{{73, 97, 64}, {256, 341, 224}} {
		h, w, side := size[0], size[1], size[2]
		p := picture{h: h, w: w, pixels: make([]byte, 3*h*w)}
		b.Run(strconv.Itoa(side), func(b *testing.B) {
			err := torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
				x, err := torch.NewPhotoData(d, album{p}, side, whole)
				if err != nil {
					return err
				}
				defer x.Close()
				s := stack(d, photoNet(side), 1, 1, torch.StackOptions{})
				rows := make([]int64, 32)
				for b.Loop() {
					if err := s.Gather(x, rows); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(32*b.N), "µs/image")
		})
	}
}
