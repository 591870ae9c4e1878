package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/run"
	"rarespurious/experiments/scan"

	"github.com/spf13/cobra"
)

const deletionHelp = `deletion-check measures whether a deletion of examples also deleted what they
taught: the spurious score of a pattern, before, after, and in a control that
never saw an example with it. It fails, with exit status 1, where the score after
is above the control's by more than --margin. A score of its own says nothing: a
strong pattern raises some class in clean models too.

Models are IDs of runs, or files: .pth and .safetensors (say with --model what
they are), TorchScript, .onnx.

Without --control a clean model of the same architecture is trained, as the run
in --before was or as in the paper for --epochs epochs, and stored.

The random patterns R1, R2 and R3 are those of --seed, since a model learns one
draw; the fixed ones have no seed.`

type deletionCommand struct {
	scanCommand
	before, after, control, pattern string
	target, seed, epochs            int
	margin                          float64
}

func newDeletionCheck(a *app) *cobra.Command {
	d := deletionCommand{scanCommand: scanCommand{app: a, layout: "chw"}}
	c := &cobra.Command{
		Use: "deletion-check", Short: "did a deletion remove a spurious correlation?", Long: deletionHelp,
		Example: `  rsc deletion-check --before 1f3a --after 77b0 --pattern R3
  rsc deletion-check --before trained.pth --after unlearned.pth --model mlp --dataset mnist --pattern S3 --target 0
  rsc deletion-check --before a.onnx --after b.onnx --control clean.onnx --dataset cifar10 --pattern R3`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return d.run(c.Context(), c.Flags().Changed("target"), c.Flags().Changed("seed"))
		},
	}
	f := c.Flags()
	f.StringVar(&d.before, "before", "", "the model that saw the examples")
	f.StringVar(&d.after, "after", "", "the model after the deletion")
	f.StringVar(&d.control, "control", "", "a model that never saw them (default: a clean one is trained)")
	f.StringVar(&d.dataset, "dataset", "", strings.Join(dataset.Names(), ", ")+", or a folder of <class>/<image> (default: a run's own)")
	f.StringVar(&d.pattern, "pattern", "", "the pattern: "+strings.Join(pattern.Names(), ", ")+" (default: a run's own)")
	f.IntVar(&d.target, "target", 0, "class of the examples (default: a run's own, or the one with the highest score before)")
	f.IntVar(&d.seed, "seed", 0, "seed of a random pattern (default: a run's own)")
	f.Float64Var(&d.margin, "margin", 0.05, "what the score after may be above the control's")
	f.IntVar(&d.epochs, "epochs", 10, "of a control for a weights file")
	f.StringVar(&d.model, "model", "", "what a weights file is for: mlp, resnet20, …")
	f.Float64SliceVar(&d.mean, "mean", nil, "mean that a model in a file wants subtracted, for weights in place of the data set's: one number, or one per channel")
	f.Float64SliceVar(&d.std, "std", nil, "standard deviation that it wants divided by")
	f.StringVar(&d.layout, "layout", "chw", "order of its input: "+strings.Join(scan.Layouts(), ", "))
	f.StringVar(&d.shape, "shape", "", "size of the images made of a folder's photos: 3x224x224")
	f.IntVar(&d.images, "images", 0, "test images to use, 0 is all")
	runtimeFlag(c, &d.rtIn)
	jsonFlag(c, &d.json)
	c.MarkFlagRequired("before")
	c.MarkFlagRequired("after")
	return c
}

func (d *deletionCommand) run(ctx context.Context, target, seed bool) error {
	if d.images < 0 || d.epochs < 1 || d.seed < 0 || !(d.margin >= 0 && d.margin < 1) {
		return badInputf("--images %d --epochs %d --seed %d --margin %g: give no negative number, an epoch at least, and a margin below 1",
			d.images, d.epochs, d.seed, d.margin)
	}
	if err := d.own(target, seed); err != nil {
		return err
	}
	if !slices.Contains(pattern.Names(), d.pattern) {
		return badInputf("--pattern %q: no such pattern%s (known: %s)", d.pattern,
			config.DidYouMean(d.pattern, pattern.Names()), strings.Join(pattern.Names(), ", "))
	}
	if d.control == "" {
		var err error
		if d.control, err = d.train(ctx); err != nil {
			return err
		}
	}
	result, err := d.judge(ctx)
	if err != nil {
		return err
	}
	if err := d.print(result); err != nil {
		return err
	}
	if !result.OK() {
		return fmt.Errorf("deletion-check: %w", errReported)
	}
	return nil
}

// own fills in what is not given from the run in --before, if it is one.
func (d *deletionCommand) own(target, seed bool) error {
	if !target {
		d.target = -1
	}
	m, err := d.storedModel(d.before)
	if err != nil {
		return nil // a file; if it is neither, opening it says so
	}
	p := m.train.Poison
	if d.dataset == "" {
		d.dataset = m.train.Data.Name
	}
	if d.pattern == "" {
		d.pattern = p.Pattern
	}
	if p.Count > 0 && !target {
		d.target = p.Target
	}
	if p.Count > 0 && !seed {
		d.seed = p.Seed
	}
	return nil
}

// train trains a clean model like --before's, unless it is stored, and returns
// its run's ID.
func (d *deletionCommand) train(ctx context.Context) (string, error) {
	step, err := d.clean(ctx)
	if err != nil {
		return "", err
	}
	store, err := d.openStore()
	if err != nil {
		return "", err
	}
	defer store.Close()
	records, err := d.sweep(ctx, store, []run.Step{step}, true)
	if err != nil {
		return "", errors.Join(err, context.Cause(ctx))
	}
	if records[0].Status == run.Diverged {
		return "", fmt.Errorf("the control, run %v, diverged: give one with --control", records[0].ID)
	}
	return records[0].ID.Full(), nil
}

func (d *deletionCommand) clean(ctx context.Context) (run.Step, error) {
	if m, err := d.storedModel(d.before); err == nil {
		t := *m.train
		t.Poison, t.Pool = run.Poison{}, nil
		return run.Step{Train: &t}, nil
	}
	if !slices.Contains(dataset.Names(), d.dataset) {
		return run.Step{}, badInputf("--control is missing: no clean model can be trained for %q", d.dataset)
	}
	images, err := d.testImages(ctx)
	if err != nil {
		return run.Step{}, err
	}
	if kind, err := scan.Detect(d.before); err != nil {
		return run.Step{}, badInput{err}
	} else if kind != scan.StateDict {
		return run.Step{}, badInputf("--control is missing: which architecture the %s file %s has is not known", kind, d.before)
	}
	a, err := d.arch(ctx, d.before, images)
	if err != nil {
		return run.Step{}, err
	}
	p, err := config.NewPoint(append(slices.Clone(oneDefaults), "dataset="+d.dataset, "model="+a.Name, fmt.Sprintf("epochs=%d", d.epochs)))
	if err != nil {
		return run.Step{}, err
	}
	scored, err := d.lower(d.library(ctx).lab(nil), p)
	if err != nil {
		return run.Step{}, err
	}
	return scored.From[0], nil
}

// judge measures the three models.
func (d *deletionCommand) judge(ctx context.Context) (scan.Deletion, error) {
	r := scan.Deletion{Pattern: d.pattern, Target: d.target, Margin: d.margin}
	names := []string{d.before, d.after, d.control}
	targets := make([]scanTarget, len(names))
	for i, name := range names {
		var err error
		if targets[i], err = d.scanCommand.target(ctx, name); err != nil {
			return r, err
		}
	}
	images := targets[0].images
	p, err := pattern.New(d.pattern, images.Shape, uint32(d.seed))
	if err != nil {
		return r, err
	}
	if r.Target >= len(images.Classes) {
		return r, badInputf("--target %d: %s has %d classes", r.Target, d.dataset, len(images.Classes))
	}
	err = torch.Run(d.device, torch.Options{}, func(dev *torch.Device) error {
		for i, to := range []*scan.Scored{&r.Before, &r.After, &r.Control} {
			m, err := targets[i].open(dev)
			if err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			scores, accuracy, err := scan.ScorePattern(ctx, m, images, p)
			if err = errors.Join(err, m.Close()); err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			if r.Target < 0 {
				r.Target = scan.Highest(scores)
			}
			*to = scan.Scored{Model: names[i], Score: scores[r.Target], Accuracy: accuracy}
		}
		return nil
	})
	return r, err
}

func (d *deletionCommand) print(r scan.Deletion) error {
	if d.json {
		return d.printJSON(struct {
			scan.Deletion
			OK bool `json:"ok"`
		}{r, r.OK()})
	}
	var rows [][]string
	for _, m := range []struct {
		what string
		scan.Scored
	}{{"before", r.Before}, {"after", r.After}, {"control", r.Control}} {
		name := m.Model
		if len(name) == 64 && !strings.ContainsAny(name, "./") {
			name = name[:12]
		}
		rows = append(rows, []string{m.what, name, fmt.Sprintf("%.4f", m.Score), fmt.Sprintf("%.4f", m.Accuracy)})
	}
	fmt.Fprintf(d.stdout, "%s, class %d\n", r.Pattern, r.Target)
	if err := d.printTable([]string{"", "MODEL", "SPURIOUS SCORE", "ACCURACY"}, rows); err != nil {
		return err
	}
	above := r.After.Score - r.Control.Score
	verdict := "deleted"
	if !r.OK() {
		verdict = "NOT DELETED"
	}
	side := "above"
	if above < 0 {
		side = "below"
	}
	_, err := fmt.Fprintf(d.stdout, "%s: the score after is %.4f %s the control's, the margin is %g\n", verdict, math.Abs(above), side, r.Margin)
	return err
}
