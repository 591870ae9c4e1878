package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
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
	v := version{Revision: "unknown", Steps: run.Version, Libtorch: torch.Version(), Go: runtime.Version()}
	if built != "" {
		v.Revision, v.Dirty = strings.CutSuffix(built, "-dirty")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Dirty = s.Value == "true"
			}
		}
	}
	return v
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
