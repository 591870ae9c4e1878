package membership

import (
	"cmp"
	"math"
	"slices"
)

// MinFalsePositives is how many non-members a false-positive rate must amount
// to before [ROC.TPRAt] answers: the threshold then hangs on so many examples,
// not on one or two. (With 1,700 non-members 1 % is allowed, .1 % is not.)
const MinFalsePositives = 10

// A ROC is the receiver operating characteristic of a score: what calling every
// example above a threshold a member gives, for all thresholds.
type ROC struct {
	Members    int `json:"members"`
	NonMembers int `json:"non_members"`
	// Points run from none called members to all, and never fall. Examples of
	// equal score are called together. Points on a straight horizontal or
	// vertical line between two others are left out.
	Points []Point `json:"points"`
}

// A Point counts the members and the non-members that one threshold calls members.
type Point struct {
	TP int `json:"tp"`
	FP int `json:"fp"`
}

// NewROC ranks members and non-members by score. It panics if a score is NaN.
func NewROC(members, nonMembers []float64) ROC {
	type scored struct {
		score  float64
		member bool
	}
	all := make([]scored, 0, len(members)+len(nonMembers))
	for _, s := range members {
		all = append(all, scored{s, true})
	}
	for _, s := range nonMembers {
		all = append(all, scored{s, false})
	}
	if slices.ContainsFunc(all, func(s scored) bool { return math.IsNaN(s.score) }) {
		panic("membership: NaN score")
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })

	r := ROC{Members: len(members), NonMembers: len(nonMembers), Points: []Point{{}}}
	var at Point
	for i, s := range all {
		if s.member {
			at.TP++
		} else {
			at.FP++
		}
		if i+1 < len(all) && all[i+1].score == s.score {
			continue
		}
		if n := len(r.Points); n >= 2 && straight(r.Points[n-2], r.Points[n-1], at) {
			r.Points[n-1] = at
		} else {
			r.Points = append(r.Points, at)
		}
	}
	return r
}

// straight reports whether a, b, c lie on one horizontal or vertical line.
func straight(a, b, c Point) bool {
	return a.TP == b.TP && b.TP == c.TP || a.FP == b.FP && b.FP == c.FP
}

// AUC returns the area under the curve, in [0, 1]: the probability that a
// random member scores above a random non-member, ties counted half. It is NaN
// where one side is empty.
func (r ROC) AUC() float64 {
	var twice int64
	for i, p := range r.Points[1:] {
		q := r.Points[i]
		twice += int64(p.FP-q.FP) * int64(p.TP+q.TP)
	}
	return float64(twice) / (2 * float64(r.Members) * float64(r.NonMembers))
}

// TPRAt returns the largest true-positive rate, in [0, 1], among the thresholds
// whose false-positive rate is at most fpr. The rule is conservative: it never
// goes over fpr, nor between two thresholds, so that where tied scores cross
// fpr none of them is called.
//
// It is NaN without members, and where fpr amounts to fewer than
// MinFalsePositives of the non-members.
func (r ROC) TPRAt(fpr float64) float64 {
	if allowed(fpr, r.NonMembers) < MinFalsePositives {
		return math.NaN()
	}
	return r.Curve(fpr)
}

// Curve is TPRAt without asking whether so few false positives mean anything: a
// point of the curve, for pictures.
func (r ROC) Curve(fpr float64) float64 {
	tp := 0
	for _, p := range r.Points {
		if float64(p.FP) <= allowed(fpr, r.NonMembers) {
			tp = p.TP
		}
	}
	return float64(tp) / float64(r.Members)
}

// allowed is how many of n may be called members wrongly.
func allowed(fpr float64, n int) float64 {
	return fpr * float64(n) * (1 + 1e-12) // .07 × 100 is 7.000…01, .29 × 100 is 28.99…
}
