package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rarespurious/experiments/config"
	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

// Every command says what it does, and shows how it is used.
func TestHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		var out, errs bytes.Buffer
		path := strings.Fields(c.CommandPath())[1:]
		if code := execute(t.Context(), append(path, "--help"), &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("%s --help: status %d, %s", c.CommandPath(), code, &errs)
		}
		help := out.String()
		if c.Short == "" || c.Runnable() && !c.HasSubCommands() && (c.Example == "" || !strings.Contains(help, c.Example)) {
			t.Errorf("%s --help has no description or no example", c.CommandPath())
		}
		for line := range strings.Lines(help) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 && !strings.Contains(line, "--") {
				t.Errorf("%s --help: a line of %d characters: %s", c.CommandPath(), n, line)
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(&app{console: newConsole(&bytes.Buffer{})}))
	var out bytes.Buffer
	execute(t.Context(), nil, &out, &bytes.Buffer{})
	for _, want := range []string{"Exit status:", "130", "rsc figure fig2"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("rsc alone does not say %q", want)
		}
	}
}

func TestStatus(t *testing.T) {
	stopped, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	bad := config.Problem{File: "a.yaml", What: "is wrong"}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		began bool
		err   error
		want  int
	}{
		{"nothing wrong", t.Context(), true, nil, 0},
		{"any error", t.Context(), true, errors.New("x"), 1},
		{"an error of the command line", t.Context(), false, errors.New("x"), 2},
		{"a config", t.Context(), true, fmt.Errorf("x: %w", bad), 2},
		{"results that can only be read", t.Context(), true, fmt.Errorf("x: %w", run.ErrReadOnly), 2},
		{"marked", t.Context(), true, errors.Join(badInputf("x")), 2},
		{"a step that failed of a config", t.Context(), true, &run.SweepError{Failed: []run.Failure{{Err: bad}}}, 1},
		{"interrupted", stopped, true, &run.SweepError{Cause: context.Canceled}, 130},
		{"interrupted, but done", stopped, true, nil, 0},
	} {
		if got := (&app{began: c.began}).status(c.ctx, c.err); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
}

func TestQuoted(t *testing.T) {
	if got, want := quoted([]string{"figure", "a b", "it's", "--set", "seed=[0,1]", ""}), `figure 'a b' 'it'\''s' --set 'seed=[0,1]' ''`; got != want {
		t.Errorf("quoted: %s, want %s", got, want)
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{0.04: "0.0s", 9.94: "9.9s", 61: "1m1s", 3700: "1h2m"} {
		if got := seconds(s); got != want {
			t.Errorf("seconds(%v) = %s, want %s", s, got, want)
		}
	}
}

// The time to go follows from the work: a step of three quarters of it counts
// for as much.
func TestProgress(t *testing.T) {
	a := &app{console: newConsole(&bytes.Buffer{}), quiet: true}
	p := newProgress(a)
	big, small, stored := run.ID{1}, run.ID{2}, run.ID{3}
	p.observe(run.Notice{Kind: run.NoticePlanned, ID: big, Action: run.Run, Work: 3})
	p.observe(run.Notice{Kind: run.NoticePlanned, ID: small, Action: run.Run, Work: 1})
	p.observe(run.Notice{Kind: run.NoticePlanned, ID: stored, Action: run.Stored})
	p.observe(run.Notice{Kind: run.NoticeHit, ID: stored})
	for _, step := range []struct {
		n    run.Notice
		want float64
	}{
		{run.Notice{Kind: run.NoticeStarted, ID: big}, 0},
		{run.Notice{Kind: run.NoticeProgress, ID: big, Done: .5}, .375},
		{run.Notice{Kind: run.NoticeFinished, ID: big}, .75},
		{run.Notice{Kind: run.NoticeFailed, ID: small, Err: errors.New("x")}, 1},
	} {
		p.observe(step.n)
		if got := p.fraction(); got != step.want {
			t.Errorf("after %s %v: %v of the work, want %v", step.n.Kind, step.n.ID, got, step.want)
		}
	}
	if p.n != 2 || p.steps != 2 {
		t.Errorf("%d of %d steps ended, want 2 of 2", p.n, p.steps)
	}
}
