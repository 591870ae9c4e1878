package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"sync"
	"time"

	"rarespurious/experiments/dataset"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// quietFor is how often progress is told where there is no terminal.
const quietFor = 10 * time.Second

// A console is standard error: log lines, and below them, on a terminal, one
// bar. It changes no mode of the terminal, so there is none to restore.
type console struct {
	mu  sync.Mutex
	w   io.Writer
	tty bool
	bar *progressbar.ProgressBar
}

func newConsole(w io.Writer) *console {
	f, ok := w.(*os.File)
	return &console{w: w, tty: ok && term.IsTerminal(int(f.Fd()))}
}

// Write writes a log line above the bar.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar == nil {
		return c.w.Write(b)
	}
	c.bar.Clear()
	n, err := c.w.Write(b)
	c.bar.RenderBlank()
	return n, err
}

// show draws the bar, of total units, with done of them done. On no terminal
// it does nothing.
func (c *console) show(text string, done, total int64, bytes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tty {
		return
	}
	if c.bar == nil || c.bar.GetMax64() != total {
		if c.bar != nil {
			c.bar.Clear()
		}
		c.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(c.w), progressbar.OptionShowBytes(bytes),
			progressbar.OptionSetPredictTime(bytes), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30))
	}
	c.bar.Describe(text)
	c.bar.Set64(min(done, total))
}

// clear removes the bar.
func (c *console) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		c.bar.Clear()
		c.bar = nil
	}
}

// fetching shows the progress of fetching data sets: a bar on a terminal, else
// a line in a while.
func (c *console) fetching(a *app) func(dataset.Progress) {
	var last time.Time
	return func(p dataset.Progress) {
		if a.quiet {
			return
		}
		what := "fetching " + p.Source
		if p.File != "" {
			what += "/" + path.Base(p.File)
		}
		if c.tty && p.Total > 0 {
			c.show(what, p.Done, p.Total, true)
			if p.Done >= p.Total {
				c.clear()
			}
			return
		}
		if time.Since(last) > quietFor {
			last = time.Now()
			a.log.Info().Str("from", p.From).Str("done", megabytes(p.Done)).Msg(what)
		}
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
