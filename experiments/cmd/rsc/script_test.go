package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rsc": func() { os.Exit(program()) }})
}

// TestScript runs the scripts in testdata/script. Beside the usual commands they
// have those below; the cache is a folder of the script, and nothing is fetched
// unless it is given no data.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":   status,
			"json":     isJSON,
			"mnist":    mnist,
			"truncate": truncate,
			"letter":   letter,
			"same":     same,
			"waitfor":  waitFor,
			"runid":    runID,
		},
	})
}

// status N rsc ARG… runs a command and compares its exit status with N.
func status(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || code != want {
		ts.Fatalf("exit status %d, want %s", code, args[0])
	}
}

// json FILE… fails unless each file, or stdout, is one JSON value that is not
// empty.
func isJSON(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		var v any
		if err := json.Unmarshal([]byte(ts.ReadFile(name)), &v); err != nil {
			ts.Fatalf("%s: %v", name, err)
		}
		if v == nil || len(fmt.Sprint(v)) <= len("map[]") {
			ts.Fatalf("%s: nothing in it", name)
		}
	}
}

// mnist DIR TRAIN TEST writes a small data set in MNIST's format: class c is a
// bright bar in row 4 + 2c on a dark, noisy ground.
func mnist(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o777))
	rng := rand.New(rand.NewPCG(1, 1))
	for i, part := range []string{"train", "t10k"} {
		n, err := strconv.Atoi(args[1+i])
		ts.Check(err)
		var x, y bytes.Buffer
		binary.Write(&x, binary.BigEndian, []uint32{0x803, uint32(n), 28, 28})
		binary.Write(&y, binary.BigEndian, []uint32{0x801, uint32(n)})
		for i := range n {
			c := i % 10
			y.WriteByte(byte(c))
			for p := range 28 * 28 {
				v := rng.IntN(40)
				if p/28 == 4+2*c {
					v += 100 + rng.IntN(100)
				}
				x.WriteByte(byte(v))
			}
		}
		ts.Check(os.WriteFile(filepath.Join(dir, part+"-images-idx3-ubyte"), x.Bytes(), 0o666))
		ts.Check(os.WriteFile(filepath.Join(dir, part+"-labels-idx1-ubyte"), y.Bytes(), 0o666))
	}
}

// truncate FILE N cuts the last N bytes off.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-int64(n)))
}

// letter GLOB REGEXP changes the last byte of what REGEXP matches first, in the
// first file that has a match.
func letter(ts *testscript.TestScript, _ bool, args []string) {
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		ts.Check(err)
		if m := regexp.MustCompile(args[1]).FindIndex(b); m != nil {
			b[m[1]-1] ^= 1
			ts.Check(os.WriteFile(name, b, 0o666))
			return
		}
	}
	ts.Fatalf("%s: no match for %s", args[0], args[1])
}

// same A B fails unless two files have the same bytes.
func same(ts *testscript.TestScript, _ bool, args []string) {
	if ts.ReadFile(args[0]) != ts.ReadFile(args[1]) {
		ts.Fatalf("%s and %s differ", args[0], args[1])
	}
}

// waitfor FILE REGEXP waits until the file has a match.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for range 600 {
		if b, _ := os.ReadFile(ts.MkAbs(args[0])); regexp.MustCompile(args[1]).Match(b) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s: nothing matches %s", args[0], args[1])
}

// runid VAR KIND N sets VAR to the ID of the N-th run of a kind in results.
func runID(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("rsc", "runs", "list", "--json", "--kind", args[1]))
	var runs []struct{ ID string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &runs))
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	if n >= len(runs) {
		ts.Fatalf("only %d runs", len(runs))
	}
	ts.Setenv(args[0], runs[n].ID)
}
