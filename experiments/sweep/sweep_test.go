package sweep

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/run"
)

const configs = "../../configs"

// fakeSet has the labels of a whole data set, ten classes in turn, but only a
// few images.
func fakeSet(name string) (*dataset.Set, error) {
	source, err := dataset.Find(name)
	if err != nil {
		return nil, err
	}
	labels := func(n int) []uint8 {
		l := make([]uint8, n)
		for i := range l {
			l[i] = uint8(i % 10)
		}
		return l
	}
	n := map[string]int{"mnist": 60000, "fashion": 60000, "cifar10": 50000}[name]
	s := &dataset.Set{Name: name, Shape: source.Shape, Classes: source.Classes, Official: true,
		Train: dataset.Part{Labels: labels(n)}, Test: dataset.Part{Labels: labels(20)}}
	s.Train.Images = make([]uint8, n*s.Shape.Len())
	s.Test.Images = make([]uint8, 20*s.Shape.Len())
	return s, nil
}

var sets sync.Map

func lab() Lab {
	return Lab{
		Open: func(name string) (*dataset.Set, error) {
			if s, ok := sets.Load(name); ok {
				return s.(*dataset.Set), nil
			}
			s, err := fakeSet(name)
			sets.Store(name, s)
			return s, err
		},
		Photos:  fakePhotos,
		Weights: fakeWeights,
		File: func(id run.ID, name string) (io.ReadCloser, error) {
			if name == rocFile {
				return io.NopCloser(strings.NewReader(rocs)), nil
			}
			var b []byte
			for i := range 2 * 784 {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(i%784)/100))
			}
			return io.NopCloser(bytes.NewReader(b)), nil
		},
		Measures:  []string{"spurious", "importance", "sensitivity", "membership", "lira", "distance", "deleted", "linear", "trial"},
		Deletions: []string{"influence", "influence-lissa", "influence-upstream", "newton", "newton-decay"},
	}
}

// records makes up what package train would have given.
func records(steps []run.Step) []run.Record {
	out := make([]run.Record, len(steps))
	rng := rand.New(rand.NewPCG(1, 2))
	for i, s := range steps {
		values := map[string]float64{}
		if s.Score == nil {
			out[i] = run.Record{Step: s, Status: run.Done, Seconds: rng.Float64()}
			continue
		}
		switch s.Score.Measure {
		case "spurious":
			for _, m := range measuredValues[:14] {
				values[m.name] = rng.Float64()
			}
		case "membership", "lira":
			for _, m := range measuredValues {
				if strings.HasPrefix(m.name, s.Score.Measure+"_") {
					values[m.name] = rng.Float64()
				}
			}
		case "trial":
			values = map[string]float64{trialShare: rng.Float64(), "context_accuracy": .5, "other_accuracy": .9}
		case "linear":
			for _, q := range linearQuantities {
				values[q.value] = rng.Float64()
			}
		case "deleted":
			values = map[string]float64{"deleted_auc": rng.Float64()}
		case "distance":
			values = map[string]float64{"distance_theta_relative": rng.Float64(), "agreement": rng.Float64()}
		case "importance":
			values = map[string]float64{"importance_min": 0, "importance_max": 7}
		case "sensitivity":
			for j := range 51 {
				values[fmt.Sprintf("sensitivity_%02d", j)] = 1 - float64(j)/50*rng.Float64()
			}
		}
		out[i] = run.Record{Step: s, Status: run.Done, Values: values}
	}
	return out
}

func load(t *testing.T, name, profile string, set ...string) config.Figure {
	t.Helper()
	f, err := config.Load(filepath.Join(configs, name+".yaml"), config.Options{Profile: profile, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var plans, models sync.Map // made once, since hashing thousands of Steps takes seconds

func plan(t *testing.T, name, profile string, set ...string) *Plan {
	t.Helper()
	key := fmt.Sprint(name, profile, set)
	if p, ok := plans.Load(key); ok {
		return p.(*Plan)
	}
	p, err := New(load(t, name, profile, set...), lab())
	if err != nil {
		t.Fatal(err)
	}
	plans.Store(key, p)
	return p
}

// trained returns the models of a plan, by ID.
func trained(p *Plan) map[run.ID]run.Step {
	if m, ok := models.Load(p); ok {
		return m.(map[run.ID]run.Step)
	}
	m := map[run.ID]run.Step{}
	for _, s := range p.Models() {
		m[s.ID()] = s
	}
	models.Store(p, m)
	return m
}

// Every file in configs/ loads, lowers and is drawn in every profile.
func TestConfigs(t *testing.T) {
	for _, name := range config.Names(configs) {
		for _, profile := range config.Profiles() {
			t.Run(name+"/"+profile, func(t *testing.T) {
				t.Parallel()
				f := load(t, name, profile)
				if f.Note == "" {
					t.Error("the profile does not say what it leaves out")
				}
				p := plan(t, name, profile)
				if kinds[f.Kind].runs && len(trained(p)) == 0 {
					t.Error("nothing to train")
				}
				for _, m := range trained(p) {
					if err := m.Train.Arch.Validate(); err != nil {
						t.Error(err)
					}
					if profile == "smoke" && m.Train.Data.Train*m.Train.Epochs > 500 {
						t.Errorf("smoke trains on %d images", m.Train.Data.Train)
					}
				}
				pic, err := p.Draw(records(p.Steps()))
				if err != nil {
					t.Fatal(err)
				}
				if len(pic.Cells) == 0 || len(pic.Figure.Panels) == 0 || len(pic.Notes) > 0 {
					t.Errorf("%d cells, %d panels, notes %q", len(pic.Cells), len(pic.Figure.Panels), pic.Notes)
				}
				if !strings.HasPrefix(pic.Figure.Subtitle, profile+" profile: ") {
					t.Errorf("subtitle %q does not begin with the profile", pic.Figure.Subtitle)
				}
			})
		}
	}
}

// ids returns the IDs of models, optionally of one data set.
func ids(p *Plan, data string) map[run.ID]bool {
	m := map[run.ID]bool{}
	for id, s := range trained(p) {
		if data == "" || s.Train.Data.Name == data {
			m[id] = true
		}
	}
	return m
}

func TestGridSizes(t *testing.T) {
	for _, data := range []string{"mnist", "fashion", "cifar10"} {
		both := ids(plan(t, "fig2", "paper"), data)
		maps.Copy(both, ids(plan(t, "fig20", "paper"), data))
		if len(both) != 565 {
			t.Errorf("%s: Figures 2 and 20 train %d models, want 565", data, len(both))
		}
	}
	if n := len(ids(plan(t, "fig2", "paper"), "mnist")); n != 7*8*5+5 {
		t.Errorf("Figure 2 trains %d models on MNIST, want 285", n)
	}
}

func TestSharing(t *testing.T) {
	for _, profile := range config.Profiles() {
		steps := func(name string) (ids []run.ID) {
			for _, p := range plan(t, name, profile).Panels {
				for _, w := range p.Wants {
					ids = append(ids, w.ID)
				}
			}
			return ids
		}
		for _, name := range []string{"fig6", "fig21", "fig25"} {
			if diff := cmp.Diff(steps("fig2"), steps(name)); diff != "" {
				t.Errorf("%s: %s and fig2 want different Steps", profile, name)
			}
		}
		if diff := cmp.Diff(steps("fig20"), steps("fig23")); diff != "" {
			t.Errorf("%s: fig23 and fig20 want different Steps", profile)
		}
		if diff := cmp.Diff(steps("fig3"), steps("fig19")); diff != "" {
			t.Errorf("%s: fig19 and fig3 want different Steps", profile)
		}
		for _, c := range []struct {
			name string
			of   []string
		}{
			{"pearson", []string{"fig2"}}, {"eps", []string{"fig2"}}, {"accuracy", []string{"fig2", "fig20"}},
			{"fig15", []string{"fig14"}}, {"networks", []string{"fig14", "fig15"}},
		} {
			have := map[run.ID]bool{}
			for _, of := range c.of {
				maps.Copy(have, ids(plan(t, of, profile), ""))
			}
			for id := range ids(plan(t, c.name, profile), "") {
				if !have[id] && (profile != "smoke" || c.name != "fig15" && c.name != "networks") {
					t.Errorf("%s: %s trains a model that %v do not", profile, c.name, c.of)
					break
				}
			}
		}
	}
	for id := range ids(plan(t, "fig3", "paper"), "") {
		if !ids(plan(t, "fig2", "paper"), "")[id] {
			t.Error("Figure 3 trains a model that Figure 2 does not")
		}
	}
}

// Models of one seed differ in their poisoned examples alone.
func TestLower(t *testing.T) {
	set, _ := lab().Open("mnist")
	p := config.Point{Dataset: "mnist", Model: "mlp", Pattern: "R3", Target: 1, Count: 10, Seed: 3, Optimizer: "adam",
		LR: .01, Batch: 128, Epochs: 70, Gamma: .1, Measure: "spurious", ClipBy: "value", Precision: "float32"}
	step := func(change func(*config.Point)) run.Step {
		q := p
		change(&q)
		return Lower(q, set)
	}
	s := step(func(*config.Point) {})
	train := s.From[0].Train
	want := run.Poison{Pattern: "R3", Target: 1, Count: 10, Seed: 3}
	if train.Poison != want || train.Seed != 3 || !slices.Equal(train.Milestones, []int{40, 50, 60}) || train.ClipBy+train.Precision != "" {
		t.Errorf("the model is trained as %+v", train)
	}
	if *s.Score != (run.Score{Measure: "spurious", Pattern: "R3", Target: 1, Seed: 3}) {
		t.Errorf("the model is scored as %+v", s.Score)
	}
	clean := step(func(p *config.Point) { p.Count = 0 })
	other := step(func(p *config.Point) { p.Count, p.Pattern, p.Target = 0, "S1", 0 })
	if clean.From[0].ID() != other.From[0].ID() || clean.ID() == other.ID() {
		t.Error("a clean model depends on pattern or target, or its score does not")
	}
	poisoned := *train
	poisoned.Poison = run.Poison{}
	if (run.Step{Train: &poisoned}).ID() != clean.From[0].ID() {
		t.Error("a clean and a poisoned model of one seed differ in more than the examples")
	}

	deleted := step(func(p *config.Point) { p.Delete, p.DeleteDamping, p.DeleteDepth = "newton", .01, 5 }).From[0]
	if d := deleted.Delete; d == nil || deleted.From[0].ID() != s.From[0].ID() || *d != (run.Delete{Method: "newton", Damping: .01, Depth: 5, Seed: 3}) {
		t.Errorf("a deletion is lowered to %+v", deleted)
	}
	retrained := step(func(p *config.Point) { p.Delete, p.DeleteEpochs = RetrainDecayed, 70 }).From[0]
	if r := retrained.Train; r == nil || retrained.From[0].ID() != s.From[0].ID() || !r.Poison.Drop || r.Epochs != 70 || math.Abs(r.LR-1e-5) > 1e-20 || len(r.Milestones) > 0 {
		t.Errorf("retraining is lowered to %+v", r)
	}
	// The default schedule of 100 epochs has a milestone at 110.
	unreached := step(func(p *config.Point) { p.Delete, p.DeleteEpochs, p.Epochs = RetrainDecayed, 1, 100 }).From[0]
	if lr := unreached.Train.LR; math.Abs(lr-1e-4) > 1e-19 {
		t.Errorf("retraining after 100 epochs goes on at %g, want 1e-4, the rate of the last of them", lr)
	}
	fairer := step(func(p *config.Point) { p.Delete, p.DeleteEpochs = RetrainInitial, 70 }).From[0]
	if r := fairer.Train; r.LR != .01 || len(r.Milestones) > 0 || fairer.From[0].ID() != s.From[0].ID() {
		t.Errorf("retraining at the first learning rate is lowered to %+v", r)
	}
	if cost := step(func(p *config.Point) { p.Delete, p.DeleteEpochs, p.Measure = RetrainInitial, 70, measureCost }); cost.ID() != fairer.ID() {
		t.Error("a cost is not of the model's own step")
	}
	scratch := step(func(p *config.Point) { p.Delete = Scratch }).From[0]
	if scratch.Train == nil || len(scratch.From) > 0 || !scratch.Train.Poison.Drop || scratch.Train.Epochs != 70 {
		t.Error("training from scratch does not drop the examples")
	}
	if none := step(func(p *config.Point) { p.Delete, p.Count = "newton", 0 }); none.From[0].ID() != clean.From[0].ID() {
		t.Error("deleting nothing is not the clean model")
	}
	apart := step(func(p *config.Point) { p.Delete, p.Measure = "newton", "distance" })
	if len(apart.From) != 2 || apart.From[0].ID() == apart.From[1].ID() || apart.From[1].ID() != scratch.ID() {
		t.Error("a distance is not from the model that never saw the examples")
	}
	attacked := step(func(p *config.Point) { p.Part, p.Measure = "target", "membership" })
	more := step(func(p *config.Point) { p.Part, p.Measure, p.Count, p.Pattern = "target", "membership", 100, "S1" })
	if a := attacked.From; len(a) != 2 || a[1].Train.Data != (run.Data{Name: "mnist", Part: "shadow", Seed: 3}) ||
		a[1].Train.Poison.Count != 0 || a[1].ID() != more.From[1].ID() || a[0].Train.Data.Part != "target" {
		t.Error("an attack has no clean shadow model, or one that depends on the poisoning")
	}
	theirs := step(func(p *config.Point) { p.Upstream, p.Augment = true, true })
	if theirs.From[0].Train.Seed != 0 || !theirs.From[0].Train.Poison.Upstream || !theirs.Score.Upstream {
		t.Error("upstream is not lowered")
	}
	own := *set
	own.Official, own.Digest = false, "abc"
	if got := Lower(p, &own).From[0].Train.Data.Digest; got != "abc" || train.Data.Digest != "" {
		t.Errorf("digests %q and %q: only a user's own data have one", got, train.Data.Digest)
	}
	cifar, _ := lab().Open("cifar10")
	p.Dataset, p.Model = "cifar10", "resnet20"
	if a := Lower(p, cifar).From[0].Train.Arch; a.NumParams() != 269722 || len(a.Mean) != 3 || a.Std[0] != .2023 {
		t.Errorf("CIFAR-10's network has %d parameters, mean %v, std %v", a.NumParams(), a.Mean, a.Std)
	}
}

func TestRefused(t *testing.T) {
	edit := func(change func(*config.Figure)) error {
		f := load(t, "fig2", "quick", "pattern=R3", "count=[0, 3]", "seed=0")
		change(&f)
		_, err := New(f, lab())
		return err
	}
	point := func(change func(*config.Point)) error {
		return edit(func(f *config.Figure) { change(&f.Panels[0].Points[1]) })
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{edit(func(f *config.Figure) { f.Kind = "curve" }), `kind: "curve" is not known; did you mean curves?`},
		{edit(func(f *config.Figure) { f.View.Metric = "spurious_scor" }), "did you mean spurious_score?"},
		{edit(func(f *config.Figure) { f.View.X = "" }), "view.x: missing"},
		{point(func(p *config.Point) { p.Count = 6001 }), "6001 is more than the 6000 training images of class 0 (0) that mnist has"},
		{point(func(p *config.Point) { p.Train, p.Count = 500, 51 }), "51 is more than the 50 training images of class 0 (0) that mnist has among its first 500"},
		{point(func(p *config.Point) { p.Part, p.Count = "target", 2500 }), "2500 is more than"},
		{point(func(p *config.Point) { p.Train = 60001 }), "60001 is more than mnist's 60000 training images"},
		{point(func(p *config.Point) { p.Measure = "spurius" }), "did you mean spurious?"},
		{point(func(p *config.Point) { p.Pattern, p.Count = "", 0 }), "pattern: missing"},
		{point(func(p *config.Point) { p.Model = "" }), "model: missing"},
		{point(func(p *config.Point) { p.Epochs = 0 }), "epochs: missing"},
		{point(func(p *config.Point) { p.Delete = "retrain-decaid" }), "did you mean retrain-decayed?"},
		{edit(func(f *config.Figure) { f.Panels[2].Points[0].Model = "vgg" }), "model: vgg does not take cifar10's images"},
		{point(func(p *config.Point) { p.Measure, p.Part = "membership", "shadow" }), "part: must be target"},
		{edit(func(f *config.Figure) {
			for i := range f.Panels[2].Points { // what is wrong with one is said once, and spoils all
				f.Panels[2].Points[i].Model = "vgg"
			}
		}), "model: vgg does not take cifar10's images"},
		{point(func(p *config.Point) { p.Delete = RetrainInitial }), "delete_epochs: missing or 0: delete retrain-initial needs it"},
		{point(func(p *config.Point) { p.Delete, p.DeleteTolerance = "influence", 1e-3 }), "delete_depth: missing or 0: delete influence needs it"},
		{point(func(p *config.Point) { p.Delete, p.DeleteDepth = "newton", 5 }), "delete_tolerance: missing or 0: delete newton needs it"},
		{point(func(p *config.Point) { p.Delete, p.DeleteDepth = "influence-lissa", 5 }), "delete_repeats: missing or 0"},
		{point(func(p *config.Point) { p.Delete, p.DeleteDepth, p.DeleteRepeats = "influence-upstream", 5, 1 }), "delete_scale: missing or 0"},
		{point(func(p *config.Point) { p.Measure = "sensitivity" }), "size: missing or 0: measure sensitivity needs it"},
		{point(func(p *config.Point) { p.Measure = "linear" }), `measure: "linear" is not known for mnist`},
		{point(func(p *config.Point) { p.Measure = "trial" }), `measure: "trial" is not known for mnist`},
		{point(func(p *config.Point) { p.Measure, p.Part, p.Size = "membership", "target", 2 }), "size: 2: an attack is cross-validated on at least 3 members"},
		{edit(func(f *config.Figure) { f.Panels[2].Points[0].Measure = "importance" }), "model: resnet20 does not begin with a linear layer"},
	} {
		if !errors.Is(c.err, config.ErrInvalid) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", c.err, c.want)
		}
	}
	if err := edit(func(*config.Figure) {}); err != nil {
		t.Error(err)
	}
	for _, name := range lab().Deletions {
		if len(deletionNeeds[name]) == 0 {
			t.Errorf("what %s needs is not said", name)
		}
	}
}

func TestUnavailable(t *testing.T) {
	l := lab()
	open := l.Open
	l.Open = func(name string) (*dataset.Set, error) {
		if name == "cifar10" {
			return nil, fmt.Errorf("%w: put it there", dataset.ErrUnavailable)
		}
		return open(name)
	}
	if _, err := New(load(t, "fig2", "paper"), l); !errors.Is(err, dataset.ErrUnavailable) || !strings.Contains(err.Error(), "put it there") {
		t.Errorf("paper: %v", err)
	}
	for name, whole := range map[string]int{"fig2": 3, "fig14": 6, "fig16": 3, "pearson": 3} {
		p, err := New(load(t, name, "quick"), l)
		if err != nil {
			t.Fatal(err)
		}
		pic, err := p.Draw(records(p.Steps()))
		if err != nil {
			t.Fatal(err)
		}
		if len(pic.Notes) == 0 || !strings.Contains(pic.Notes[0], "CIFAR-10") || len(pic.Figure.Panels) != whole {
			t.Errorf("%s: notes %q, %d panels", name, pic.Notes, len(pic.Figure.Panels))
		}
	}
}

// A small figure's CSV, from made-up numbers.
func TestGolden(t *testing.T) {
	p := plan(t, "fig2", "quick", "pattern=[S1, R3]", "count=[0, 10]", "seed=[0, 1, 2, 3]", "dataset=mnist")
	p.Panels = p.Panels[:1]
	steps := p.Steps()
	rs := make([]run.Record, len(steps))
	for i, s := range steps {
		train := s.From[0].Train
		score := .01 * float64(train.Seed)
		if train.Poison.Count > 0 && s.Score.Pattern == "R3" {
			score = .5 + .02*float64(train.Seed)
		}
		rs[i] = run.Record{Status: run.Done, Values: map[string]float64{"spurious_score": score, "clean_accuracy": .75}}
	}
	rs[len(rs)-1].Status = run.Diverged // R3, 10 examples, seed 3
	rs[0].Status = ""                   // S1, clean, seed 0: failed
	pic, err := p.Draw(rs)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1 of 16 results are missing: their runs failed", "1 runs diverged: they are counted, not averaged"}
	if diff := cmp.Diff(want, pic.Notes); diff != "" {
		t.Error(diff)
	}
	dir := t.TempDir()
	files, err := pic.Save(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, "fig2", "fig2.csv"))
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/fig2.csv")
	if err != nil {
		t.Fatal(err)
	}
	// IDs change with every field of a Step: what they stand for does not.
	cells, err := table.ReadCSV(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, s := range steps {
		names[s.ID().String()] = fmt.Sprintf("%s-%d-seed%d", s.Score.Pattern, s.From[0].Train.Poison.Count, s.Score.Seed)
	}
	for _, c := range cells {
		var runs []string
		for _, id := range c.Runs {
			runs = append(runs, names[id])
		}
		slices.Sort(runs)
		got = bytes.ReplaceAll(got, []byte(strings.Join(c.Runs, " ")), []byte(strings.Join(runs, " ")))
	}
	if diff := cmp.Diff(string(golden), string(got)); diff != "" {
		t.Errorf("%s\ngot:\n%s", diff, got)
	}
}

func TestTables(t *testing.T) {
	numbers := func(pic Picture, metric string) map[string]float64 {
		m := map[string]float64{}
		for _, c := range pic.Cells {
			if c.Metric == metric {
				m[strings.Trim(c.Panel+" "+c.Series+" "+c.X, " ")] = c.Mean
			}
		}
		return m
	}
	draw := func(name string) Picture {
		p := plan(t, name, "paper")
		pic, err := p.Draw(records(p.Steps()))
		if err != nil {
			t.Fatal(err)
		}
		return pic
	}
	// Table 2 of the paper.
	want := map[string]float64{"MNIST small MLP": 203530, "MNIST MLP": 335114, "MNIST large MLP": 932362, "MNIST CNN": 312202,
		"CIFAR-10 ResNet20": 269722, "CIFAR-10 ResNet32": 464154, "CIFAR-10 ResNet110": 1727962, "CIFAR-10 VGG16": 134301514}
	if diff := cmp.Diff(want, numbers(draw("table2"), "parameters")); diff != "" {
		t.Error(diff)
	}
	// On black images a square of n pixels and c channels has the norm √(n·c), and
	// R1 half of R2.
	norm := numbers(draw("table1"), "pattern_norm")
	for name, want := range map[string]float64{"MNIST S1 mean": 1, "MNIST S2 seed 4": 3, "Fashion-MNIST S3 mean": 5,
		"CIFAR-10 S1 mean": math.Sqrt(3), "CIFAR-10 Inv seed 0": math.Sqrt(66 * 3), "MNIST R1 seed 4": norm["MNIST R2 seed 4"] / 2} {
		if math.Abs(norm[name]-want) > 1e-6 {
			t.Errorf("%s: norm %v, want %v", name, norm[name], want)
		}
	}
	if norm["MNIST R3 seed 0"] == norm["MNIST R3 seed 4"] || math.Abs(norm["MNIST R3 seed 4"]-16.25) > .005 {
		t.Errorf("R3 of seeds 0 and 4: norms %v and %v, want 16.25 for seed 4", norm["MNIST R3 seed 0"], norm["MNIST R3 seed 4"])
	}
	// No cell of the networks' table is blank but those of networks that a data
	// set does not have.
	table := draw("networks").Figure.Panels[0].(*figure.Table)
	filled := 0
	for _, line := range table.Rows {
		for _, c := range line {
			if c != "" {
				filled++
			}
		}
	}
	if len(table.Header) != 11 || filled != 8*2+4*6+4*3 {
		t.Errorf("networks: %d columns, %d cells, want 11 and 52", len(table.Header), filled)
	}
	// 7 patterns × 8 counts × 2 targets × 5 seeds, each model once.
	for _, c := range draw("accuracy").Cells {
		if c.N != 560 {
			t.Errorf("%s: %s over %d models, want 560", c.Panel, c.Series, c.N)
		}
	}
}

// The shortcut over bytes gives what the definition gives.
func TestNorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, name := range []string{"mnist", "cifar10"} {
		set, err := shapeOf(name)
		if err != nil {
			t.Fatal(err)
		}
		set.Test = dataset.Part{Images: make([]uint8, 7*set.Shape.Len()), Labels: make([]uint8, 7)}
		for i := range set.Test.Images {
			set.Test.Images[i] = uint8(rng.IntN(256))
		}
		for _, pat := range pattern.Names() {
			p, err := pattern.New(pat, set.Shape, 4)
			if err != nil {
				t.Fatal(err)
			}
			want := metric.PatternNorm(toFloat(set.Test.Images), p.OverlayAll(set.Test.Images), set.Shape.Len())
			got, err := normOf(set, config.Point{Pattern: pat, Seed: 4}, map[string]float64{})
			if err != nil || math.Abs(got-want) > 1e-9*want {
				t.Errorf("%s on %s: %v, want %v (%v)", pat, name, got, want, err)
			}
		}
	}
}

func TestCorrelation(t *testing.T) {
	p := plan(t, "pearson", "paper")
	rs := records(p.Steps())
	for i, s := range p.Steps() {
		norm := float64(slices.Index([]string{"S1", "S2", "S3", "R1", "R2", "R3", "Inv"}, s.Score.Pattern))
		rs[i].Values = map[string]float64{"pattern_norm": norm, "spurious_score_other": .1 * norm}
	}
	pic, err := p.Draw(rs)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range pic.Cells {
		if c.Metric == "pearson_r" {
			seen++
			if math.Abs(c.Mean-1) > 1e-9 || c.N != 7 || len(c.Runs) != 7*8*5 {
				t.Errorf("%s: r = %v over %d points and %d runs, want 1 over 7 and 280", c.Panel, c.Mean, c.N, len(c.Runs))
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d correlations, want 3", seen)
	}
	if title := pic.Figure.Panels[0].(*figure.Curves).Title; !strings.HasPrefix(title, "MNIST: r = 1.00, p = ") {
		t.Errorf("title %q", title)
	}
	// A failed run takes its own mean away, and nothing else.
	rs[0].Status = ""
	if pic, err = p.Draw(rs); err != nil {
		t.Fatal(err)
	}
	if c := pic.Cells[0]; c.N != 4 || c.X != "S1" {
		t.Errorf("cell %+v, want S1 over 4 seeds", c)
	}
}

func TestHeatmaps(t *testing.T) {
	for name, want := range map[string]float64{"fig3": 7.83, "fig19": 1} {
		p := plan(t, name, "paper")
		pic, err := p.Draw(records(p.Steps()))
		if err != nil {
			t.Fatal(err)
		}
		h := pic.Figure.Panels[3].(*figure.Heat)
		if h.Title != "2000 spurious examples" || math.Abs(slices.Max(h.Values)-want) > 1e-6 {
			t.Errorf("%s: %q up to %v, want %v", name, h.Title, slices.Max(h.Values), want)
		}
		// The fake map rises by .01 a pixel, from left to right and down: S3's
		// pixels 28·r + c, r and c in 0..4, have the mean .01·(28·2 + 2).
		i := slices.IndexFunc(pic.Cells, func(c table.Cell) bool { return c.Metric == importanceUnder })
		if math.Abs(pic.Cells[i].Mean-.58) > 1e-6 {
			t.Errorf("%s: mean %v under the pattern, want .58", name, pic.Cells[i].Mean)
		}
	}
}

func TestSensitivity(t *testing.T) {
	p := plan(t, "fig15", "paper")
	rs := records(p.Steps())
	for i := range rs {
		for j := range 51 {
			rs[i].Values[fmt.Sprintf("sensitivity_%02d", j)] = 1 - float64(j)/50
		}
	}
	pic, err := p.Draw(rs)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range pic.Cells {
		want := .5 // the mean over all shares
		if c.Metric == shareProbability {
			x, _ := table.Number(c.X)
			want = 1 - x
		}
		if math.Abs(c.Mean-want) > 1e-9 {
			t.Errorf("%s, %s at %s: %v, want %v", c.Series, c.Metric, c.X, c.Mean, want)
		}
	}
	if c := pic.Figure.Panels[2].(*figure.Curves); len(c.Series) != 4 || len(c.Series[0].Points) != 51 {
		t.Errorf("%d curves", len(c.Series))
	}
}

// Clean first, then one image per pattern.
func TestImages(t *testing.T) {
	p := plan(t, "fig1", "paper")
	pic, err := p.Draw(nil)
	if err != nil {
		t.Fatal(err)
	}
	images := pic.Figure.Panels[0].(*figure.Images).Images
	if len(images) != 8 || images[0].Caption != "clean" || images[2].Caption != "S2" {
		t.Fatalf("%d images", len(images))
	}
	lit := func(pix []float32) (n int) {
		for _, v := range pix {
			if v == 1 {
				n++
			}
		}
		return n
	}
	for i, want := range map[int]int{0: 0, 1: 1, 2: 9, 3: 25, 7: 66} {
		if got := lit(images[i].Pix); got != want {
			t.Errorf("%s: %d pixels are lit, want %d", images[i].Caption, got, want)
		}
	}
	if got := interleave([]float32{1, 2, 3, 10, 20, 30}, 2); !slices.Equal(got, []float32{1, 10, 2, 20, 3, 30}) {
		t.Errorf("channels last: %v", got)
	}
}
