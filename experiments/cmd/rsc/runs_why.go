package main

import (
	"fmt"
	"maps"
	"slices"

	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

// A reason is one thing in which two runs differ; "" is nothing there.
type reason struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// A why compares two runs.
type why struct {
	A        run.ID   `json:"a"`
	B        run.ID   `json:"b"`
	Settings []reason `json:"settings"` // why they are two runs
	Env      []reason `json:"env"`
	Values   []reason `json:"values"`
}

func newRunsWhy(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "why ID ID", Short: "say why two runs are not one", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeRuns(2),
		Long: `why compares all settings of two runs, those of what they start from included,
where they ran, and what came out. Use it when a run that should have been
stored ran again, or when two numbers differ that should agree.`,
		Example: "  rsc runs why 1f3a 22c0",
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.readStore()
			if err != nil {
				return err
			}
			defer s.Close()
			var r [2]run.Record
			for i, prefix := range args {
				if r[i], err = findRun(s, prefix); err != nil {
					return err
				}
			}
			w := why{r[0].ID, r[1].ID, differences(flatten(r[0].Step), flatten(r[1].Step)),
				differences(flatten(r[0].Env), flatten(r[1].Env)), valueDifferences(r[0].Values, r[1].Values)}
			if asJSON {
				return a.printJSON(w)
			}
			return a.printWhy(w)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) printWhy(w why) error {
	if len(w.Settings) == 0 {
		fmt.Fprintln(a.stdout, "they are one run")
		return nil
	}
	var rows [][]string
	for _, part := range []struct {
		title string
		list  []reason
	}{{"setting", w.Settings}, {"env", w.Env}, {"value", w.Values}} {
		for _, r := range part.list {
			rows = append(rows, []string{part.title, r.Name, r.A, r.B})
		}
	}
	return a.printTable([]string{"", "NAME", w.A.String(), w.B.String()}, rows)
}

// differences returns the keys whose values differ, sorted.
func differences(a, b map[string]string) []reason {
	all := maps.Clone(a)
	maps.Copy(all, b)
	list := []reason{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if a[key] != b[key] {
			list = append(list, reason{key, a[key], b[key]})
		}
	}
	return list
}

func valueDifferences(a, b map[string]float64) []reason {
	text := func(m map[string]float64) map[string]string {
		out := map[string]string{}
		for key, v := range m {
			out[key] = fmt.Sprint(v)
		}
		return out
	}
	return differences(text(a), text(b))
}
