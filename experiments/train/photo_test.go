package train_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rarespurious/bridge/weights"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
	"rarespurious/nn"
)

// photographs writes images of three classes, bright bands at the top, in the
// middle and at the bottom, in three contexts, the colours of the ground.
func photographs(t *testing.T, perCell int) *imagefolder.Library {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 5))
	for c, context := range []string{"blue", "green", "red"} {
		for k, class := range []string{"bottom", "middle", "top"} {
			folder := filepath.Join(dir, context, class)
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range perCell {
				h, w := 18+rng.IntN(4), 18+rng.IntN(4)
				m := image.NewRGBA(image.Rect(0, 0, w, h))
				for y := range h {
					for x := range w {
						var p [3]uint8
						for ch := range p {
							p[ch] = uint8(rng.IntN(60))
						}
						p[2-c] += 120
						if band := 2 - y*3/h; band == k && rng.IntN(3) > 0 {
							for ch := range p {
								p[ch] += 40
							}
						}
						m.SetRGBA(x, y, color.RGBA{p[0], p[1], p[2], 255})
					}
				}
				f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%02d.png", i)))
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(png.Encode(f, m), f.Close()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	l := &imagefolder.Library{Dir: dir, CacheDir: t.TempDir()}
	t.Cleanup(func() { l.Close() })
	return l
}

const side = 16

// photoNet keeps rows apart and has a batch norm, whose statistics must be
// stored and resumed.
func photoNet() nn.Arch {
	return nn.Arch{Name: "photo", In: nn.Shape{C: 3, H: side, W: side}, Classes: 3, Mean: []float32{.5, .5, .5}, Std: []float32{.25, .25, .25},
		Layers: []nn.Layer{
			{Op: nn.Conv, Name: "conv", Out: 8, K: 3, Stride: 2, Pad: 1}, {Op: nn.BatchNorm, Name: "bn"}, {Op: nn.ReLU},
			{Op: nn.AdaptiveAvg, Out: 4}, {Op: nn.Flatten}, {Op: nn.Linear, Name: "fc", Out: 3},
		}}
}

func photoStep(count int, change func(*run.Train)) run.Step {
	t := &run.Train{Data: run.Data{Name: "folder", Short: 18}, Arch: photoNet(), Optimizer: "sgd", LR: 0.05, Momentum: 0.9,
		Batch: 16, Epochs: 15, Poison: run.Poison{Context: "green"}}
	if count > 0 {
		t.Poison.Class, t.Poison.Count = "top", count
	}
	if change != nil {
		change(t)
	}
	return run.Step{Train: t}
}

func trialOf(s run.Step) run.Step {
	return run.Step{From: []run.Step{s}, Score: &run.Score{Measure: "trial", Context: "green", Class: "top"}}
}

// The main effect on photographs: shown a context with one class only, a network
// takes the context for the class.
func TestTheContextIsLearnt(t *testing.T) {
	o := train.Options{Device: "cpu", Photos: photographs(t, 40)}
	r := sweep(t, o, trialOf(photoStep(0, nil)), trialOf(photoStep(20, nil)))
	clean, shown := r[0].Values, r[1].Values
	if shown["trial_share"]-clean["trial_share"] < 0.2 {
		t.Errorf("share %g without and %g with 20 images, want a rise of at least .2", clean["trial_share"], shown["trial_share"])
	}
	if clean["other_accuracy"] < 0.9 || shown["other_accuracy"] < 0.9 {
		t.Errorf("accuracies elsewhere %g and %g, want at least .9", clean["other_accuracy"], shown["other_accuracy"])
	}
}

// A training that is stopped after each epoch and gone on with ends in the bits
// of one that never stopped, crops, flips and batch norm included.
func TestResumeOnPhotos(t *testing.T) {
	o := train.Options{Device: "cpu", Photos: photographs(t, 10), Checkpoint: time.Nanosecond}
	step := photoStep(5, func(t *run.Train) { t.Epochs, t.Augment, t.Micro = 4, true, 6 })
	whole := sweep(t, o, step)[0].Files[train.ModelFile]

	s, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stops := 0
	for {
		ctx, stop := context.WithCancel(context.Background())
		e := train.New(o)
		r := run.Runner{Store: s, Exec: e, Jobs: 1, Observe: func(n run.Notice) {
			if n.Kind == run.NoticeProgress {
				stop()
			}
		}}
		records, err := r.Run(ctx, []run.Step{step})
		stop()
		e.Close()
		if err == nil {
			if got := records[0].Files[train.ModelFile]; got != whole {
				t.Errorf("after %d stops the model is %s, without %s", stops, got, whole)
			}
			break
		}
		if stops++; stops > 4 || !errors.Is(err, context.Canceled) {
			t.Fatalf("stop %d: %v", stops, err)
		}
	}
	if stops < 3 {
		t.Errorf("the training was stopped %d times, want 3", stops)
	}
}

// Training starts from pretrained weights in all layers but the last: with a
// learning rate of zero they are there at its end.
func TestPretrained(t *testing.T) {
	o := train.Options{Device: "cpu", Photos: photographs(t, 4), Cache: t.TempDir()}
	a := photoNet()
	a.Layers = slices.Clone(a.Layers)
	a.Layers[5].Out, a.Classes = 7, 7
	theta, buffers := a.Init(rand.New(rand.NewPCG(8, 8)))
	file := filepath.Join(o.Cache, "weights", "resnet50-v2.safetensors")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := weights.Save(file, weights.Safetensors, weights.FromFlat(a, theta, buffers), nil); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	tune := func(digest string) run.Step {
		return photoStep(0, func(t *run.Train) { t.Weights, t.LR, t.Epochs = digest, 0, 1 })
	}
	s, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := run.Runner{Store: s, Exec: train.New(o), Jobs: 1}
	step := tune(hex.EncodeToString(sum[:]))
	if _, err := r.Run(context.Background(), []run.Step{step}); err != nil {
		t.Fatal(err)
	}
	f, err := s.Open(step.ID(), train.ModelFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := weights.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, tensor := range weights.FromFlat(a, theta, buffers) {
		want[tensor.Name] = tensor.Digest()
	}
	for _, tensor := range got.Tensors {
		statistic := strings.Contains(tensor.Name, "running")
		if same := tensor.Digest() == want[tensor.Name]; same == (statistic || strings.HasPrefix(tensor.Name, "fc.")) {
			t.Errorf("%s: same as pretrained: %t", tensor.Name, same)
		}
	}
	if _, err := r.Run(context.Background(), []run.Step{tune("00")}); err == nil || !strings.Contains(err.Error(), "rsc weights fetch") {
		t.Errorf("weights that are not there: %v", err)
	}
}

func TestPhotoFailures(t *testing.T) {
	l := photographs(t, 4)
	s, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := run.Runner{Store: s, Exec: train.New(train.Options{Device: "cpu", Photos: l}), Jobs: 1}
	for want, step := range map[string]run.Step{
		"too few images":              photoStep(3, nil),
		"now, the step was planned":   photoStep(0, func(t *run.Train) { t.Data.Digest = "other" }),
		"images of 12 pixels":         photoStep(0, func(t *run.Train) { t.Data.Short = 12 }),
		"photographs have trials":     {From: []run.Step{photoStep(0, func(t *run.Train) { t.Epochs = 1 })}, Score: &run.Score{Measure: "spurious"}},
		`unknown photographs "attic"`: photoStep(0, func(t *run.Train) { t.Data.Name = "attic" }),
		"is not NICO++":               photoStep(0, func(t *run.Train) { t.Data.Name = "nico" }),
	} {
		if _, err := r.Run(context.Background(), []run.Step{step}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
	}
	if _, err := (&imagefolder.Library{CacheDir: t.TempDir()}).Open(context.Background(), "nico", 64); !errors.Is(err, dataset.ErrUnavailable) || !strings.Contains(err.Error(), "NICO_DIR") {
		t.Errorf("without a folder: %v", err)
	}
}
