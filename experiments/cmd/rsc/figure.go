package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rarespurious/experiments/atomicfile"
	"rarespurious/experiments/config"
	"rarespurious/experiments/run"
	"rarespurious/experiments/sweep"

	"github.com/spf13/cobra"
)

type figureCommand struct {
	*app
	figureFlags
	shard string
	keep  bool
}

func newFigure(a *app) *cobra.Command {
	f := figureCommand{app: a}
	c := &cobra.Command{
		Use:   "figure NAME…",
		Short: "train what figures need and is not there yet, then draw them",
		Long: `figure draws configs/NAME.yaml, or the file at a path, after training what it
needs. All named figures are checked before any work starts, and share models.

For each it writes NAME.png, .svg, .pdf and NAME.csv, whose last column names
the runs behind each number, into RESULTS/NAME/. The paths are printed.

Ctrl-C stops at a safe place; the same command goes on from there. A run that
fails or diverges is said in the picture, and the others go on.`,
		Example: `  rsc figure fig2
  rsc figure fig2 fig3 --profile smoke
  rsc figure fig2 --set seed=[0,1,2] --set epochs=5
  rsc figure fig2 --shard 2/8      the second of eight machines; then, after
                                   rsc store merge, rsc figure fig2 draws`,
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: completeFigures,
		RunE: func(c *cobra.Command, names []string) error { return f.run(c.Context(), names) },
	}
	f.add(c)
	c.Flags().StringVar(&f.shard, "shard", "", "I/N: run the I-th of N parts only, and draw nothing")
	c.Flags().BoolVar(&f.keep, "keep", false, "keep all trained models, large ones too")
	return c
}

func (f *figureCommand) run(ctx context.Context, names []string) error {
	shard, err := parseShard(f.shard)
	if err != nil {
		return err
	}
	var store *run.Store
	lib := f.library(ctx)
	plans, err := f.plans(lib, lib.lab(func() *run.Store { return store }), names, f.figureFlags)
	if err != nil {
		return err
	}
	sources := make([]string, len(plans)) // now: a file may be changed during a long sweep
	for i, p := range plans {
		if sources[i], err = config.Digest(p.Figure.File); err != nil {
			return err
		}
	}
	if store, err = f.openStore(); err != nil {
		return err
	}
	defer store.Close()
	all := steps(plans)
	mine := shard.Select(all)
	if len(mine) > 0 {
		f.log.Info().Str("profile", f.profile).Msgf("%s for %s", counted(len(mine), "result"), counted(len(plans), "figure"))
	}
	began := time.Now()
	records, swept := f.sweep(ctx, store, wanted(mine, f.keep), f.keep)
	if ctx.Err() != nil {
		return errors.Join(swept, context.Cause(ctx))
	}
	if failed := (*run.SweepError)(nil); swept != nil && (!errors.As(swept, &failed) || failed.Cause != nil) {
		return swept // the sweep was stopped; single steps that failed are said in the picture
	}
	if shard.N > 0 {
		fmt.Fprintf(f.stdout, "shard %v: %s of %d\n", shard, counted(len(mine), "result"), len(all))
		return swept
	}
	byID := map[run.ID]run.Record{}
	for i, s := range mine {
		byID[s.ID()] = records[i]
	}
	lib.whole = true
	for i, p := range plans {
		if err := f.draw(store, p, sources[i], byID); err != nil {
			return errors.Join(swept, err)
		}
	}
	f.log.Info().Str("took", seconds(time.Since(began).Seconds())).Msg("done")
	return swept
}

// A drawn says, beside a figure's files, what they were drawn from, so that
// rsc audit can draw them again.
type drawn struct {
	Config       string   `json:"config"`
	ConfigDigest string   `json:"config_digest"` // [config.Digest]
	Profile      string   `json:"profile"`
	Set          []string `json:"set,omitempty"`
	Notes        []string `json:"notes,omitempty"`
	LeftOut      []string `json:"left_out,omitempty"` // panels whose data was not here
	// CSVDigest is of the table that belongs to this: another one beside it means
	// that the drawing was interrupted. It is "" in figures drawn before there
	// was such a field.
	CSVDigest string `json:"csv_digest,omitempty"`
}

// draw writes the files of one figure and prints their paths. source is the
// digest of its config.
//
// The order is what rsc audit knows a killed drawing by: first what the files are
// drawn from, with the digest of the table, then the pictures, the table, and at
// last the table's digest in the journal.
func (f *figureCommand) draw(store *run.Store, p *sweep.Plan, source string, byID map[run.ID]run.Record) error {
	picture, err := p.Draw(recordsOf(p, byID))
	if err != nil {
		return err
	}
	for _, note := range picture.Notes[len(p.Notes):] {
		f.log.Warn().Str("figure", picture.Name).Msg(note)
	}
	files, err := f.write(store, p, picture, source)
	if err != nil {
		return fmt.Errorf("figure %s: %w", picture.Name, err)
	}
	for _, name := range files {
		fmt.Fprintln(f.stdout, name)
	}
	return nil
}

// recordsOf returns the Records of p's Steps, in their order.
func recordsOf(p *sweep.Plan, byID map[run.ID]run.Record) []run.Record {
	var records []run.Record
	for _, s := range p.Steps() {
		records = append(records, byID[s.ID()])
	}
	return records
}

// write writes a picture's files and the journal's line, and returns the paths
// of those that are to be looked at.
func (f *figureCommand) write(store *run.Store, p *sweep.Plan, picture sweep.Picture, source string) ([]string, error) {
	csv, err := picture.CSV()
	if err != nil {
		return nil, err
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(csv))
	b, err := json.MarshalIndent(drawn{p.Figure.File, source, p.Figure.Profile, p.Figure.Set, picture.Notes, p.LeftOut(), sum}, "", "  ")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(f.results, picture.Name)
	if err = os.MkdirAll(dir, 0o755); err == nil {
		err = atomicfile.Write(filepath.Join(dir, picture.Name+".json"), append(b, '\n'))
	}
	if err != nil {
		return nil, err
	}
	files, err := picture.Save(f.results)
	if err != nil || store.ReadOnly() {
		return files, err
	}
	return files, store.Journal().Append(run.Line{Event: run.EventDraw, File: filepath.Join(picture.Name, picture.Name+".csv"), Digest: sum,
		Note: p.Figure.Profile + " profile of " + p.Figure.File})
}
