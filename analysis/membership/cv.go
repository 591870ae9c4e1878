package membership

import "gonum.org/v1/gonum/mat"

// stratify assigns each example to one of k folds with equal shares of the two
// classes, unshuffled: within a class, the first examples go to fold 0, the
// next to fold 1, and so on.
//
// Fold f's share of a class is what rows f, f+k, f+2k, … would hold if y were
// sorted, the class of y[0] first.
//
// Reference: scikit-learn, StratifiedKFold(shuffle=False).
func stratify(y []bool, k int) []int {
	first := 0
	for _, v := range y {
		if v == y[0] {
			first++
		}
	}
	// The folds of each class in order, fold f repeated as often as its share.
	var ofFirst, ofOther []int
	for f := range k {
		for i := f; i < len(y); i += k {
			if i < first {
				ofFirst = append(ofFirst, f)
			} else {
				ofOther = append(ofOther, f)
			}
		}
	}
	fold := make([]int, len(y))
	for i, v := range y {
		queue := &ofOther
		if v == y[0] {
			queue = &ofFirst
		}
		fold[i], *queue = (*queue)[0], (*queue)[1:]
	}
	return fold
}

// crossValidate returns the accuracy of each strength in cs, in [0, 1]: the
// mean over k folds of the accuracy on a fold of a fit to the others.
func crossValidate(x *mat.Dense, y []bool, cs []float64, k int) ([]float64, error) {
	fold := stratify(y, k)
	acc := make([]float64, len(cs))
	for f := range k {
		trainX, trainY := rows(x, y, func(i int) bool { return fold[i] != f })
		testX, testY := rows(x, y, func(i int) bool { return fold[i] == f })
		for j, c := range cs {
			m, err := fitLogistic(trainX, trainY, c)
			if err != nil {
				return nil, err
			}
			acc[j] += m.accuracy(testX, testY)
		}
	}
	for j := range acc {
		acc[j] /= float64(k)
	}
	return acc, nil
}

// rows copies the rows of x and y that keep accepts.
func rows(x *mat.Dense, y []bool, keep func(i int) bool) (*mat.Dense, []bool) {
	_, d := x.Dims()
	var data []float64
	var labels []bool
	for i, v := range y {
		if keep(i) {
			data = append(data, x.RawRowView(i)...)
			labels = append(labels, v)
		}
	}
	return mat.NewDense(len(labels), d, data), labels
}
