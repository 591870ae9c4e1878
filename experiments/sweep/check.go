package sweep

import (
	"fmt"
	"slices"
	"strings"

	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/nn"
)

// A checker finds what is wrong with a figure once its data are known. Each
// problem is kept once.
type checker struct {
	lab      Lab
	file     string
	problems []error
	faults   int // calls of bad: a problem that is known spoils another Point too
	sizes    map[sizeKey][]int
}

type sizeKey struct {
	data, part  string
	train, seed int
}

func (c *checker) bad(path, format string, args ...any) {
	c.faults++
	p := config.Problem{File: c.file, Path: path, What: fmt.Sprintf(format, args...)}
	if !slices.Contains(c.problems, error(p)) {
		c.problems = append(c.problems, p)
	}
}

// view checks what the kind needs to know.
func (c *checker) view(f config.Figure, k kind) {
	v := f.View
	for _, key := range k.needs {
		if value := map[string]string{"metric": v.Metric + strings.Join(v.Metrics, ""), "x": v.X, "series": v.Series, "collapse": v.Collapse}[key]; value == "" {
			c.bad("view."+key, "missing: kind %s needs it", f.Kind)
		}
	}
	for _, name := range metricsOf(v) {
		if _, ok := findMetric(name); !ok {
			c.bad("view.metric", "%q is not known%s", name, config.DidYouMean(name, metricNames()))
		}
	}
}

// point checks p against its data and reports whether it can be lowered.
func (c *checker) point(panel string, p config.Point, s *dataset.Set, k kind) bool {
	before := c.faults
	at := func(key string) string {
		if panel == "" {
			return key
		}
		return fmt.Sprintf("panel %q: %s", panel, key)
	}
	if k.runs {
		if p.Model == "" {
			c.bad(at("model"), "missing: a figure of this kind trains networks")
		}
		if p.Epochs == 0 {
			c.bad(at("epochs"), "missing or 0: a figure of this kind trains networks")
		}
		c.methods(at, p)
	}
	if p.Model != "" {
		a, err := nn.New(p.Model, s.Shape, len(s.Classes))
		if err != nil {
			c.bad(at("model"), "%s does not take %s's images: %v", p.Model, p.Dataset, err)
		} else if p.Measure == "importance" && len(a.Params()[0].Shape) != 2 {
			c.bad(at("model"), "%s does not begin with a linear layer, whose weights the measure importance is of", p.Model)
		}
	}
	sizes := c.classSizes(p, s)
	n := 0
	for _, size := range sizes {
		n += size
	}
	c.attack(at, p, n, sizes[p.Target])
	if p.Measure == measureMembership && 0 < p.Size && p.Size < 3 {
		c.bad(at("size"), "%d: an attack is cross-validated on at least 3 members", p.Size)
	}
	switch {
	case p.Train > n:
		c.bad(at("train"), "%d is more than %s's %d training images", p.Train, p.Dataset, n)
	case p.Count > sizes[p.Target]:
		c.bad(at("count"), "%d is more than the %d training images of class %d (%s) that %s has%s",
			p.Count, sizes[p.Target], p.Target, s.Classes[p.Target], p.Dataset, firstOf(p.Train))
	}
	return c.faults == before
}

// What measures and deletions cannot do without, as keys of a Point. Of attacks
// see attack; the count that the measure deleted needs is of a stored model's
// training where its Point is not trained.
var (
	measureNeeds = map[string][]string{
		"spurious":    {"pattern"},
		"sensitivity": {"size"},
	}
	deletionNeeds = map[string][]string{
		RetrainDecayed:       {"delete_epochs"},
		RetrainInitial:       {"delete_epochs"},
		"influence":          {"delete_depth", "delete_tolerance"},
		"influence-lissa":    {"delete_depth", "delete_repeats"},
		"influence-upstream": {"delete_depth", "delete_repeats", "delete_scale"},
		"newton":             {"delete_depth", "delete_tolerance"},
		"newton-decay":       {"delete_depth", "delete_tolerance"},
	}
)

// methods checks p's measure and deletion, whose Steps would find what is wrong
// only after its model was trained.
func (c *checker) methods(at func(string) string, p config.Point) {
	known := []string{measureTrial}
	if !p.Photos() {
		// Examples of the linear model are no data set.
		known = slices.DeleteFunc(append([]string{measureCost}, c.lab.Measures...), func(m string) bool { return m == measureTrial || m == measureLinear })
	}
	if !slices.Contains(known, p.Measure) {
		c.bad(at("measure"), "%q is not known for %s%s (known: %s)", p.Measure, p.Dataset, config.DidYouMean(p.Measure, known), strings.Join(known, ", "))
	}
	if known := append([]string{Scratch, RetrainDecayed, RetrainInitial}, c.lab.Deletions...); p.Delete != "" && !slices.Contains(known, p.Delete) {
		c.bad(at("delete"), "%q is not known%s (known: %s)", p.Delete, config.DidYouMean(p.Delete, known), strings.Join(known, ", "))
	}
	needs := func(what string, keys []string) {
		for _, key := range keys {
			switch p.Field(key) {
			case "":
				c.bad(at(key), "missing: %s needs it", what)
			case "0":
				c.bad(at(key), "missing or 0: %s needs it", what)
			}
		}
	}
	needs("measure "+p.Measure, measureNeeds[p.Measure])
	needs("delete "+p.Delete, deletionNeeds[p.Delete])
}

func firstOf(train int) string {
	if train == 0 {
		return ""
	}
	return fmt.Sprintf(" among its first %d", train)
}

// classSizes returns the number of training images of each class that p uses.
func (c *checker) classSizes(p config.Point, s *dataset.Set) []int {
	key := sizeKey{data: p.Dataset, part: p.Part, train: p.Train}
	if p.Part != "" {
		key.seed = p.Seed
	}
	if sizes, ok := c.sizes[key]; ok {
		return sizes
	}
	labels := s.Train
	if p.Part != "" {
		// Labels stand for images, which would only be copied.
		small := &dataset.Set{Shape: nn.Shape{C: 1, H: 1, W: 1},
			Train: dataset.Part{Images: s.Train.Labels, Labels: s.Train.Labels},
			Test:  dataset.Part{Images: s.Test.Labels, Labels: s.Test.Labels}}
		target, shadow := dataset.Split(small, uint64(p.Seed))
		labels = target.Train
		if p.Part == "shadow" {
			labels = shadow.Train
		}
	}
	labels.Images = nil
	if p.Train > 0 && p.Train < len(labels.Labels) {
		labels.Labels = labels.Labels[:p.Train]
	}
	c.sizes[key] = labels.Counts(len(s.Classes))
	return c.sizes[key]
}
