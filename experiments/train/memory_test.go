package train_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
	"rarespurious/nn"
)

// wide has few weights, but for a batch of 256 an activation of 10¹⁵ bytes, more
// than a process can address: the allocator refuses at once, and no memory is
// touched.
var wide = nn.Arch{Name: "wide", In: mnist, Classes: 10, Layers: []nn.Layer{
	{Op: nn.Conv, Name: "conv", Out: 1 << 10, K: 1, Stride: 1, Pad: 1 << 14},
	{Op: nn.AdaptiveAvg, Out: 1},
	{Op: nn.Flatten},
	{Op: nn.Linear, Name: "fc", Out: 10},
}}

// A run for which there is not enough memory fails in one sentence, and takes no
// other run with it: neither one that trains beside it nor one after it.
func TestOutOfMemory(t *testing.T) {
	o := options(t)
	s, err := run.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := train.New(o)
	defer e.Close()
	big := step(5, 2, func(t *run.Train) { t.Arch, t.Batch = wide, 256 })
	steps := []run.Step{score(big, "spurious")}
	for seed := range 4 {
		steps = append(steps, score(step(5, 2, func(t *run.Train) { t.Seed = seed }), "spurious"))
	}
	records, err := (&run.Runner{Store: s, Exec: e, Jobs: 2}).Run(context.Background(), steps)
	var sweep *run.SweepError
	if !errors.As(err, &sweep) || sweep.Cause != nil || sweep.Left != 0 || len(sweep.Failed) != 2 {
		t.Fatalf("the sweep ended with %v, want the big model and its score to fail alone", err)
	}
	t.Log(err)
	for i, r := range records {
		if (r.Status == run.Done) != (i > 0) {
			t.Errorf("record %d has status %q", i, r.Status)
		}
	}
	said := sweep.Failed[0].Err.Error()
	if !strings.Contains(said, "memory") || strings.Contains(said, "\n") {
		t.Errorf("the failure is not one sentence about memory: %q", said)
	}
	a, err := run.Audit(t.Context(), s)
	if err != nil || !a.OK() || a.Done != 8 || len(a.Failed) != 1 || a.Failed[0].ID != big.ID() {
		t.Errorf("audit: %+v, %v", a, err)
	}
}
