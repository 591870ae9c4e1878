package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T, name, profile string, set ...string) Figure {
	t.Helper()
	f, err := Load(filepath.Join("testdata", name+".yaml"), Options{Profile: profile, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// brief returns what varies in the Points of a panel.
func brief(p Panel) (lines []string) {
	for _, q := range p.Points {
		lines = append(lines, fmt.Sprintf("%s %s t%d %s %d lr %v wd %v, %d epochs: %v", q.Dataset, q.Model, q.Target, q.Pattern, q.Count, q.LR, q.WeightDecay, q.Epochs, q.Schedule()))
	}
	return lines
}

func TestLoad(t *testing.T) {
	f := load(t, "good/base", "quick")
	want := []string{
		"mnist mlp t0 S1 0 lr 0.01 wd 0, 8 epochs: [4 7]",
		"mnist mlp t0 S1 3 lr 0.01 wd 0, 8 epochs: [4 7]",
		"mnist mlp t0 R3 0 lr 0.01 wd 0, 8 epochs: [4 7]",
		"mnist mlp t0 R3 3 lr 0.01 wd 0, 8 epochs: [4 7]",
	}
	if diff := cmp.Diff(want, brief(f.Panels[0])); diff != "" {
		t.Error(diff)
	}
	want = []string{
		"cifar10 resnet20 t0 S1 0 lr 0.01 wd 0.0001, 10 epochs: [5 8]",
		"cifar10 resnet20 t0 S1 3 lr 0.01 wd 0.0001, 10 epochs: [5 8]",
		"cifar10 resnet20 t0 R3 0 lr 0.1 wd 0.0001, 10 epochs: []",
		"cifar10 resnet20 t0 R3 3 lr 0.1 wd 0.0001, 10 epochs: []",
	}
	if diff := cmp.Diff(want, brief(f.Panels[1])); diff != "" {
		t.Error(diff)
	}
	if f.Name != "base" || f.Title != "Base" || f.Note != "less" || f.View.Label("R3") != "big" || f.View.Label("S1") != "S1" {
		t.Errorf("figure %+v", f)
	}
	if p := f.Panels[0].Points[0]; p.Gamma != .1 || p.ClipBy != "value" || p.Measure != "spurious" || p.Precision != "float32" {
		t.Errorf("defaults: %+v", p)
	}
}

func TestProfiles(t *testing.T) {
	if f := load(t, "good/base", "smoke"); len(f.Panels) != 1 || f.Panels[0].Title != "one" || len(f.Panels[0].Points) != 6 {
		t.Errorf("smoke has %d panels", len(f.Panels))
	}
	if f := load(t, "good/base", "paper"); len(f.Panels[1].Points) != 4 || f.Panels[1].Points[1].Count != 7 || f.Panels[0].Points[0].Epochs != 70 {
		t.Error("paper is not the figure as it stands")
	}
	_, err := Load("testdata/good/base.yaml", Options{Profile: "quik"})
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "did you mean quick?") {
		t.Errorf("unknown profile: %v", err)
	}
}

// A file that is like another says only what differs.
func TestLike(t *testing.T) {
	f, base := load(t, "good/like", "quick"), load(t, "good/base", "quick")
	if f.Title != "Like" || f.Source != "nowhere" || f.Note != "other" || f.View.Metric != "clean_accuracy" || f.View.X != "count" {
		t.Errorf("figure %+v", f)
	}
	for i, p := range f.Panels {
		for j, q := range p.Points {
			if q.Target != 1 {
				t.Errorf("target %d", q.Target)
			}
			q.Target = 0
			if diff := cmp.Diff(base.Panels[i].Points[j], q); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestSet(t *testing.T) {
	f := load(t, "good/base", "quick", "epochs=3", "count=[1, 2, 3]", "pattern=R3", "lr=1e-3", "milestones=[1, 2]")
	want := []string{
		"cifar10 resnet20 t0 R3 1 lr 0.001 wd 0.0001, 3 epochs: [1 2]",
		"cifar10 resnet20 t0 R3 2 lr 0.001 wd 0.0001, 3 epochs: [1 2]",
		"cifar10 resnet20 t0 R3 3 lr 0.001 wd 0.0001, 3 epochs: [1 2]",
	}
	if diff := cmp.Diff(want, brief(f.Panels[1])); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct{ set, want string }{
		{"epochs", `--set: "epochs" is not key=value`},
		{"epocs=3", "--set: epocs: no such key; did you mean epochs?"},
		{"epochs=many", `--set: epochs: is the text "many", not a whole number`},
		{"epochs=\"3\"", `--set: epochs: is the text "3", not a whole number`},
		{"epochs=", "--set: epochs: has no value"},
		{"epochs={", "is no YAML value"},
		{"lr=-1", "base.yaml: --set lr: -1 is not a finite number of at least 0"},
		{"lr=[1, 2]", "--set lr: is a list, but the figure does not sweep it"},
		{"model=mpl", `--set model: "mpl" is not known; did you mean mlp?`},
	} {
		_, err := Load("testdata/good/base.yaml", Options{Profile: "quick", Set: []string{c.set}})
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("--set %s: error %v, want %q", c.set, err, c.want)
		}
	}
}

func TestNewPoint(t *testing.T) {
	p, err := NewPoint([]string{"dataset=mnist", "model=mlp", "optimizer=sgd", "lr=0.1", "batch=64", "epochs=2", "milestones=[1]"})
	if err != nil {
		t.Fatal(err)
	}
	if p.Model != "mlp" || p.LR != .1 || !slices.Equal(p.Milestones, []int{1}) || p.Gamma != .1 {
		t.Errorf("point %+v", p)
	}
	_, err = NewPoint([]string{"dataset=mnist", "epochs=2", "seed=[0, 1]"})
	if err == nil || !strings.Contains(err.Error(), "seed: is a list") {
		t.Errorf("error %v", err)
	}
	_, err = NewPoint([]string{"dataset=mnist", "epochs=2"})
	if err == nil || !strings.Contains(err.Error(), "--set: optimizer: missing (known: adam, sgd)") {
		t.Errorf("error %v", err)
	}
}

// Every file in testdata/bad is refused with exactly the problems that its first
// lines list.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 9 {
		t.Fatal("files are missing:", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var wants []string
		for line := range strings.Lines(string(text)) {
			if want, ok := strings.CutPrefix(line, "# want: "); ok {
				wants = append(wants, strings.TrimSpace(want))
			}
		}
		_, err = Load(file, Options{Profile: "quick"})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v does not wrap ErrInvalid", file, err)
			continue
		}
		got := strings.Split(err.Error(), "\n")
		for _, want := range wants {
			if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, want) }) {
				t.Errorf("%s: no problem %q in\n%v", file, want, err)
			}
		}
		if len(got) != len(wants) {
			t.Errorf("%s: %d problems, want %d:\n%v", file, len(got), len(wants), err)
		}
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load("testdata/good/bse.yaml", Options{Profile: "quick"})
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "there is no such file; did you mean base?") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"base", "like"}, Names("testdata/good")); diff != "" {
		t.Error(diff)
	}
}

// The schedules of the published code; shorter ones in proportion.
func TestMilestones(t *testing.T) {
	for epochs, want := range map[int][]int{
		1: nil, 2: {1}, 3: {2}, 8: {4, 7}, 10: {5, 8}, 15: {8, 13}, 29: {15, 24},
		30: {15, 25}, 31: {20, 30}, 40: {20, 30}, 50: {25, 40}, 60: {30, 50}, 70: {40, 50, 60}, 71: {40, 60, 70}, 80: {40, 60, 70},
		100: {50, 90, 110}, 120: {50, 90, 110}, 140: {60, 100, 120}, 280: {120, 200, 240},
	} {
		if got := Milestones(epochs); !slices.Equal(got, want) {
			t.Errorf("%d epochs: %v, want %v", epochs, got, want)
		}
	}
	if got := (Point{Epochs: 70, Milestones: []int{}}).Schedule(); len(got) != 0 {
		t.Errorf("milestones: [] gives %v, want a constant learning rate", got)
	}
}

// Every field has a key of its own and can be read as text.
func TestFields(t *testing.T) {
	p := Point{Dataset: "mnist", LR: 1e-4, Milestones: []int{1, 2}, Augment: true, Count: 5}
	f := p.Fields()
	if len(f) != len(Keys()) || slices.Contains(Keys(), "") {
		t.Errorf("%d fields, keys %v", len(f), Keys())
	}
	for key, want := range map[string]string{"dataset": "mnist", "lr": "0.0001", "milestones": "1 2", "augment": "true", "count": "5", "pattern": ""} {
		if f[key] != want {
			t.Errorf("%s is %q, want %q", key, f[key], want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"ab", "", 2}, {"deacy", "decay", 1}, {"lr", "lr", 0}, {"abc", "abd", 1}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("distance of %q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
