package membership

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
)

// Confidences returns φ = log(p_y / (1 − p_y)) of each example, p_y being the
// softmax probability of its label: the statistic that is nearly normal over
// models, which probabilities are not. It is finite, and exact where p_y is
// within rounding of 0 or 1, for it is z_y − log Σ_{c≠y} exp z_c.
//
// It returns an error wrapping ErrNotFinite.
func Confidences(o Outputs) ([]float64, error) {
	if _, err := o.classes(); err != nil {
		return nil, err
	}
	phi := make([]float64, len(o.Labels))
	for i, y := range o.Labels {
		z := o.row(i)
		rival := math.Inf(-1)
		for c, v := range z {
			if c != y {
				rival = max(rival, float64(v))
			}
		}
		var sum float64
		for c, v := range z {
			if c != y {
				sum += math.Exp(float64(v) - rival)
			}
		}
		phi[i] = float64(z[y]) - rival - math.Log(sum)
	}
	return phi, nil
}

// A Model is one of several models that were trained on different subsets of
// one list of candidates.
type Model struct {
	Phi []float64 // each candidate's confidence under the model, see Confidences
	In  []bool    // whether the model was trained on it
}

// LiRA is the likelihood-ratio attack. Its zero value is the online attack with
// a variance of each candidate's own.
//
// Reference: Carlini, Chien, Nasr, Song, Terzis and Tramèr, "Membership
// Inference Attacks From First Principles", S&P 2022, Algorithm 1 and section
// VI. Their pooled variance is that of all confidences; ours is taken about
// each candidate's own mean.
type LiRA struct {
	// Offline uses only the models trained without a candidate: the score is
	// log Φ((φ − μ_out)/σ_out), the log-probability that such a model is less
	// confident. Otherwise the score is log N(φ; μ_in, σ_in²) − log N(φ; μ_out, σ_out²).
	Offline bool
	// Pooled shares one σ_in and one σ_out among all candidates, which is
	// better with few models (they found: below 64).
	Pooled bool
}

// Scores returns the score (nats) of every candidate under the target model;
// shadows give the distributions. A score is NaN where they cannot: where a
// distribution that is needed has no model, or, for a variance of its own, one.
//
// It panics if the models' candidates differ in number, and returns an error
// wrapping ErrNotFinite.
func (l LiRA) Scores(target Model, shadows []Model) ([]float64, error) {
	if err := check(append(shadows[:len(shadows):len(shadows)], target)); err != nil {
		return nil, err
	}
	return l.scores(target, shadows), nil
}

func (l LiRA) scores(target Model, shadows []Model) []float64 {
	n := len(target.Phi)
	in, out := l.normals(shadows, n, true), l.normals(shadows, n, false)
	scores := make([]float64, n)
	for i, phi := range target.Phi {
		if l.Offline {
			scores[i] = logPhi((phi - out[i].mu) / out[i].sigma)
		} else {
			scores[i] = in[i].logDensity(phi) - out[i].logDensity(phi)
		}
	}
	return scores
}

// LeaveOneOut makes each model the target once, with all others as its
// shadows, and returns the scores of the candidates it was trained on and of
// those it was not, over all models. Candidates that [LiRA.Scores] cannot score
// are counted in absent instead. It panics and fails as Scores does.
func (l LiRA) LeaveOneOut(models []Model) (in, out []float64, absent int, err error) {
	if err := check(models); err != nil {
		return nil, nil, 0, err
	}
	for m, target := range models {
		shadows := append(models[:m:m], models[m+1:]...)
		for i, s := range l.scores(target, shadows) {
			switch {
			case math.IsNaN(s):
				absent++
			case target.In[i]:
				in = append(in, s)
			default:
				out = append(out, s)
			}
		}
	}
	return in, out, absent, nil
}

// normals fits a normal distribution to the confidences of each of n candidates
// under the models that were trained on it (in) or were not; mu or sigma is NaN where
// there are too few.
func (l LiRA) normals(models []Model, n int, in bool) []normal {
	fit := make([]normal, n)
	var squares, freedom float64
	var phi []float64
	for i := range fit {
		phi = phi[:0]
		for _, m := range models {
			if m.In[i] == in {
				phi = append(phi, m.Phi[i])
			}
		}
		mu, variance := stat.MeanVariance(phi, nil) // divides by n − 1
		fit[i] = normal{mu, math.Sqrt(variance) + minSigma}
		if len(phi) > 1 {
			squares += variance * float64(len(phi)-1)
			freedom += float64(len(phi) - 1)
		}
	}
	if l.Pooled {
		for i := range fit {
			fit[i].sigma = math.Sqrt(squares/freedom) + minSigma
		}
	}
	return fit
}

// minSigma keeps densities defined where all models agree.
const minSigma = 1e-30

// A normal is a normal distribution.
type normal struct{ mu, sigma float64 }

func (d normal) logDensity(x float64) float64 {
	z := (x - d.mu) / d.sigma
	return -z*z/2 - math.Log(d.sigma) - math.Log(2*math.Pi)/2
}

// logPhi returns the logarithm of the standard normal distribution function. It
// neither underflows for z ≪ 0 nor rounds to 0 before z = 37.
func logPhi(z float64) float64 {
	switch {
	case z > 0:
		return math.Log1p(-math.Erfc(z/math.Sqrt2) / 2)
	case z > -30:
		return math.Log(math.Erfc(-z/math.Sqrt2) / 2)
	default:
		// Mills' ratio as a series; the next term, 105q⁴, is below 2e-10.
		// Reference: Abramowitz and Stegun, 26.2.12.
		q := 1 / (z * z)
		return -z*z/2 - math.Log(-z*math.Sqrt(2*math.Pi)) + math.Log1p(-q+3*q*q-15*q*q*q)
	}
}

// check panics if the candidates differ in number, and returns an error wrapping
// ErrNotFinite that names the model and the candidate.
func check(models []Model) error {
	for m, model := range models {
		if n := len(models[0].Phi); len(model.Phi) != n || len(model.In) != n {
			panic(fmt.Sprintf("membership: %d confidences and %d marks for %d candidates", len(model.Phi), len(model.In), n))
		}
		for i, phi := range model.Phi {
			if math.IsNaN(phi) || math.IsInf(phi, 0) {
				return fmt.Errorf("%w: model %d, candidate %d: φ = %v", ErrNotFinite, m, i, phi)
			}
		}
	}
	return nil
}
