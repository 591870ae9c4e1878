package torch_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// Batch norm's running statistics are those of the batches, also of a last
// batch of one image: means, and variances by n−1, mixed in with weight .1.
func TestRunningStatistics(t *testing.T) {
	a := nn.Arch{Name: "norm", In: tiny, Classes: 16, Layers: []nn.Layer{{Op: nn.BatchNorm, Name: "b"}, {Op: nn.Flatten}, {Op: nn.Linear, Name: "l", Out: 16}}}
	onCPU(t, func(d *torch.Device) error {
		const n = 9
		x, s := data(d, n, tiny, 16), stack(d, a, 1, 1, torch.StackOptions{})
		o, err := s.NewOptimizer()
		if err != nil {
			return err
		}
		e := torch.Epoch{Data: x, Order: [][]int64{order(n, 1)}, Batch: 8, Hyper: []torch.Hyper{{SGD: true}}, Seeds: []uint64{1}}
		if _, err := s.Train(context.Background(), o, e); err != nil {
			return err
		}
		pixels, _ := images(n, tiny, 16)
		mean, variance := 0.0, 1.0
		for _, rows := range [][]int64{e.Order[0][:8], e.Order[0][8:]} {
			var sum, squares, count float64
			for _, r := range rows {
				for _, b := range pixels[r*16 : r*16+16] {
					v := float64(b) / 255
					sum, squares, count = sum+v, squares+v*v, count+1
				}
			}
			mean = 0.9*mean + 0.1*sum/count
			variance = 0.9*variance + 0.1*(squares-sum*sum/count)/(count-1)
		}
		_, buffers, err := s.Save()
		if err != nil {
			return err
		}
		if math.Abs(float64(buffers[0])-mean) > 1e-6 || math.Abs(float64(buffers[1])-variance) > 1e-6 {
			t.Errorf("running mean and variance %v, want %g and %g", buffers, mean, variance)
		}
		return nil
	})
}

// One value per channel has no variance; that is said before anything trains.
func TestBatchNormOfOneValue(t *testing.T) {
	a := nn.Arch{Name: "norm", In: tiny, Classes: 3, Layers: []nn.Layer{
		{Op: nn.AdaptiveAvg, Out: 1}, {Op: nn.BatchNorm, Name: "b"}, {Op: nn.Flatten}, {Op: nn.Linear, Name: "l", Out: 3}}}
	onCPU(t, func(d *torch.Device) error {
		x, s := data(d, 9, tiny, 3), stack(d, a, 1, 1, torch.StackOptions{})
		o, err := s.NewOptimizer()
		if err != nil {
			return err
		}
		e := torch.Epoch{Data: x, Order: [][]int64{order(9, 1)}, Batch: 8, Hyper: []torch.Hyper{{LR: 0.01}}, Seeds: []uint64{1}}
		before, _, _ := s.Save()
		if _, err := s.Train(context.Background(), o, e); err == nil || !strings.Contains(err.Error(), `"b"`) {
			t.Errorf("a last batch of one gave %v, want an error that names the layer", err)
		}
		after, buffers, _ := s.Save()
		if distance(before, after) != 0 || distance(buffers, []float32{0, 1}) != 0 {
			t.Errorf("θ moved by %g, buffers are %v", distance(before, after), buffers)
		}
		e.Batch, e.Micro = 9, 4 // parts of 4, 4 and 1
		if _, err := s.Train(context.Background(), o, e); err == nil {
			t.Error("a part of one image passed")
		}
		e.Batch, e.Micro = 3, 0
		if _, err := s.Train(context.Background(), o, e); err != nil {
			t.Errorf("batches of three: %v", err)
		}
		return nil
	})
}

// Dropout zeroes a share of Rate and scales the rest so that the mean stays;
// each element is drawn anew; in eval mode it does nothing.
func TestDropout(t *testing.T) {
	const rate, n = 0.3, 4000
	a := mlp(16)
	a.Layers = append(a.Layers, nn.Layer{Op: nn.Dropout, Rate: rate})
	onCPU(t, func(d *torch.Device) error {
		x, s := data(d, n, tiny, 16), stack(d, a, 1, 1, torch.StackOptions{})
		// A linear layer that gives ones shows what is dropped.
		theta := make([]float32, a.NumParams())
		for i := range 16 {
			theta[16*16+i] = 1
		}
		if err := s.Load(theta, nil); err != nil {
			return err
		}
		b := torch.Batch{Data: x, Rows: [][]int64{order(n, 1)}}
		z, err := s.TrainLogits(b, 1)
		if err != nil {
			return err
		}
		zeros, twice := 0.0, 0.0
		for i, v := range z[0] {
			if v == 0 {
				zeros++
				if i >= 16 && z[0][i-16] == 0 {
					twice++
				}
			} else if math.Abs(float64(v)-1/(1-rate)) > 1e-6 {
				t.Fatalf("element %d is %g, want 0 or 1/%g", i, v, 1-rate)
			}
		}
		count := float64(len(z[0]))
		within := func(what string, got, p float64) {
			if sd := math.Sqrt(p * (1 - p) / count); math.Abs(got/count-p) > 5*sd {
				t.Errorf("%s: %g, want %g ± %g", what, got/count, p, sd)
			}
		}
		within("share of zeros", zeros, rate)
		within("share of zeros below zeros", twice, rate*rate)

		again, _ := s.TrainLogits(b, 1)
		other, _ := s.TrainLogits(b, 2)
		if distance(z[0], again[0]) != 0 || distance(z[0], other[0]) == 0 {
			t.Error("the elements that dropout zeroes do not follow the seed")
		}
		still, err := s.Logits(x, nil, torch.Forward{})
		if err != nil {
			return err
		}
		for i, v := range still[0] {
			if v != 1 {
				t.Fatalf("in eval mode element %d is %g, want 1", i, v)
			}
		}
		return nil
	})
}

// With bfloat16 products, the written-out step and autograd's go the way that
// float32 goes, up to a rounding of 2⁻⁹ at each operation.
func TestBF16(t *testing.T) {
	onCPU(t, func(d *torch.Device) error {
		for _, p := range perceptrons(d) {
			run := func(o torch.StackOptions) []float32 {
				theta, _ := train(t, p.stack(d, o), p.data, 3, torch.Hyper{SGD: true, LR: 0.3})
				return theta
			}
			start, _, _ := p.stack(d, torch.StackOptions{}).Save()
			exact := run(torch.StackOptions{})
			way := distance(start, exact)
			for _, o := range []torch.StackOptions{{BF16: true}, {BF16: true, Autograd: true}} {
				if off := distance(exact, run(o)) / way; off > 0.05 || off == 0 {
					t.Errorf("%s, %+v: θ ends %g of the way from where float32 ends, want a little", p.name, o, off)
				}
			}
		}
		return nil
	})
}
