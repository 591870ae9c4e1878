// Command rsc makes the figures and tables of "Understanding Rare Spurious
// Correlations in Neural Networks" (arXiv:2202.05189), and experiments like
// theirs, from what is in configs/.
//
// It is thin: a command turns flags into values of the packages below it, calls
// one of them and prints what comes back. Results go to standard output, logs
// and progress to standard error. docs/cli.md describes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// errInterrupted is why the context ends on SIGINT and SIGTERM.
var errInterrupted = errors.New("interrupted")

func main() { os.Exit(program()) }

// program runs the command line of this process. The first signal asks the
// command to stop at a safe place, the second has its default effect.
func program() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		fmt.Fprintln(os.Stderr, "\nrsc: stopping at a safe place; once more stops at once")
		cancel(errInterrupted)
	}()
	return execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// execute runs one command line and returns the exit status.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, console: newConsole(stderr)}
	root := newRoot(a)
	root.SetArgs(append([]string{}, args...)) // nil would mean those of the process
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	a.console.clear()
	code := a.status(ctx, err)
	switch {
	case code == statusInterrupted:
		fmt.Fprintln(stderr, "rsc: interrupted. What was finished is stored; the same command goes on from there:")
		fmt.Fprintln(stderr, "  rsc "+quoted(args))
	case err != nil && !errors.Is(err, errReported):
		fmt.Fprintf(stderr, "rsc: %v\n", err)
	}
	return code
}

// quoted joins args so that a shell reads them back.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, s := range args {
		if s == "" || strings.ContainsAny(s, " \t\n\"'\\$`*?[]{}()<>|&;#~!") {
			s = "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
		out[i] = s
	}
	return strings.Join(out, " ")
}
