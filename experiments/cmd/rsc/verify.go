package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"rarespurious/analysis/theory"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"

	"github.com/spf13/cobra"
)

type verifyCommand struct {
	*app
	n         int
	seed      uint64
	tolerance float64
	json      bool
}

func newVerify(a *app) *cobra.Command {
	v := verifyCommand{app: a}
	c := &cobra.Command{
		Use:   "verify [ID…]",
		Short: "run stored runs again and compare the numbers",
		Long: `verify trains a random sample of the stored models again, or runs those that are
named, and compares with what is stored. On a CPU with the same libtorch and
instruction set every bit must agree; elsewhere values may differ by
--tolerance. What was compared is written to the journal; the stored results
stay as they are. The exit status is 1 if anything differs that must not.`,
		Example: `  rsc verify                 three models, at random
  rsc verify -n 20 --seed 1
  rsc verify 1f3a 22c0
  rsc verify theory          Theorem 1 against a simulation`,
		ValidArgsFunction: a.completeRuns(1000),
		RunE:              func(c *cobra.Command, args []string) error { return v.run(c.Context(), args) },
	}
	c.Flags().IntVarP(&v.n, "number", "n", 3, "how many models to train again")
	c.Flags().Uint64Var(&v.seed, "seed", 0, "draw the sample from this seed (default: a new one each time)")
	c.Flags().Float64Var(&v.tolerance, "tolerance", 0.02, "largest difference between unlike machines, relative to the larger value and 1")
	jsonFlag(c, &v.json)
	c.AddCommand(newVerifyTheory(a))
	return c
}

func (v *verifyCommand) run(ctx context.Context, prefixes []string) error {
	switch {
	case v.n < 1:
		return badInputf("-n %d: give 1 or more", v.n)
	case v.tolerance < 0:
		return badInputf("--tolerance %v: give 0 or more", v.tolerance)
	}
	if _, err := v.readStore(); err != nil {
		return err
	}
	s, err := v.openStore()
	if err != nil {
		return err
	}
	defer s.Close()
	ids, err := v.sample(s, prefixes)
	if err != nil {
		return err
	}
	if err := v.checkDevice(); err != nil {
		return err
	}
	exec := train.New(v.training())
	defer exec.Close()
	p := newProgress(v.app)
	defer p.close()
	r := v.runner(s, exec, p.observe)
	all, err := r.Verify(ctx, ids)
	p.close()
	if ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return errors.Join(err, v.report(s, all))
}

// sample returns the named runs, or a random choice of trained models.
func (v *verifyCommand) sample(s *run.Store, prefixes []string) (ids []run.ID, err error) {
	for _, prefix := range prefixes {
		r, err := findRun(s, prefix)
		if err != nil {
			return nil, err
		}
		ids = append(ids, r.ID)
	}
	if len(prefixes) > 0 {
		return ids, nil
	}
	records, _, err := allRecords(s)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Step.Train != nil {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil, badInputf("no model is stored in %s: there is nothing to verify", v.results)
	}
	if v.seed == 0 {
		v.seed = rand.Uint64()
	}
	v.log.Info().Uint64("seed", v.seed).Msgf("%d of %s", min(v.n, len(ids)), counted(len(ids), "model"))
	rand.New(rand.NewPCG(v.seed, 0)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(v.n, len(ids))], nil
}

// report prints what was compared and fails if something differs that must not.
func (v *verifyCommand) report(s *run.Store, all []run.Comparison) error {
	bad := 0
	var rows [][]string
	for _, c := range all {
		result := "the same"
		switch {
		case c.Same():
		case c.MustAgree || v.beyond(c):
			result, bad = "DIFFERS: "+c.String(), bad+1
		default:
			result = fmt.Sprintf("within %g, on another machine", v.tolerance)
		}
		what := ""
		if r, err := s.Get(c.ID); err == nil {
			what = describe(r.Step)
		}
		rows = append(rows, []string{c.ID.String(), what, result})
	}
	if v.json {
		if err := v.printJSON(all); err != nil {
			return err
		}
	} else if err := v.printTable([]string{"RUN", "WHAT", "AGAIN"}, rows); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("verify: %d of %s are not what was stored", bad, counted(len(all), "run"))
	}
	return nil
}

// beyond reports whether a value differs by more than the tolerance, or is
// absent in one of the two. Files of unlike machines always differ.
func (v *verifyCommand) beyond(c run.Comparison) bool {
	return slices.ContainsFunc(c.Differences, func(d run.Difference) bool {
		if d.Name == "status" || d.Stored == "" || d.Again == "" {
			return true
		}
		x, err := strconv.ParseFloat(d.Stored, 64)
		y, err2 := strconv.ParseFloat(d.Again, 64)
		return err == nil && err2 == nil && !(math.Abs(x-y) <= v.tolerance*max(1, math.Abs(x), math.Abs(y)))
	})
}

// A theoryRow is one quantity of Theorem 1 beside its simulation.
type theoryRow struct {
	Model     string  `json:"model"`
	Quantity  string  `json:"quantity"`
	Theory    float64 `json:"theory"`
	Simulated float64 `json:"simulated"`
	StdErr    float64 `json:"std_err"`
	OK        bool    `json:"ok"`
}

func newVerifyTheory(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "theory", Short: "compare Theorem 1 with a simulation", Args: cobra.NoArgs,
		Long: `theory fits ridge regression to samples of the linear model and compares weights,
accuracies and scores with the closed form. No row may be off by more than 0.001.`,
		Example: "  rsc verify theory\n  rsc verify theory --json",
		RunE: func(c *cobra.Command, _ []string) error {
			checked, err := theory.Check(c.Context(), theory.DefaultSettings())
			if err != nil {
				return err
			}
			bad, list, lines := 0, []theoryRow{}, [][]string{}
			for _, r := range checked {
				t := theoryRow{fmt.Sprint(r.Model), fmt.Sprint(r.Quantity), r.Theory, r.Simulated, r.StdErr, r.OK()}
				verdict := "ok"
				if !t.OK {
					verdict, bad = "OFF", bad+1
				}
				list = append(list, t)
				lines = append(lines, []string{t.Model, t.Quantity, fmt.Sprintf("%.5f", t.Theory), fmt.Sprintf("%.5f", t.Simulated),
					fmt.Sprintf("%.5f", t.StdErr), verdict})
			}
			if asJSON {
				err = a.printJSON(list)
			} else {
				err = a.printTable([]string{"MODEL", "QUANTITY", "THEORY", "SIMULATED", "STD ERR", ""}, lines)
			}
			if bad > 0 {
				err = errors.Join(err, fmt.Errorf("verify theory: %d of %d quantities are off", bad, len(checked)))
			}
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}
