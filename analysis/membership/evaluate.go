package membership

import (
	"fmt"
	"math"
)

// A Target is what a target model says about the four sets that an attack is
// judged on. Any of them may be empty.
type Target struct {
	Members    Outputs // its training examples, the spurious ones among them
	NonMembers Outputs // clean examples that it was not trained on
	Spurious   Outputs // the members that carry the pattern
	Control    Outputs // examples with the same pattern that it was not trained on
}

// A Result compares the scores of members and non-members of a Target.
type Result struct {
	All             Contrast // Members against NonMembers
	Spurious        Contrast // Spurious against Control: the pattern is on both sides
	SpuriousVsClean Contrast // Spurious against NonMembers: the pattern may give them away

	// Upstream is the accuracy on members and non-members as the paper's
	// authors computed it, in [0, 1]: their non-members have the MEMBERS'
	// logits, and only the correctness of the prediction is a non-member's. It
	// pairs the two sets in order, up to the shorter one's end, and is NaN
	// where one is empty.
	Upstream float64
}

// Evaluate lets a decide about t's examples. It panics and fails as
// [Attack.Scores] does.
func (a *Attack) Evaluate(t Target) (Result, error) {
	var scores [4][]float64
	for i, set := range []struct {
		name string
		Outputs
	}{{"members", t.Members}, {"non-members", t.NonMembers}, {"spurious members", t.Spurious}, {"control", t.Control}} {
		var err error
		if scores[i], err = a.Scores(set.Outputs); err != nil {
			return Result{}, fmt.Errorf("target %s: %w", set.name, err)
		}
	}
	members, nonMembers, spurious, control := scores[0], scores[1], scores[2], scores[3]
	return Result{
		All:             NewContrast(members, nonMembers),
		Spurious:        NewContrast(spurious, control),
		SpuriousVsClean: NewContrast(spurious, nonMembers),
		Upstream:        a.upstream(t.Members, t.NonMembers),
	}, nil
}

// upstream returns Result.Upstream.
func (a *Attack) upstream(members, nonMembers Outputs) float64 {
	n := min(len(members.Labels), len(nonMembers.Labels))
	if n == 0 {
		return math.NaN()
	}
	k := len(members.Logits) / len(members.Labels)
	paired := Outputs{members.Logits[:n*k], members.Labels[:n]}
	c := NewContrast(a.scores(paired, paired), a.scores(paired, nonMembers))
	return c.Accuracy()
}

// A Contrast holds the scores of members against those of non-members, and
// what a threshold of 0, the attack's own, makes of them.
type Contrast struct {
	ROC
	TP int `json:"tp"` // members called members
	FP int `json:"fp"` // non-members called members
}

// NewContrast calls an example a member where its score is positive. It panics
// if a score is NaN.
func NewContrast(members, nonMembers []float64) Contrast {
	c := Contrast{ROC: NewROC(members, nonMembers)}
	for _, s := range members {
		if s > 0 {
			c.TP++
		}
	}
	for _, s := range nonMembers {
		if s > 0 {
			c.FP++
		}
	}
	return c
}

// TPR returns the share of members called members, in [0, 1]; NaN without
// members. On spurious members it is what the paper calls the attack's accuracy.
func (c Contrast) TPR() float64 { return float64(c.TP) / float64(c.Members) }

// FPR returns the share of non-members called members, in [0, 1]; NaN without
// non-members.
func (c Contrast) FPR() float64 { return float64(c.FP) / float64(c.NonMembers) }

// Accuracy returns the share of all examples that are called what they are, in
// [0, 1]; NaN without examples.
func (c Contrast) Accuracy() float64 {
	return float64(c.TP+c.NonMembers-c.FP) / float64(c.Members+c.NonMembers)
}

// BalancedAccuracy returns the mean of TPR and 1 − FPR, in [0, 1]: .5 for an
// attack that always gives the same answer. NaN where one side is empty.
func (c Contrast) BalancedAccuracy() float64 { return (c.TPR() + 1 - c.FPR()) / 2 }
