package sweep

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
)

// A contrast is one number two ways: as this program computes it, or offers to,
// and as the authors' code does.
type contrast struct {
	what         string // differs: the first way / theirs
	metric       string // its name in the CSV, one of its item's
	verb         string // that writes it
	ours, theirs table.Cell
	of           sample // the results that its setting is read from
}

// write writes one side of c.
func (c contrast) write(cell table.Cell) string {
	if math.IsNaN(cell.Mean) {
		return "-"
	}
	text := fmt.Sprintf(c.verb, cell.Mean)
	if c.metric == "welch_p" && cell.Mean == 0 {
		return "< 1e-300"
	}
	if !math.IsNaN(cell.SE) {
		text += " ± " + fmt.Sprintf(c.verb, cell.SE)
	}
	return text
}

// items lists where the authors' code does something else than its paper says,
// or than we do, and a number can show it. Items are called as panels are: a
// panel "16 MNIST" is of item 16. Each looks at the panel's results of one
// pattern, none of which is missing.
var items = map[string]func(s sample) []contrast{
	"8":  deletionBaseline,
	"10": clipping,
	"11": regularisedMean,
	"12": leastNoise,
	"13": seedsOfWhat,
	"14": welchOfWhat,
	"15": imagesOfScore,
	"16": normSeeds,
	"17": removedPixels,
	"20": signedImportance,
}

const score = "spurious_score"

func deletionBaseline(s sample) []contrast {
	const jitter = 0.01 // the mean of U[0, .02)
	clean, drawn := s.where("count", "0"), s.without("count", "0")
	up := drawn.mean(score)
	up.Mean += jitter
	return []contrast{
		{"Figure 18 at 0: score over all images / over other classes", score + "_0", "%.4f",
			clean.mean(score), clean.mean("spurious_score_other"), clean},
		{"Figure 18 elsewhere: the score / with the mean of its jitter, .01", score, "%.4f", drawn.mean(score), up, drawn},
	}
}

func clipping(s sample) []contrast {
	norm, value := s.where("clip_by", "norm"), s.where("clip_by", "value")
	return []contrast{{"gradient clipped by norm, as the text says / by value, as we do", score, "%.4f",
		norm.mean(score), value.mean(score), norm}}
}

// regularisedMean takes the score's and the spurious accuracy's means over
// counts. No Record has the clean accuracy over other classes, for which that
// over all stands.
func regularisedMean(s sample) []contrast {
	plain, held := s.where("weight_decay", "0"), s.without("weight_decay", "0")
	theirs := slices.Concat(plain.where("count", "0"), held.without("count", "0"))
	accuracies := append(plain.where("count", "0").over("count", "clean_accuracy"),
		held.without("count", "0").over("count", "spurious_accuracy")...)
	_, seeds := metric.MeanSE(held.over("seed", score))
	_, counts := metric.MeanSE(theirs.over("count", score))
	return []contrast{
		{"mean score over counts: count 0 with the method / without", score, "%.4f",
			held.value(held.average(score)), theirs.value(theirs.average(score)), held},
		{"mean spurious accuracy: pattern at count 0 / clean images", "spurious_accuracy", "%.4f",
			held.value(held.average("spurious_accuracy")), theirs.value(metric.Mean(accuracies)), held},
		{"standard error of the mean score: over seeds / over counts", "standard_error", "%.4f",
			held.value(seeds), theirs.value(counts), held},
	}
}

func leastNoise(s sample) []contrast {
	plain, noisy := s.where("noise", "0"), s.without("noise", "0")
	return []contrast{{"mean score with noise: trained / the model without noise", score, "%.4f",
		noisy.value(noisy.average(score)), plain.value(plain.average(score)), noisy}}
}

// seedsOfWhat compares standard errors over seeds of everything and of the data
// alone. Where there are no examples the authors have one model and one pattern,
// and an error over images.
func seedsOfWhat(s sample) []contrast {
	all, data := s.where("upstream", "false"), s.where("upstream", "true")
	clean, first := all.where("count", "0"), data.where("count", "0")
	one := table.Cell{Mean: math.NaN(), SE: math.NaN()}
	if len(first) > 0 {
		first = first.where("seed", first[0].Fields["seed"])
		one = first.mean(score)
		_, one.SE = metric.MeanSE(answers(one.Mean, int(first[0].Values[testImages])))
	}
	all, data = all.without("count", "0"), data.without("count", "0")
	return []contrast{
		{"score, seeds of everything / of examples and pattern alone", score, "%.4f", all.mean(score), data.mean(score), all},
		{"score at 0: a model a seed / a single one, error over images", score + "_0", "%.4f", clean.mean(score), one, clean},
	}
}

func welchOfWhat(s sample) []contrast {
	clean, shown := s.where("count", "0"), s.without("count", "0")
	ours := metric.Welch(shown.over("seed", score), clean.over("seed", score)).P
	theirs := math.NaN()
	var first sample
	if len(shown) > 0 {
		first = s.where("seed", shown[0].Fields["seed"])
		n := int(shown[0].Values[testImages])
		theirs = metric.Welch(answers(first.without("count", "0").average(score), n), answers(first.where("count", "0").average(score), n)).P
	}
	return []contrast{{"Welch's p against 0: over seeds / over images of the first", "welch_p", "%.1e",
		s.value(ours), first.value(theirs), s}}
}

func imagesOfScore(s sample) []contrast {
	return []contrast{{"score over all images / over other classes, as in app. B.2", score, "%.4f",
		s.mean(score), s.mean("spurious_score_other"), s}}
}

func normSeeds(s sample) []contrast {
	var last sample
	if len(s) > 0 {
		last = s.where("seed", s[len(s)-1].Fields["seed"])
	}
	return []contrast{{"Table 1's norm: mean over seeds / the last seed's", "pattern_norm", "%.2f",
		s.mean("pattern_norm"), last.mean("pattern_norm"), s}}
}

func removedPixels(s sample) []contrast {
	pixels, channels := s.where("upstream", "false"), s.where("upstream", "true")
	return []contrast{{"Figure 15's mean: pixels drawn / channels, that take the pixel", sensitivityMean, "%.4f",
		pixels.mean(sensitivityMean), channels.mean(sensitivityMean), pixels}}
}

func signedImportance(s sample) []contrast {
	return []contrast{
		{"importance under the pattern: magnitude / signed, as we draw", importanceUnder, "%.4f",
			s.mean(magnitudeUnder), s.mean(importanceUnder), s},
		{"importance elsewhere: magnitude / signed, as we draw", importanceElsewhere, "%.4f",
			s.mean(magnitudeElsewhere), s.mean(importanceElsewhere), s},
	}
}

// answers returns n answers of 0 and 1 with the given mean, in some order: what
// a test over images is made of.
func answers(share float64, n int) []float64 {
	a := make([]float64, n)
	for i := range int(math.Round(share * float64(n))) {
		a[i] = 1
	}
	return a
}

// A sample is some results.
type sample []table.Row

func (s sample) where(field, value string) sample {
	return slices.DeleteFunc(slices.Clone(s), func(r table.Row) bool { return r.Fields[field] != value })
}

func (s sample) without(field, value string) sample {
	return slices.DeleteFunc(slices.Clone(s), func(r table.Row) bool { return r.Fields[field] == value })
}

// over returns the mean of a value for each value of field, as they appear.
func (s sample) over(field, name string) (means []float64) {
	for _, at := range s.texts(field) {
		var all []float64
		for _, r := range s.where(field, at) {
			all = append(all, r.Values[name])
		}
		means = append(means, metric.Mean(all))
	}
	return means
}

func (s sample) average(name string) float64 { return metric.Mean(s.over(panelField, name)) }

// texts returns the values of field, each once, as they appear.
func (s sample) texts(field string) (texts []string) {
	for _, r := range s {
		if t := r.Fields[field]; !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	return texts
}

// mean returns the mean over seeds and its standard error.
func (s sample) mean(name string) table.Cell {
	c := s.value(math.NaN())
	seeds := s.over("seed", name)
	c.N = len(seeds)
	c.Mean, c.SE = metric.MeanSE(seeds)
	return c
}

// value returns a number that was computed from s.
func (s sample) value(v float64) table.Cell {
	ids := map[string]bool{}
	for _, r := range s {
		if r.ID != "" {
			ids[r.ID] = true
		}
	}
	return computed("", "", "", "", "", v, len(s.texts("seed")), slices.Sorted(maps.Keys(ids)))
}

// setting says what s are results of.
func (s sample) setting(v config.View) string {
	if len(s) == 0 {
		return ""
	}
	parts := []string{v.Label(s[0].Fields["dataset"])}
	if s[0].ID != "" {
		parts = append(parts, v.Label(s[0].Fields["model"]))
	}
	if p := s[0].Fields["pattern"]; p != "" {
		parts = append(parts, p)
		if s[0].ID != "" {
			parts = append(parts, strings.Join(s.texts("count"), "/")+" examples")
		}
	}
	for _, m := range []struct{ field, name string }{{"weight_decay", "weight decay"}, {"noise", "noise"}, {"clip", "clip"}} {
		if t := s[0].Fields[m.field]; t != "0" {
			parts = append(parts, m.name+" "+t)
		}
	}
	seeds := s.texts("seed")
	if len(seeds) == 1 {
		return strings.Join(append(parts, "seed "+seeds[0]), ", ")
	}
	return strings.Join(append(parts, fmt.Sprint(len(seeds), " seeds")), ", ")
}
