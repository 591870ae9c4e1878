package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

func newRuns(a *app) *cobra.Command {
	return group("runs", "list, show, compare and export what was computed",
		`A run is a step that was computed: a training, a deletion, a measurement. Its ID
is a hash of all that may change its numbers; its first digits are enough.`,
		newRunsList(a), newRunsShow(a), newRunsWhy(a), newRunsLogs(a), newRunsExport(a))
}

func newRunsList(a *app) *cobra.Command {
	var asJSON bool
	var kind string
	c := &cobra.Command{
		Use: "list", Short: "list all runs, the oldest first", Args: cobra.NoArgs,
		Example: "  rsc runs list --kind score\n  rsc runs list --json | jq '.[] | select(.values.spurious_score > .5) | .id'",
		RunE: func(*cobra.Command, []string) error {
			if !slices.Contains([]string{"", "train", "delete", "score"}, kind) {
				return badInputf("--kind %q: give train, delete or score", kind)
			}
			s, err := a.readStore()
			if err != nil {
				return err
			}
			defer s.Close()
			records, damaged, err := allRecords(s)
			if err != nil {
				return err
			}
			for _, err := range damaged {
				a.log.Warn().Msg(err.Error() + "; rsc audit says more")
			}
			records = slices.DeleteFunc(records, func(r run.Record) bool { return kind != "" && r.Step.Kind() != kind })
			return a.printRecords(records, asJSON)
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "train, delete or score (default: all)")
	jsonFlag(c, &asJSON)
	return c
}

// allRecords returns all Records, the oldest first, and what is damaged.
func allRecords(s *run.Store) (records []run.Record, damaged []error, err error) {
	ids, err := s.IDs()
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		r, err := s.Get(id)
		switch {
		case err == nil:
			records = append(records, r)
		case errors.Is(err, run.ErrIntegrity):
			damaged = append(damaged, err)
		case !errors.Is(err, run.ErrNotExist): // that has just been moved
			return nil, nil, err
		}
	}
	slices.SortStableFunc(records, func(a, b run.Record) int { return a.Started.Compare(b.Started) })
	return records, damaged, nil
}

// A runView is a run as listings have it.
type runView struct {
	ID       run.ID             `json:"id"`
	Kind     string             `json:"kind"`
	Status   run.Status         `json:"status"`
	Started  time.Time          `json:"started"`
	Seconds  float64            `json:"seconds"`
	What     string             `json:"what"`
	From     []run.ID           `json:"from,omitempty"`
	Settings map[string]string  `json:"settings"`
	Values   map[string]float64 `json:"values"`
	Files    map[string]string  `json:"files,omitempty"`
	Env      run.Env            `json:"env"`
}

func view(r run.Record) runView {
	v := runView{r.ID, r.Step.Kind(), r.Status, r.Started, r.Seconds, describe(r.Step), nil, settings(r.Step), r.Values, r.Files, r.Env}
	for _, s := range r.Step.From {
		v.From = append(v.From, s.ID())
	}
	if v.Values == nil {
		v.Values = map[string]float64{}
	}
	return v
}

// printRecords prints one line per run, and the values of each.
func (a *app) printRecords(records []run.Record, asJSON bool) error {
	if asJSON {
		views := make([]runView, len(records))
		for i, r := range records {
			views[i] = view(r)
		}
		return a.printJSON(views)
	}
	var rows [][]string
	for _, r := range records {
		rows = append(rows, []string{r.ID.String(), r.Step.Kind(), string(r.Status), seconds(r.Seconds), describe(r.Step), headline(r.Values)})
	}
	return a.printTable([]string{"RUN", "KIND", "STATUS", "TOOK", "WHAT", "VALUES"}, rows)
}

// headline returns the values that say most, in one line.
func headline(values map[string]float64) string {
	var out []string
	for _, key := range []string{"spurious_score", "clean_accuracy", "spurious_accuracy", "loss"} {
		if v, ok := values[key]; ok {
			out = append(out, key+"="+number(v))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if v := key + "=" + number(values[key]); len(out) < 3 && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return strings.Join(out, " ")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// findRun returns the one run whose ID begins with prefix.
func findRun(s *run.Store, prefix string) (run.Record, error) {
	id, err := s.Find(prefix)
	if err != nil {
		return run.Record{}, badInput{err}
	}
	return s.Get(id)
}

func newRunsLogs(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "logs ID", Short: "print a run's events: loss, accuracy and rate by epoch", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRuns(1),
		Example: "  rsc runs logs 1f3a\n  rsc runs logs 1f3a | jq .loss",
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.readStore()
			if err != nil {
				return err
			}
			defer s.Close()
			r, err := findRun(s, args[0])
			if err != nil {
				return err
			}
			f, err := s.Open(r.ID, "events.jsonl")
			if errors.Is(err, os.ErrNotExist) {
				return badInputf("run %v has no log", r.ID)
			}
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := io.Copy(a.stdout, f); err != nil {
				return fmt.Errorf("log of run %v: %w", r.ID, err)
			}
			return nil
		},
	}
}
