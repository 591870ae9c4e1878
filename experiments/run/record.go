package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// Status says how a recorded Step ended. A Step that failed has no Record.
type Status string

// The two ways to end with a Record.
const (
	Done     Status = "done"
	Diverged Status = "diverged" // training met a loss that is not finite: counted, never averaged
)

// A Record is what one Step gave, and where.
type Record struct {
	ID ID `json:"id"`
	// Step is kept in step.json beside the record, not in it.
	Step   Step   `json:"-"`
	Status Status `json:"status"`
	// Values are the numbers, by name. All are finite: a metric that does not
	// apply is absent.
	Values map[string]float64 `json:"values,omitempty"`
	// Files are the SHA-256 digests, in hexadecimal, of the files beside the
	// record, by name. A file that was dropped later keeps its digest here.
	Files    map[string]string `json:"files,omitempty"`
	Env      Env               `json:"env"`
	Started  time.Time         `json:"started"`
	Finished time.Time         `json:"finished"`
	// Seconds is the Step's share of its group's time, by the monotonic clock,
	// and of the epochs that it did not have to repeat after an interruption.
	Seconds float64 `json:"seconds"`
}

// Env is where a Step ran: all that is not supposed to change its numbers, but
// that one wants to know when they differ. An Executor fills the first five
// fields, the Runner the rest.
type Env struct {
	Device   string `json:"device,omitempty"`   // "cpu", "cuda:0 NVIDIA H100"
	Models   int    `json:"models,omitempty"`   // M of the Stack that it was trained in
	Threads  int    `json:"threads,omitempty"`  // per model
	Libtorch string `json:"libtorch,omitempty"` // "2.11.0"
	CPU      string `json:"cpu,omitempty"`      // the instruction set in use: "AVX512"

	Go       string `json:"go,omitempty"`       // "go1.26.0"
	Revision string `json:"revision,omitempty"` // of this program, by git
	Dirty    bool   `json:"dirty,omitempty"`    // built from files that Revision does not have
	Host     string `json:"host,omitempty"`
	OS       string `json:"os,omitempty"` // "linux/amd64"
}

// SameBits reports whether a Step must give the same bits in both places: on a
// CPU, with the same libtorch, instruction set, threads and M. Elsewhere
// results may be compared within a tolerance only.
func (e Env) SameBits(o Env) bool {
	return e.Device == "cpu" && o.Device == "cpu" && e.Models == o.Models && e.Threads == o.Threads &&
		e.Libtorch == o.Libtorch && e.CPU == o.CPU
}

// ErrIntegrity is wrapped by every error that says that something stored is
// not what was once written.
var ErrIntegrity = errors.New("run: integrity")

// encode returns the bytes of record.json, sealed. It refuses NaN and Inf.
func (r Record) encode() ([]byte, error) {
	for name, v := range r.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("value %q is %v: a metric that does not apply must be absent", name, v)
		}
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	return recordLayout.seal(bytes.TrimSuffix(b, []byte("\n}"))), nil
}

// decodeRecord parses what encode wrote. Any other bytes are an error that
// wraps [ErrIntegrity].
func decodeRecord(b []byte) (Record, error) {
	var r Record
	if !recordLayout.sealed(b) {
		return r, fmt.Errorf("%w: the seal does not match the text", ErrIntegrity)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%w: %v", ErrIntegrity, err)
	}
	if r.Status != Done && r.Status != Diverged {
		return r, fmt.Errorf("%w: status %q", ErrIntegrity, r.Status)
	}
	for name := range r.Files {
		if !plainName(name) {
			return r, fmt.Errorf("%w: file name %q", ErrIntegrity, name)
		}
	}
	return r, nil
}
