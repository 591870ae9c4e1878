package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/run"
	"rarespurious/experiments/sweep"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// An app is what all commands share: the global flags and where output goes.
type app struct {
	stdout  io.Writer
	console *console
	log     zerolog.Logger
	began   bool // the command line was understood

	results, dataDir, cache, device string
	jobs                            int
	offline, quiet, debug, logJSON  bool

	album *imagefolder.Library // see photos
	views map[*imagefolder.Pack]*sweep.Photos
}

// begin makes what follows from the global flags.
func (a *app) begin() error {
	if a.jobs < 0 {
		return badInputf("--jobs %d: give 1 or more, or leave it out for %s", a.jobs, jobsDefault())
	}
	if a.jobs == 0 {
		a.jobs = defaultJobs(a.device)
	}
	if a.device != "cpu" && a.device != "cuda" && !strings.HasPrefix(a.device, "cuda:") {
		return badInputf("--device %q: give cpu, or cuda:0 for the first GPU", a.device)
	}
	level := zerolog.InfoLevel
	switch {
	case a.quiet:
		level = zerolog.WarnLevel
	case a.debug:
		level = zerolog.DebugLevel
	}
	var w io.Writer = a.console
	if !a.logJSON {
		w = zerolog.ConsoleWriter{Out: a.console, NoColor: !a.console.tty || os.Getenv("NO_COLOR") != "", TimeFormat: "15:04:05"}
	}
	a.log = zerolog.New(w).Level(level).With().Timestamp().Logger()
	a.began = true
	return nil
}

// readStore opens the results folder of a command that only looks.
func (a *app) readStore() (*run.Store, error) {
	s, err := run.ReadStore(a.results)
	if errors.Is(err, run.ErrNotExist) {
		return nil, badInputf("there are no results in %q: make some with rsc figure, or name their folder with --results", a.results)
	}
	return s, err
}

// data says where data sets are.
func (a *app) data() dataset.Options {
	o := dataset.Options{Dir: a.dataDir, Offline: a.offline, Progress: a.console.fetching(a)}
	if a.cache != "" {
		o.CacheDir = filepath.Join(a.cache, "data")
	}
	return o
}

// checkDevice fails if the device cannot be used.
func (a *app) checkDevice() error {
	if a.device == "cpu" {
		return nil
	}
	err := torch.Run(a.device, torch.Options{}, func(*torch.Device) error { return nil })
	if err != nil {
		return fmt.Errorf("--device %s: %w; rsc doctor lists the devices there are", a.device, err)
	}
	return nil
}

// sweep runs steps and returns their Records, with its progress shown.
func (a *app) sweep(ctx context.Context, s *run.Store, steps []run.Step, keep bool) ([]run.Record, error) {
	exec := a.estimated(ctx, s)
	defer exec.Close()
	p := newProgress(a)
	defer p.close()
	r := a.runner(s, exec, p.observe)
	r.Keep = keep
	if a.device != "cpu" {
		if busy, err := anyToRun(r, steps); err != nil || busy {
			if err = errors.Join(err, a.checkDevice()); err != nil {
				return nil, err
			}
		}
	}
	return r.Run(ctx, steps)
}

func anyToRun(r *run.Runner, steps []run.Step) (bool, error) {
	planned, err := r.Plan(steps)
	for _, p := range planned {
		if p.Action != run.Stored {
			return true, err
		}
	}
	return false, err
}

// suits reports whether the device can compute steps as precisely as they say.
func (a *app) suits(steps []run.Step) error {
	for _, s := range steps {
		for s.Train == nil && len(s.From) > 0 {
			s = s.From[0]
		}
		if a.device == "cpu" && s.Train != nil && s.Train.Precision == "tf32" {
			return badInputf("--device cpu: precision tf32 is for GPUs; a CPU has float32 and bf16")
		}
	}
	return nil
}

// jsonFlag gives a listing its --json.
func jsonFlag(c *cobra.Command, to *bool) { c.Flags().BoolVar(to, "json", false, "print JSON") }

// printJSON writes v to standard output, indented.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printTable writes rows in aligned columns, the header first.
func (a *app) printTable(header []string, rows [][]string) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, r := range append([][]string{header}, rows...) {
		line := strings.Join(r, "\t")
		if len(r) > 0 {
			fmt.Fprintln(w, line)
		}
	}
	return w.Flush()
}
