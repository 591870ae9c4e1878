package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

func newRunsShow(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "show all that is known of one run", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRuns(1),
		Example: "  rsc runs show 1f3a",
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.readStore()
			if err != nil {
				return err
			}
			defer s.Close()
			r, err := findRun(s, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(view(r))
			}
			return a.showRun(s, r)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) showRun(s *run.Store, r run.Record) error {
	state := s.Journal().State(r.ID)
	fmt.Fprintf(a.stdout, "%s\n%s, %s, began %s, took %s\n%s\n", r.ID.Full(), describe(r.Step), r.Status,
		r.Started.Local().Format("2006-01-02 15:04:05"), seconds(r.Seconds), s.Path(r.ID))
	for _, from := range r.Step.From {
		fmt.Fprintf(a.stdout, "from %v: %s\n", from.ID(), describe(from))
	}
	section := func(title string, m map[string]string) {
		if len(m) == 0 {
			return
		}
		fmt.Fprintf(a.stdout, "\n%s\n", title)
		width := 0
		for key := range m {
			width = max(width, len(key))
		}
		for _, key := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(a.stdout, "  %-*s  %s\n", width, key, m[key])
		}
	}
	values := map[string]string{}
	for key, v := range r.Values {
		values[key] = number(v)
	}
	files := map[string]string{}
	for name, digest := range r.Files {
		files[name] = "sha256 " + digest
		if state.Dropped[name] {
			files[name] += " (dropped; the same run makes it again)"
		}
	}
	section("Values", values)
	section("Settings", settings(r.Step))
	section("Files", files)
	section("Environment", flatten(r.Env))
	return nil
}

// settings returns the fields of a Step, without those that it starts from, by
// dotted name. The architecture is its name.
func settings(s run.Step) map[string]string {
	s.From = nil
	m := flatten(s)
	for key := range m {
		if strings.Contains(key, ".arch.") && !strings.HasSuffix(key, ".arch.name") {
			delete(m, key)
		}
	}
	return m
}

// flatten returns what v's JSON has, by dotted name: "train.poison.count".
func flatten(v any) map[string]string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("rsc: flatten: " + err.Error())
	}
	var tree any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		panic("rsc: flatten: " + err.Error())
	}
	m := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				walk(strings.TrimPrefix(at+"."+key, "."), inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), inner)
			}
		default:
			m[at] = fmt.Sprint(v)
		}
	}
	walk("", tree)
	return m
}
