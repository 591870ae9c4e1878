package main

import (
	"maps"
	"slices"
	"strings"

	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
	"rarespurious/nn"

	"github.com/spf13/cobra"
)

// describedRuns is up to how many runs a completion describes; each costs
// reading a file.
const describedRuns = 100

// completeRuns completes up to n IDs of stored runs, all kinds or those that
// are named.
func (a *app) completeRuns(n int, kinds ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveDefault // a file, if anything
		}
		s, err := run.ReadStore(a.results)
		if err != nil { // nothing is stored yet
			return nil, cobra.ShellCompDirectiveDefault
		}
		defer s.Close()
		ids, err := s.IDs()
		if err != nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		ids = slices.DeleteFunc(ids, func(id run.ID) bool {
			return !strings.HasPrefix(id.Full(), prefix) || slices.Contains(args, id.String())
		})
		var names []string
		for _, id := range ids {
			name := id.String()
			if len(prefix) > len(name) {
				name = id.Full()
			}
			if len(ids) <= describedRuns {
				r, err := s.Get(id)
				if err != nil || len(kinds) > 0 && !slices.Contains(kinds, r.Step.Kind()) {
					continue
				}
				name += "\t" + describe(r.Step)
			}
			names = append(names, name)
		}
		return names, cobra.ShellCompDirectiveDefault
	}
}

// completeModels completes one ID of a run that left a model; a file will do too.
func (a *app) completeModels() cobra.CompletionFunc { return a.completeRuns(1, "train", "delete") }

// fieldValues are the names that fields of --set may have as values.
var fieldValues = map[string][]string{
	"dataset": dataset.Names(), "model": slices.Sorted(maps.Keys(nn.Zoo)), "pattern": pattern.Names(),
	"optimizer": {"adam", "sgd"}, "clip_by": {"value", "norm"}, "precision": {"float32", "bf16", "tf32"},
	"measure": train.MeasureNames(), "delete": train.DeletionNames(), "augment": {"true", "false"}, "upstream": {"true", "false"},
}

// completeSet completes keys of --set, and their values where these are names.
func completeSet(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	key, _, inValue := strings.Cut(prefix, "=")
	var all []string
	if inValue {
		for _, v := range fieldValues[key] {
			all = append(all, key+"="+v)
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
	for _, key := range config.Keys() {
		all = append(all, key+"=")
	}
	return all, directive
}

// names completes names, and nothing else.
func names(all ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)
}

// completeFlags completes the values of flags that mean the same in every
// command that has them.
func (a *app) completeFlags(root *cobra.Command) {
	run := func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return a.completeModels()(c, nil, prefix)
	}
	local := map[string]cobra.CompletionFunc{
		"pattern": names(pattern.Names()...), "set": completeSet, "profile": names(config.Profiles()...),
		"model": names(fieldValues["model"]...), "kind": names("train", "delete", "score"), "source": names("v2", "v1", "keras"),
		"dataset": cobra.FixedCompletions(dataset.Names(), cobra.ShellCompDirectiveDefault),
		"before":  run, "after": run, "control": run,
	}
	visit(root, func(c *cobra.Command) {
		for flag, complete := range local {
			if c.LocalFlags().Lookup(flag) != nil {
				// It fails only for a flag that is not there or has one already.
				c.RegisterFlagCompletionFunc(flag, complete)
			}
		}
	})
	root.RegisterFlagCompletionFunc("device", names("cpu", "cuda:0"))
	for _, flag := range []string{"results", "data-dir", "cache"} {
		root.MarkPersistentFlagDirname(flag)
	}
}

// visit calls f for c and everything below it.
func visit(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		visit(sub, f)
	}
}
