package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"

	"github.com/spf13/cobra"
)

func newData(a *app) *cobra.Command {
	return group("data", "list, fetch and check data sets",
		`Data sets are looked for in --data-dir, then in the cache, then fetched into the
cache. What is fetched must have the published checksums; your own files only
have to be well-formed.`, newDataList(a), newDataFetch(a), newDataCheck(a))
}

// A dataRow is one data set and where it is.
type dataRow struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Shape    string   `json:"shape"`
	Classes  int      `json:"classes"`
	Train    int      `json:"train,omitempty"`
	Test     int      `json:"test,omitempty"`
	Official bool     `json:"official"`       // has the published checksums
	From     string   `json:"from,omitempty"` // "" if it is not here
	Origins  []string `json:"origins"`        // where it can be fetched
	Problem  string   `json:"problem,omitempty"`
}

// dataRows looks for every data set, and fetches none.
func (l *library) dataRows() []dataRow {
	l.o.Offline = true
	var rows []dataRow
	for _, src := range dataset.Table {
		r := dataRow{Name: src.Name, Title: src.Title, Shape: fmt.Sprint(src.Shape), Classes: len(src.Classes), Origins: src.Origins()}
		s, err := l.open(src.Name)
		switch {
		case err == nil:
			r.Official, r.From = s.Official, s.From
			r.Train, r.Test = len(s.Train.Labels), len(s.Test.Labels)
		case !errors.Is(err, dataset.ErrUnavailable):
			r.Problem = err.Error()
		}
		rows = append(rows, r)
	}
	return rows
}

func newDataList(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "list the data sets and where they are", Args: cobra.NoArgs,
		Example: "  rsc data list\n  rsc data list --data-dir ~/data --json",
		RunE: func(c *cobra.Command, _ []string) error {
			rows := a.library(c.Context()).dataRows()
			if asJSON {
				return a.printJSON(rows)
			}
			var lines [][]string
			for _, r := range rows {
				lines = append(lines, []string{r.Name, r.Title, r.Shape, fmt.Sprint(r.Classes), r.images(), r.where()})
			}
			return a.printTable([]string{"NAME", "TITLE", "SHAPE", "CLASSES", "IMAGES", "WHERE"}, lines)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (r dataRow) images() string {
	if r.From == "" {
		return "-"
	}
	return fmt.Sprintf("%d + %d", r.Train, r.Test)
}

// where says where a data set is, or how to get it.
func (r dataRow) where() string {
	switch {
	case r.Problem != "":
		return "BROKEN: " + r.Problem
	case r.From == "":
		return "not here; get it with rsc data fetch " + r.Name
	case !r.Official:
		return r.From + " (your own: not the published files)"
	}
	return r.From
}

// dataNames returns the data sets that args name: all of them if none.
func dataNames(args []string) ([]string, error) {
	if len(args) == 0 {
		return dataset.Names(), nil
	}
	for _, name := range args {
		if names := dataset.Names(); !slices.Contains(names, name) {
			return nil, badInputf("%q is no data set%s (known: %s)", name, config.DidYouMean(name, names), strings.Join(names, ", "))
		}
	}
	return args, nil
}

func completeData(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return dataset.Names(), cobra.ShellCompDirectiveNoFileComp
}

func newDataFetch(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "fetch [NAME…]", Short: "fetch data sets into the cache", ValidArgsFunction: completeData,
		Long:    "fetch brings data sets that are not here into the cache, all or those named, and\nprints where they are. What is here stays.",
		Example: "  rsc data fetch\n  rsc data fetch mnist fashion",
		RunE: func(c *cobra.Command, args []string) error {
			names, err := dataNames(args)
			if err != nil {
				return err
			}
			l := a.library(c.Context())
			var errs []error
			for _, name := range names {
				s, err := l.open(name)
				a.console.clear()
				if err != nil {
					errs = append(errs, err)
					continue
				}
				fmt.Fprintf(a.stdout, "%s\t%s\n", name, s.From)
			}
			return errors.Join(errs...)
		},
	}
}

// A dataReport is what check found out about one data set.
type dataReport struct {
	Name     string `json:"name"`
	From     string `json:"from"`
	Digest   string `json:"digest"`
	Official bool   `json:"official"`
	dataset.Report
}

func newDataCheck(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "check [NAME…]", Short: "count and measure data sets", ValidArgsFunction: completeData,
		Long: `check reads data sets, all that are here or those named, and counts images by
class, means and deviations by channel, and test images that are training
images too. A malformed file is named, and the exit status is 2.`,
		Example: "  rsc data check mnist\n  rsc data check mnist --data-dir ~/my-digits",
		RunE: func(c *cobra.Command, args []string) error {
			names, err := dataNames(args)
			if err != nil {
				return err
			}
			l := a.library(c.Context())
			l.whole, l.o.Offline = true, true
			var errs []error
			reports := []dataReport{}
			for _, name := range names {
				s, err := l.open(name)
				if len(args) == 0 && errors.Is(err, dataset.ErrUnavailable) {
					continue
				}
				if err != nil {
					errs = append(errs, err)
					continue
				}
				reports = append(reports, dataReport{name, s.From, s.Digest, s.Official, dataset.Check(s)})
			}
			return errors.Join(append(errs, a.printReports(reports, asJSON))...)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) printReports(reports []dataReport, asJSON bool) error {
	if asJSON {
		return a.printJSON(reports)
	}
	var rows [][]string
	for _, r := range reports {
		for _, part := range []struct {
			name string
			p    dataset.PartReport
		}{{"train", r.Train}, {"test", r.Test}} {
			n := 0
			for _, c := range part.p.PerClass {
				n += c
			}
			rows = append(rows, []string{r.Name, part.name, fmt.Sprint(n), fmt.Sprint(part.p.PerClass),
				fmt.Sprintf("%.4f", part.p.Mean), fmt.Sprintf("%.4f", part.p.Std), fmt.Sprint(r.Official)})
		}
	}
	if err := a.printTable([]string{"NAME", "PART", "IMAGES", "BY CLASS", "MEAN", "STD", "PUBLISHED"}, rows); err != nil {
		return err
	}
	for _, r := range reports {
		if n := len(r.Duplicates); n > 0 {
			fmt.Fprintf(a.stdout, "%s: %d of its test images are training images too\n", r.Name, n)
		}
	}
	return nil
}
