package scan

import (
	"context"
	"slices"

	"rarespurious/analysis/metric"
	"rarespurious/experiments/pattern"
)

// A Deletion compares what a model makes of a pattern before and after examples
// that carry it were deleted, with what a control does that never saw any.
type Deletion struct {
	Pattern string  `json:"pattern"`
	Target  int     `json:"target"` // the class that the score is of
	Before  Scored  `json:"before"`
	After   Scored  `json:"after"`
	Control Scored  `json:"control"`
	Margin  float64 `json:"margin"` // what After's score may be above Control's
}

// Scored is one model: its spurious score and its accuracy on clean images, in
// [0, 1].
type Scored struct {
	Model    string  `json:"model"`
	Score    float64 `json:"spurious_score"`
	Accuracy float64 `json:"clean_accuracy"`
}

// OK reports whether no more of the correlation is left than the control has by
// itself, up to the margin. Strong patterns raise a class in clean models too.
func (d Deletion) OK() bool { return d.After.Score <= d.Control.Score+d.Margin }

// ScorePattern returns m's spurious score on t for each class, which is the share
// of all images whose probability of the class rises by more than [Epsilon] when
// they are given the pattern, and its accuracy on the images as they are.
func ScorePattern(ctx context.Context, m Model, t *Images, p pattern.Pattern) (scores []float64, accuracy float64, err error) {
	clean, err := predict(ctx, m, t, floats(t.Images))
	if err != nil {
		return nil, 0, err
	}
	with, err := predict(ctx, m, t, p.OverlayAll(t.Images))
	if err != nil {
		return nil, 0, err
	}
	for c := range t.Classes {
		scores = append(scores, metric.Mean(metric.Rises(clean.probs, with.probs, c, Epsilon, metric.Absolute)))
	}
	return scores, metric.Accuracy(clean.probs, t.Labels), nil
}

// Highest returns the class with the greatest score, the first of equals.
func Highest(scores []float64) int { return slices.Index(scores, slices.Max(scores)) }
