package train

import (
	"context"
	"fmt"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/run"
)

// A gallery is a folder of photographs, divided for training and testing.
type gallery struct {
	pack  *imagefolder.Pack
	split imagefolder.Split
}

// openGallery returns the photographs that d names. They must be those that
// the Step was planned with.
func openGallery(ctx context.Context, l *imagefolder.Library, d run.Data) (*gallery, error) {
	if l == nil {
		return nil, fmt.Errorf("train: %s: no folder of photographs is known", d.Name)
	}
	p, err := l.Open(ctx, d.Name, d.Short)
	if err != nil {
		return nil, err
	}
	if got := p.Digest(); d.Digest != "" && got != d.Digest {
		return nil, fmt.Errorf("train: %s has digest %s now, the step was planned with %s", d.Name, got, d.Digest)
	}
	return &gallery{p, imagefolder.NewSplit(p.Folder, uint64(d.Seed))}, nil
}

// data returns all photographs, seen in evaluation as the square of side pixels
// in their middle.
func (g *gallery) data(d *torch.Device, side int) (*torch.Data, error) {
	if side > g.pack.Short {
		return nil, fmt.Errorf("train: images of %d pixels for a network of %d: the shorter side must be at least as long", g.pack.Short, side)
	}
	return torch.NewPhotoData(d, g.pack, side, func(h, w int) torch.Window {
		return window(imagefolder.CenterCrop(h, w, side))
	})
}

func window(r imagefolder.Rect) torch.Window {
	return torch.Window{Top: r.Top, Left: r.Left, H: r.H, W: r.W}
}

// trial returns the images of a trial. For no added images the class does not
// matter and may be "".
func (g *gallery) trial(context, class string, count, seed int) (imagefolder.Selection, error) {
	if class == "" && count == 0 {
		class = g.pack.Classes[0]
	}
	return imagefolder.Trial{Context: context, Class: class, Count: count, Seed: uint64(seed)}.Select(g.pack.Folder, g.split)
}

// tested returns at most n test images, evenly spread, and their labels.
func (g *gallery) tested(n int) (rows []int64, labels []uint8) {
	all := g.split.Test
	n = min(n, len(all))
	for i := range n {
		row := all[i*len(all)/n]
		rows, labels = append(rows, int64(row)), append(labels, uint8(g.pack.Label(row)))
	}
	return rows, labels
}

// hang selects each model's photographs.
func (f *fit) hang(ctx context.Context, d *torch.Device, l *imagefolder.Library) error {
	var err error
	if f.hung, err = openGallery(ctx, l, f.steps[0].Data); err != nil {
		return err
	}
	for _, t := range f.steps {
		chosen := f.hung.split.Train
		if p := t.Poison; p.Context != "" {
			s, err := f.hung.trial(p.Context, p.Class, p.Count, p.Seed)
			if err != nil {
				return err
			}
			chosen = s.Train
		}
		f.rows = append(f.rows, toRows(chosen))
	}
	f.data, err = f.hung.data(d, f.steps[0].Arch.In.H)
	return err
}

func toRows(indices []int) []int64 {
	rows := make([]int64, len(indices))
	for i, j := range indices {
		rows[i] = int64(j)
	}
	return rows
}

// windows draws what an epoch shows of each of its photographs: a random
// resized crop, mirrored or not.
func windows(t *run.Train, p *imagefolder.Pack, order []int64, epoch int) []torch.Window {
	rng := stream(t, "augment", epoch)
	out := make([]torch.Window, len(order))
	for i, row := range order {
		_, h, w := p.Image(int(row))
		out[i] = window(imagefolder.RandomResizedCrop(h, w, rng))
		out[i].Flip = rng.IntN(2) == 1
	}
	return out
}
