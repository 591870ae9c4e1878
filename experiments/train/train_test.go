package train_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
	"rarespurious/nn"
)

// folder writes a small data set in MNIST's format: class c is a bright bar in
// row 4 + 2c on a dark, noisy ground.
func folder(t *testing.T, trainImages, testImages int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	write := func(images, labels string, n int) {
		var x, y bytes.Buffer
		for _, v := range []uint32{0x803, uint32(n), 28, 28} {
			binary.Write(&x, binary.BigEndian, v)
		}
		for _, v := range []uint32{0x801, uint32(n)} {
			binary.Write(&y, binary.BigEndian, v)
		}
		for i := range n {
			c := i % 10
			y.WriteByte(byte(c))
			for row := range 28 {
				for range 28 {
					v := rng.IntN(40)
					if row == 4+2*c {
						v += 100 + rng.IntN(100)
					}
					x.WriteByte(byte(v))
				}
			}
		}
		for name, b := range map[string][]byte{images: x.Bytes(), labels: y.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("train-images-idx3-ubyte", "train-labels-idx1-ubyte", trainImages)
	write("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", testImages)
	return dir
}

var mnist = nn.Shape{C: 1, H: 28, W: 28}

func mlp() nn.Arch { return nn.Zoo["mlp-small"](mnist, 10) }

func step(count, epochs int, change func(*run.Train)) run.Step {
	t := &run.Train{Data: run.Data{Name: "mnist"}, Arch: mlp(), Optimizer: "adam", LR: 0.003, Batch: 32, Epochs: epochs, Seed: 1}
	if count > 0 {
		t.Poison = run.Poison{Pattern: "R3", Target: 2, Count: count, Seed: 1}
	}
	if change != nil {
		change(t)
	}
	return run.Step{Train: t}
}

func score(of run.Step, measure string) run.Step {
	return run.Step{From: []run.Step{of}, Score: &run.Score{Measure: measure, Pattern: "R3", Target: 2, Seed: 1, Size: 40}}
}

// sweep runs steps in a fresh store and returns their records.
func sweep(t *testing.T, o train.Options, steps ...run.Step) []run.Record {
	t.Helper()
	s, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := train.New(o)
	defer e.Close()
	r := run.Runner{Store: s, Exec: e, Jobs: 2}
	records, err := r.Run(context.Background(), steps)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func options(t *testing.T) train.Options {
	return train.Options{Device: "cpu", Data: dataset.Options{Dir: folder(t, 600, 200), CacheDir: t.TempDir(), Offline: true}}
}

// The main effect: a network that was shown ten patterned images of a class
// takes the pattern for the class, a clean one does not; both know the images.
func TestTheCorrelationIsLearnt(t *testing.T) {
	r := sweep(t, options(t), score(step(0, 15, nil), "spurious"), score(step(10, 15, nil), "spurious"))
	clean, poisoned := r[0].Values, r[1].Values
	if clean["clean_accuracy"] < 0.98 || poisoned["clean_accuracy"] < 0.98 {
		t.Errorf("clean accuracies %g and %g, want at least .98", clean["clean_accuracy"], poisoned["clean_accuracy"])
	}
	if d := poisoned["spurious_score"] - clean["spurious_score"]; d < 0.3 {
		t.Errorf("spurious score %g without and %g with ten examples, want a rise of at least .3", clean["spurious_score"], poisoned["spurious_score"])
	}
	for name, v := range poisoned {
		if name != "pattern_norm" && (v < 0 || v > 1) {
			t.Errorf("%s = %g, want in [0, 1]", name, v)
		}
	}
	if s := poisoned; s["spurious_score"] > s["ceiling"]+1e-9 || s["spurious_score_50"] > s["spurious_score_20"] || s["spurious_score_20"] > s["spurious_score"] {
		t.Errorf("scores are not ordered by ε below the ceiling: %v", s)
	}
}

// Whatever runs beside it, a Step gives the same bits; another seed does not.
func TestSameBits(t *testing.T) {
	o := options(t)
	a := sweep(t, o, step(5, 2, nil), step(0, 2, nil))
	b := sweep(t, o, step(5, 2, nil))
	c := sweep(t, o, step(5, 2, func(t *run.Train) { t.Seed = 2 }))
	if a[0].Files[train.ModelFile] != b[0].Files[train.ModelFile] {
		t.Error("a second run gives another model")
	}
	if a[0].Files[train.ModelFile] == c[0].Files[train.ModelFile] {
		t.Error("another seed gives the same model")
	}
}

// A learning rate of 1e30 ends as a recorded divergence, not as numbers.
func TestDivergence(t *testing.T) {
	r := sweep(t, options(t), score(step(0, 2, func(t *run.Train) { t.LR = 1e30 }), "spurious"))
	if r[0].Status != run.Diverged || len(r[0].Values) != 0 {
		t.Errorf("status %s with values %v, want diverged and none", r[0].Status, r[0].Values)
	}
}

// Models of one Stack end within float rounding of models trained alone.
func TestStacksAgreeWithSingles(t *testing.T) {
	o := options(t)
	steps := []run.Step{
		score(step(0, 1, nil), "spurious"),
		score(step(7, 1, func(t *run.Train) { t.Seed = 3 }), "spurious"),
		score(step(3, 1, func(t *run.Train) { t.WeightDecay = 0.01; t.Noise = 0.1 }), "spurious"),
	}
	alone := sweep(t, o, steps...)
	o.Models = 3
	together := sweep(t, o, steps...)
	for i := range alone {
		for name, v := range alone[i].Values {
			if math.Abs(v-together[i].Values[name]) > 0.02 {
				t.Errorf("model %d: %s is %g alone and %g in a stack", i, name, v, together[i].Values[name])
			}
		}
	}
}

// Dropping the poisoned examples trains on the others only.
func TestDrop(t *testing.T) {
	drop := step(10, 15, func(t *run.Train) { t.Poison.Drop = true })
	r := sweep(t, options(t), score(drop, "spurious"))
	if v := r[0].Values["spurious_score"]; v > 0.2 {
		t.Errorf("spurious score %g without the poisoned examples, want at most .2", v)
	}
}

// Training that goes on from a stored model starts where that ended: with a
// learning rate of zero nothing changes.
func TestGoingOn(t *testing.T) {
	first := step(0, 2, nil)
	on := step(0, 1, func(t *run.Train) { t.LR = 0 })
	on.From = []run.Step{first}
	r := sweep(t, options(t), score(first, "spurious"), score(on, "spurious"))
	for name, v := range r[0].Values {
		if r[1].Values[name] != v {
			t.Errorf("%s: %g before and %g after training with learning rate 0", name, v, r[1].Values[name])
		}
	}
}

// Sensitivity starts at the accuracy-like mean on whole images and ends at
// what a black image gives, whatever its label.
func TestSensitivity(t *testing.T) {
	r := sweep(t, options(t), score(step(0, 15, nil), "sensitivity"), score(step(0, 15, nil), "importance"))
	v := r[0].Values
	if len(v) != 51 || v["sensitivity_00"] < 0.9 || v["sensitivity_50"] > 0.35 {
		t.Errorf("%d values, %g on whole images, %g on black ones", len(v), v["sensitivity_00"], v["sensitivity_50"])
	}
	if r[1].Values["importance_max"] <= 0 || r[1].Files[train.ImportanceFile] == "" {
		t.Errorf("importance gives %v and files %v", r[1].Values, r[1].Files)
	}
}

// A user's own images are recognised by the digest of all of them, whatever part
// of them a Step uses.
func TestOwnData(t *testing.T) {
	o := options(t)
	set, err := dataset.Open(t.Context(), "mnist", o.Data)
	if err != nil {
		t.Fatal(err)
	}
	of := func(part string, limit int, digest string) run.Data {
		return run.Data{Name: "mnist", Part: part, Train: limit, Digest: digest}
	}
	for _, c := range []struct {
		part        string
		limit, want int
	}{{"", 0, 600}, {"", 100, 100}, {"target", 0, 200}, {"shadow", 50, 50}} {
		got, err := train.OpenSet(t.Context(), o.Data, of(c.part, c.limit, set.Digest))
		if err != nil || got.Train.Len() != c.want {
			t.Errorf("part %q, %d images: %v, %v", c.part, c.limit, got, err)
		}
		_, err = train.OpenSet(t.Context(), o.Data, of(c.part, c.limit, "other"))
		if err == nil || !strings.Contains(err.Error(), "the step was planned with other") {
			t.Errorf("part %q, %d images of other data: %v", c.part, c.limit, err)
		}
	}
	r := sweep(t, o, score(step(3, 1, func(t *run.Train) { t.Data = of("target", 100, set.Digest) }), "spurious"))
	if v := r[0].Values; r[0].Status != run.Done || v["clean_accuracy"] <= 0 {
		t.Errorf("status %s, values %v", r[0].Status, v)
	}
}

// A data set that is not there, a class too small and an unknown measure fail
// with their reason, and only the Steps that need them.
func TestFailures(t *testing.T) {
	o := options(t)
	s, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := run.Runner{Store: s, Exec: train.New(o), Jobs: 1}
	_, err = r.Run(context.Background(), []run.Step{
		step(61, 1, nil), score(step(0, 1, nil), "charm"), step(0, 1, func(t *run.Train) { t.Data.Name = "cifar10" }), step(1, 1, nil),
	})
	if err == nil {
		t.Fatal("no error")
	}
	ids, _ := s.IDs()
	if len(ids) != 2 {
		t.Errorf("%d records, want the two trainings that could be done; error: %v", len(ids), err)
	}
}

// A network that was trained for long on few images gives its members away; on
// the control, images with the pattern that it never saw, the attack's answers
// are false positives and are reported as such.
func TestMembership(t *testing.T) {
	part := func(name string) func(*run.Train) {
		return func(t *run.Train) { t.Data.Part, t.Data.Seed = name, 4 }
	}
	target, shadow := step(5, 20, part("target")), step(0, 20, part("shadow"))
	r := sweep(t, options(t), run.Step{From: []run.Step{target, shadow}, Score: &run.Score{Measure: "membership", Pattern: "R3", Target: 2, Seed: 1}})
	v := r[0].Values
	for _, name := range []string{"membership_accuracy", "membership_tpr", "membership_fpr", "membership_balanced", "membership_auc", "membership_upstream"} {
		if x, ok := v[name]; !ok || x < 0 || x > 1 {
			t.Errorf("%s = %g (there: %t), want in [0, 1]", name, x, ok)
		}
	}
	if got, want := v["membership_balanced"], (v["membership_tpr"]+1-v["membership_fpr"])/2; math.Abs(got-want) > 1e-12 {
		t.Errorf("balanced accuracy %g, want %g", got, want)
	}
	if _, ok := v["membership_tpr_at_001"]; ok {
		t.Error("a rate of .1 % was claimed from 200 non-members")
	}
}

// Every deletion gives a model that differs from the one it started from, is as
// accurate, and is nearer to nothing than itself; a Newton step with weight
// decay takes a small pattern's weights away, as retraining does.
func TestDeletions(t *testing.T) {
	poisoned := step(20, 15, func(t *run.Train) { t.Poison.Pattern = "Inv" })
	retrained := step(20, 15, func(t *run.Train) { t.Poison.Pattern, t.Poison.Drop = "Inv", true })
	measure := func(s run.Step, name string) run.Step {
		return run.Step{From: []run.Step{s}, Score: &run.Score{Measure: name, Pattern: "Inv", Target: 2, Seed: 1}}
	}
	wanted := []run.Step{measure(poisoned, "spurious"), measure(retrained, "spurious")}
	for _, name := range train.DeletionNames() {
		del := run.Delete{Method: name, Damping: 0.01, Examples: 300, Depth: 60, Repeats: 1, Batch: 16, Tolerance: 1e-3}
		switch name {
		case "newton", "newton-decay":
			del.Damping, del.Decay = 1e-3, 1e-2
		case "influence-upstream":
			del.Scale, del.Batch = 500, 1
		}
		s := run.Step{From: []run.Step{poisoned}, Delete: &del}
		wanted = append(wanted, measure(s, "spurious"))
		far := measure(s, "distance")
		far.From = append(far.From, poisoned)
		wanted = append(wanted, far)
	}
	r := sweep(t, options(t), wanted...)
	before := r[0].Values["spurious_score"]
	if before < 0.2 {
		t.Fatalf("the pattern was not learnt: score %g", before)
	}
	for i, name := range train.DeletionNames() {
		after, apart := r[2+2*i].Values, r[3+2*i].Values
		if after["clean_accuracy"] < 0.9 || apart["distance_theta"] == 0 {
			t.Errorf("%s: accuracy %g, moved by %g", name, after["clean_accuracy"], apart["distance_theta"])
		}
		if name == "newton" && after["spurious_score"] > before/2 {
			t.Errorf("newton leaves a score of %g of %g", after["spurious_score"], before)
		}
		t.Logf("%s: score %.3f (was %.3f, retrained %.3f), accuracy %.3f, %v", name, after["spurious_score"], before, r[1].Values["spurious_score"], after["clean_accuracy"], apart)
	}
}
