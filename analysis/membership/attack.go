package membership

import (
	"fmt"
	"slices"
)

// Strengths are the values of C, the inverse of the L2 penalty, that [Train]
// chooses from.
var Strengths = []float64{0.01, 0.1, 1, 10}

// folds is the number of cross-validation folds that choose C.
const folds = 3

// An Attack is a logistic regression from what a model says about an example to
// the log-odds that the model was trained on it.
//
// Reference: Shokri, Stronati, Song and Shmatikov, "Membership Inference
// Attacks Against Machine Learning Models", S&P 2017, with one shadow model,
// and the features of Yang, Chou and Chaudhuri, 2022, section 4.
type Attack struct {
	C          float64 // the strength that cross-validation chose
	CVAccuracy float64 // its cross-validated accuracy on the shadow model, in [0, 1]

	scaler scaler
	model  logistic
}

// Train fits an attack to a shadow model's outputs on its members and on
// non-members. The features are the sorted logits and whether the prediction
// is right, standardised; the penalty is chosen by stratified cross-validation,
// the smaller C of equals, and the fit repeated on all.
//
// It panics unless both sets hold at least three examples of the same classes,
// and returns an error wrapping ErrNotFinite or ErrNoConvergence.
func Train(members, nonMembers Outputs) (*Attack, error) {
	if min(len(members.Labels), len(nonMembers.Labels)) < folds {
		panic(fmt.Sprintf("membership: %d members and %d non-members are too few to train on",
			len(members.Labels), len(nonMembers.Labels)))
	}
	km, err := members.classes()
	if err != nil {
		return nil, fmt.Errorf("shadow members: %w", err)
	}
	kn, err := nonMembers.classes()
	if err != nil {
		return nil, fmt.Errorf("shadow non-members: %w", err)
	}
	if km != kn {
		panic(fmt.Sprintf("membership: members have %d classes, non-members %d", km, kn))
	}
	x := features(Outputs{
		Logits: slices.Concat(members.Logits, nonMembers.Logits),
		Labels: slices.Concat(members.Labels, nonMembers.Labels),
	})
	y := make([]bool, len(members.Labels)+len(nonMembers.Labels))
	for i := range members.Labels {
		y[i] = true
	}

	a := &Attack{scaler: newScaler(x)}
	a.scaler.apply(x)
	accuracies, err := crossValidate(x, y, Strengths, folds)
	if err != nil {
		return nil, err
	}
	a.CVAccuracy = slices.Max(accuracies)
	a.C = Strengths[slices.Index(accuracies, a.CVAccuracy)]
	a.model, err = fitLogistic(x, y, a.C)
	return a, err
}

// Scores returns the log-odds (nats) of membership of each example, positive
// where the attack says "member".
//
// It panics if o has other classes than the shadow model, and returns an error
// wrapping ErrNotFinite.
func (a *Attack) Scores(o Outputs) ([]float64, error) {
	k, err := o.classes()
	if err != nil || k == 0 {
		return nil, err
	}
	if k+1 != len(a.model.w) {
		panic(fmt.Sprintf("membership: %d classes, the shadow model had %d", k, len(a.model.w)-1))
	}
	return a.scores(o, o), nil
}

// scores is Scores with the prediction's correctness taken from the outputs
// correct instead, example for example.
func (a *Attack) scores(o, correct Outputs) []float64 {
	x := features(o)
	n, d := x.Dims()
	scores := make([]float64, n)
	for i := range scores {
		x.Set(i, d-1, indicator(correct.correct(i)))
	}
	a.scaler.apply(x)
	for i := range scores {
		scores[i] = a.model.logOdds(x.RawRowView(i))
	}
	return scores
}
