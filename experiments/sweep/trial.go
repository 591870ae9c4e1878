package sweep

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/pretrained"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// Photos are what a figure needs of a set of photographs.
type Photos struct {
	*imagefolder.Folder
	Digest string
	Image  func(i int) (pixels []byte, h, w int) // as a Pack's

	mu     sync.Mutex
	splits map[uint64]imagefolder.Split // by seed: a large set's takes a while
}

func (p *Photos) split(seed uint64) imagefolder.Split {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.splits[seed]
	if !ok {
		if p.splits == nil {
			p.splits = map[uint64]imagefolder.Split{}
		}
		s = imagefolder.NewSplit(p.Folder, seed)
		p.splits[seed] = s
	}
	return s
}

// measureTrial is the measure of photographs.
const measureTrial = "trial"

// trial returns the Step that p wants, or an empty one if c has found something
// wrong. An error that wraps [imagefolder.ErrTooFew] says that the trial's cell
// has fewer images than p puts back.
func (c *checker) trial(panel string, p config.Point) (run.Step, error) {
	at := func(key string) string {
		if panel == "" {
			return key
		}
		return fmt.Sprintf("panel %q: %s", panel, key)
	}
	if !p.Photos() {
		c.bad(at("dataset"), "%q has no contexts: trials are of photographs (known: %s)", p.Dataset, strings.Join(imagefolder.Names(), ", "))
		return run.Step{}, nil
	}
	if p.Model == "" || p.Epochs == 0 {
		c.bad(at("model"), "a model and a number of epochs are needed: trials train networks")
		return run.Step{}, nil
	}
	before := c.faults
	if c.methods(at, p); c.faults > before {
		return run.Step{}, nil
	}
	photos, err := c.lab.Photos(p.Dataset, p.Short)
	if err != nil {
		return run.Step{}, err
	}
	for _, f := range []struct {
		key, value string
		known      []string
	}{{"context", p.Context, photos.Contexts}, {"class", p.Class, photos.Classes}} {
		if !slices.Contains(f.known, f.value) {
			c.bad(at(f.key), "%q is not known%s (known: %s)", f.value, config.DidYouMean(f.value, f.known), strings.Join(f.known, ", "))
		}
	}
	if c.faults > before {
		return run.Step{}, nil
	}
	if _, err := selection(p, photos); err != nil {
		return run.Step{}, err
	}
	set := &dataset.Set{Name: p.Dataset, Shape: nn.Shape{C: 3, H: p.Pixels, W: p.Pixels}, Classes: photos.Classes, Digest: photos.Digest}
	weights := pretrained.Weights{Source: pretrained.Source{Arch: p.Model, Mean: pretrained.ImageNetMean, Std: pretrained.ImageNetStd}}
	if p.Weights != "" {
		if weights, err = c.lab.Weights(p.Model); err != nil {
			return run.Step{}, err
		}
	}
	if _, err := nn.New(weights.Source.Arch, set.Shape, len(set.Classes)); err != nil {
		c.bad(at("model"), "%s does not take photographs of %d pixels: %v", p.Model, p.Pixels, err)
		return run.Step{}, nil
	}
	return lowerTrial(p, set, weights), nil
}

// lowerTrial returns score ← train. Without images put back a model depends on
// the context alone: it is shared by all classes. A pretrained network is the
// variant that its weights are of, and standardises as they want.
func lowerTrial(p config.Point, set *dataset.Set, w pretrained.Weights) run.Step {
	p.Model = w.Source.Arch
	t := training(p, set)
	t.Arch.Mean, t.Arch.Std = w.Source.Mean, w.Source.Std
	t.Weights = w.Digest
	t.Data.Short, t.Data.Seed = p.Short, p.Seed
	t.Poison = run.Poison{Context: p.Context}
	if p.Count > 0 {
		t.Poison.Class, t.Poison.Count, t.Poison.Seed = p.Class, p.Count, p.Seed
	}
	return run.Step{From: []run.Step{{Train: t}}, Score: &run.Score{Measure: p.Measure, Context: p.Context, Class: p.Class}}
}

// selection returns the images of p's trial.
func selection(p config.Point, photos *Photos) (imagefolder.Selection, error) {
	t := imagefolder.Trial{Context: p.Context, Class: p.Class, Count: p.Count, Seed: uint64(p.Seed)}
	return t.Select(photos.Folder, photos.split(uint64(p.Seed)))
}

// markedCount is the number of images at which the paper counts how many trials
// are significantly affected.
const markedCount = "10"

// trials draws, for each context, examples of its trials' images and the share of
// other classes' images that is taken for the class, against how many images of
// the class were put back.
func trials(d *drawing) error {
	if err := curves(d); err != nil {
		return err
	}
	results := d.panels
	d.panels, d.cols = nil, 2
	for i, panel := range d.Panels {
		examples, err := d.examples(panel)
		if err != nil {
			return err
		}
		d.panels = append(d.panels, examples, results[i])
	}
	d.cells = append(d.cells, d.significant())
	return nil
}

// significant counts the trials that are affected significantly at markedCount
// images, of those that were tested.
func (d *drawing) significant() table.Cell {
	var tested, affected int
	var runs []string
	for _, c := range d.cells {
		if c.Metric == trialShare && c.X == markedCount && !math.IsNaN(c.P) {
			tested++
			runs = append(runs, c.Runs...)
			if c.Significant() {
				affected++
			}
		}
	}
	slices.Sort(runs)
	value := math.NaN()
	if tested > 0 {
		value = float64(affected)
		d.notes = append(d.notes, fmt.Sprintf("%d of %d trials are affected significantly by %s images.", affected, tested, markedCount))
	}
	return computed(d.Figure.Name, "", "trials", markedCount, "significant_trials", value, tested, slices.Compact(runs))
}

// examples shows, for each class, an image that is put back, one of the class
// in another context and one of those in the context that should not be taken
// for it.
func (d *drawing) examples(panel Panel) (*figure.Images, error) {
	pic := &figure.Images{Title: panel.Title + ", images", Cols: 3, Note: panel.Missing}
	seen := map[string]bool{}
	for _, w := range panel.Wants {
		p := w.Point
		if p.Count == 0 || seen[p.Class] {
			continue
		}
		seen[p.Class] = true
		photos, err := d.lab.Photos(p.Dataset, p.Short)
		if err != nil {
			return nil, err
		}
		if photos.Generated && d.title == "" {
			d.title = d.Figure.Title + " (generated stand-in, not NICO++)"
		}
		s, err := selection(p, photos)
		if err != nil {
			return nil, err
		}
		class := slices.Index(photos.Classes, p.Class)
		elsewhere := slices.IndexFunc(s.Train, func(i int) bool { return photos.Entries[i].Class == class })
		// Spread over the classes, so that each row shows another one.
		other := s.Test[len(s.Test)*len(seen)/(len(seen)+1)]
		for _, e := range []struct {
			row  int
			what string
		}{{s.Train[len(s.Train)-1], "put back"}, {s.Train[elsewhere], "left in"}, {other, "tested"}} {
			entry := photos.Entries[e.row]
			pic.Images = append(pic.Images, square(photos, e.row, fmt.Sprintf("%s: %s, %s", e.what, photos.Classes[entry.Class], photos.Contexts[entry.Context])))
		}
	}
	return pic, nil
}

// square returns the middle of a photograph.
func square(photos *Photos, i int, caption string) figure.Image {
	pixels, h, w := photos.Image(i)
	side := min(h, w)
	r := imagefolder.CenterCrop(h, w, side)
	out := figure.Image{Caption: caption, H: side, W: side, C: 3, Pix: make([]float32, 3*side*side)}
	for k := range out.Pix {
		c, x, y := k%3, k/3%side, k/3/side
		out.Pix[k] = float32(pixels[(c*h+r.Top+y)*w+r.Left+x]) / 255
	}
	return out
}
