package main

import (
	"fmt"

	"rarespurious/experiments/report"
	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

func newReport(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "report", Short: "write all results as pages for a browser", Args: cobra.NoArgs,
		Long: `report audits the results folder and writes index.html into it, with every
figure and its table, and a page for each run into report/. The pages need no network.`,
		Example: "  rsc report",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.readStore()
			if err != nil {
				return err
			}
			defer s.Close()
			audit, err := run.Audit(c.Context(), s)
			if err != nil {
				return err
			}
			audited, err := a.auditFigures(c.Context(), s)
			if err != nil {
				return err
			}
			var figures []report.Figure
			for _, f := range audited {
				audit.Problems = append(audit.Problems, f.problems...)
				audit.Notes = append(audit.Notes, f.notes...)
				figures = append(figures, report.Figure{Name: f.Name, Profile: f.Profile, Notes: a.drawn(f.Name).Notes, State: f.State})
			}
			path, err := report.Write(c.Context(), s, audit, figures)
			if err == nil {
				fmt.Fprintln(a.stdout, path)
			}
			return err
		},
	}
}
