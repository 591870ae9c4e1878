package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
)

const rootHelp = `rsc trains networks on data in which a few examples carry a spurious pattern,
measures what that does to them, and draws the figures and tables of
"Understanding Rare Spurious Correlations in Neural Networks"
(arXiv:2202.05189).

A figure is one file in configs/. Everything it needs is trained once, kept
under the results folder by a hash of all that may change a number, and shared
by every figure. So the same command again goes on where it was interrupted,
and a finished figure is drawn in a second.

Profiles: smoke (seconds, to see that it works), quick (the default: minutes on
two cores), paper (the paper's grid).

Exit status:
  0    all is well
  1    something failed while running: a step, an audit, a comparison
  2    bad input: a config, a flag or a file; nothing was run
  130  interrupted; the same command goes on`

const rootExample = `  rsc figures                       what can be made
  rsc plan fig2                     what would run, and how long it may take
  rsc figure fig2                   train what is missing, then draw
  rsc figure fig2 --profile paper --device cuda:0
  rsc runs list                     all that was computed
  rsc audit                         is everything as it was written?
  rsc doctor                        is everything there that rsc needs?`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use: "rsc", Short: "rare spurious correlations: train, measure, draw", Long: rootHelp, Example: rootExample,
		SilenceErrors: true, SilenceUsage: true,
		// Cobra checks flags after this, but nothing of it is to count as begun.
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(c.ValidateRequiredFlags(), c.ValidateFlagGroups()); err != nil {
				return err
			}
			return a.begin()
		},
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.results, "results", "results", "folder for runs, figures and the journal")
	f.StringVar(&a.dataDir, "data-dir", "", "your folder with data sets, looked at before the cache")
	f.StringVar(&a.cache, "cache", defaultCache(), "folder for what is fetched")
	f.BoolVar(&a.offline, "offline", false, "never fetch data")
	f.StringVar(&a.device, "device", "cpu", "where networks run: cpu, cuda:0, …")
	f.IntVar(&a.jobs, "jobs", 0, "models that train at a time (default: "+jobsDefault()+")")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress; only warnings and errors")
	f.BoolVar(&a.debug, "debug", false, "log more")
	f.BoolVar(&a.logJSON, "log-json", false, "logs as JSON lines")
	root.MarkFlagsMutuallyExclusive("quiet", "debug")

	root.AddGroup(&cobra.Group{ID: "work", Title: "Make numbers and pictures:"},
		&cobra.Group{ID: "trust", Title: "Look at them, and see whether they can be trusted:"},
		&cobra.Group{ID: "parts", Title: "What they are made from:"})
	add := func(id string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	add("work", newFigure(a), newFigures(a), newPlan(a), newTrain(a), newEval(a), newDeletionCheck(a))
	add("trust", newRuns(a), newAudit(a), newReport(a), newVerify(a), newStore(a), newScan(a))
	add("parts", newData(a), newWeights(a), newExport(a), newDoctor(a))
	root.AddCommand(newVersion(a))
	addTopics(root)
	explainArguments(root)
	a.completeFlags(root)
	return root
}

func jobsDefault() string { return "one per core on a CPU, 1 on a GPU" }

// defaultCache returns the user's cache folder for this program.
func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil { // no home: next to the results
		return ".cache"
	}
	return filepath.Join(dir, "rarespurious")
}

// defaultJobs returns how many models train at a time on device.
func defaultJobs(device string) int {
	if device == "cpu" {
		return runtime.GOMAXPROCS(0) // which knows a container's limit
	}
	return 1
}
