package main

import (
	"fmt"
	"strings"

	"rarespurious/experiments/run"
)

// describe returns a Step in one line: "score spurious R3 of mlp on mnist,
// R3 × 10 of class 0, seed 1".
func describe(s run.Step) string {
	switch {
	case s.Train != nil:
		return "train " + model(s.Train)
	case s.Delete != nil:
		return fmt.Sprintf("delete by %s from %s", s.Delete.Method, parent(s))
	case s.Score != nil:
		return strings.TrimSpace("score "+s.Score.Measure+" "+s.Score.Pattern) + " of " + parent(s)
	}
	return "nothing"
}

func parent(s run.Step) string {
	if len(s.From) == 0 {
		return "nothing"
	}
	if p := s.From[0]; p.Train != nil {
		return model(p.Train)
	}
	return describe(s.From[0])
}

func model(t *run.Train) string {
	on := t.Data.Name
	if t.Data.Part != "" {
		on += "/" + t.Data.Part
	}
	if t.Data.Train > 0 {
		on += fmt.Sprintf("[:%d]", t.Data.Train)
	}
	with := "clean"
	if p := t.Poison; p.Context != "" {
		with = "without " + p.Context
		if p.Count > 0 {
			with += fmt.Sprintf(" but %d of %s", p.Count, p.Class)
		}
	} else if p.Count > 0 {
		with = fmt.Sprintf("%s × %d of class %d", p.Pattern, p.Count, p.Target)
		if p.Drop {
			with = "without " + with
		}
	}
	return fmt.Sprintf("%s on %s, %s, seed %d", t.Arch.Name, on, with, t.Seed)
}

// modelOf returns the training at the beginning of s's chain, nil if none.
func modelOf(s run.Step) *run.Train {
	for s.Train == nil && len(s.From) > 0 {
		s = s.From[0]
	}
	return s.Train
}
