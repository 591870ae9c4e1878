package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

// An auditReport is run's, and what was found about the figures.
type auditReport struct {
	OK bool `json:"ok"`
	*run.AuditReport
	Figures []figureAudit `json:"figures,omitempty"`
}

func newAudit(a *app) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "audit [--json [FILE]]",
		Short: "check that everything stored is as it was written",
		Long: `audit reads everything in the results folder and changes nothing. It checks
  the journal's chain: no line changed, removed, added or moved;
  every run: its ID, its seal, the journal's digest of it, its files' digests;
  every figure: each cell of its CSV computed again from the runs, no result
  missing, and whether its runs come from unlike machines.
Runs that failed, diverged or were interrupted are counted.

Every problem is one line that names the place. The exit status is 1 if there
is one. --json prints the report as JSON, --json FILE writes it beside printing
the summary.`,
		Example: "  rsc audit\n  rsc audit --json audit.json\n  rsc audit --json | jq .problems",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				if out != stdoutName {
					return badInputf("audit: %s: a file is named only after --json", args[0])
				}
				out = args[0]
			}
			return a.audit(c.Context(), out)
		},
	}
	c.Flags().StringVar(&out, "json", "", "print JSON, or write it to FILE beside printing the summary")
	c.Flags().Lookup("json").NoOptDefVal = stdoutName // so the file is a separate argument
	return c
}

// stdoutName is a file's name that means standard output.
const stdoutName = "-"

func (a *app) audit(ctx context.Context, out string) error {
	s, err := a.readStore()
	if err != nil {
		return err
	}
	defer s.Close()
	stored, err := run.Audit(ctx, s)
	if err != nil {
		return err
	}
	figures, err := a.auditFigures(ctx, s)
	if err != nil {
		return err
	}
	r := auditReport{AuditReport: stored, Figures: figures}
	for _, f := range figures {
		r.Problems = append(r.Problems, f.problems...)
		r.Notes = append(r.Notes, f.notes...)
	}
	r.OK = stored.OK()
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	switch out {
	case "":
		a.printAudit(r)
	case stdoutName:
		_, err = a.stdout.Write(b)
	default:
		a.printAudit(r)
		err = os.WriteFile(out, b, 0o644)
	}
	if err == nil && !r.OK {
		err = fmt.Errorf("audit: %s in %s: %w", counted(len(r.Problems), "problem"), a.results, errAudit)
	}
	return err
}

var errAudit = fmt.Errorf("not everything is as it was written")

func (a *app) printAudit(r auditReport) {
	w := a.stdout
	fmt.Fprintf(w, "journal   %s\n", counted(r.Lines, "line"))
	fmt.Fprintf(w, "runs      %d: %d done, %d diverged; %d failed and %d interrupted without a result\n",
		r.Records, r.Done, r.Diverged, len(r.Failed), len(r.Interrupted))
	fmt.Fprintf(w, "files     %d compared, %d dropped to save space\n", r.Files, r.Dropped)
	for _, e := range r.Envs {
		fmt.Fprintf(w, "from      %s: %s\n", counted(e.Records, "run"), place(e.Env))
	}
	for _, f := range r.Figures {
		fmt.Fprintf(w, "figure    %s, %s profile: %s\n", f.Name, f.Profile, f.State)
	}
	for _, f := range r.Failed {
		fmt.Fprintf(w, "failed    run %v: %s\n", f.ID, f.Note)
	}
	for _, p := range r.Notes {
		fmt.Fprintf(w, "note      %v\n", p)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "PROBLEM   %v\n", p)
	}
	if r.OK {
		fmt.Fprintln(w, "clean: everything is as it was written")
	}
}

// place says where runs come from.
func place(e run.Env) string {
	return fmt.Sprintf("%s (%s) on %s, libtorch %s, %s per model, revision %.12s", e.Device, e.CPU, e.Host, e.Libtorch, counted(e.Threads, "thread"), e.Revision)
}
