package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"rarespurious/bridge/torch"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// A finding is one thing that doctor looked at.
type finding struct {
	What   string `json:"what"`
	State  string `json:"state"`            // "ok", "missing": can do without, "bad": cannot
	Found  string `json:"found"`            // a sentence
	Remedy string `json:"remedy,omitempty"` // what to do about it
}

func newDoctor(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "doctor", Short: "say what is there, and what to do about what is missing", Args: cobra.NoArgs,
		Long: `doctor looks at libtorch, devices, threads, instruction sets, data sets, folders
and disk, and says what to do about anything missing. It fetches nothing. The
exit status is 1 if figures cannot be made as things are.`,
		Example: "  rsc doctor\n  rsc doctor --device cuda:0 --data-dir ~/data",
		RunE: func(c *cobra.Command, _ []string) error {
			all := a.examine(c.Context())
			if asJSON {
				if err := a.printJSON(all); err != nil {
					return err
				}
			} else {
				a.printFindings(all)
			}
			for _, f := range all {
				if f.State == "bad" {
					return fmt.Errorf("doctor: %s: %s", f.What, f.Remedy)
				}
			}
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) printFindings(all []finding) {
	marks := map[string]string{"ok": "ok", "missing": "--", "bad": "!!"}
	for _, f := range all {
		fmt.Fprintf(a.stdout, "%s  %-18s %s\n", marks[f.State], f.What, f.Found)
		if f.Remedy != "" {
			fmt.Fprintf(a.stdout, "    %-18s → %s\n", "", f.Remedy)
		}
	}
}

// examine looks at everything that a figure needs.
func (a *app) examine(ctx context.Context) []finding {
	all := []finding{
		{What: "rsc", State: "ok", Found: currentVersion().String()},
		{What: "libtorch", State: "ok", Found: torch.Version() + ", kernels for " + torch.CPUCapability()},
		{What: "cores", State: "ok", Found: fmt.Sprintf("%d of %d in use; %s at a time, one thread each", runtime.GOMAXPROCS(0), runtime.NumCPU(), counted(a.jobs, "model"))},
	}
	all = append(all, a.examineDevices()...)
	for _, r := range a.library(ctx).dataRows() {
		f := finding{What: "data: " + r.Name, State: "ok", Found: r.where()}
		switch {
		case r.Problem != "":
			f.State, f.Remedy = "bad", "replace the file, or leave --data-dir out to fetch the published ones"
		case r.From == "":
			f.State, f.Found = "missing", "not here"
			f.Remedy = "rsc data fetch " + r.Name + ", or --data-dir with your own copy; figures leave its panels out meanwhile"
		}
		all = append(all, f)
	}
	all = append(all, examineFolder("cache", a.cache, "--cache"), examineFolder("results", a.results, "--results"))
	return append(all, a.examineRuntime())
}

func (a *app) examineDevices() []finding {
	n, err := torch.CUDADevices()
	f := finding{What: "GPUs", State: "ok", Found: counted(n, "CUDA device")}
	if n == 0 {
		f.State, f.Found = "missing", "none"
		if err != nil {
			f.Found += ": " + err.Error()
		}
		f.Remedy = "nothing to do: the quick profiles are made for a CPU"
	}
	all := []finding{f}
	if a.device != "cpu" {
		d := finding{What: "device " + a.device, State: "ok", Found: "works"}
		if err := a.checkDevice(); err != nil {
			d.State, d.Found, d.Remedy = "bad", err.Error(), "use --device cpu"
		}
		all = append(all, d)
	}
	return all
}

// lowDisk is the free space below which a paper sweep may not fit: its small
// models take some gigabytes.
const lowDisk = 5e9

// examineFolder says whether a folder can be written, and how much fits in it.
func examineFolder(what, dir, flag string) finding {
	f := finding{What: what, State: "ok"}
	at, err := filepath.Abs(dir)
	if err == nil {
		at, err = existing(at)
	}
	if err == nil {
		err = unix.Access(at, unix.W_OK)
	}
	var fs unix.Statfs_t
	if err == nil {
		err = unix.Statfs(at, &fs)
	}
	if err != nil {
		f.State, f.Found, f.Remedy = "bad", fmt.Sprintf("%s cannot be written: %v", dir, err), "name another folder with "+flag
		return f
	}
	free := float64(fs.Bavail) * float64(fs.Bsize)
	f.Found = fmt.Sprintf("%s, %.1f GB free", dir, free/1e9)
	if free < lowDisk {
		f.State, f.Remedy = "missing", "make room, or name a folder on another disk with "+flag
	}
	return f
}

// existing returns dir, or the nearest folder above it that exists.
func existing(dir string) (string, error) {
	for {
		_, err := os.Stat(dir)
		if !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir, err
		}
		dir = filepath.Dir(dir)
	}
}

// examineRuntime looks for ONNX Runtime where scripts/onnxruntime.sh puts it.
func (a *app) examineRuntime() finding {
	found, _ := filepath.Glob(filepath.Join(a.cache, "onnxruntime", "libonnxruntime.so*"))
	if len(found) == 0 {
		return finding{"ONNX Runtime", "missing", "not in the cache", "scripts/onnxruntime.sh " + a.cache + " fetches it; only models in ONNX files need it"}
	}
	return finding{What: "ONNX Runtime", State: "ok", Found: found[len(found)-1]}
}
