package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// An origin is a way to get the files of a source.
type origin interface {
	// fetch returns a folder that holds the files of s, or its archive. It
	// may leave what it likes in scratch and find it there the next time.
	fetch(ctx context.Context, s Source, scratch string, report func(Progress)) (dir string, err error)
	String() string
}

// packageTimeout bounds a package manager that waits for an unreachable
// server; the packages are of 12 and 31 MB.
const packageTimeout = 5 * time.Minute

// A goModule is a module that ships the files in a sub-folder.
type goModule struct{ module, sub string }

func (o goModule) String() string { return "Go module " + o.module }

func (o goModule) fetch(ctx context.Context, _ Source, scratch string, report func(Progress)) (string, error) {
	report(Progress{From: o.String()})
	out, err := command(ctx, scratch, "go", "mod", "download", "-json", o.module)
	var answer struct{ Dir, Error string }
	// A failed download says why in its answer rather than on stderr.
	if json.Unmarshal(out, &answer) == nil && answer.Error != "" {
		return "", errors.New(answer.Error)
	}
	if err != nil {
		return "", err
	}
	if answer.Dir == "" {
		return "", errors.New("go mod download names no folder")
	}
	return filepath.Join(answer.Dir, o.sub), nil
}

// A debianPackage ships the files in a folder, given relative to the root. It
// need not be installed, and getting it needs no privileges.
type debianPackage struct{ name, sub string }

func (o debianPackage) String() string { return "Debian package " + o.name }

func (o debianPackage) fetch(ctx context.Context, s Source, scratch string, report func(Progress)) (string, error) {
	if installed := filepath.Join("/", o.sub); exists(filepath.Join(installed, s.Files[0].Name)) {
		return installed, nil
	}
	report(Progress{From: o.String()})
	if _, err := command(ctx, scratch, "apt-get", "download", o.name); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(scratch, o.name+"_*.deb"))
	if err != nil || len(debs) == 0 {
		return "", errors.New("apt-get download left no package")
	}
	if _, err := command(ctx, scratch, "dpkg-deb", "-x", debs[0], scratch); err != nil {
		return "", err
	}
	return filepath.Join(scratch, o.sub), nil
}

// command runs a program in dir and returns its standard output. The error
// ends in the last line that the program wrote to standard error.
func command(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, packageTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	// The user's flags and workspace are for building, not for this.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "LC_ALL=C")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		said := strings.TrimSpace(string(exit.Stderr))
		err = fmt.Errorf("%s %s: %w: %s", name, args[0], err, said[strings.LastIndexByte(said, '\n')+1:])
	}
	return out, err
}
