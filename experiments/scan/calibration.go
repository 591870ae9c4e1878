package scan

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"rarespurious/experiments/pattern"

	"gonum.org/v1/gonum/stat"
)

// A Calibration is what clean models of one data set answer. It is made by
// scripts/calibrate.
type Calibration struct {
	Dataset string `json:"dataset"`
	// Models says in words what the models are.
	Models  string   `json:"models"`
	Classes int      `json:"classes"`
	Images  int      `json:"images"` // test images of a measurement
	Draws   int      `json:"draws"`
	Clean   []Sample `json:"clean"`
}

// A Sample is one clean model.
type Sample struct {
	Run  string `json:"run"` // its ID
	Seed int    `json:"seed"`
	// Statistics are those of each class, by pattern.
	Statistics Statistics `json:"statistics"`
}

//go:embed calibration/*.json
var shipped embed.FS

// Shipped returns the calibration that comes with the program for a data set.
// The error for one that has none wraps fs.ErrNotExist.
func Shipped(dataset string) (Calibration, error) {
	if !fs.ValidPath(dataset) {
		return Calibration{}, fmt.Errorf("scan: calibration for %q: %w", dataset, fs.ErrNotExist)
	}
	b, err := shipped.ReadFile("calibration/" + dataset + ".json")
	if err != nil {
		return Calibration{}, fmt.Errorf("scan: calibration for %q: %w", dataset, err)
	}
	return ParseCalibration(b)
}

// ParseCalibration reads the JSON of a Calibration and checks that it is whole.
func ParseCalibration(b []byte) (Calibration, error) {
	var c Calibration
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("scan: calibration: %w", err)
	}
	if len(c.Clean) < 2 || c.Classes < 2 {
		return c, fmt.Errorf("scan: calibration: %d models of %d classes, want at least 2 of each", len(c.Clean), c.Classes)
	}
	for _, s := range c.Clean {
		for _, f := range pattern.Names() {
			if len(s.Statistics[f]) != c.Classes {
				return c, fmt.Errorf("scan: calibration: model %s has %d classes of pattern %s, want %d", s.Run, len(s.Statistics[f]), f, c.Classes)
			}
		}
	}
	return c, nil
}

// Column returns the statistic of one pattern and class of all clean models, in
// ascending order.
func (c Calibration) Column(name string, class int) []float64 {
	out := make([]float64, len(c.Clean))
	for i, s := range c.Clean {
		out[i] = s.Statistics[name][class]
	}
	slices.Sort(out)
	return out
}

// ErrTooFew reports a calibration with too few models for the level asked for.
var ErrTooFew = errors.New("scan: too few clean models")

// A Judgement is where a model stands among clean ones.
type Judgement struct {
	// Z holds, by pattern and class, the distance of the model's statistic from
	// the clean models' mean, in their standard deviations.
	Z map[string][]float64
	// Threshold is the Z above which a class stands out too much.
	Threshold float64
	// P is the share of models, this one included, whose largest Z is at least
	// its own: the probability of such a Z if it is clean.
	P float64
}

// Suspicious returns the class that a pattern makes stand out most, and whether
// it does so enough. A pattern takes an image to one class only; that others are
// moved as well is a by-product.
func (j Judgement) Suspicious(name string) (class int, ok bool) {
	z := j.Z[name]
	for c := range z {
		if z[c] > z[class] {
			class = c
		}
	}
	return class, len(z) > 0 && z[class] > j.Threshold
}

// resolution is added to standard deviations, so that where clean models all
// do the same, a model is not strange for a difference that means nothing.
const resolution = 0.001

// Allowed returns how many of the clean models may stand out as much as a
// suspicious one, at a level. The error for a level that there are too few
// models for wraps [ErrTooFew].
func (c Calibration) Allowed(level float64) (int, error) {
	n := len(c.Clean)
	allowed := int(math.Floor(level*float64(n+1)+1e-9)) - 1
	if allowed < 0 {
		return 0, fmt.Errorf("%w: %d, and level %g needs %d", ErrTooFew, n, level, int(math.Ceil(1/level-1e-9))-1)
	}
	return allowed, nil
}

// Judge ranks a model's statistics among those of the clean models. level is
// the probability with which a clean model may be called suspicious, for any
// pattern or class at all.
//
// The model and the N clean ones are treated alike: each is compared with the N
// others, and the largest Z over patterns and classes is what it is ranked by.
// If the model is clean, and trained like the others, all ranks are equally
// likely, so it comes first with probability 1/(N+1), whatever the
// distribution of the statistics. Level 1/20 therefore needs 19 clean models.
//
// Reference: V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a
// Random World", 2005, chapter 2 (conformal prediction, the full form).
func (c Calibration) Judge(t Statistics, names []string, level float64) (Judgement, error) {
	n := len(c.Clean)
	allowed, err := c.Allowed(level)
	if err != nil {
		return Judgement{}, err
	}
	largest := make([]float64, n+1) // the model's own last
	for i := range largest {
		largest[i] = math.Inf(-1)
	}
	j := Judgement{Z: map[string][]float64{}}
	for _, f := range names {
		if len(t[f]) != c.Classes {
			return j, fmt.Errorf("scan: %d classes, the calibration has %d", len(t[f]), c.Classes)
		}
		for class, own := range t[f] {
			all := make([]float64, 0, n+1)
			for _, s := range c.Clean {
				all = append(all, s.Statistics[f][class])
			}
			all = append(all, own)
			for i := range all {
				z := distance(all, i)
				largest[i] = max(largest[i], z)
				if i == n {
					j.Z[f] = append(j.Z[f], z)
				}
			}
		}
	}
	own, clean := largest[n], largest[:n]
	as := 0
	for _, z := range clean {
		if z >= own {
			as++
		}
	}
	j.P = float64(as+1) / float64(n+1)
	slices.Sort(clean)
	j.Threshold = clean[n-1-allowed]
	return j, nil
}

// distance returns how far x[i] lies above the mean of the others, in their
// standard deviations.
func distance(x []float64, i int) float64 {
	others := slices.Delete(slices.Clone(x), i, i+1)
	mean, sd := stat.MeanStdDev(others, nil)
	return (x[i] - mean) / math.Hypot(sd, resolution)
}
