package membership

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// features returns the attack's view of o, (N, K+1): the raw logits in
// ascending order, and 1 where the prediction is right, else 0. N must be
// positive.
func features(o Outputs) *mat.Dense {
	n, k := len(o.Labels), len(o.Logits)/len(o.Labels)
	x := mat.NewDense(n, k+1, nil)
	for i := range n {
		row := x.RawRowView(i)
		for j, z := range o.row(i) {
			row[j] = float64(z)
		}
		slices.Sort(row[:k])
		row[k] = indicator(o.correct(i))
	}
	return x
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// A scaler maps each feature to mean 0 and standard deviation 1.
type scaler struct {
	mean, std []float64
}

// newScaler measures the columns of x; std divides by N. A column that is
// constant but for rounding gets std 1: it then standardises to 0, and adds
// nothing to a penalised regression.
func newScaler(x *mat.Dense) scaler {
	n, d := x.Dims()
	s := scaler{make([]float64, d), make([]float64, d)}
	col := make([]float64, n)
	for j := range d {
		mat.Col(col, j, x)
		mean, variance := stat.PopMeanVariance(col, nil)
		// What n additions of numbers of size |mean| can be wrong by.
		noise := float64(n) * 0x1p-52 * mean
		s.mean[j], s.std[j] = mean, 1
		if variance > noise*noise {
			s.std[j] = math.Sqrt(variance)
		}
	}
	return s
}

// apply standardises the rows of x in place and returns x.
func (s scaler) apply(x *mat.Dense) *mat.Dense {
	n, _ := x.Dims()
	for i := range n {
		row := x.RawRowView(i)
		for j := range row {
			row[j] = (row[j] - s.mean[j]) / s.std[j]
		}
	}
	return x
}
