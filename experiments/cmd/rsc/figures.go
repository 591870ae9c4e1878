package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/configs"
	"rarespurious/experiments/config"
	"rarespurious/experiments/run"
	"rarespurious/experiments/sweep"

	"github.com/spf13/cobra"
)

// configDir is where figures are found by name.
const configDir = "configs"

// figureFlags choose among what a figure file offers.
type figureFlags struct {
	profile string
	set     []string
}

func (f *figureFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.profile, "profile", "quick", strings.Join(config.Profiles(), ", "))
	c.Flags().StringArrayVar(&f.set, "set", nil, "key=value: change a field in all panels (repeatable)")
}

// completeFigures completes the names of figures.
func completeFigures(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	if names := config.Names(configDir); names != nil {
		return names, cobra.ShellCompDirectiveDefault
	}
	own, _ := fs.Glob(configs.FS, "*.yaml") // the pattern is well-formed
	for i, name := range own {
		own[i] = strings.TrimSuffix(name, ".yaml")
	}
	return own, cobra.ShellCompDirectiveDefault
}

// configPath returns the file that a figure's name, or a path, means. Names are
// of ./configs; where there is no such folder, of the program's own figures.
func (a *app) configPath(name string) (string, error) {
	if strings.ContainsRune(name, os.PathSeparator) || filepath.Ext(name) == ".yaml" {
		return name, nil
	}
	dir := configDir
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if dir, err = a.ownConfigs(); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, name+".yaml"), nil
}

// ownConfigs writes the figures that the program was built with into the cache
// and returns their folder, whose name changes with what is in it.
func (a *app) ownConfigs() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(configs.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := configs.FS.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(b), b)
		return err
	})
	if err != nil {
		return "", err
	}
	dir := filepath.Join(a.cache, "configs-"+hex.EncodeToString(h.Sum(nil)[:4]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(a.cache, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(a.cache, ".configs-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	whole := filepath.Join(tmp, "configs")
	if err := os.CopyFS(whole, configs.FS); err != nil {
		return "", err
	}
	if err := os.Rename(whole, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}

// plans reads and checks all figures called names. The error joins everything
// that is wrong with any of them: nothing runs unless all are right.
func (a *app) plans(lib *library, lab sweep.Lab, names []string, o figureFlags) ([]*sweep.Plan, error) {
	var plans []*sweep.Plan
	var errs []error
	seen := map[string]bool{}
	for _, name := range names {
		path, err := a.configPath(name)
		if err != nil {
			return nil, err
		}
		if seen[path] {
			continue
		}
		seen[path] = true
		f, err := config.Load(path, config.Options{Profile: o.profile, Set: o.set})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p, err := sweep.New(f, lab)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := a.suits(p.Steps()); err != nil {
			errs = append(errs, err)
			continue
		}
		if missing := leftOut(p); missing > 0 && missing == len(p.Panels) {
			errs = append(errs, badInputf("%s: nothing of it can be drawn: %s", path, strings.Join(p.Notes, "; ")))
			continue
		} else if missing > 0 {
			a.log.Warn().Str("figure", f.Name).Msgf("%d of %s left out, for want of data", missing, counted(len(p.Panels), "panel"))
		}
		plans = append(plans, p)
	}
	// A file that two figures are like has the same faults in both.
	slices.SortStableFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	errs = slices.CompactFunc(errs, func(a, b error) bool { return a.Error() == b.Error() })
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := lib.why(); err != nil {
		a.log.Warn().Msg(err.Error())
	}
	return plans, nil
}

// leftOut counts the panels whose data cannot be had.
func leftOut(p *sweep.Plan) (n int) {
	for _, panel := range p.Panels {
		if panel.Missing != "" {
			n++
		}
	}
	return n
}

// steps returns the Steps of all plans, each once.
func steps(plans []*sweep.Plan) (all []run.Step) {
	seen := map[run.ID]bool{}
	for _, p := range plans {
		for _, s := range p.Steps() {
			if id := s.ID(); !seen[id] {
				seen[id] = true
				all = append(all, s)
			}
		}
	}
	return all
}

// parseShard returns the part that --shard names, all of it for "".
func parseShard(text string) (run.Shard, error) {
	if text == "" {
		return run.Shard{}, nil
	}
	s, err := run.ParseShard(text)
	if err != nil {
		return s, badInputf("--shard %q: want I/N with 1 ≤ I ≤ N, such as 2/8", text)
	}
	return s, nil
}
