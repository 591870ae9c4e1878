package torch_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// Training steps of ResNet50 on random resized crops, one thread; see
// scripts/bench/resnet50.py for the same in PyTorch. Images per second of CPU
// time, so that what else runs on the machine counts little.
func BenchmarkResNet50(b *testing.B) {
	const side, batch = 64, 32
	for name, bf16 := range map[string]bool{"float32": false, "bf16": true} {
		b.Run(name, func(b *testing.B) {
			err := torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
				photos := make(album, batch)
				rng := rand.New(rand.NewPCG(1, 1))
				for i := range photos {
					photos[i] = picture{h: 73, w: 97, label: rng.IntN(7), pixels: make([]byte, 3*73*97)}
					for j := range photos[i].pixels {
						photos[i].pixels[j] = byte(rng.IntN(256))
					}
				}
				x, err := torch.NewPhotoData(d, photos, side, whole)
				if err != nil {
					return err
				}
				defer x.Close()
				a := nn.Zoo["resnet50"](x.Shape(), 7)
				a.Mean, a.Std = []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
				s := stack(d, a, 1, 1, torch.StackOptions{BF16: bf16})
				defer s.Close()
				o, err := s.NewOptimizer()
				if err != nil {
					return err
				}
				defer o.Close()
				step := func() error {
					e := torch.Epoch{Data: x, Batch: batch, Order: [][]int64{order(batch, rng.Uint64())}, Seeds: []uint64{1},
						Windows: [][]torch.Window{nil}, Hyper: []torch.Hyper{{SGD: true, LR: 0.01, Momentum: 0.9, WeightDecay: 1e-4}}}
					for range batch {
						h, w := 30+rng.IntN(43), 40+rng.IntN(57)
						e.Windows[0] = append(e.Windows[0], torch.Window{Top: rng.IntN(74 - h), Left: rng.IntN(98 - w), H: h, W: w, Flip: rng.IntN(2) == 1})
					}
					_, err := s.Train(context.Background(), o, e)
					return err
				}
				if err := step(); err != nil {
					return err
				}
				start := cpuSeconds()
				for b.Loop() {
					if err := step(); err != nil {
						return err
					}
				}
				b.ReportMetric(float64(b.N*batch)/(cpuSeconds()-start), "images/CPU-s")
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
