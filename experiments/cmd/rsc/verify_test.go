package main

import (
	"testing"

	"rarespurious/experiments/run"
)

func TestBeyond(t *testing.T) {
	v := verifyCommand{tolerance: 0.02}
	for _, c := range []struct {
		d    run.Difference
		want bool
	}{
		{run.Difference{Name: "loss", Stored: "0.5", Again: "0.51"}, false},
		{run.Difference{Name: "loss", Stored: "0.5", Again: "0.53"}, true},
		{run.Difference{Name: "loss", Stored: "100", Again: "101"}, false},
		{run.Difference{Name: "loss", Stored: "0.5"}, true},
		{run.Difference{Name: "loss", Again: "0.5"}, true},
		{run.Difference{Name: "status", Stored: "done", Again: "diverged"}, true},
		{run.Difference{Name: "model.safetensors", Stored: "ab", Again: "cd"}, false},
	} {
		if got := v.beyond(run.Comparison{Differences: []run.Difference{c.d}}); got != c.want {
			t.Errorf("%+v: beyond the tolerance %v, want %v", c.d, got, c.want)
		}
	}
}
