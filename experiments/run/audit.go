package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An AuditReport says whether a results folder is what was written to it.
type AuditReport struct {
	Lines   int `json:"lines"`   // of the journal
	Records int `json:"records"` // Done and Diverged
	Done    int `json:"done"`
	// Diverged Steps have a Record that is counted but not averaged.
	Diverged int `json:"diverged"`
	Files    int `json:"files"`   // whose digests were compared
	Dropped  int `json:"dropped"` // files that were removed on purpose
	// Failed Steps were run and have no Record; Interrupted ones were killed, or
	// are running now.
	Failed      []FailedStep `json:"failed,omitempty"`
	Interrupted []ID         `json:"interrupted,omitempty"`
	// Envs are the places that the Records come from. Several are no problem,
	// but numbers from unlike ones agree only within a tolerance.
	Envs []EnvCount `json:"envs,omitempty"`
	// Problems are all that is not as it was written, by place.
	Problems []Problem `json:"problems,omitempty"`
	// Notes are oddities that a crash explains.
	Notes []Problem `json:"notes,omitempty"`
}

// OK reports whether there are no problems.
func (a *AuditReport) OK() bool { return len(a.Problems) == 0 }

// A FailedStep is a Step that was run and gave no Record.
type FailedStep struct {
	ID   ID     `json:"id"`
	Note string `json:"note"`
}

// An EnvCount is how many Records come from one Env.
type EnvCount struct {
	Env     Env `json:"env"`
	Records int `json:"records"`
}

// auditor collects a report.
type auditor struct {
	AuditReport
	s    *Store
	envs map[Env]int
}

func (a *auditor) problem(place, format string, args ...any) {
	a.Problems = append(a.Problems, Problem{place, fmt.Sprintf(format, args...)})
}

func (a *auditor) note(place, format string, args ...any) {
	a.Notes = append(a.Notes, Problem{place, fmt.Sprintf(format, args...)})
}

// Audit compares everything in a results folder with what was written: the
// journal's chain, every ID, seal and digest, the journal's digest of every
// Record, and that nothing is missing that was not dropped. It reads every
// file and writes none. A sweep that runs meanwhile may show up as Interrupted
// and in Notes. The error says that something could not be read at all, or that
// ctx ended.
func Audit(ctx context.Context, s *Store) (*AuditReport, error) {
	a := &auditor{s: s, envs: map[Env]int{}}
	entries, err := os.ReadDir(s.storeDir())
	if err != nil {
		return nil, fmt.Errorf("run: audit: %w", err)
	}
	// The journal after the list of folders: what is stored meanwhile is then
	// not missed.
	problems, err := s.journal.Problems()
	if err != nil {
		return nil, err
	}
	a.Problems = append(a.Problems, problems...)
	s.journal.mu.Lock()
	a.Lines = s.journal.chain.lines
	states := maps.Clone(s.journal.states)
	s.journal.mu.Unlock()

	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name := "store/" + e.Name()
		id, err := parseID(e.Name())
		switch {
		case err == nil:
			a.record(name, id, states[id])
		case strings.HasPrefix(e.Name(), draftPrefix):
			a.note(name, "a Step that is being written, or was when its process was killed")
		case e.Name() != ".lock":
			a.problem(name, "does not belong here")
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(states), func(x, y ID) int { return strings.Compare(x.Full(), y.Full()) }) {
		a.state(id, states[id])
	}
	for env, n := range a.envs {
		a.Envs = append(a.Envs, EnvCount{env, n})
	}
	slices.SortFunc(a.Envs, func(x, y EnvCount) int {
		return strings.Compare(fmt.Sprint(x.Env), fmt.Sprint(y.Env))
	})
	return &a.AuditReport, nil
}

// record checks the folder of one Step.
func (a *auditor) record(place string, id ID, state State) {
	r, sum, err := a.s.get(id)
	if err != nil {
		if at := (*placeError)(nil); errors.As(err, &at) {
			place, err = at.place, at.err
		}
		a.problem(place, "%v", err)
		return
	}
	a.Records++
	if a.envs[r.Env]++; r.Status == Diverged {
		a.Diverged++
	} else {
		a.Done++
	}
	switch {
	case state.Record == sum:
	case state.Record == "" && state.Starts > 0:
		a.note(place, "its process ended between storing it and writing the journal's line; the next sweep writes it")
	case state.Record == "":
		a.problem(place, "the journal does not know it: runs from elsewhere must be merged, not copied; a merge that was stopped here must be done again")
	default:
		a.problem(place+"/"+recordFile, "was replaced: the journal has digest %.12s, it has %.12s", state.Record, sum)
	}
	for _, from := range r.Step.From {
		if parent := from.ID(); !exists(a.s.Path(parent)) {
			a.problem(place, "starts from %s %v, which is missing", from.Kind(), parent)
		}
	}
	a.files(place, r)
}

// files checks the files of one Record.
func (a *auditor) files(place string, r Record) {
	for _, name := range keys(r.Files, nil) {
		got, err := digestFile(filepath.Join(a.s.Path(r.ID), name))
		switch {
		case errors.Is(err, ErrNotExist) && !a.droppedSince(r.ID, name):
			a.problem(place+"/"+name, "is missing and was not dropped")
		case errors.Is(err, ErrNotExist):
			a.Dropped++
		case err != nil:
			a.problem(place+"/"+name, "%v", err)
		case got != r.Files[name]:
			a.problem(place+"/"+name, "was changed: digest %.12s, the record says %.12s", got, r.Files[name])
		default:
			a.Files++
		}
	}
	entries, err := os.ReadDir(a.s.Path(r.ID))
	if err != nil {
		a.problem(place, "%v", err)
	}
	for _, e := range entries {
		if _, known := r.Files[e.Name()]; !known && e.Name() != stepFile && e.Name() != recordFile {
			a.problem(place+"/"+e.Name(), "the record does not know it")
		}
	}
}

// droppedSince asks the journal, where a sweep that runs meanwhile may have
// dropped the file since the audit began.
func (a *auditor) droppedSince(id ID, name string) bool {
	return a.s.journal.State(id).Dropped[name] || a.s.journal.Refresh() == nil && a.s.journal.State(id).Dropped[name]
}

// state checks what the journal tells about one Step against the store.
func (a *auditor) state(id ID, state State) {
	switch {
	case exists(a.s.Path(id)):
	case state.Record != "":
		a.problem("store/"+id.Full(), "is missing: the journal says that it was stored")
	case state.Event == EventFail:
		a.Failed = append(a.Failed, FailedStep{id, state.Note})
	case state.Event == EventStart:
		a.Interrupted = append(a.Interrupted, id)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// JSON returns the report as indented JSON.
func (a *AuditReport) JSON() ([]byte, error) { return json.MarshalIndent(a, "", "  ") }
