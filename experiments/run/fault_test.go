package run

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKill kills sweeps at random moments, 30 times. After every kill what is
// stored must pass the audit, and in the end nothing may be missing, doubled or
// other than without kills.
func TestKill(t *testing.T) {
	start := time.Now()
	play(t, child(t, "sweep", filepath.Join(t.TempDir(), "results")))
	took := min(time.Since(start), 200*time.Millisecond)
	for kills := 0; kills < 30; {
		dir := filepath.Join(t.TempDir(), "results")
		for n := 0; n < 10 && killOne(t, dir, took); n++ {
			kills++
		}
		play(t, child(t, "sweep", dir))
		s := open(t, dir)
		if a := clean(t, s); a.Done != 32 || a.Dropped != 16 || len(a.Failed)+len(a.Interrupted)+len(a.Notes) > 0 {
			t.Errorf("after %d kills: %+v", kills, a)
		}
		for _, folder := range []string{s.storeDir(), s.scratchDir()} {
			left, err := filepath.Glob(filepath.Join(folder, draftPrefix+"*"))
			if err != nil || len(left) > 0 {
				t.Errorf("litter: %v, %v", left, err)
			}
		}
	}
}

// killOne starts the sweep in dir and kills it within limit, and returns false
// if it had ended before.
func killOne(t *testing.T, dir string, limit time.Duration) bool {
	t.Helper()
	c := child(t, "sweep", dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(rand.N(limit))
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if c.Wait() == nil {
		return false
	}
	if !exists(filepath.Join(dir, "store")) { // killed before it made the folder
		return true
	}
	s, err := ReadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	clean(t, s)
	return true
}

func TestTwoProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	first := child(t, "sweep", dir)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	play(t, child(t, "sweep", dir))
	if err := first.Wait(); err != nil {
		t.Fatal(err)
	}
	ran, err := os.ReadFile(dir + ".ran")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(ran)) {
		if seen[line] {
			t.Errorf("%s was run twice", strings.TrimSpace(line))
		}
		seen[line] = true
	}
	if len(seen) != 32 {
		t.Errorf("%d Steps were run, want 32", len(seen))
	}
	clean(t, open(t, dir))
}

func TestFullDisk(t *testing.T) {
	t.Run("file size", func(t *testing.T) { play(t, child(t, "file size", t.TempDir())) })
	t.Run("file system", func(t *testing.T) {
		c := child(t, "full disk", t.TempDir())
		// A mount that only the child sees needs no root where the kernel lets
		// users have name spaces.
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
			c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
		}
		probe := child(t, "sweep", filepath.Join(t.TempDir(), "results"))
		probe.SysProcAttr = c.SysProcAttr
		if err := probe.Run(); err != nil {
			t.Logf("no name space of its own (%v): the limit on file sizes stands for the full disk", err)
			c = child(t, "file size", t.TempDir())
		}
		play(t, c)
	})
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	sweepAll(t, &Runner{Store: open(t, dir), Exec: &fake{}, KeepBytes: -1}, sceneSteps())
	chmod := func(file, folder fs.FileMode) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(path, folder)
			} else if err == nil {
				return os.Chmod(path, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	chmod(0o444, 0o555)
	defer chmod(0o644, 0o755)
	play(t, child(t, "read-only", dir))
}

// edit changes the file at path with f.
func edit(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(b), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

// TestDamage damages one thing after the other: the audit names the place, and
// where the next sweep needs it, it makes it again.
func TestDamage(t *testing.T) {
	score, train := scoring(training(0)), training(0)
	// A second chain from the same model, which the next sweep needs.
	next := append(figure(1), scoring(Step{From: []Step{train}, Delete: &Delete{Method: "other"}}))
	forged := func(b []byte) []byte {
		r, err := decodeRecord(b)
		if err != nil {
			panic(err)
		}
		r.Values["accuracy"] = 1
		b, err = r.encode()
		if err != nil {
			panic(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		step    Step
		file    string
		damage  func([]byte) []byte // nil: remove the file
		sweeps  int                 // until all is well; 0 if the sweep does not look at it
		mention string
	}{
		"letter in a score's record": {score, recordFile, flip, 1, "the seal does not match"},
		"letter in a model's record": {train, recordFile, flip, 1, "the seal does not match"},
		"letter in a step":           {score, stepFile, flip, 1, "it hashes to"},
		"letter in θ":                {train, "theta", flip, 2, "was changed"},
		"letter in a log":            {score, eventsFile, func([]byte) []byte { return []byte("{}\n") }, 0, "was changed"},
		"record sealed anew":         {score, recordFile, forged, 1, "was replaced"},
		"record cut":                 {score, recordFile, func(b []byte) []byte { return b[:len(b)/2] }, 1, "the seal does not match"},
		"record empty":               {train, recordFile, func([]byte) []byte { return nil }, 1, "the seal does not match"},
		"record missing":             {train, recordFile, nil, 1, "missing"},
		"step missing":               {train, stepFile, nil, 1, "missing"},
		"θ missing":                  {train, "theta", nil, 1, "is missing and was not dropped"},
		"folder missing":             {score, "", nil, 1, "is missing: the journal says that it was stored"},
		"model's folder missing":     {train, "", nil, 1, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			r := &Runner{Store: s, Exec: &fake{}}
			sweepAll(t, r, figure(1))
			path := filepath.Join(s.Path(c.step.ID()), c.file)
			if c.damage != nil {
				edit(t, path, c.damage)
			} else if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			a, err := Audit(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			want := filepath.Join("store", c.step.ID().Full(), c.file)
			named := false
			for _, p := range a.Problems {
				named = named || p.Place == want && strings.Contains(p.What, c.mention)
			}
			if !named {
				t.Errorf("the audit found %v, want %s at %s", a.Problems, c.mention, want)
			}
			if c.sweeps == 0 {
				return
			}
			for i := range c.sweeps {
				if _, err := r.Run(t.Context(), next); (err == nil) != (i == c.sweeps-1) {
					t.Errorf("sweep %d ended with %v", i+1, err)
				}
			}
			sameResults(t, reference(t, next), sweepAll(t, r, next))
			clean(t, s)
		})
	}
}

func TestAuditNamesStrangers(t *testing.T) {
	s := open(t, t.TempDir())
	sweepAll(t, &Runner{Store: s, Exec: &fake{}}, figure(1))
	other := open(t, t.TempDir())
	id := sweepAll(t, &Runner{Store: other, Exec: &fake{}}, []Step{training(5)})[0].ID
	for from, to := range map[string]string{
		other.Path(id):                    s.Path(id), // copied, not merged
		other.Path(training(0).ID()):      filepath.Join(s.storeDir(), "what"),
		s.Path(scoring(training(0)).ID()): s.Path(training(8).ID()), // under another's name
	} {
		err := os.CopyFS(to, os.DirFS(from))
		if os.IsNotExist(err) {
			err = os.Mkdir(to, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	extra := filepath.Join(s.Path(training(0).ID()), "extra")
	if err := os.WriteFile(extra, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := Audit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		id.Full() + ": the journal does not know it", "store/what: does not belong here",
		training(8).ID().Full() + "/step.json: run: integrity: it hashes to", "extra: the record does not know it",
	} {
		found := false
		for _, p := range a.Problems {
			found = found || strings.Contains(p.String(), want)
		}
		if !found {
			t.Errorf("the audit does not say %q: %v", want, a.Problems)
		}
	}
	if len(a.Problems) != 4 {
		t.Errorf("problems: %v", a.Problems)
	}
	if _, err := a.JSON(); err != nil {
		t.Error(err)
	}
}

// TestKilledBeforeItsLine is the moment between a Record's rename and its line
// in the journal.
func TestKilledBeforeItsLine(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	want := sweepAll(t, &Runner{Store: s, Exec: &fake{}}, []Step{training(0)})
	for name, drop := range map[string]func(string) string{
		"journal.jsonl": func(text string) string { return text[:strings.LastIndex(text[:len(text)-1], "\n")+1] },
		"journal.head":  func(string) string { return "" },
	} {
		edit(t, filepath.Join(dir, name), func(b []byte) []byte { return []byte(drop(string(b))) })
	}
	s = open(t, dir)
	if err := s.journal.writeHead(); err != nil {
		t.Fatal(err)
	}
	if a := clean(t, s); len(a.Notes) != 1 || a.Done != 1 {
		t.Errorf("%+v", a)
	}
	f := &fake{}
	sameResults(t, want, sweepAll(t, &Runner{Store: s, Exec: f}, []Step{training(0)}))
	if a := clean(t, s); len(a.Notes) != 0 || len(f.ran) != 0 {
		t.Errorf("%+v after %d Steps", a, len(f.ran))
	}
}
