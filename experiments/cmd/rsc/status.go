package main

import (
	"context"
	"errors"
	"fmt"

	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/pretrained"
	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

// The exit statuses. They are part of the interface: scripts test for them.
const (
	statusOK          = 0
	statusFailed      = 1   // something failed, or was found wrong, while running
	statusBadInput    = 2   // a config, a flag, a file: nothing was run
	statusInterrupted = 130 // by Ctrl-C or SIGTERM
)

// errReported is wrapped by errors that the command has already shown.
var errReported = errors.New("see above")

// badInput marks an error as the user's to remedy before anything can run.
type badInput struct{ error }

func (e badInput) Unwrap() error { return e.error }

func badInputf(format string, args ...any) error { return badInput{fmt.Errorf(format, args...)} }

// inputErrors are what packages say of input that is not as it must be.
var inputErrors = []error{
	config.ErrInvalid, dataset.ErrMalformed, dataset.ErrUnavailable, torch.ErrNoDevice, run.ErrNotExist, run.ErrReadOnly,
	weights.ErrFormat, weights.ErrInvalid, weights.ErrUnsupported, weights.ErrMismatch,
	imagefolder.ErrNoImages, pretrained.ErrUnknown,
}

// status returns the exit status for what a command returned.
func (a *app) status(ctx context.Context, err error) int {
	if err == nil {
		return statusOK
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return statusInterrupted
	}
	var sweep *run.SweepError
	if errors.As(err, &sweep) {
		return statusFailed // whatever made a step fail
	}
	if bad := (badInput{}); errors.As(err, &bad) || !a.began {
		return statusBadInput
	}
	if unreadable := (*imagefolder.UnreadableError)(nil); errors.As(err, &unreadable) {
		return statusBadInput
	}
	for _, e := range inputErrors {
		if errors.Is(err, e) {
			return statusBadInput
		}
	}
	return statusFailed
}

// group returns a command that only has others below it.
func group(use, short, long string, cmds ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(cmds...)
	return c
}
