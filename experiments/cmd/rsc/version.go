package main

import (
	"cmp"
	"fmt"
	"runtime"
	"strings"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

// A version says what this program is.
type version struct {
	Revision string `json:"revision"` // by git; "unknown" if built without
	Dirty    bool   `json:"dirty"`    // built from changed files
	Steps    int    `json:"steps"`    // run.Version, which is in every ID
	Libtorch string `json:"libtorch"`
	Go       string `json:"go"`
}

// built is what git describe said when make built this program, for a Go that
// is told not to ask git itself.
var built string

func currentVersion() version {
	v := version{Steps: run.Version, Libtorch: torch.Version(), Go: runtime.Version()}
	v.Revision, v.Dirty = revision()
	v.Revision = cmp.Or(v.Revision, "unknown")
	return v
}

// revision returns what git calls the program's files, "" if nobody noted it,
// and whether they were changed since.
func revision() (name string, dirty bool) {
	if name, dirty = run.BuildRevision(); name == "" {
		name, dirty = strings.CutSuffix(built, "-dirty")
	}
	return name, dirty
}

// runner returns a Runner whose Records say which program made them.
func (a *app) runner(s *run.Store, e run.Executor, observe func(run.Notice)) *run.Runner {
	r := &run.Runner{Store: s, Exec: e, Jobs: a.jobs, Observe: observe}
	r.Revision, r.Dirty = revision()
	return r
}

func (v version) String() string {
	changed := ""
	if v.Dirty {
		changed = " with changes"
	}
	return fmt.Sprintf("rsc %.12s%s, steps version %d, libtorch %s, %s", v.Revision, changed, v.Steps, v.Libtorch, v.Go)
}

func newVersion(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "print what this program is", Args: cobra.NoArgs, Example: "  rsc version",
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return a.printJSON(currentVersion())
			}
			_, err := fmt.Fprintln(a.stdout, currentVersion())
			return err
		}}
	jsonFlag(c, &asJSON)
	return c
}
