package theory

import "fmt"

// A Quantity names one number of a [Solution].
type Quantity int

// The quantities, the classifier's first.
const (
	WeightInv Quantity = iota // Solution.U
	WeightSp                  // Solution.V
	Bias                      // Solution.B
	CleanAccuracy
	SpuriousAccuracy
	Difference
)

var quantities = [...]struct {
	name string
	of   func(Solution) float64
}{
	WeightInv:        {"u", func(s Solution) float64 { return s.U }},
	WeightSp:         {"v", func(s Solution) float64 { return s.V }},
	Bias:             {"b", func(s Solution) float64 { return s.B }},
	CleanAccuracy:    {"clean accuracy", func(s Solution) float64 { return s.CleanAccuracy }},
	SpuriousAccuracy: {"spurious accuracy", func(s Solution) float64 { return s.SpuriousAccuracy }},
	Difference:       {"prediction difference", func(s Solution) float64 { return s.Difference }},
}

// String returns the name for an axis or a table: "clean accuracy".
func (q Quantity) String() string {
	if q < 0 || int(q) >= len(quantities) {
		return fmt.Sprintf("Quantity(%d)", int(q))
	}
	return quantities[q].name
}

// Value returns the quantity q of s. It panics if q is not one of the constants.
func (s Solution) Value(q Quantity) float64 { return quantities[q].of(s) }
