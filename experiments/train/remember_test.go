package train_test

import (
	"testing"

	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
)

// A network that was trained for long on few images knows its examples from
// others; one that was trained without them does not.
func TestRemembered(t *testing.T) {
	measure := func(s run.Step) run.Step {
		return run.Step{From: []run.Step{s}, Score: &run.Score{Measure: "deleted"}}
	}
	s1 := func(drop bool) func(*run.Train) {
		return func(t *run.Train) { t.Poison.Pattern, t.Poison.Drop, t.LR = "S1", drop, 0.01 }
	}
	o := options(t)
	o.Data.Dir = folder(t, 200, 1000)
	r := sweep(t, o, measure(step(16, 60, s1(false))), measure(step(16, 60, s1(true))))
	seen, unseen := r[0].Values["deleted_auc"], r[1].Values["deleted_auc"]
	if seen < unseen+0.05 || seen > 1 || unseen < 0.4 || unseen > 0.6 {
		t.Errorf("AUC %g of a model that saw the examples, %g of one that did not; want the second about .5, the first above", seen, unseen)
	}
	store, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := (&run.Runner{Store: store, Exec: train.New(o), Jobs: 1}).Run(t.Context(), []run.Step{measure(step(0, 1, nil))}); err == nil {
		t.Error("a clean model has examples to remember")
	}
}
