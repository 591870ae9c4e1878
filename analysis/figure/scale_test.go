package figure

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
)

func TestSymlog(t *testing.T) {
	const linear = 1 / .9
	for _, c := range []struct{ x, want float64 }{
		{0, 0},
		{1, linear},
		{2, 2 * linear},
		{10, 2 * (linear + math.Log10(5))},
		{20, 2 * (linear + 1)},
		{100, 2 * (linear + 1 + math.Log10(5))},
		{-100, -2 * (linear + 1 + math.Log10(5))},
	} {
		if got := symlog(c.x); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("symlog(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	for x := -5000.; x < 5000; x += .37 {
		if symlog(x) >= symlog(x+.37) {
			t.Fatalf("symlog falls from %v on", x)
		}
		if symlog(x) != -symlog(-x) {
			t.Fatalf("symlog is not odd at %v", x)
		}
	}
	n := Symlog.normalizer()
	if n.Normalize(0, 2000, 0) != 0 || n.Normalize(0, 2000, 2000) != 1 {
		t.Error("the ends of a symlog axis are not at 0 and 1")
	}
}

func TestLogScale(t *testing.T) {
	n := Log.normalizer()
	for x, want := range map[float64]float64{.01: 0, .1: .5, 1: 1, 0: math.Inf(-1)} {
		if got := n.Normalize(.01, 1, x); math.Abs(got-want) > 1e-12 {
			t.Errorf("Normalize(%v) = %v, want %v", x, got, want)
		}
	}
	if Log.has(0) || Log.has(-1) || Log.has(math.NaN()) || Symlog.has(math.Inf(1)) || !Symlog.has(0) || !Log.has(1e-300) {
		t.Error("a scale has the wrong values")
	}
}

func labels(ts []plot.Tick) string {
	var ls []string
	for _, tick := range ts {
		if tick.Label != "" {
			ls = append(ls, tick.Label)
		}
	}
	return strings.Join(ls, " ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		scale    Scale
		min, max float64
		n        int
		want     string
	}{
		{Symlog, -.25, 7000, 0, "0 1 10 100 1000"},
		{Symlog, -20, 20, 0, "-10 -1 0 1 10"},
		{Symlog, 3, 8, 0, ""},
		{Log, 1e-4, 1, 0, "1e-4 0.001 0.01 0.1 1"},
		{Log, .3, 1.2, 0, "0.5 1"},
		{Log, 1e5, 1e7, 0, "100000 1e6 1e7"},
		{Linear, 0, 1, 5, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{Linear, -.03, 1.03, 6, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{Linear, -1.2, 1.7, 3, "-1 0 1"},
		{Linear, .9, .94, 4, "0.90 0.91 0.92 0.93 0.94"},
		{Linear, 0, 970, 5, "0 200 400 600 800"},
		{Linear, 0, 3e-7, 3, "0 1e-7 2e-7 3e-7"},
		{Linear, 0, 3e6, 3, "0 1e6 2e6 3e6"},
		{Linear, 1e17, 1e17 + 16, 1, "1e17 1.0000000000000002e17"}, // steps that a float64 cannot take
	} {
		ts := c.scale.ticks(c.min, c.max, c.n)
		slices.SortFunc(ts, func(a, b plot.Tick) int { return int(math.Copysign(1, a.Value-b.Value)) })
		if got := labels(ts); got != c.want {
			t.Errorf("ticks of scale %d from %v to %v: %q, want %q", c.scale, c.min, c.max, got, c.want)
		}
		for _, tick := range ts {
			if tick.Value < c.min-1e-9 || tick.Value > c.max+1e-9 {
				t.Errorf("tick %v is outside of %v to %v", tick.Value, c.min, c.max)
			}
		}
	}
}

// Labels that would touch are left out, whatever the length of the axis.
func TestTickLabelsDoNotTouch(t *testing.T) {
	for _, s := range []Scale{Linear, Symlog, Log} {
		for length := vg.Length(5); length < 200; length += 5 {
			lo, hi := .01, 1e6
			shown, end := 0, vg.Length(math.Inf(-1))
			for _, tick := range (ticker{scale: s, length: length, style: small}).Ticks(lo, hi) {
				if tick.Label == "" {
					continue
				}
				at := length * vg.Length(s.normalizer().Normalize(lo, hi, tick.Value))
				half := small.Width(tick.Label) / 2
				if at-half < end {
					t.Errorf("scale %d, length %v: label %s touches the one before", s, length, tick.Label)
				}
				shown, end = shown+1, at+half
			}
			if shown == 0 {
				t.Errorf("scale %d, length %v: no labels", s, length)
			}
		}
	}
}
