package pattern

import (
	"fmt"

	"rarespurious/experiments/mt19937"
	"rarespurious/nn"
)

// rectangle saturates rows [y0, y1) and columns [x0, x1) of every channel.
func rectangle(y0, x0, y1, x1 int) func(nn.Shape, uint32) ([]float64, error) {
	return func(s nn.Shape, _ uint32) ([]float64, error) {
		if s.H < y1 || s.W < x1 {
			return nil, fmt.Errorf("needs images of at least %d×%d pixels, not %d×%d", y1, x1, s.H, s.W)
		}
		delta := make([]float64, s.Len())
		for c := range s.C {
			for y := y0; y < y1; y++ {
				for x := x0; x < x1; x++ {
					delta[(c*s.H+y)*s.W+x] = 1
				}
			}
		}
		return delta, nil
	}
}

// uniform adds amplitude·u to every element, u uniform on [0, 1) and its own
// for each pixel and channel, drawn in the order (H, W, C).
func uniform(amplitude float64) func(nn.Shape, uint32) ([]float64, error) {
	return func(s nn.Shape, seed uint32) ([]float64, error) {
		delta := make([]float64, s.Len())
		rng := mt19937.New(seed)
		for i := range s.H * s.W {
			for c := range s.C {
				delta[c*s.H*s.W+i] = amplitude * rng.Float64()
			}
		}
		return delta, nil
	}
}
