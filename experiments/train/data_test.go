package train

import (
	"errors"
	"slices"
	"testing"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/run"
)

func drawn(seed int) run.Data {
	return run.Data{Name: "linear", Seed: seed, Linear: run.Linear{Gamma: .5, Norm2Inv: 1, Norm2Sp: 1, Dim: 1, Examples: 10}}
}

// Sources stay open while they are used, and the last ones after that.
func TestSources(t *testing.T) {
	err := torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
		var s sources
		get := func(seed int) (*source, func()) {
			t.Helper()
			src, done, err := s.get(t.Context(), d, drawn(seed))
			if err != nil {
				t.Fatal(err)
			}
			return src, done
		}
		used, done := get(0)
		idle := make([]*source, 3*keepIdle)
		for seed := 1; seed < len(idle); seed++ {
			var done func()
			idle[seed], done = get(seed)
			done()
		}
		if len(s.open) != 1+keepIdle || s.open[drawn(0)] == nil {
			t.Errorf("%d are open, want the used one and %d others", len(s.open), keepIdle)
		}
		for seed := len(idle) - keepIdle; seed < len(idle); seed++ {
			if src, done := get(seed); src != idle[seed] {
				t.Errorf("%d was opened again", seed)
			} else {
				done()
			}
		}
		if src, done := get(1); src == idle[1] {
			t.Error("a source that was closed is used")
		} else {
			done()
		}
		again, doneToo := get(0)
		doneToo()
		if again != used || slices.Contains(s.idle, drawn(0)) {
			t.Error("a source that is used counts as idle, or was opened twice")
		}
		done()
		if len(s.open) != keepIdle || s.idle[keepIdle-1] != drawn(0) {
			t.Errorf("%d are open, %v idle", len(s.open), s.idle)
		}
		return s.close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An error takes its own entry away, not the one of somebody who tried again.
func TestSourcesForgetTheirOwnFailure(t *testing.T) {
	lost := errors.New("lost")
	newer := &opening{}
	var s sources
	s.open = map[run.Data]*opening{
		drawn(0): {get: func() (*source, error) { return nil, lost }},
		drawn(1): {get: func() (*source, error) { s.open[drawn(1)] = newer; return nil, lost }},
	}
	for seed := range 2 {
		if _, _, err := s.get(t.Context(), nil, drawn(seed)); !errors.Is(err, lost) {
			t.Errorf("error %v", err)
		}
	}
	if len(s.open) != 1 || s.open[drawn(1)] != newer {
		t.Errorf("open are %v, want the newer one alone", s.open)
	}
}
