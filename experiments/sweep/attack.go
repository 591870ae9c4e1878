package sweep

import (
	"fmt"

	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
)

// The measures of package train that start from more than one model.
const (
	measureDistance   = "distance"
	measureMembership = "membership"
	measureLiRA       = "lira"
)

// likelihoodRatioValues lists the values of that measure.
func likelihoodRatioValues() (all []measured) {
	for _, group := range []string{"spurious", "clean"} {
		for _, variant := range []string{"online", "offline", "online_own", "offline_own"} {
			for _, v := range []struct{ name, label string }{{"auc", "AUC"}, {"tpr_at_01", "TPR at 1 % FPR"}, {"tpr_at_001", "TPR at .1 % FPR"}} {
				all = append(all, measured{
					name:  fmt.Sprintf("lira_%s_%s_%s", v.name, group, variant),
					label: fmt.Sprintf("%s, %s, %s", v.label, group, variant),
				})
			}
		}
	}
	return all
}

// shadow returns the model that p's attack learns from: trained like p's on
// the other half of the images, all clean. So it is one per seed, whatever the
// pattern, the target and the count.
func shadow(p config.Point, s *dataset.Set) run.Step {
	p.Part, p.Count, p.Delete = "shadow", 0, ""
	return run.Step{Train: training(p, s)}
}

// pool returns the models of a likelihood-ratio attack. They differ in their
// training seeds and in the halves of the candidates that they have; the
// pattern and the candidates are p's seed's.
func pool(p config.Point, s *dataset.Set) []run.Step {
	steps := make([]run.Step, p.Models)
	for m := range steps {
		t := training(p, s)
		t.Pool = &run.Pool{Clean: p.Clean, Model: m}
		t.Seed = m
		steps[m].Train = t
	}
	return steps
}

// attack checks what only an attack needs of p. n is the number of its training
// images, class that of the target class.
func (c *checker) attack(at func(string) string, p config.Point, n, class int) {
	switch p.Measure {
	case measureMembership:
		if p.Part != "target" {
			c.bad(at("part"), "must be target: the membership of a half of the pooled images is attacked")
		}
	case measureLiRA:
		if p.Models < 4 {
			c.bad(at("models"), "%d: a likelihood-ratio attack needs at least 4 models", p.Models)
		}
		if p.Delete != "" {
			c.bad(at("delete"), "a likelihood-ratio attack is on models as they were trained")
		}
		if 2*p.Count > class {
			c.bad(at("count"), "%d: twice as many candidates are more than the %d training images of class %d", p.Count, class, p.Target)
		} else if p.Clean > n-2*p.Count {
			c.bad(at("clean"), "%d candidates are more than the %d training images that are no spurious candidates", p.Clean, n-2*p.Count)
		}
	default:
		return
	}
	if p.Pattern == "" {
		c.bad(at("pattern"), "missing: the attack is on images that carry it")
	}
	if p.Count == 0 {
		c.bad(at("count"), "0: the attack is on images that carry the pattern")
	}
}
