package main

import (
	"errors"
	"fmt"

	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

// openStore opens the results folder of a command that writes to it.
func (a *app) openStore() (*run.Store, error) {
	s, err := run.OpenStore(a.results)
	if err != nil {
		return nil, badInput{fmt.Errorf("%w: name another folder with --results", err)}
	}
	return s, nil
}

func newStore(a *app) *cobra.Command {
	return group("store", "merge results folders",
		"A results folder is content-addressed: folders of several machines can be merged.", newStoreMerge(a))
}

// A mergeRow is what merging one folder did.
type mergeRow struct {
	From    string           `json:"from"`
	Copied  int              `json:"copied"`
	Same    int              `json:"same"`
	Differ  []run.Comparison `json:"differ,omitempty"`
	Damaged []run.Problem    `json:"damaged,omitempty"`
}

func newStoreMerge(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "merge INTO FROM…", Short: "copy runs of other results folders into one", Args: cobra.MinimumNArgs(2),
		Long: `merge copies into the results folder INTO every run that it has not and another
has. Runs that are in both are compared: INTO's stay, and the exit status is 1
if numbers differ that must agree, or if something is damaged.`,
		Example: `  rsc store merge results results-of-node2 results-of-node3
  rsc figure fig2                  draws from all of them`,
		RunE: func(c *cobra.Command, dirs []string) error {
			into, err := run.OpenStore(dirs[0])
			if err != nil {
				return badInput{err}
			}
			defer into.Close()
			var rows []mergeRow
			var bad error
			for _, dir := range dirs[1:] {
				from, err := run.ReadStore(dir)
				if err != nil {
					return badInput{fmt.Errorf("%s: %w", dir, err)}
				}
				m, err := into.Merge(c.Context(), from)
				if err = errors.Join(err, from.Close()); err != nil {
					return fmt.Errorf("merge %s: %w", dir, err)
				}
				rows = append(rows, mergeRow{dir, len(m.Copied), m.Same, m.Differ, m.Damaged})
				for _, d := range m.Differ {
					a.log.Warn().Stringer("run", d.ID).Msg("differs: " + d.String())
				}
				for _, p := range m.Damaged {
					a.log.Warn().Msg("damaged: " + p.String())
				}
				if n := len(m.Damaged) + mustAgree(m.Differ); n > 0 {
					bad = errors.Join(bad, fmt.Errorf("%s: %s", dir, counted(n, "problem")))
				}
			}
			return errors.Join(a.printMerged(rows, asJSON), bad)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func mustAgree(all []run.Comparison) (n int) {
	for _, c := range all {
		if c.MustAgree {
			n++
		}
	}
	return n
}

func (a *app) printMerged(rows []mergeRow, asJSON bool) error {
	if asJSON {
		return a.printJSON(rows)
	}
	var lines [][]string
	for _, r := range rows {
		lines = append(lines, []string{r.From, fmt.Sprint(r.Copied), fmt.Sprint(r.Same), fmt.Sprint(len(r.Differ)), fmt.Sprint(len(r.Damaged))})
	}
	return a.printTable([]string{"FROM", "COPIED", "SAME", "DIFFER", "DAMAGED"}, lines)
}
