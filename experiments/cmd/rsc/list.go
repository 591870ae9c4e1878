package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"rarespurious/experiments/config"

	"github.com/spf13/cobra"
)

// A figureRow is one figure that can be made.
type figureRow struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Source string `json:"source"`
	Kind   string `json:"kind"`
	Drawn  string `json:"drawn,omitempty"` // the profile that it was last drawn with into the results folder
}

func newFigures(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "figures", Short: "list the figures and tables that can be made", Args: cobra.NoArgs,
		Long: `figures lists the files in configs, or where there is no such folder the figures
that the program was built with, and with which profile each was last drawn.`,
		Example: "  rsc figures\n  rsc figures --json | jq -r '.[] | select(.drawn == null) | .name'",
		RunE: func(*cobra.Command, []string) error {
			list, _ := completeFigures(nil, nil, "")
			rows := []figureRow{}
			var errs []error
			for _, name := range list {
				path, err := a.configPath(name)
				if err != nil {
					return err
				}
				f, err := config.Load(path, config.Options{Profile: "quick"})
				if err != nil {
					errs = append(errs, err)
					continue
				}
				rows = append(rows, figureRow{name, f.Title, f.Source, f.Kind, a.drawn(name).Profile})
			}
			return errors.Join(append(errs, a.printFigures(rows, asJSON))...)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// drawn returns what a figure was last drawn from, nothing if that is not known.
func (a *app) drawn(name string) (d drawn) {
	if b, err := os.ReadFile(filepath.Join(a.results, name, name+".json")); err == nil {
		_ = json.Unmarshal(b, &d) // rsc audit tells what is wrong with it
	}
	return d
}

func (a *app) printFigures(rows []figureRow, asJSON bool) error {
	if asJSON {
		return a.printJSON(rows)
	}
	var lines [][]string
	for _, r := range rows {
		lines = append(lines, []string{r.Name, r.Title, r.Source, r.Drawn})
	}
	return a.printTable([]string{"NAME", "TITLE", "SOURCE", "DRAWN"}, lines)
}
