package predict_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"rarespurious/experiments/predict"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
	"rarespurious/nn"
)

func sizes(*run.Train) (int, int) { return 1000, 100 }

func model(epochs, seed int) run.Step {
	return run.Step{Train: &run.Train{Data: run.Data{Name: "mnist"}, Arch: nn.LinearModel(nn.Shape{C: 1, H: 2, W: 2}, 2),
		Optimizer: "adam", Batch: 10, Epochs: epochs, Seed: seed}}
}

func score(s run.Step, measure string) run.Step {
	return run.Step{From: []run.Step{s}, Score: &run.Score{Measure: measure}}
}

func record(s run.Step, seconds float64, host string) run.Record {
	return run.Record{Step: s, Status: run.Done, Seconds: seconds, Env: run.Env{Host: host, Device: "cpu", Threads: 1}}
}

// A model takes as long per epoch as like ones took on this machine: other
// seeds do not matter, other batches, measures and hosts do.
func TestLikeRuns(t *testing.T) {
	m := &predict.Machine{Sizes: sizes, Host: "here", Device: "cpu"}
	m.Learn(record(model(10, 1), 20, "here"))
	m.Learn(record(model(10, 2), 22, "here"))
	m.Learn(record(model(10, 3), 500, "here")) // it was disturbed
	m.Learn(record(model(10, 4), 1, "elsewhere"))
	m.Learn(record(score(model(10, 1), "spurious"), 3, "here"))
	if s, beside, ok := m.Seconds(model(5, 7)); s != 11 || beside != "" || !ok {
		t.Errorf("5 epochs: %g s, without %q, known: %t; want 11", s, beside, ok)
	}
	if s, _, ok := m.Seconds(score(model(70, 7), "spurious")); s != 3 || !ok {
		t.Errorf("a score: %g s, known: %t; want 3", s, ok)
	}
	other := model(5, 1)
	other.Train.Batch = 20
	for name, s := range map[string]run.Step{"another batch": other, "another measure": score(model(1, 1), "distance")} {
		if got, _, ok := m.Seconds(s); ok {
			t.Errorf("%s: %g s from runs that are not like it", name, got)
		}
	}
}

// Without records a Step is the sum of its passes, each kind timed once.
func TestCalibration(t *testing.T) {
	m := &predict.Machine{Sizes: sizes, Host: "here", Device: "cpu"}
	m.Learn(record(score(model(1, 1), "distance"), 7, "here"))
	timed := map[string]int{}
	calibrate := func() {
		t.Helper()
		steps := []run.Step{model(2, 1), model(3, 2), score(model(2, 1), "spurious"), score(model(2, 1), "distance"), score(model(2, 1), "membership")}
		err := m.Calibrate(context.Background(), steps, func(p train.Pass) { timed[p.Key()]++ },
			func(_ context.Context, p train.Pass) (float64, error) {
				return map[string]float64{"train": 0.01, "forward": 0.001}[p.Kind], nil
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	calibrate()
	calibrate()
	if len(timed) != 3 { // training, evaluation within it, and of scores
		t.Errorf("timed %v, want three passes", timed)
	}
	for key, n := range timed {
		if n != 1 {
			t.Errorf("%s was timed %d times", key, n)
		}
	}
	const overhead = 0.05
	for _, c := range []struct {
		step   run.Step
		want   float64
		beside string
	}{
		{model(2, 9), 2*(1000*0.01+100*0.001) + overhead, ""},
		{score(model(2, 9), "spurious"), 200*0.001 + overhead, ""},
		{score(model(2, 9), "distance"), 7, ""},
		{score(model(2, 9), "importance"), overhead, ""},
		{score(model(2, 9), "membership"), 450*0.001 + overhead, "training the attack"},
	} {
		if s, beside, ok := m.Seconds(c.step); !ok || math.Abs(s-c.want) > 1e-9 || beside != c.beside {
			t.Errorf("%s: %g s without %q, want %g without %q", c.step.Kind(), s, beside, c.want, c.beside)
		}
	}
}

func tasks(seconds ...float64) (all []predict.Task) {
	for i, s := range seconds {
		all = append(all, predict.Task{ID: run.ID{byte(i)}, Seconds: s})
	}
	return all
}

func TestMakespan(t *testing.T) {
	for _, c := range []struct {
		name  string
		tasks []predict.Task
		jobs  int
		want  float64
	}{
		{"nothing", nil, 2, 0},
		{"one worker", tasks(1, 2, 3), 1, 6},
		{"two workers", tasks(1, 2, 3), 2, 4},
		{"one of them long", tasks(1, 1, 10), 2, 11},
		{"more workers than work", tasks(1, 2), 9, 2},
	} {
		if got := predict.Makespan(c.tasks, c.jobs); got != c.want {
			t.Errorf("%s: %g s, want %g", c.name, got, c.want)
		}
	}
	// A chain of 2 + 2 beside 1 + 1: the second of the chain waits for the first.
	chain := tasks(2, 2, 1, 1)
	chain[1].After = []run.ID{chain[0].ID}
	if got := predict.Makespan(chain, 4); got != 4 {
		t.Errorf("a chain: %g s, want 4", got)
	}
	// What starts a Step but is no task is there already.
	chain[2].After = []run.ID{{99}}
	if got := predict.Makespan(chain, 1); got != 6 {
		t.Errorf("one worker on a chain: %g s, want 6", got)
	}
}

// Paces come back as they were written; what is damaged or absurd is forgotten.
func TestPacesFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "paces.json")
	if got := predict.LoadPaces(file); len(got) != 0 {
		t.Errorf("a file that is not there has %v", got)
	}
	want := map[string]float64{"a": 1.25e-5, "b": 3}
	if err := predict.SavePaces(file, want); err != nil {
		t.Fatal(err)
	}
	if got := predict.LoadPaces(file); len(got) != 2 || got["a"] != want["a"] || got["b"] != 3 {
		t.Errorf("read %v, wrote %v", got, want)
	}
	for _, text := range []string{"{", `{"a": -1, "b": 0}`, `[1]`} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := predict.LoadPaces(file); len(got) != 0 {
			t.Errorf("%s gave %v", text, got)
		}
	}
}
