package torch_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// With the squared loss a linear network is least squares: the loss is what its
// definition says, the Hessian is the Gauss–Newton matrix, and training arrives
// at the solution of the normal equations.
func TestSquaredLoss(t *testing.T) {
	const n, dim = 40, 3
	rng := rand.New(rand.NewPCG(5, 6))
	pixels, labels := make([]float32, n*dim), make([]uint8, n)
	rows := make([]int64, n)
	design, target := mat.NewDense(n, dim+1, nil), mat.NewDense(n, 2, nil)
	for i := range n {
		labels[i], rows[i] = uint8(rng.IntN(2)), int64(i)
		for j := range dim {
			x := float32(rng.NormFloat64() + float64(labels[i])*float64(j))
			pixels[i*dim+j] = x
			design.Set(i, j, float64(x))
		}
		design.Set(i, dim, 1)
		target.Set(i, int(labels[i]), 1)
	}
	var want mat.Dense // (dim+1, 2)
	if err := want.Solve(design, target); err != nil {
		t.Fatal(err)
	}
	err := torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
		shape := nn.Shape{C: dim, H: 1, W: 1}
		data, err := torch.NewFloatData(d, shape, pixels, labels)
		if err != nil {
			return err
		}
		defer data.Close()
		s, err := torch.NewStack(d, nn.LinearModel(shape, 2), 1, torch.StackOptions{Squared: true})
		if err != nil {
			return err
		}
		defer s.Close()
		b := torch.Batch{Data: data, Rows: [][]int64{rows}}

		loss, err := s.Grad(nil, b)
		if err != nil {
			return err
		}
		if loss[0] != 1 { // θ = 0: every logit is 0, one of two targets is 1
			t.Errorf("loss %g of a network that says 0, want 1", loss[0])
		}
		v, _ := s.NewVec()
		h, _ := s.NewVec()
		g, _ := s.NewVec()
		defer v.Close()
		defer h.Close()
		defer g.Close()
		x := make([]float32, v.Len())
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		if err := v.Set(x); err != nil {
			return err
		}
		if err := s.HVP(h, v, b); err != nil {
			return err
		}
		if err := s.GNVP(g, v, b); err != nil {
			return err
		}
		hv, _ := h.Get()
		gv, _ := g.Get()
		for i := range hv {
			if math.Abs(float64(hv[i]-gv[i])) > 1e-4 || hv[i] == 0 {
				t.Errorf("element %d: Hessian gives %g, Gauss–Newton %g", i, hv[i], gv[i])
			}
		}

		o, err := s.NewOptimizer()
		if err != nil {
			return err
		}
		defer o.Close()
		for range 3000 {
			e := torch.Epoch{Data: data, Order: [][]int64{rows}, Batch: n, Hyper: []torch.Hyper{{SGD: true, LR: 0.03, Momentum: 0.9}}, Seeds: []uint64{1}}
			if _, err := s.Train(context.Background(), o, e); err != nil {
				return err
			}
		}
		theta, _, err := s.Save()
		if err != nil {
			return err
		}
		for k := range 2 {
			for j := range dim + 1 {
				got := theta[2*dim+k] // biases come behind the weights
				if j < dim {
					got = theta[k*dim+j]
				}
				if math.Abs(float64(got)-want.At(j, k)) > 1e-4 {
					t.Errorf("class %d, weight %d: trained %g, least squares %g", k, j, got, want.At(j, k))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
