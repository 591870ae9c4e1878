package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"rarespurious/experiments/predict"
	"rarespurious/experiments/run"
	"rarespurious/experiments/sweep"

	"github.com/spf13/cobra"
)

type planCommand struct {
	*app
	figureFlags
	shards      int
	noCalibrate bool
	json        bool
}

func newPlan(a *app) *cobra.Command {
	p := planCommand{app: a}
	c := &cobra.Command{
		Use:   "plan NAME…",
		Short: "say what rsc figure would run, what is stored, and what it takes",
		Long: `plan checks figures as rsc figure does, and runs nothing. It says how many steps
are stored and how many are to run, how much disk their models take, and about
how long it will last with as many --jobs, on a machine that does nothing else.

Times are those of like runs in the results folder. Where there are none, plan
trains and evaluates each network for a second or two on generated images of the
data set's shape, and keeps the times in the cache, so that the next plan needs
no timing; --no-calibrate times nothing and says unknown instead. How many steps
conjugate gradients take cannot be known: it is taken to be 35.

With --shards N it shows how the work falls into N parts for --shard I/N.`,
		Example: `  rsc plan fig2 --profile paper
  rsc plan fig2 fig3 --shards 8`,
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: completeFigures,
		RunE: func(c *cobra.Command, names []string) error { return p.run(c.Context(), names) },
	}
	p.add(c)
	c.Flags().IntVar(&p.shards, "shards", 0, "show how the work falls into so many parts")
	c.Flags().BoolVar(&p.noCalibrate, "no-calibrate", false, "time nothing; say unknown where no like run is stored")
	jsonFlag(c, &p.json)
	return c
}

// A planRow is what is to be done for one figure, shard, or all.
type planRow struct {
	Name    string  `json:"name"`
	Steps   int     `json:"steps"`
	Models  int     `json:"models"` // of the steps, those that train
	Stored  int     `json:"stored"` // or not needed, since what starts from them is stored
	ToRun   int     `json:"to_run"`
	Seconds float64 `json:"seconds,omitempty"` // on this machine; 0 is unknown
	// Beside counts steps that do what is not in Seconds, by what it is.
	Beside map[string]int `json:"not_predicted,omitempty"`
	Bytes  int64          `json:"bytes"` // of the models that will be kept
}

func (p *planCommand) run(ctx context.Context, names []string) error {
	if p.shards < 0 {
		return badInputf("--shards %d: give the number of parts", p.shards)
	}
	lib := p.library(ctx)
	plans, err := p.plans(lib, lib.lab(nil), names, p.figureFlags)
	if err != nil {
		return err
	}
	store, done, err := p.anyStore()
	if err != nil {
		return err
	}
	defer done()
	r := &run.Runner{Store: store}
	all := steps(plans)
	machine, err := p.machine(lib, store)
	if err == nil && !p.noCalibrate {
		err = p.calibrate(ctx, machine, r, all)
	}
	if err != nil {
		return err
	}
	var rows []planRow
	add := func(name string, steps []run.Step) error {
		planned, err := r.Plan(steps)
		rows = append(rows, p.row(name, whole(steps), planned, machine))
		return err
	}
	for _, f := range plans {
		err = errors.Join(err, add(f.Figure.Name, f.Steps()))
	}
	if len(plans) > 1 {
		err = errors.Join(err, add("together", all))
	}
	for i := range p.shards {
		s := run.Shard{I: i + 1, N: p.shards}
		err = errors.Join(err, add("shard "+s.String(), s.Select(all)))
	}
	if err != nil {
		return err
	}
	return p.print(plans, rows)
}

// anyStore opens the results folder, or an empty one if there is none yet.
func (a *app) anyStore() (*run.Store, func(), error) {
	s, err := run.ReadStore(a.results)
	if !errors.Is(err, run.ErrNotExist) {
		return s, func() { s.Close() }, err
	}
	dir, err := os.MkdirTemp("", "rsc-plan-")
	if err != nil {
		return nil, nil, err
	}
	s, err = run.OpenStore(dir)
	return s, func() { s.Close(); os.RemoveAll(dir) }, err
}

// whole returns steps and all that they start from, each once.
func whole(steps []run.Step) (all []run.Step) {
	seen := map[run.ID]bool{}
	for _, s := range steps {
		for _, x := range append(chain(s), s) {
			if id := x.ID(); !seen[id] {
				seen[id] = true
				all = append(all, x)
			}
		}
	}
	return all
}

// row sums up what is planned for steps. What stored results start from is not
// planned, and not to run.
func (p *planCommand) row(name string, steps []run.Step, planned []run.Planned, m *predict.Machine) planRow {
	row := planRow{Name: name, Steps: len(steps)}
	for _, s := range steps {
		if s.Train != nil {
			row.Models++
		}
	}
	var tasks []predict.Task
	known := false
	for _, s := range planned {
		if s.Action == run.Stored {
			continue
		}
		row.ToRun++
		t, beside, ok := m.Seconds(s.Step)
		known = known || ok
		if beside != "" {
			if row.Beside == nil {
				row.Beside = map[string]int{}
			}
			row.Beside[beside]++
		}
		tasks = append(tasks, task(s, t))
		if t := s.Step.Train; t != nil {
			if n := 4 * int64(t.Arch.NumParams()+t.Arch.NumBuffers()); n <= run.DefaultKeepBytes {
				row.Bytes += n
			}
		}
	}
	row.Stored = row.Steps - row.ToRun
	if known {
		row.Seconds = predict.Makespan(tasks, p.jobs)
	}
	return row
}

func (p *planCommand) print(plans []*sweep.Plan, rows []planRow) error {
	if p.json {
		return p.printJSON(rows)
	}
	var lines [][]string
	var notes []string
	for _, r := range rows {
		takes := "unknown"
		switch {
		case r.ToRun == 0:
			takes = "nothing to run"
		case r.Seconds > 0:
			takes = "about " + seconds(r.Seconds)
		}
		for _, what := range sortedKeys(r.Beside) {
			notes = append(notes, fmt.Sprintf("%s: without the time of %s, in %s", r.Name, what, counted(r.Beside[what], "step")))
		}
		lines = append(lines, []string{r.Name, fmt.Sprint(r.Steps), fmt.Sprint(r.Models), fmt.Sprint(r.Stored),
			fmt.Sprint(r.ToRun), takes, megabytes(r.Bytes)})
	}
	if err := p.printTable([]string{"FIGURE", "STEPS", "MODELS", "STORED", "TO RUN", "TIME", "DISK"}, lines); err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintln(p.stdout, n)
	}
	for _, f := range plans {
		if f.Figure.Note != "" {
			fmt.Fprintf(p.stdout, "%s, %s profile: %s\n", f.Figure.Name, f.Figure.Profile, f.Figure.Note)
		}
	}
	return nil
}
