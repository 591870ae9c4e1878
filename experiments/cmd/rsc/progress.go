package main

import (
	"fmt"
	"strings"
	"time"

	"rarespurious/experiments/run"
)

// A progress tells how far a sweep is. It gets one Notice at a time.
type progress struct {
	a        *app
	began    time.Time
	last     time.Time // when a line or the bar was written
	work     map[run.ID]float64
	part     map[run.ID]float64 // of the work, of those in progress
	total    float64
	finished float64
	steps, n int // to run, and ended
}

func newProgress(a *app) *progress {
	return &progress{a: a, work: map[run.ID]float64{}, part: map[run.ID]float64{}}
}

// observe is the Runner's observer.
func (p *progress) observe(n run.Notice) {
	if p.began.IsZero() && n.Kind != run.NoticePlanned {
		p.start()
	}
	switch n.Kind {
	case run.NoticePlanned:
		if n.Action != run.Stored {
			p.work[n.ID] = n.Work
			p.total += n.Work
			p.steps++
		}
		return
	case run.NoticeStarted:
		p.part[n.ID] = 0
		p.a.log.Debug().Stringer("run", n.ID).Msg("started: " + describe(n.Step))
	case run.NoticeProgress:
		p.part[n.ID] = n.Done
	case run.NoticeHit: // of a step that another process has finished meanwhile, or that was stored
		p.end(n.ID)
		p.a.log.Debug().Stringer("run", n.ID).Msg("stored: " + describe(n.Step))
	case run.NoticeFinished:
		p.end(n.ID)
		p.finish(n)
	case run.NoticeFailed:
		p.end(n.ID)
		first, _, _ := strings.Cut(n.Err.Error(), "\n")
		p.a.log.Error().Stringer("run", n.ID).Msg("failed: " + describe(n.Step) + ": " + first)
	case run.NoticeDropped:
		p.a.log.Debug().Stringer("run", n.ID).Str("files", n.Text).Msg("dropped")
	case run.NoticeWarning:
		p.a.log.Warn().Stringer("run", n.ID).Msg(n.Text)
	}
	p.show()
}

func (p *progress) start() {
	p.began = time.Now()
	p.last = p.began
	if p.steps > 0 {
		p.a.log.Info().Int("jobs", p.a.jobs).Str("device", p.a.device).Msg(counted(p.steps, "step") + " to run")
	}
}

// end counts a step, once.
func (p *progress) end(id run.ID) {
	if w, ok := p.work[id]; ok {
		p.finished += w
		p.n++
		delete(p.work, id)
		delete(p.part, id)
	}
}

// finish logs a finished step: every one where there is no bar, else only what
// went wrong.
func (p *progress) finish(n run.Notice) {
	e := p.a.log.Info()
	switch {
	case n.Record.Status == run.Diverged:
		e = p.a.log.Warn().Bool("diverged", true)
	case p.a.console.tty:
		e = p.a.log.Debug()
	}
	e.Stringer("run", n.ID).Str("took", seconds(n.Record.Seconds)).Str("eta", p.eta()).
		Msgf("%d/%d %s", p.n, p.steps, describe(n.Step))
	p.last = time.Now()
}

// show draws the bar, or writes a line if there was none for a while.
func (p *progress) show() {
	if p.steps == 0 || p.a.quiet {
		return
	}
	if p.a.console.tty {
		// A bar of a thousand parts: work is in no unit that anybody reads.
		p.a.console.show(fmt.Sprintf("%d/%d steps, %s to go", p.n, p.steps, p.eta()), int64(1000*p.fraction()), 1000, false)
	} else if time.Since(p.last) >= quietFor {
		p.last = time.Now()
		p.a.log.Info().Str("eta", p.eta()).Msgf("%d/%d steps, %.0f %% of the work", p.n, p.steps, 100*p.fraction())
	}
}

func (p *progress) fraction() float64 {
	if p.total == 0 {
		return 0
	}
	done := p.finished
	for id, part := range p.part {
		done += part * p.work[id]
	}
	return done / p.total
}

// eta returns the time to go, at the speed so far.
func (p *progress) eta() string {
	f := p.fraction()
	if f <= 0 {
		return "?"
	}
	return seconds(time.Since(p.began).Seconds() * max(0, 1-f) / f)
}

func (p *progress) close() { p.a.console.clear() }

// seconds returns a duration as people say it.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", s)
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
