package train_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"rarespurious/analysis/membership"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
)

// relabel gives the images of a folder labels at random: what is right of them
// can only be remembered.
func relabel(t *testing.T, dir string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(2, 2))
	for _, name := range []string{"train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"} {
		name = filepath.Join(dir, name)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b[8:] {
			b[8+i] = byte(rng.IntN(10))
		}
		if err := os.WriteFile(name, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func attacked(target, shadow run.Step, size int) run.Step {
	return run.Step{From: []run.Step{target, shadow}, Score: &run.Score{Measure: "membership", Pattern: "R3", Target: 2, Seed: 1, Size: size}}
}

func half(name string, seed int) func(*run.Train) {
	return func(t *run.Train) { t.Data.Part, t.Data.Seed, t.Seed = name, 4, seed }
}

// A network that has learnt random labels by heart gives its members away; one
// that has learnt nothing does not.
func TestMembershipOfTheOverfitted(t *testing.T) {
	dir := folder(t, 600, 600)
	relabel(t, dir)
	o := train.Options{Device: "cpu", Data: dataset.Options{Dir: dir, CacheDir: t.TempDir(), Offline: true}}
	untrained := func(name string, seed int) func(*run.Train) {
		return func(t *run.Train) { half(name, seed)(t); t.LR = 0 }
	}
	r := sweep(t, o,
		attacked(step(5, 60, half("target", 1)), step(0, 60, half("shadow", 1)), 0),
		attacked(step(5, 1, untrained("target", 1)), step(0, 1, untrained("shadow", 1)), 0))
	if v := r[0].Values; v["membership_auc"] < 0.9 || v["membership_accuracy"] < 0.8 || v["membership_tpr"] < 0.8 {
		t.Errorf("overfitted: %v, want an AUC of at least .9", v)
	}
	// 300 members and 300 non-members of one distribution: the standard deviation
	// of the AUC is √(601/(12·300²)) = .0236.
	if v := r[1].Values; v["membership_auc"] < 0.5-3*0.0236 || v["membership_auc"] > 0.5+3*0.0236 {
		t.Errorf("untrained: AUC %g, want .5 within three standard deviations", v["membership_auc"])
	}
}

// Size limits members and non-members alike, not the spurious ones.
func TestMembershipSize(t *testing.T) {
	o := options(t)
	r := sweep(t, o, attacked(step(5, 1, half("target", 1)), step(0, 1, half("shadow", 1)), 50))
	for _, name := range []string{"membership_tpr", "membership_tpr_at_01"} {
		_, got := r[0].Values[name]
		if want := name == "membership_tpr"; got != want {
			t.Errorf("%s is there: %t", name, got)
		}
	}
	if a := 100 * r[0].Values["membership_accuracy"]; a != float64(int(a+.5)) {
		t.Errorf("accuracy %g %%, want hundredths of 100 examples", a)
	}
}

// A model whose examples were dropped has fewer members: they are looked at once
// each, beside as many non-members, and there are no spurious ones.
func TestMembershipWithoutTheDropped(t *testing.T) {
	store, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	e := train.New(options(t))
	defer e.Close()
	dropped := func(t *run.Train) { half("target", 1)(t); t.Poison.Drop = true }
	r, err := (&run.Runner{Store: store, Exec: e, Jobs: 2}).Run(t.Context(), []run.Step{
		attacked(step(5, 1, dropped), step(0, 1, half("shadow", 1)), 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	curves := readCurves(t, store, r[0].ID)
	if all, s := curves["all"], curves["spurious"]; all.Members != 195 || all.NonMembers != 195 || s.Members != 0 {
		t.Errorf("%d members, %d non-members and %d spurious members, want 195, 195 and 0", all.Members, all.NonMembers, s.Members)
	}
	if _, ok := r[0].Values["membership_tpr"]; ok {
		t.Error("a rate of no examples is there")
	}
}

func readCurves(t *testing.T, store *run.Store, id run.ID) (curves map[string]membership.ROC) {
	t.Helper()
	f, err := store.Open(id, train.ROCFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := json.NewDecoder(f).Decode(&curves); err != nil {
		t.Fatal(err)
	}
	return curves
}

// Labels learnt by heart give every single member away to the likelihood-ratio
// attack too. Models that have learnt nothing give nothing away.
func TestLiRA(t *testing.T) {
	dir := folder(t, 300, 100)
	relabel(t, dir)
	o := train.Options{Device: "cpu", Data: dataset.Options{Dir: dir, CacheDir: t.TempDir(), Offline: true}}
	attack := func(models, epochs int, lr float64) run.Step {
		s := run.Step{Score: &run.Score{Measure: "lira", Pattern: "S1", Target: 2, Seed: 1}}
		for m := range models {
			s.From = append(s.From, step(8, epochs, func(t *run.Train) {
				t.Poison.Pattern, t.Pool, t.Seed, t.LR = "S1", &run.Pool{Clean: 100, Model: m}, m, lr
			}))
		}
		return s
	}
	broken := attack(4, 1, 0.003)
	broken.From[3].Train.Pool.Clean = 50
	store, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	e := train.New(o)
	defer e.Close()
	runner := run.Runner{Store: store, Exec: e, Jobs: 2}
	r, err := runner.Run(t.Context(), []run.Step{attack(8, 30, 0.003), attack(8, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"clean", "spurious"} {
		for _, v := range train.LiRAVariants {
			if auc := r[0].Values["lira_auc_"+group+"_"+v.Name]; auc < 0.8 {
				t.Errorf("%s, %s: AUC %g for labels learnt by heart, want at least .8", group, v.Name, auc)
			}
		}
		// 8 models × 50 members and as many others, or 8 × 8: three standard deviations.
		room := map[string]float64{"clean": 0.062, "spurious": 0.155}[group]
		if auc := r[1].Values["lira_auc_"+group+"_online"]; auc < 0.5-room || auc > 0.5+room {
			t.Errorf("%s: AUC %g of models that have learnt nothing, want .5 ± %g", group, auc, room)
		}
	}
	curves := readCurves(t, store, r[0].ID)
	// A candidate that all other models have, or none, has no score.
	if c := curves["spurious_online"]; len(curves) != 8 || c.Members < 50 || c.NonMembers < 50 || c.Members+c.NonMembers > 128 {
		t.Errorf("%d curves, %d members and %d left out", len(curves), c.Members, c.NonMembers)
	}
	if _, err := runner.Run(t.Context(), []run.Step{broken, attack(3, 1, 0.003)}); err == nil {
		t.Error("models of different pools, and three alone, were attacked")
	}
}
