package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"rarespurious/experiments/run"
)

// idle is an Executor whose Steps give nothing.
type idle struct{}

func (idle) Exec(_ context.Context, group []run.Job) []run.Outcome {
	return make([]run.Outcome, len(group))
}

// Commands that go through a whole results folder end when they are interrupted,
// and say so in their status.
func TestInterrupted(t *testing.T) {
	results := filepath.Join(t.TempDir(), "results")
	s, err := run.OpenStore(results)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := (&run.Runner{Store: s, Exec: idle{}}).Run(t.Context(), []run.Step{{Train: &run.Train{}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	for _, args := range [][]string{{"audit"}, {"report"}, {"store", "merge", filepath.Join(t.TempDir(), "into"), results}} {
		var out, errs bytes.Buffer
		args = append(args, "--results", results)
		if code := execute(ctx, args, &out, &errs); code != statusInterrupted || out.Len() > 0 || !strings.Contains(errs.String(), "interrupted") {
			t.Errorf("%s: status %d, %q, %q", args[0], code, &out, &errs)
		}
	}
}
