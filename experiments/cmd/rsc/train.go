package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rarespurious/experiments/config"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/run"
	"rarespurious/experiments/sweep"

	"github.com/spf13/cobra"
)

// oneDefaults are the paper's settings for MNIST, but for the epochs.
var oneDefaults = []string{"dataset=mnist", "model=mlp", "pattern=R3", "optimizer=adam", "lr=0.01", "batch=128", "epochs=10"}

// onePoint returns the Point that set describes, completed by oneDefaults.
// Photographs have trials where other data have a pattern.
func onePoint(set ...string) (config.Point, error) {
	defaults := slices.Clone(oneDefaults)
	if ofPhotos(set) {
		defaults[slices.Index(defaults, "pattern=R3")] = measureTrial
	}
	return config.NewPoint(append(defaults, set...))
}

const measureTrial = "measure=trial"

// ofPhotos reports whether set's data set is one of photographs; its last word
// on it counts.
func ofPhotos(set []string) (photos bool) {
	for _, s := range set {
		if name, ok := strings.CutPrefix(s, "dataset="); ok {
			photos = slices.Contains(imagefolder.Names(), strings.Trim(name, `"' `))
		}
	}
	return photos
}

type trainCommand struct {
	*app
	figureFlags
	keep, json bool
}

func newTrain(a *app) *cobra.Command {
	t := trainCommand{app: a}
	c := &cobra.Command{
		Use:   "train [NAME]",
		Short: "train and measure one model, without a figure",
		Long: `train trains one model and measures it, and prints its runs and their values.

Its settings are fields that --set gives, as in a figure file; what is not given
is as in the paper's experiments on MNIST, with 10 epochs instead of 70:
  ` + strings.Join(oneDefaults, " ") + `
Photographs have ` + measureTrial + ` in place of a pattern; docs/nico.md has an example.
With NAME they are those of a figure, which --set must narrow to one model.

The fields are: ` + wrap(strings.Join(config.Keys(), " "), 78-len("The fields are: ")) + `.`,
		Example: `  rsc train --set dataset=mnist --set pattern=R3 --set count=10 --set epochs=3
  rsc train --set pattern=S3 --set count=100 --set weight_decay=0.001
  rsc train fig2 --set dataset=mnist --set pattern=R3 --set count=3 --set seed=0`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeFigures,
		RunE: func(c *cobra.Command, names []string) error { return t.run(c.Context(), names) },
	}
	t.add(c)
	c.Flags().BoolVar(&t.keep, "keep", false, "keep the trained model, a large one too")
	jsonFlag(c, &t.json)
	return c
}

func (t *trainCommand) run(ctx context.Context, names []string) error {
	lib := t.library(ctx)
	step, err := t.one(lib, lib.lab(nil), names)
	if err != nil {
		return err
	}
	return t.compute(ctx, []run.Step{step}, t.keep, t.json)
}

// one returns the single Step that the flags describe.
func (t *trainCommand) one(lib *library, lab sweep.Lab, names []string) (run.Step, error) {
	if len(names) == 0 {
		p, err := onePoint(t.set...)
		if err != nil {
			return run.Step{}, err
		}
		return t.lower(lab, p)
	}
	plans, err := t.plans(lib, lab, names, t.figureFlags)
	if err != nil {
		return run.Step{}, err
	}
	all := steps(plans)
	if len(all) == 0 {
		return run.Step{}, badInputf("%s: %s", plans[0].Figure.File, cmp.Or(strings.Join(plans[0].Notes, "; "), "it trains no model"))
	}
	if len(all) != 1 {
		return run.Step{}, badInputf("%s: %s: narrow it to one with --set (%s differ)",
			plans[0].Figure.File, counted(len(all), "result"), strings.Join(varying(plans[0]), ", "))
	}
	return all[0], nil
}

// lower checks a Point as package sweep checks those of a figure.
func (a *app) lower(lab sweep.Lab, p config.Point) (run.Step, error) {
	if p.Photos() != (p.Measure == "trial") {
		return run.Step{}, badInputf("--set measure=%s: photographs have trials, and trials are of photographs", p.Measure)
	}
	f := config.Figure{File: "--set", Name: "train", Kind: "table", Profile: "paper",
		View:   config.View{Metric: "clean_accuracy", Series: "pattern"},
		Panels: []config.Panel{{Points: []config.Point{p}}}}
	if p.Photos() {
		f.Kind, f.View = "trials", config.View{Metric: "trial_share", X: "count"}
	}
	plan, err := sweep.New(f, lab)
	if err != nil {
		return run.Step{}, err
	}
	all := plan.Steps()
	if len(all) == 0 { // fewer photographs than a trial wants are a note, since figures go on without it
		return run.Step{}, badInputf("--set: %s", strings.Join(plan.Notes, "; "))
	}
	return all[0], a.suits(all)
}

// varying returns the fields in which a figure's Points differ.
func varying(p *sweep.Plan) (keys []string) {
	first := map[string]string{}
	for _, panel := range p.Panels {
		for _, w := range panel.Wants {
			for key, v := range w.Point.Fields() {
				if old, ok := first[key]; !ok {
					first[key] = v
				} else if old != v && !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// compute runs steps and prints them and what they start from.
func (a *app) compute(ctx context.Context, steps []run.Step, keep, asJSON bool) error {
	store, err := a.openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	records, err := a.sweep(ctx, store, wanted(steps, keep), keep)
	if ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	var all []run.Record
	for i, s := range steps {
		for _, from := range chain(s) {
			r, err := store.Get(from.ID())
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		all = append(all, records[i])
	}
	return a.printRecords(all, asJSON)
}

// wanted returns steps and, where models are to be kept, what they start from
// after them: a sweep does not look for the model behind a stored result, which
// may have been dropped.
func wanted(steps []run.Step, keep bool) []run.Step {
	all := slices.Clone(steps)
	if keep {
		for _, s := range steps {
			all = append(all, chain(s)...)
		}
	}
	return all
}

// chain returns the Steps that s starts from, the first one first.
func chain(s run.Step) (all []run.Step) {
	for _, from := range s.From {
		all = append(append(all, chain(from)...), from)
	}
	return all
}

// wrap breaks text at spaces into lines of at most width bytes, indented.
func wrap(text string, width int) string {
	var b strings.Builder
	n := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i > 0 && n+1+len(word) > width:
			b.WriteString("\n  ")
			n, width = 2, 78
		case i > 0:
			b.WriteString(" ")
			n++
		}
		fmt.Fprint(&b, word)
		n += len(word)
	}
	return b.String()
}
