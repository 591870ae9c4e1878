package sweep

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"rarespurious/analysis/figure"
	"rarespurious/bridge/weights"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/pretrained"
	"rarespurious/experiments/run"
)

// cellSize is the number of images of a class in a context of fake photographs:
// 105 of them are for training.
const cellSize = 150

// album returns photographs of the classes in the six contexts.
func album(classes []string) *Photos {
	f := &imagefolder.Folder{Contexts: imagefolder.TextureNames(), Classes: classes}
	for c := range f.Contexts {
		for k := range classes {
			for range cellSize {
				f.Entries = append(f.Entries, imagefolder.Entry{Context: c, Class: k})
			}
		}
	}
	return &Photos{Folder: f, Digest: "fake", Image: func(i int) ([]byte, int, int) {
		pixels := make([]byte, 3*9*12)
		for j := range pixels {
			pixels[j] = byte(i + j)
		}
		return pixels, 9, 12
	}}
}

var albums = map[string]func() *Photos{
	"nico": sync.OnceValue(func() *Photos {
		return album([]string{"airplane", "bear", "bicycle", "car", "dog", "horse", "train"})
	}),
	"generated": sync.OnceValue(func() *Photos {
		p := album(imagefolder.ShapeNames())
		p.Generated = true
		return p
	}),
}

func fakePhotos(name string, short int) (*Photos, error) {
	if p, ok := albums[name]; ok {
		return p(), nil
	}
	return nil, fmt.Errorf("photos %s: %w", name, dataset.ErrUnavailable)
}

// fakeWeights are in the variant that is not the network's own name.
func fakeWeights(network string) (pretrained.Weights, error) {
	return pretrained.Weights{Digest: "pretrained", Source: pretrained.Source{Network: network, Arch: "resnet50-1x1",
		Mean: weights.KerasMean, Std: weights.KerasStd}}, nil
}

// One model per context and seed without images, shared by its classes; the
// paper's grid has 3 contexts × 5 seeds × (1 + 3 classes × 7 counts) of them.
func TestTrialGrid(t *testing.T) {
	models := map[run.ID]run.Step{}
	for _, name := range []string{"fig4", "fig24"} {
		maps.Copy(models, trained(plan(t, name, "paper")))
	}
	if len(models) != 3*5*22 {
		t.Errorf("%d models, want 330", len(models))
	}
	if nine := trained(plan(t, "natural", "paper")); !maps.EqualFunc(nine, models, func(a, b run.Step) bool { return a.ID() == b.ID() }) {
		t.Errorf("the nine trials have %d models of their own", len(nine))
	}
	for _, m := range models {
		tr := m.Train
		if tr.Arch.Name != "resnet50-1x1" || tr.Weights != "pretrained" || !slices.Equal(tr.Arch.Mean, weights.KerasMean) {
			t.Fatalf("a network %s with weights %q and mean %v", tr.Arch.Name, tr.Weights, tr.Arch.Mean)
		}
		if tr.Poison.Count == 0 && tr.Poison.Class != "" || tr.Data.Seed != tr.Seed || tr.Data.Short != 256 || tr.Arch.In.H != 224 {
			t.Fatalf("a model of %+v on %+v", tr.Poison, tr.Data)
		}
	}
	for _, m := range trained(plan(t, "fig4", "quick")) {
		if m.Train.Arch.Name != "resnet8-s2" || m.Train.Weights != "" || m.Train.Arch.Mean[0] != .485 {
			t.Fatalf("quick trains %s from %q", m.Train.Arch.Name, m.Train.Weights)
		}
	}
	for _, m := range trained(plan(t, "fig4", "quick", "model=resnet50", "seed=0")) {
		if m.Train.Weights != "pretrained" || m.Train.Epochs != 3 || m.Train.Arch.In.H != 64 || m.Train.Seed != 0 {
			t.Fatalf("quick fine-tunes %s from %q for %d epochs", m.Train.Arch.Name, m.Train.Weights, m.Train.Epochs)
		}
	}
}

// shares returns records whose trial share is what share says of class, count
// and seed.
func shares(p *Plan, share func(class string, count, seed int) float64) []run.Record {
	var out []run.Record
	for _, s := range p.Steps() {
		tr := s.From[0].Train
		out = append(out, run.Record{ID: s.ID(), Step: s, Status: run.Done, Values: map[string]float64{
			trialShare: share(s.Score.Class, tr.Poison.Count, tr.Seed), "context_accuracy": .5, "other_accuracy": .9}})
	}
	return out
}

// Of three classes two rise with ten images: the CSV and the picture say so,
// and that the images are generated.
func TestTrialsSignificantAtTen(t *testing.T) {
	p := plan(t, "fig4", "quick")
	pic, err := p.Draw(shares(p, func(class string, count, seed int) float64 {
		noise := .01 * float64(seed)
		if count >= 10 && class != "star" {
			return .4 + noise
		}
		return .02 + noise
	}))
	if err != nil {
		t.Fatal(err)
	}
	last := pic.Cells[len(pic.Cells)-1]
	if last.Metric != "significant_trials" || last.X != "10" || last.Mean != 2 || last.N != 3 || len(last.Runs) != 9 {
		t.Errorf("last line %+v, want 2 of 3 trials at 10 from 9 runs", last)
	}
	if !strings.Contains(pic.Figure.Subtitle, "2 of 3 trials") || !strings.Contains(pic.Figure.Title, "generated stand-in, not NICO++") {
		t.Errorf("title %q, subtitle %q", pic.Figure.Title, pic.Figure.Subtitle)
	}
	if pic, err = plan(t, "fig4", "paper").Draw(nil); err != nil || strings.Contains(pic.Figure.Title, "stand-in") {
		t.Errorf("NICO++ itself has the title %q, %v", pic.Figure.Title, err)
	}
	images, ok := pic.Figure.Panels[0].(*figure.Images)
	if !ok || len(images.Images) != 9 || len(pic.Figure.Panels) != 2 {
		t.Fatalf("panels %T of %d", pic.Figure.Panels[0], len(pic.Figure.Panels))
	}
	for i, want := range []string{"put back: airplane, autumn", "left in: airplane, ", "tested: "} {
		if got := images.Images[i].Caption; !strings.HasPrefix(got, want) || i == 1 && strings.HasSuffix(got, "autumn") {
			t.Errorf("caption %q, want %q…", got, want)
		}
	}
}

// A count that a cell is too small for is left out and said, not an error.
func TestTrialTooSmall(t *testing.T) {
	l := lab()
	l.Photos = func(string, int) (*Photos, error) {
		p := album([]string{"airplane", "bear", "dog"})
		p.Entries = p.Entries[30:] // 120 airplanes in autumn, 84 of them for training
		return p, nil
	}
	p, err := New(load(t, "fig4", "paper", "seed=0"), l)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Panels[0].Wants) != 23 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "autumn/airplane") || !strings.Contains(p.Notes[0], "84") {
		t.Errorf("%d wants, notes %q", len(p.Panels[0].Wants), p.Notes)
	}
}

func TestTrialFaults(t *testing.T) {
	for want, set := range map[string][]string{
		`class: "stat" is not known; did you mean star?`: {"class=stat"},
		`context: "sea" is not known`:                    {"context=sea"},
		// Before photographs are decoded: there are none here.
		`measure: "spurious" is not known for folder (known: trial)`: {"measure=spurious", "dataset=folder"},
	} {
		if _, err := New(load(t, "fig4", "smoke", set...), lab()); !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: error %v, want %q", set, err, want)
		}
	}
	f := load(t, "fig4", "smoke")
	f.Panels[0].Points[0].Dataset = "mnist"
	if _, err := New(f, lab()); !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), `dataset: "mnist" has no contexts`) {
		t.Errorf("trials of MNIST: %v", err)
	}
	f = load(t, "fig4", "smoke")
	f.Kind = "curves"
	if _, err := New(f, lab()); !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), "does not draw photographs") {
		t.Errorf("curves of photographs: %v", err)
	}
	l := lab()
	l.Weights = func(string) (pretrained.Weights, error) {
		return pretrained.Weights{}, fmt.Errorf("get them: %w", dataset.ErrUnavailable)
	}
	if _, err := New(load(t, "fig4", "paper"), l); !errors.Is(err, dataset.ErrUnavailable) {
		t.Errorf("without pretrained weights: %v", err)
	}
	p, err := New(load(t, "fig4", "quick", "model=resnet50", "seed=0"), l)
	if err != nil || p.Panels[0].Missing == "" {
		t.Errorf("quick without pretrained weights: %v", err)
	}
}
