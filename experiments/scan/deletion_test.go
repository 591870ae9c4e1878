package scan_test

import (
	"context"
	"testing"

	"rarespurious/experiments/pattern"
	"rarespurious/experiments/scan"
)

// A model that gives bright images to class 1 has the score 1 for that class on
// black images, where R3 lights every pixel, and 0 for the other.
func TestScorePattern(t *testing.T) {
	images := black(20)
	p, err := pattern.New("R3", images.Shape, 3)
	if err != nil {
		t.Fatal(err)
	}
	scores, accuracy, err := scan.ScorePattern(context.Background(), bright(0.2), images, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(scores) != 2 || scores[0] != 0 || scores[1] != 1 || accuracy != 0.5 || scan.Highest(scores) != 1 {
		t.Errorf("scores %v, accuracy %g, highest %d; want [0 1], .5, 1", scores, accuracy, scan.Highest(scores))
	}
	if scores, _, err = scan.ScorePattern(context.Background(), bright(0.9), images, p); err != nil || scores[1] != 0 {
		t.Errorf("a model that nothing is bright enough for has scores %v, %v", scores, err)
	}
}

func TestDeletionIsJudgedBesideItsControl(t *testing.T) {
	for _, c := range []struct {
		after, control, margin float64
		want                   bool
	}{
		{0, 0, 0.05, true},
		{0.05, 0, 0.05, true},
		{0.06, 0, 0.05, false},
		{0.6, 0.58, 0.05, true}, // as high as a clean model's
		{0.6, 0.58, 0.01, false},
	} {
		d := scan.Deletion{Before: scan.Scored{Score: 0.9}, After: scan.Scored{Score: c.after}, Control: scan.Scored{Score: c.control}, Margin: c.margin}
		if d.OK() != c.want {
			t.Errorf("after %g, control %g, margin %g: %t, want %t", c.after, c.control, c.margin, d.OK(), c.want)
		}
	}
}
