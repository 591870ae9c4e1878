package torch_test

import (
	"context"
	"testing"

	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// One training step of each network, one thread, random images. What a whole
// sweep costs on real data is measured by scripts/bench.
func BenchmarkStep(b *testing.B) {
	mnist, cifar := nn.Shape{C: 1, H: 28, W: 28}, nn.Shape{C: 3, H: 32, W: 32}
	for _, bb := range []struct {
		name, model string
		in          nn.Shape
		o           torch.StackOptions
	}{
		{"mlp", "mlp", mnist, torch.StackOptions{}},
		{"mlp-autograd", "mlp", mnist, torch.StackOptions{Autograd: true}},
		{"mlp-bf16", "mlp", mnist, torch.StackOptions{BF16: true}},
		{"cnn", "cnn", mnist, torch.StackOptions{}},
		{"cnn-bf16", "cnn", mnist, torch.StackOptions{BF16: true}},
		{"resnet20", "resnet20", cifar, torch.StackOptions{}},
		{"resnet20-bf16", "resnet20", cifar, torch.StackOptions{BF16: true}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			err := torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
				const batch = 128
				x := data(d, 50*batch, bb.in, 10)
				a, err := nn.New(bb.model, bb.in, 10)
				if err != nil {
					return err
				}
				s := stack(d, a, 1, 1, bb.o)
				o, err := s.NewOptimizer()
				if err != nil {
					return err
				}
				e := torch.Epoch{Data: x, Batch: batch, Hyper: []torch.Hyper{{LR: 0.001}}, Seeds: []uint64{1}}
				for b.Loop() {
					e.Order = [][]int64{order(x.Rows(), 1)[:batch]}
					if _, err := s.Train(context.Background(), o, e); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
