package metric

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Mean returns the mean of x, NaN if x is empty.
func Mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// MeanSE returns the mean of x and its standard error, std(ddof 1)/√n. Below
// two values no error can be known: se is NaN (and no bar is drawn, no number
// written), never a flattering 0.
func MeanSE(x []float64) (mean, se float64) {
	if len(x) < 2 {
		return Mean(x), math.NaN()
	}
	mean, v := stat.MeanVariance(x, nil)
	se = math.Sqrt(v / float64(len(x)))
	if se < 1e-12*math.Abs(mean) {
		se = 0 // equal values up to the rounding of their sums
	}
	return mean, se
}

// A Summary describes a set of values.
type Summary struct {
	N              int
	Min, Max, Mean float64
	Std            float64 // of the population, ddof 0
}

// Summarise describes x; all but N are NaN if x is empty.
func Summarise(x []float64) Summary {
	if len(x) == 0 {
		nan := math.NaN()
		return Summary{Min: nan, Max: nan, Mean: nan, Std: nan}
	}
	mean, v := stat.PopMeanVariance(x, nil)
	return Summary{N: len(x), Min: slices.Min(x), Max: slices.Max(x), Mean: mean, Std: math.Sqrt(v)}
}

// A Test is the outcome of a t test.
type Test struct {
	T  float64 // the statistic
	DF float64 // degrees of freedom
	P  float64 // probability of a T at least as large, if the means are equal
}

var noTest = Test{math.NaN(), math.NaN(), math.NaN()}

// Welch tests whether the mean of a is greater than that of b: two samples,
// unequal variances, one-sided, degrees of freedom after Welch and
// Satterthwaite. All NaN below two values in either sample, and where both
// variances are 0.
//
// Reference: B. L. Welch, "The generalization of 'Student's' problem when
// several different population variances are involved", Biometrika 34, 1947.
func Welch(a, b []float64) Test {
	if len(a) < 2 || len(b) < 2 {
		return noTest
	}
	ma, sa := MeanSE(a)
	mb, sb := MeanSE(b)
	va, vb := sa*sa, sb*sb
	na, nb := float64(len(a)), float64(len(b))
	if va+vb == 0 {
		return noTest
	}
	return upper((ma-mb)/math.Sqrt(va+vb), (va+vb)*(va+vb)/(va*va/(na-1)+vb*vb/(nb-1)))
}

// PairedT tests whether the mean of a[i] − b[i] is greater than 0, one-sided.
// All NaN below two pairs and where all differences are equal. It panics if the
// lengths differ.
func PairedT(a, b []float64) Test {
	mustLen(len(a), len(b))
	if len(a) < 2 {
		return noTest
	}
	d := make([]float64, len(a))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	mean, se := MeanSE(d)
	if se == 0 {
		return noTest
	}
	return upper(mean/se, float64(len(d)-1))
}

func upper(t, df float64) Test {
	return Test{t, df, distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)}
}

// Holm adjusts the p-values of one family of tests so that the chance of any
// false alarm stays below the level they are compared with. A NaN is no test:
// it stays NaN and does not count. The input is not changed.
//
// Reference: S. Holm, "A simple sequentially rejective multiple test
// procedure", Scandinavian Journal of Statistics 6, 1979.
func Holm(p []float64) []float64 {
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if p[i] < p[j] {
			return -1
		} else if p[i] > p[j] {
			return 1
		}
		return 0
	})
	adjusted := slices.Clone(p)
	floor := 0.0
	for rank, i := range order {
		floor = max(floor, min(1, p[i]*float64(len(order)-rank)))
		adjusted[i] = floor
	}
	return adjusted
}

// Pearson returns the correlation r of x and y, in [-1, 1], and the two-sided
// p-value of r against 0 (a t test with n − 2 degrees of freedom, which
// supposes normal data). Both are NaN below three pairs and where x or y is
// constant. It panics if the lengths differ.
func Pearson(x, y []float64) (r, p float64) {
	mustLen(len(x), len(y))
	if len(x) < 3 {
		return math.NaN(), math.NaN()
	}
	r = stat.Correlation(x, y, nil)
	if math.IsNaN(r) {
		return r, r
	}
	r = max(-1, min(1, r))
	df := float64(len(x) - 2)
	t := math.Abs(r) * math.Sqrt(df/(1-r*r))
	if math.IsInf(t, 0) {
		return r, 0
	}
	return r, 2 * upper(t, df).P
}
