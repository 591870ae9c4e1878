// Command calibrate makes the calibration of `rsc scan` for one data set, and
// measures how good the scan is with it:
//
//	. bin/libtorch.env
//	go run ./scripts/calibrate -dataset mnist -clean 20 -held 20 -poisoned 3
//
// It trains clean models, writes what they answer as a calibration, and judges
// by that as many other clean models, for the false-alarm rate, and poisoned
// ones, for the detection rate. Models are kept in a results folder, so it goes
// on where it was stopped. The paper's networks and rates are used, with -epochs
// in place of 70.
package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/run"
	"rarespurious/experiments/scan"
	"rarespurious/experiments/sweep"
	"rarespurious/experiments/train"
)

// Seeds of the sets of models; none is in two.
const (
	cleanSeeds    = 100
	heldSeeds     = 200
	poisonedSeeds = 300
)

var (
	poisonedBy = []string{"R3", "S3", "Inv"}
	counts     = []int{3, 10, 100}
	// targets has a class that clean models seldom answer noise with, one that
	// they do, and one between.
	targets = []int{0, 8, 3}
)

type calibrate struct {
	dataset, model, results, cache, out, table, set, also string
	epochs, clean, held, poisoned, images, draws          int
	level                                                 float64
}

func main() {
	c := calibrate{}
	cache, _ := os.UserCacheDir() // without one, -cache must be given
	flag.StringVar(&c.dataset, "dataset", "mnist", "data set")
	flag.StringVar(&c.model, "model", "mlp", "architecture")
	flag.StringVar(&c.set, "set", "", "more fields of the training, key=value, separated by spaces")
	flag.IntVar(&c.epochs, "epochs", 8, "epochs of training")
	flag.IntVar(&c.clean, "clean", 20, "clean models of the calibration")
	flag.IntVar(&c.held, "held", 20, "clean models to judge")
	flag.IntVar(&c.poisoned, "poisoned", 3, "poisoned models to judge, of each pattern and count")
	flag.IntVar(&c.images, "images", 1000, "test images")
	flag.IntVar(&c.draws, "draws", 10, "draws of random patterns, and shuffles of fixed ones")
	flag.Float64Var(&c.level, "level", 0.05, "probability of a false alarm")
	flag.StringVar(&c.results, "results", "results", "folder for the models")
	flag.StringVar(&c.cache, "cache", filepath.Join(cache, "rarespurious"), "folder with data sets")
	flag.StringVar(&c.out, "out", "", "calibration file (default: experiments/scan/calibration/DATASET.json)")
	flag.StringVar(&c.table, "table", "", "CSV of the judged models (default: RESULTS/scan-DATASET.csv)")
	flag.StringVar(&c.also, "also", "", "other results folders, separated by commas, whose models are judged too")
	flag.Parse()
	if c.out == "" {
		c.out = filepath.Join("experiments", "scan", "calibration", c.dataset+".json")
	}
	if c.table == "" {
		c.table = filepath.Join(c.results, "scan-"+c.dataset+".csv")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := c.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "calibrate:", err)
		os.Exit(1)
	}
}

// A subject is one model.
type subject struct {
	step   run.Step
	record run.Record
	store  *run.Store // that its record is in
}

func (c *calibrate) run(ctx context.Context) error {
	data := dataset.Options{CacheDir: filepath.Join(c.cache, "data")}
	set, err := dataset.Open(ctx, c.dataset, data)
	if err != nil {
		return err
	}
	var known, judged []subject
	add := func(to *[]subject, seed, target, count int, pattern string) error {
		s, err := c.step(set, seed, target, count, pattern)
		*to = append(*to, subject{step: s})
		return err
	}
	for i := range c.clean {
		if err := add(&known, cleanSeeds+i, 0, 0, "R3"); err != nil {
			return err
		}
	}
	for i := range c.held {
		if err := add(&judged, heldSeeds+i, 0, 0, "R3"); err != nil {
			return err
		}
	}
	for i := range c.poisoned {
		for _, pattern := range poisonedBy {
			for _, count := range counts {
				if err := add(&judged, poisonedSeeds+i, targets[i%len(targets)], count, pattern); err != nil {
					return err
				}
			}
		}
	}
	store, err := run.OpenStore(c.results)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := trainAll(ctx, store, data, known, judged); err != nil {
		return err
	}
	for dir := range strings.SplitSeq(c.also, ",") {
		if dir == "" {
			continue
		}
		other, err := run.ReadStore(dir)
		if err != nil {
			return err
		}
		defer other.Close()
		if err := c.find(other, &judged); err != nil {
			return err
		}
	}
	slices.SortStableFunc(judged, func(a, b subject) int {
		s, t := a.step.Train, b.step.Train
		return cmp.Or(cmp.Compare(s.Epochs, t.Epochs), cmp.Compare(s.Poison.Pattern, t.Poison.Pattern), cmp.Compare(s.Poison.Count, t.Poison.Count))
	})
	images := scan.FromSet(set, c.images)
	calibration := scan.Calibration{Dataset: c.dataset, Classes: len(set.Classes), Images: images.Len(), Draws: c.draws,
		Models: fmt.Sprintf("clean models (%s on %s, %d epochs)", c.model, c.dataset, c.epochs)}
	return torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
		for _, s := range known {
			t, err := c.measure(ctx, d, s, images)
			if err != nil {
				return err
			}
			calibration.Clean = append(calibration.Clean, scan.Sample{Run: s.record.ID.String(), Seed: s.step.Train.Seed, Statistics: t})
		}
		if err := c.write(calibration); err != nil {
			return err
		}
		return c.judge(ctx, d, judged, images, calibration)
	})
}

// step returns the training of one model, as `rsc train` would do it.
func (c *calibrate) step(set *dataset.Set, seed, target, count int, pattern string) (run.Step, error) {
	fields := []string{"dataset=" + c.dataset, "model=" + c.model, "optimizer=adam", "lr=0.01", "batch=128",
		fmt.Sprintf("epochs=%d", c.epochs), fmt.Sprintf("seed=%d", seed), fmt.Sprintf("target=%d", target),
		fmt.Sprintf("count=%d", count), "pattern=" + pattern}
	p, err := config.NewPoint(append(fields, strings.Fields(c.set)...))
	if err != nil {
		return run.Step{}, err
	}
	return sweep.Lower(p, set).From[0], nil
}

func trainAll(ctx context.Context, store *run.Store, data dataset.Options, groups ...[]subject) error {
	exec := train.New(train.Options{Device: "cpu", Data: data})
	defer exec.Close()
	done, total := 0, 0
	r := &run.Runner{Store: store, Exec: exec, Keep: true, Observe: func(n run.Notice) {
		switch n.Kind {
		case run.NoticePlanned:
			total++
		case run.NoticeFinished, run.NoticeHit:
			done++
			fmt.Fprintf(os.Stderr, "trained %d of %d\n", done, total)
		}
	}}
	var steps []run.Step
	for _, g := range groups {
		for _, s := range g {
			steps = append(steps, s.step)
		}
	}
	records, err := r.Run(ctx, steps)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for i := range g {
			g[i].record, g[i].store, records = records[0], store, records[1:]
		}
	}
	return nil
}

// find adds the models of the same architecture and data that are in a store and
// were trained from scratch, whatever their settings.
func (c *calibrate) find(store *run.Store, to *[]subject) error {
	ids, err := store.IDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := store.Get(id)
		if err != nil {
			return err
		}
		t := r.Step.Train
		if t == nil || len(r.Step.From) > 0 || t.Poison.Drop || t.Data != (run.Data{Name: c.dataset}) || t.Arch.Name != c.model || r.Status != run.Done {
			continue
		}
		*to = append(*to, subject{r.Step, r, store})
	}
	return nil
}

// measure returns a model's statistics, and keeps its responses beside the
// results.
func (c *calibrate) measure(ctx context.Context, d *torch.Device, s subject, images *scan.Images) (scan.Statistics, error) {
	a := s.step.Train.Arch
	theta, buffers, err := train.LoadModel(run.Parent{Record: s.record, Dir: s.store.Path(s.record.ID)}, a)
	if err != nil {
		return nil, err
	}
	m, err := scan.FromArch(d, a, theta, buffers)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	_, all, err := scan.Measure(ctx, m, images, scan.Options{Draws: c.draws})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "measured %v\n", s.record.ID)
	dir := filepath.Join(c.results, "responses")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, s.record.ID.String()+".csv"))
	if err != nil {
		return nil, err
	}
	if err := scan.WriteResponses(f, images.Classes, all); err != nil {
		f.Close()
		return nil, err
	}
	return scan.Summarise(all), f.Close()
}

// kind names what the models of one line of the summary have in common.
func (c *calibrate) kind(t *run.Train) string {
	kind := "clean"
	if t.Poison.Count > 0 {
		kind = fmt.Sprintf("%s × %d", t.Poison.Pattern, t.Poison.Count)
	}
	if t.Epochs != c.epochs {
		kind = fmt.Sprintf("%s, %d epochs", kind, t.Epochs)
	}
	for _, other := range []struct {
		name string
		v    float64
	}{{"noise", t.Noise}, {"weight decay", t.WeightDecay}, {"clipping", t.Clip}} {
		if other.v > 0 {
			kind += fmt.Sprintf(", %s %g", other.name, other.v)
		}
	}
	return kind
}

func (c *calibrate) write(k scan.Calibration) error {
	for _, s := range k.Clean { // more digits would tell nothing
		for _, v := range s.Statistics {
			for i := range v {
				v[i] = math.Round(v[i]*1e6) / 1e6
			}
		}
	}
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	// One line per model.
	text := strings.ReplaceAll(string(b), `{"run"`, "\n"+`{"run"`) + "\n"
	return os.WriteFile(c.out, []byte(text), 0o666)
}

// judge judges models by the calibration, and writes and sums up what came out.
func (c *calibrate) judge(ctx context.Context, d *torch.Device, all []subject, images *scan.Images, k scan.Calibration) error {
	f, err := os.Create(c.table)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	w.Write([]string{"run", "epochs", "seed", "pattern", "count", "target", "p", "threshold", "z_target", "flagged", "detected", "false_classes"})
	sum := newSummary()
	for _, s := range all {
		t, err := c.measure(ctx, d, s, images)
		if err != nil {
			return err
		}
		j, err := k.Judge(t, pattern.Names(), c.level)
		if err != nil {
			return err
		}
		poison := s.step.Train.Poison
		detected := false
		var flagged []string
		var others []int // classes that are wrongly suspicious
		target := math.Inf(-1)
		for _, name := range pattern.Names() {
			if poison.Count > 0 {
				target = max(target, j.Z[name][poison.Target])
			}
			class, bad := j.Suspicious(name)
			switch {
			case !bad:
				continue
			case poison.Count > 0 && class == poison.Target:
				detected = true
			case !slices.Contains(others, class):
				others = append(others, class)
			}
			flagged = append(flagged, fmt.Sprintf("%s:%d", name, class))
		}
		sum.add(c.kind(s.step.Train), detected, len(flagged) > 0, len(others))
		text := func(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }
		if poison.Count == 0 {
			target = 0
		}
		w.Write([]string{s.record.ID.String(), strconv.Itoa(s.step.Train.Epochs), strconv.Itoa(s.step.Train.Seed), poison.Pattern, strconv.Itoa(poison.Count), strconv.Itoa(poison.Target),
			text(j.P), text(j.Threshold), text(target), strings.Join(flagged, " "), strconv.FormatBool(detected), strconv.Itoa(len(others))})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	sum.print()
	return f.Close()
}
