package scan_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"testing"

	"rarespurious/experiments/pattern"
	"rarespurious/experiments/scan"
)

// samples draws models whose statistics have heavy tails, another for each
// class: what a mean and a deviation describe badly.
func samples(rng *rand.Rand, n, classes int) []scan.Sample {
	out := make([]scan.Sample, n)
	for i := range out {
		out[i].Statistics = scan.Statistics{}
		for _, f := range pattern.Names() {
			for c := range classes {
				v := math.Pow(rng.Float64(), 1+float64(c))
				if rng.IntN(10) == 0 {
					v *= 5
				}
				out[i].Statistics[f] = append(out[i].Statistics[f], v)
			}
		}
	}
	return out
}

// A clean model is called suspicious as often as the level says, whatever the
// statistics are like.
func TestLevelIsKept(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	names := []string{"R3", "S1"}
	for _, c := range []struct {
		clean int
		level float64
	}{{19, .05}, {20, .05}, {39, .05}, {9, .1}} {
		const trials = 2000
		alarms := 0
		var sum float64
		for range trials {
			all := samples(rng, c.clean+1, 3)
			k := scan.Calibration{Classes: 3, Clean: all[1:]}
			j, err := k.Judge(all[0].Statistics, names, c.level)
			if err != nil {
				t.Fatal(err)
			}
			sum += j.P
			alarm := false
			for _, f := range names {
				_, bad := j.Suspicious(f)
				alarm = alarm || bad
			}
			if alarm {
				alarms++
			}
			if alarm != (j.P <= c.level) {
				t.Fatalf("p = %g, level %g, but alarm is %t", j.P, c.level, alarm)
			}
		}
		n := float64(c.clean + 1)
		want := math.Floor(c.level*n+1e-9) / n
		if got := float64(alarms) / trials; math.Abs(got-want) > 4*math.Sqrt(want/trials) {
			t.Errorf("%d models, level %g: %g of clean models are suspicious, want %g", c.clean, c.level, got, want)
		}
		if mean := sum / trials; math.Abs(mean-(n+1)/(2*n)) > 4*.3/math.Sqrt(trials) {
			t.Errorf("%d models: mean p is %g, want %g", c.clean, mean, (n+1)/(2*n))
		}
	}
}

func TestJudge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	k := scan.Calibration{Classes: 4, Clean: samples(rng, 19, 4)}
	own := samples(rng, 1, 4)[0].Statistics
	own["S3"][2] = 30
	j, err := k.Judge(own, pattern.Names(), .05)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range pattern.Names() {
		if c, bad := j.Suspicious(f); bad != (f == "S3") || bad && c != 2 {
			t.Errorf("%s: class %d of %v is suspicious: %t; threshold %g", f, c, j.Z[f], bad, j.Threshold)
		}
	}
	if j.P != 1./20 {
		t.Errorf("p = %g, want 1/20", j.P)
	}
	// What is not looked for does not count.
	if j, err = k.Judge(own, []string{"S1"}, .05); err != nil || len(j.Z) != 1 {
		t.Errorf("Judge of S1: %v, %v", j, err)
	}
	if _, err = k.Judge(own, pattern.Names(), .04); !errors.Is(err, scan.ErrTooFew) {
		t.Errorf("level .04 by 19 models: %v, want ErrTooFew", err)
	}
	own["R1"] = own["R1"][:3]
	if _, err = k.Judge(own, pattern.Names(), .05); err == nil {
		t.Error("3 classes are judged by 4")
	}
	// By hand: 1 lies 1/.001 above two models at 0.
	k = scan.Calibration{Classes: 1, Clean: []scan.Sample{{Statistics: scan.Statistics{"R1": {0}}}, {Statistics: scan.Statistics{"R1": {0}}}}}
	if j, err = k.Judge(scan.Statistics{"R1": {1}}, []string{"R1"}, .5); err != nil || math.Abs(j.Z["R1"][0]-1000) > 1e-9 {
		t.Errorf("z = %v (%v), want 1000", j.Z, err)
	}
}

// The calibrations that are shipped allow the default level.
func TestShipped(t *testing.T) {
	c, err := scan.Shipped("mnist")
	if err != nil {
		t.Fatal(err)
	}
	if c.Dataset != "mnist" || c.Classes != 10 {
		t.Errorf("the calibration of mnist is of %s, %d classes", c.Dataset, c.Classes)
	}
	seen := map[string]bool{}
	for i, s := range c.Clean {
		if key := fmt.Sprint(s.Statistics); seen[s.Run] || seen[key] {
			t.Errorf("model %s is there twice", s.Run)
		} else {
			seen[s.Run], seen[key] = true, true
		}
		// Each of them, judged by the others, has some rank.
		rest := c
		rest.Clean = append(append([]scan.Sample(nil), c.Clean[:i]...), c.Clean[i+1:]...)
		if _, err := rest.Judge(s.Statistics, pattern.Names(), .2); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Judge(c.Clean[0].Statistics, pattern.Names(), .2); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"none", "../mnist", ""} {
		if _, err := scan.Shipped(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Shipped(%q): %v, want fs.ErrNotExist", name, err)
		}
	}
}

func TestParseCalibration(t *testing.T) {
	for _, bad := range []string{"", "{}", `{"classes":2,"clean":[{"statistics":{"R1":[1]}},{}]}`, `{"classes":2,"clean":[{},{}]}`} {
		if _, err := scan.ParseCalibration([]byte(bad)); err == nil {
			t.Errorf("ParseCalibration takes %s", bad)
		}
	}
}
