package scan

import (
	"slices"
	"testing"

	"rarespurious/nn"
)

func TestApply(t *testing.T) {
	s := nn.Shape{C: 2, H: 1, W: 3}
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} // two images
	if got := (Input{Layout: "hwc"}).apply(x, s); !slices.Equal(got, []float32{1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12}) {
		t.Errorf("hwc: %v", got)
	}
	if got := (Input{Mean: []float64{1, 4}, Std: []float64{2}}).apply(x, s); !slices.Equal(got, []float32{0, .5, 1, 0, .5, 1, 3, 3.5, 4, 3, 3.5, 4}) {
		t.Errorf("standardised: %v", got)
	}
	if got := (Input{Layout: "flat"}).apply(x, s); !slices.Equal(got, x) {
		t.Errorf("flat: %v", got)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		total, n int
		want     []int
	}{{10, 4, []int{0, 2, 5, 7}}, {3, 0, []int{0, 1, 2}}, {3, 9, []int{0, 1, 2}}} {
		if got := spread(c.total, c.n); !slices.Equal(got, c.want) {
			t.Errorf("spread(%d, %d) = %v, want %v", c.total, c.n, got, c.want)
		}
	}
}
