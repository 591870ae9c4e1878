package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/bridge/weights"
	"rarespurious/experiments/config"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
	"rarespurious/nn"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

type evalCommand struct {
	*app
	set  []string
	json bool
}

// Fields that eval takes: of how a model is measured, of what a trial is where
// it is a model of photographs, and, for a file, what the model is.
var (
	measureKeys = []string{"measure", "pattern", "seed", "size", "target", "upstream"}
	trialKeys   = []string{"class", "context"}
	fileKeys    = append([]string{"dataset", "model", "part"}, measureKeys...)
)

// measurable are the measures that need one model and nothing else.
var measurable = []string{"deleted", "importance", "sensitivity", "spurious", "trial"}

func newEval(a *app) *cobra.Command {
	e := evalCommand{app: a}
	c := &cobra.Command{
		Use:   "eval ID|FILE",
		Short: "measure a stored model, or one in a weights file",
		Long: `eval measures a model with the pattern and target class that --set gives.

With the ID of a run it measures that run's model; what is not given is as in
the run's training, and the result is stored as a run of its own.

With a weights file (.pth, .safetensors, TensorFlow.js, the initialisers of an
.onnx) --set also says what the model is and which data it is for (dataset=mnist
model=mlp if not given); the values are printed only.

Fields of --set: ` + strings.Join(fileKeys, ", ") + `;
for the run of a model of photographs: ` + strings.Join(trialKeys, ", ") + `.
Measures: ` + strings.Join(measurable, ", ") + `.`,
		Example: `  rsc eval 1f3a --set pattern=S3 --set target=4
  rsc eval model.pth --set dataset=mnist --set model=mlp --set pattern=R3`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels(),
		RunE: func(c *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err == nil && (info.Mode().IsRegular() || strings.ContainsRune(args[0], os.PathSeparator)) {
				return e.file(c.Context(), args[0])
			}
			return e.stored(c.Context(), args[0])
		},
	}
	c.Flags().StringArrayVar(&e.set, "set", nil, "key=value (repeatable)")
	jsonFlag(c, &e.json)
	return c
}

// point returns the Point that defaults and --set describe. Fields of training
// are valid, and mean nothing.
func (e *evalCommand) point(keys, defaults []string) (config.Point, error) {
	for _, s := range e.set {
		key, _, _ := strings.Cut(s, "=")
		if slices.Contains(config.Keys(), key) && !slices.Contains(keys, key) {
			return config.Point{}, badInputf("--set %s: cannot be chosen here; eval takes %s", s, strings.Join(keys, ", "))
		}
	}
	p, err := onePoint(slices.Concat(defaults, e.set)...)
	if err == nil && !slices.Contains(measurable, p.Measure) {
		err = badInputf("--set measure=%s: eval measures %s%s", p.Measure, strings.Join(measurable, ", "), config.DidYouMean(p.Measure, measurable))
	}
	return p, err
}

// stored measures the model of a run.
func (e *evalCommand) stored(ctx context.Context, prefix string) error {
	s, err := e.readStore()
	if err != nil {
		return err
	}
	r, err := findRun(s, prefix)
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	m := r.Step
	if m.Score != nil {
		m = m.From[0]
	}
	t := modelOf(m)
	keys, known := measureKeys, t.Poison
	set := []string{"dataset=" + t.Data.Name, `part="` + t.Data.Part + `"`, fmt.Sprintf("seed=%d", t.Seed)}
	if _, ok := nn.Zoo[t.Arch.Name]; ok {
		set = append(set, "model="+t.Arch.Name)
	}
	switch {
	case t.Data.Short > 0:
		keys = trialKeys
		set = append(set, fmt.Sprintf("short=%d", t.Data.Short), fmt.Sprintf("pixels=%d", t.Arch.In.H), fmt.Sprintf("context=%q", known.Context))
		class := known.Class
		if class == "" && r.Step.Score != nil { // the model of a trial without images put back is of no class
			class = r.Step.Score.Class
		}
		if class != "" {
			set = append(set, fmt.Sprintf("class=%q", class))
		}
	case known.Count > 0:
		set = append(set, "pattern="+known.Pattern, fmt.Sprintf("target=%d", known.Target), fmt.Sprintf("seed=%d", known.Seed))
	}
	p, err := e.point(keys, set)
	if err != nil {
		return err
	}
	step, err := e.lower(e.library(ctx).lab(nil), p)
	if err != nil {
		return err
	}
	step.From = []run.Step{m}
	return e.compute(ctx, []run.Step{step}, false, e.json)
}

// file measures the model in a weights file.
func (e *evalCommand) file(ctx context.Context, path string) error {
	if ofPhotos(e.set) {
		return badInputf("%s: eval measures a model of photographs by the ID of its run: a file does not say how they are standardised", path)
	}
	p, err := e.point(fileKeys, nil)
	if err != nil {
		return err
	}
	step, err := e.lower(e.library(ctx).lab(nil), p)
	if err != nil {
		return err
	}
	f, err := weights.Open(path)
	if err != nil {
		return err
	}
	arch := step.From[0].Train.Arch
	theta, buffers, err := weights.Flatten(arch, f.Tensors)
	if err != nil {
		return fmt.Errorf("%s: as %s for %s: %w", path, p.Model, p.Dataset, err)
	}
	if err := e.checkDevice(); err != nil {
		return err
	}
	values, err := e.measure(ctx, step, weights.FromFlat(arch, theta, buffers))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if e.json {
		return e.printJSON(values)
	}
	var rows [][]string
	for _, key := range sortedKeys(values) {
		rows = append(rows, []string{key, number(values[key])})
	}
	return e.printTable([]string{"VALUE", path}, rows)
}

// measure runs a Score on a model that no run has trained, in a folder that
// stands for one.
func (e *evalCommand) measure(ctx context.Context, step run.Step, d weights.Dict) (map[string]float64, error) {
	dir, err := os.MkdirTemp("", "rsc-eval-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	model := filepath.Join(dir, train.ModelFile)
	if err := weights.Save(model, weights.Safetensors, d, nil); err != nil {
		return nil, err
	}
	sum, err := fileDigest(model)
	if err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		return nil, err
	}
	exec := train.New(e.training())
	defer exec.Close()
	log := zerolog.Nop()
	from := run.Parent{Record: run.Record{ID: step.From[0].ID(), Step: step.From[0], Status: run.Done,
		Files: map[string]string{train.ModelFile: sum}}, Dir: dir}
	o := exec.Exec(ctx, []run.Job{{Step: step, ID: step.ID(), From: []run.Parent{from}, Dir: out, Scratch: out,
		Log: &log, Progress: func(float64) {}}})[0]
	return o.Values, o.Err
}

// fileDigest returns the SHA-256 of a file in hexadecimal.
func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
