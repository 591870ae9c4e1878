package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"rarespurious/experiments/run"
	"rarespurious/experiments/sweep"
	"rarespurious/experiments/train"

	"github.com/spf13/cobra"
)

type planCommand struct {
	*app
	figureFlags
	shards int
	json   bool
}

func newPlan(a *app) *cobra.Command {
	p := planCommand{app: a}
	c := &cobra.Command{
		Use:   "plan NAME…",
		Short: "say what rsc figure would run, what is stored, and what it takes",
		Long: `plan checks figures as rsc figure does, and runs nothing. It says how many steps
are stored and how many are to run, how much disk their models take, and, from
the runs that are stored already, about how long it will last.

With --shards N it shows how the work falls into N parts for --shard I/N.`,
		Example: `  rsc plan fig2 --profile paper
  rsc plan fig2 fig3 --shards 8`,
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: completeFigures,
		RunE: func(c *cobra.Command, names []string) error { return p.run(c.Context(), names) },
	}
	p.add(c)
	c.Flags().IntVar(&p.shards, "shards", 0, "show how the work falls into so many parts")
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
	Bytes   int64   `json:"bytes"`             // of the models that will be kept
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
	exec := train.New(p.training())
	defer exec.Close()
	r := &run.Runner{Store: store, Exec: exec}
	rates, err := measureSpeeds(store, exec)
	if err != nil {
		return err
	}
	var rows []planRow
	add := func(name string, steps []run.Step) error {
		planned, err := r.Plan(steps)
		rows = append(rows, p.row(name, whole(steps), planned, rates))
		return err
	}
	for _, f := range plans {
		err = errors.Join(err, add(f.Figure.Name, f.Steps()))
	}
	all := steps(plans)
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

// speeds is how much work is done per second and job, by architecture; under ""
// for all of them.
type speeds map[string]float64

// measureSpeeds learns speeds from what is stored.
func measureSpeeds(s *run.Store, e *train.Executor) (speeds, error) {
	ids, err := s.IDs()
	if err != nil {
		return nil, err
	}
	work, took := map[string]float64{}, map[string]float64{}
	for _, id := range ids {
		r, err := s.Get(id)
		if err != nil || r.Step.Train == nil || r.Status != run.Done {
			continue // what is damaged tells nothing of speed
		}
		for _, key := range []string{r.Step.Train.Arch.Name, ""} {
			work[key] += e.Work(r.Step)
			took[key] += r.Seconds
		}
	}
	v := speeds{}
	for key, t := range took {
		if t > 0 {
			v[key] = work[key] / t
		}
	}
	return v, nil
}

// seconds returns how long a planned Step takes; ok is false if nobody knows.
func (v speeds) seconds(p run.Planned) (s float64, ok bool) {
	rate := v[""]
	if t := modelOf(p.Step); t != nil && v[t.Arch.Name] > 0 {
		rate = v[t.Arch.Name]
	}
	return p.Work / rate, rate > 0
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
func (p *planCommand) row(name string, steps []run.Step, planned []run.Planned, rates speeds) planRow {
	row := planRow{Name: name, Steps: len(steps)}
	for _, s := range steps {
		if s.Train != nil {
			row.Models++
		}
	}
	for _, s := range planned {
		if s.Action == run.Stored {
			continue
		}
		row.ToRun++
		if t, ok := rates.seconds(s); ok {
			row.Seconds += t / float64(p.jobs)
		}
		if t := s.Step.Train; t != nil {
			if n := 4 * int64(t.Arch.NumParams()+t.Arch.NumBuffers()); n <= run.DefaultKeepBytes {
				row.Bytes += n
			}
		}
	}
	row.Stored = row.Steps - row.ToRun
	return row
}

func (p *planCommand) print(plans []*sweep.Plan, rows []planRow) error {
	if p.json {
		return p.printJSON(rows)
	}
	var lines [][]string
	for _, r := range rows {
		takes := "unknown"
		switch {
		case r.ToRun == 0:
			takes = "nothing to run"
		case r.Seconds > 0:
			takes = "about " + seconds(r.Seconds)
		}
		lines = append(lines, []string{r.Name, fmt.Sprint(r.Steps), fmt.Sprint(r.Models), fmt.Sprint(r.Stored),
			fmt.Sprint(r.ToRun), takes, megabytes(r.Bytes)})
	}
	if err := p.printTable([]string{"FIGURE", "STEPS", "MODELS", "STORED", "TO RUN", "TIME", "DISK"}, lines); err != nil {
		return err
	}
	for _, f := range plans {
		if f.Figure.Note != "" {
			fmt.Fprintf(p.stdout, "%s, %s profile: %s\n", f.Figure.Name, f.Figure.Profile, f.Figure.Note)
		}
	}
	return nil
}
