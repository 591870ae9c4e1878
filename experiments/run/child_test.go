package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Some faults need a process of their own: the test binary starts itself again
// with the name of a scene in childScene and the results folder in childDir.
const (
	childScene = "RUN_TEST_SCENE"
	childDir   = "RUN_TEST_DIR"
)

func TestMain(m *testing.M) {
	scene, ok := scenes[os.Getenv(childScene)]
	if !ok {
		// A kill loses nothing that was written, so these tests need no disk, and
		// waiting for one thousands of times takes a minute.
		if unix.Access("/dev/shm", unix.W_OK) == nil {
			os.Setenv("TMPDIR", "/dev/shm")
		}
		os.Exit(m.Run())
	}
	records, err := scene(os.Getenv(childDir))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(records)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A scene plays in the results folder dir and returns the Records of
// sceneSteps.
type scene func(dir string) ([]Record, error)

var scenes = map[string]scene{
	"sweep":     sweepScene,
	"chain":     chainScene,
	"merge":     mergeScene,
	"full disk": fullDiskScene,
	"file size": fileSizeScene,
	"read-only": readOnlyScene,
}

func sceneSteps() []Step { return figure(8) }

// sweepScene is an ordinary sweep that says in the file "ran", beside the
// results folder, what it runs.
func sweepScene(dir string) ([]Record, error) {
	ran, err := os.OpenFile(dir+".ran", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer ran.Close()
	f := &fake{pause: 2 * time.Millisecond, log: func(id ID) { fmt.Fprintln(ran, id) }}
	return inStore(dir, func(s *Store) ([]Record, error) {
		return (&Runner{Store: s, Exec: f, Jobs: 2, KeepBytes: -1}).Run(context.Background(), sceneSteps())
	})
}

// inStore plays what happens in the store of dir, and closes it.
func inStore(dir string, play func(*Store) ([]Record, error)) ([]Record, error) {
	s, err := OpenStore(dir)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return play(s)
}

// chainScene is a sweep of one chain on one worker.
func chainScene(dir string) ([]Record, error) {
	return inStore(dir, func(s *Store) ([]Record, error) {
		return (&Runner{Store: s, Exec: &fake{}, KeepBytes: -1}).Run(context.Background(), figure(1))
	})
}

// mergeScene merges the results folder "other" beside dir.
func mergeScene(dir string) ([]Record, error) {
	other, err := ReadStore(filepath.Join(filepath.Dir(dir), "other"))
	if err != nil {
		return nil, err
	}
	defer other.Close()
	return inStore(dir, func(s *Store) ([]Record, error) {
		_, err := s.Merge(context.Background(), other)
		return nil, err
	})
}

// fullDiskScene sweeps on a file system of 2 MB, most of which a file of
// somebody else takes, and again when that file is gone.
func fullDiskScene(dir string) ([]Record, error) {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o644); err != nil {
		return nil, err
	}
	return stuckThenFree(dir, 50_000, syscall.ENOSPC, func() error { return os.Remove(ballast) })
}

// fileSizeScene sweeps while no file may grow beyond a size that the journal
// reaches in the middle of a line.
func fileSizeScene(dir string) ([]Record, error) {
	signal.Ignore(syscall.SIGXFSZ)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		return nil, err
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 7777, Max: old.Max}); err != nil {
		return nil, err
	}
	return stuckThenFree(dir, 100, syscall.EFBIG, func() error { return unix.Setrlimit(unix.RLIMIT_FSIZE, &old) })
}

// stuckThenFree runs a sweep that must stop with the error want and harm
// nothing, and then, after free, to its end. A θ has size bytes; there are 16.
func stuckThenFree(dir string, size int, want error, free func() error) ([]Record, error) {
	results := filepath.Join(dir, "results")
	run := func() ([]Record, int, error) {
		s, err := OpenStore(results)
		if err != nil {
			return nil, 0, err
		}
		defer s.Close()
		records, sweepErr := (&Runner{Store: s, Exec: &fake{size: size}, Keep: true}).Run(context.Background(), sceneSteps())
		a, err := Audit(context.Background(), s)
		if err == nil && !a.OK() {
			err = fmt.Errorf("audit: %v", a.Problems)
		}
		if err != nil {
			return nil, 0, err
		}
		return records, a.Records, sweepErr
	}
	_, stored, err := run()
	var sweep *SweepError
	if !errors.As(err, &sweep) || !errors.Is(sweep.Cause, want) || sweep.Left == 0 || stored == 0 {
		return nil, fmt.Errorf("the first sweep stored %d, want some, and ended with %v, want %v", stored, err, want)
	}
	// Stuck a second time: at most this costs nothing.
	if _, again, err := run(); err == nil || again < stored {
		return nil, fmt.Errorf("the second sweep has %d records of %d, and ended with %v", again, stored, err)
	}
	if err := free(); err != nil {
		return nil, err
	}
	records, _, err := run()
	return records, err
}

// readOnlyScene reads a results folder that it may not write to.
func readOnlyScene(dir string) ([]Record, error) {
	if err := os.Chdir(dir); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // root may write anywhere
		if err := syscall.Setuid(65534); err != nil {
			return nil, err
		}
	}
	s, err := OpenStore(".")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if !s.ReadOnly() {
		return nil, errors.New("the store says that it can be written to")
	}
	if _, err := OpenStore("new"); !errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("a folder that cannot be made: %v", err)
	}
	if a, err := Audit(context.Background(), s); err != nil || !a.OK() {
		return nil, fmt.Errorf("audit: %+v, %v", a, err)
	}
	r := &Runner{Store: s, Exec: &fake{}}
	if _, err := r.Run(context.Background(), figure(9)); !errors.Is(err, ErrReadOnly) {
		return nil, fmt.Errorf("a sweep with something to run ended with %v", err)
	}
	return r.Run(context.Background(), sceneSteps())
}

// child returns the command that plays a scene.
func child(t *testing.T, scene, dir string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childScene+"="+scene, childDir+"="+dir)
	return c
}

// play plays a scene to its end and compares what it returns.
func play(t *testing.T, c *exec.Cmd) {
	t.Helper()
	out, err := c.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []Record
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for i := range got { // a θ of another size
		got[i].Files = nil
	}
	want := reference(t, sceneSteps())
	for i := range want {
		want[i].Files = nil
	}
	sameResults(t, want, got)
}
