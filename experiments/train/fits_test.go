package train

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// A device that holds three models trains ten as 2, 3, 2 and 3; another error
// is of its part alone, and one model that does not fit fails.
func TestHalved(t *testing.T) {
	group := make([]run.Job, 10)
	for i := range group {
		group[i].Worker = i
	}
	broken := errors.New("broken")
	for room, want := range map[int][]int{12: {10}, 5: {5, 5}, 3: {2, 3, 2, 3}, 1: {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}} {
		var parts []int
		errs, most := halved(group, func(part []run.Job, at int) error {
			if part[0].Worker != at {
				t.Errorf("the part that begins with %d is said to be at %d", part[0].Worker, at)
			}
			if len(part) > room {
				return fmt.Errorf("a wrapped %w", torch.ErrMemory)
			}
			parts = append(parts, len(part))
			if at == 0 {
				return broken
			}
			return nil
		})
		if !slices.Equal(parts, want) || most != slices.Max(want) {
			t.Errorf("room for %d: parts %v, the largest %d, want %v", room, parts, most, want)
		}
		for i, err := range errs {
			if errors.Is(err, broken) != (i < want[0]) {
				t.Errorf("room for %d, model %d: %v", room, i, err)
			}
		}
	}
	errs, most := halved(group[:2], func([]run.Job, int) error { return torch.ErrMemory })
	if most != 0 || !errors.Is(errs[0], torch.ErrMemory) || !errors.Is(errs[1], torch.ErrMemory) {
		t.Errorf("no room at all: %v, %d", errs, most)
	}
}

// Groups are as large as memory, the options and what was learnt allow, and
// never empty; on a CPU they are single models.
func TestMost(t *testing.T) {
	linear := nn.LinearModel(nn.Shape{C: 1, H: 1, W: 4}, 2) // 10 parameters; 4 elements an image, 4 flat, 2 logits
	model := &run.Train{Arch: linear, Batch: 5}
	one := modelBytes(model)
	if want := int64(4 * (5*10 + 2*5*(4+4+2))); one != want {
		t.Fatalf("a model of 10 parameters and batch 5 is said to take %d bytes, want %d", one, want)
	}
	model.Micro = 1
	if got, want := modelBytes(model), int64(4*(5*10+2*(4+4+2))); got != want {
		t.Errorf("with parts of one image %d bytes, want %d", got, want)
	}
	model.Micro = 0
	e := New(Options{Device: "cuda:0", Models: 8})
	for free, want := range map[int64]int{0: 8, one: 1, 10 * one: 7, 1000 * one: 8} {
		if got := e.most(model, free); got != want {
			t.Errorf("%d bytes free: %d models, want %d", free, got, want)
		}
	}
	e.fits.Store(linear.Name, 3)
	if got := e.most(model, 1000*one); got != 3 {
		t.Errorf("after 4 were too many, %d models", got)
	}
	e.free = func() int64 { return 3 * one } // room for two
	step := run.Step{Train: model}
	other := run.Step{Train: &run.Train{Arch: linear, Batch: 5, Seed: 1}}
	if g := e.Group([]run.Step{step, other, step}); len(g) != 2 || len(g[0]) != 2 {
		t.Errorf("%d groups, the first of %d, want 2 and 2", len(g), len(g[0]))
	}
	if g := New(Options{Device: "cpu"}).Group([]run.Step{step, other}); len(g) != 2 {
		t.Errorf("%d groups on a CPU, want one a model", len(g))
	}
}

// On a clock that ticks in steps of 10 ms and counts a millisecond an image and
// five a batch, a pace is right within 5 %; batches that would take minutes are
// cut down.
func TestPace(t *testing.T) {
	for batch, perImage := range map[int]time.Duration{100: time.Millisecond, 1: time.Microsecond, 4096: time.Second} {
		var now, longest time.Duration
		clock := func() time.Duration { return now.Truncate(10 * time.Millisecond) }
		got, err := pace(clock, batch, func(batches, images int) error {
			if images > batch {
				t.Errorf("%d images in batches of %d", images, batch)
			}
			took := time.Duration(batches*images) * perImage
			now += took
			longest = max(longest, took)
			return nil
		})
		if want := perImage.Seconds(); err != nil || got < .95*want || got > 1.05*want {
			t.Errorf("batch %d: %g s an image (%v), want %g", batch, got, err, want)
		}
		if now > 30*time.Second {
			t.Errorf("batch %d: timing took %v, the longest part %v", batch, now, longest)
		}
	}
	broken := errors.New("broken")
	if _, err := pace(func() time.Duration { return 0 }, 1, func(int, int) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a failure gave %v", err)
	}
}

// What trainings, scores and deletions consist of, counted by hand.
func TestCost(t *testing.T) {
	sizes := func(*run.Train) (int, int) { return 1000, 200 }
	linear := nn.LinearModel(nn.Shape{C: 1, H: 2, W: 2}, 10)
	model := run.Step{Train: &run.Train{Arch: linear, Batch: 10, Epochs: 3, Poison: run.Poison{Count: 50}}}
	dropped := run.Step{Train: &run.Train{Arch: linear, Batch: 10, Epochs: 3, Poison: run.Poison{Count: 50, Drop: true}}}
	of := func(m run.Score) run.Step { return run.Step{From: []run.Step{model, model}, Score: &m} }
	del := func(d run.Delete) run.Step { return run.Step{From: []run.Step{model}, Delete: &d} }
	for _, c := range []struct {
		name string
		step run.Step
		want map[string]float64
	}{
		{"train", model, map[string]float64{passTrain: 3000, passForward: 600}},
		{"train without", dropped, map[string]float64{passTrain: 2850, passForward: 600}},
		{"spurious", of(run.Score{Measure: "spurious", Size: 150}), map[string]float64{passForward: 300}},
		{"distance", of(run.Score{Measure: "distance"}), map[string]float64{passForward: 400}},
		{"deleted", of(run.Score{Measure: "deleted"}), map[string]float64{passForward: 70}},
		{"membership", of(run.Score{Measure: "membership"}), map[string]float64{passForward: 870}},
		{"importance", of(run.Score{Measure: "importance"}), map[string]float64{}},
		{"influence", del(run.Delete{Method: "influence", Examples: 100, Depth: 9}), map[string]float64{passGradient: 50, passGaussNewton: 1000}},
		{"influence, Hessian", del(run.Delete{Method: "influence", Examples: 100, Depth: 9, Curvature: "hessian"}), map[string]float64{passGradient: 50, passHessian: 5000}},
		{"LiSSA", del(run.Delete{Method: "influence-lissa", Depth: 20, Repeats: 2, Batch: 5, Scale: 1}), map[string]float64{passGradient: 50, passGaussNewton: 200}},
		{"upstream", del(run.Delete{Method: "influence-upstream", Depth: 20, Repeats: 2, Batch: 1}), map[string]float64{passGradient: 50, passGaussNewton: 20}},
		{"Newton", del(run.Delete{Method: "newton", Depth: 1}), map[string]float64{passGradient: 950, passGaussNewton: 1900}},
	} {
		parts, _ := Cost(c.step, sizes)
		got := map[string]float64{}
		for _, p := range parts {
			got[p.Pass.Kind] += p.Images
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if _, beside := Cost(of(run.Score{Measure: "membership"}), sizes); beside == "" {
		t.Error("the attack's own training is passed over in silence")
	}
	if _, beside := Cost(del(run.Delete{Method: "charm"}), sizes); beside != "charm" {
		t.Errorf("an unknown deletion leaves out %q", beside)
	}
}

// Every measure and every deletion is predicted, or says that it is not.
func TestCostKnowsAll(t *testing.T) {
	model := run.Step{Train: &run.Train{Arch: nn.LinearModel(nn.Shape{C: 1, H: 2, W: 2}, 2), Batch: 10, Epochs: 1, Pool: &run.Pool{}}}
	for _, name := range MeasureNames() {
		parts, beside := Cost(run.Step{From: []run.Step{model}, Score: &run.Score{Measure: name}}, Nominal)
		if beside == name || len(parts) == 0 && name != "importance" && name != "linear" {
			t.Errorf("measure %s: %d parts, without %q", name, len(parts), beside)
		}
	}
	for _, name := range DeletionNames() {
		if parts, beside := Cost(run.Step{From: []run.Step{model}, Delete: &run.Delete{Method: name}}, Nominal); len(parts) == 0 || beside != "" {
			t.Errorf("deletion %s: %d parts, without %q", name, len(parts), beside)
		}
	}
}

// Passes of every kind can be timed, and take time.
func TestPaceOfEveryPass(t *testing.T) {
	e := New(Options{Device: "cpu"})
	p := Pass{Arch: nn.LinearModel(nn.Shape{C: 3, H: 8, W: 8}, 10), Batch: 500, Noise: true, Augment: true, ClipBy: "norm", Optimizer: "sgd"}
	for _, kind := range []string{passTrain, passForward, passGradient, passGaussNewton, passHessian} {
		err := torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
			p.Kind = kind
			b, err := newBench(t.Context(), d, p, dataset.Options{})
			if err != nil {
				return err
			}
			defer b.close()
			return b.run(40, 500) // more than there are images
		})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if s, err := e.Pace(t.Context(), p); err != nil || s <= 0 || s > 1 {
		t.Errorf("%g seconds an image, %v", s, err)
	}
}
