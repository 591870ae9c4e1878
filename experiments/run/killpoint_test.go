package run

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// every thins out TestKillPoints, which in full takes seconds on an idle machine
// and minutes on a busy one.
var every = flag.Int("every", 20, "kill before every how many'th call of the kernel that changes a file")

// TestKillPoints kills a sweep before a call of the kernel that changes the
// results folder: a write, a rename, a sync, a new or a removed file. Afterwards
// the audit is clean, and the same sweep ends as if nothing had been. With
// -every 1 it does so before each of them: in the middle of checkpoints, renames,
// the journal's lines and of dropping a file.
func TestKillPoints(t *testing.T) {
	steps := figure(1)
	want := reference(t, steps)
	tried := 0
	hit := map[string]int{}
	for n := 1 + rand.IntN(*every); ; n += *every {
		dir := filepath.Join(t.TempDir(), "results")
		call := killBefore(t, "chain", dir, n)
		if call == "" {
			t.Logf("killed before %d of %d calls: %v", tried, n-1, hit)
			break
		}
		tried++
		hit[call]++
		if exists(filepath.Join(dir, "store")) {
			s, err := ReadStore(dir)
			if err != nil {
				t.Fatalf("killed before call %d, %s: %v", n, call, err)
			}
			clean(t, s)
			s.Close()
		}
		s, err := OpenStore(dir)
		if err != nil {
			t.Fatalf("killed before call %d, %s: %v", n, call, err)
		}
		sameResults(t, want, sweepAll(t, &Runner{Store: s, Exec: &fake{}, KeepBytes: -1}, steps))
		if a := clean(t, s); a.Done != 4 || a.Dropped != 2 || len(a.Failed)+len(a.Interrupted)+len(a.Notes) > 0 {
			t.Errorf("killed before call %d, %s: %+v", n, call, a)
		}
		s.Close()
		if t.Failed() {
			t.Fatalf("after a kill before call %d, %s", n, call)
		}
		os.RemoveAll(dir)
	}
	if tried < 3 {
		t.Errorf("killed only %d times: the calls are not seen", tried)
	}
}

// TestMergeKillPoints kills a merge before each of its calls that changes a file.
// Merged again, everything is there, and so is what the other journal says of its
// files: that they were dropped, or are to be kept.
func TestMergeKillPoints(t *testing.T) {
	other := open(t, filepath.Join(t.TempDir(), "other"))
	sweepAll(t, &Runner{Store: other, Exec: &fake{}, KeepBytes: -1}, []Step{training(0)})
	kept := sweepAll(t, &Runner{Store: other, Exec: &fake{}, KeepBytes: -1, Keep: true}, []Step{training(1)})[0]
	dir := filepath.Join(filepath.Dir(other.Dir()), "results")
	noLine := 0
	n := 1
	for ; ; n++ {
		call := killBefore(t, "merge", dir, n)
		if call == "" {
			break
		}
		s, err := OpenStore(dir)
		if err != nil {
			t.Fatalf("killed before call %d, %s: %v", n, call, err)
		}
		for _, id := range []ID{training(0).ID(), kept.ID} {
			if exists(s.Path(id)) && s.journal.State(id).Record == "" {
				noLine++
			}
		}
		m, err := s.Merge(t.Context(), other)
		if err != nil || len(m.Copied)+m.Same != 2 {
			t.Errorf("merged again: %+v, %v", m, err)
		}
		if a := clean(t, s); a.Done != 2 || a.Dropped != 1 || len(a.Notes) > 0 || !s.journal.State(kept.ID).Kept {
			t.Errorf("%+v", a)
		}
		s.Close()
		if t.Failed() {
			t.Fatalf("after a kill before call %d, %s", n, call)
		}
		os.RemoveAll(dir)
	}
	if noLine == 0 {
		t.Errorf("none of %d kills was between a folder and its line in the journal", n-1)
	}
}

// killBefore plays a scene in dir and kills it before its n-th call that changes
// dir. It returns the name of that call, "" if the scene has fewer.
func killBefore(t *testing.T, scene, dir string, n int) (call string) {
	t.Helper()
	runtime.LockOSThread() // a thread traces, not a process
	defer runtime.UnlockOSThread()
	c := child(t, scene, dir)
	c.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := c.Start(); err != nil {
		t.Skipf("not tested: a child cannot be traced here: %v", err)
	}
	pid := c.Process.Pid
	defer c.Process.Release()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := syscall.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		t.Fatal(err)
	}
	for tid := pid; ; {
		signal := 0
		if status.Stopped() {
			switch s := status.StopSignal(); {
			case s == unix.SIGTRAP|0x80: // a call begins or ends
				if name := changes(pid, tid, dir); name != "" && call == "" {
					if n--; n == 0 {
						call = name
						syscall.Kill(pid, syscall.SIGKILL)
					}
				}
			case s != unix.SIGTRAP && s != unix.SIGSTOP: // a real signal; the others are of tracing
				signal = int(s)
			}
			syscall.PtraceSyscall(tid, signal) // it fails if the thread has just been killed
		}
		var err error
		if tid, err = syscall.Wait4(-1, &status, unix.WALL, nil); err != nil {
			t.Fatal(err)
		}
		if tid == pid && (status.Exited() || status.Signaled()) {
			if call == "" && status.ExitStatus() != 0 {
				t.Fatalf("the scene ended with %d", status.ExitStatus())
			}
			return call
		}
	}
}

// callNames are the calls that package run changes files with.
var callNames = map[uint64]string{
	unix.SYS_OPENAT: "open", unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "write", unix.SYS_FSYNC: "sync", unix.SYS_FTRUNCATE: "truncate",
	unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "rename", unix.SYS_UNLINKAT: "remove", unix.SYS_MKDIRAT: "make a folder", unix.SYS_FCHMODAT: "change a mode",
}

// changes returns the name of the call that a thread is about to make if it
// changes something in dir, "" if it does not.
func changes(pid, tid int, dir string) string {
	const getSyscallInfo, entry = 0x420e, 1 // ptrace(2)
	var info [88]byte
	n, _, _ := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0)
	if n == 0 || info[0] != entry {
		return ""
	}
	arg := func(i int) uint64 { return binary.NativeEndian.Uint64(info[24+8*i:]) } // 0 is the call's number
	name := callNames[arg(0)]
	switch name {
	case "open":
		if arg(3)&unix.O_CREAT == 0 {
			return ""
		}
		return "create"
	case "write", "sync", "truncate":
		to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, arg(1)))
		if err != nil || !strings.HasPrefix(to, filepath.Dir(dir)) {
			return "" // a pipe of the Go runtime's
		}
	}
	return name
}
