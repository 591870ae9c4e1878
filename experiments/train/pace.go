package train

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/run"

	"golang.org/x/sys/unix"
)

// Pace measures how many seconds an image takes in p, on p's own images if they
// are here, else on generated ones. It takes about two seconds, more where a few
// images take longer than that.
func (e *Executor) Pace(ctx context.Context, p Pass) (seconds float64, err error) {
	err = torch.Run(e.o.Device, torch.Options{Threads: e.o.Threads}, func(d *torch.Device) error {
		b, err := newBench(ctx, d, p, e.o.Data)
		if err != nil {
			return fmt.Errorf("train: timing %s: %w", p.Key(), err)
		}
		defer b.close()
		seconds, err = pace(clock(d, e.o.Threads), p.Batch, b.run)
		return err
	})
	return seconds, err
}

// clock returns a clock for work on d. One thread's work on a CPU is timed by
// that thread's own processor time, which other processes on the machine hardly
// change.
func clock(d *torch.Device, threads int) func() time.Duration {
	if d.CPU() && threads <= 1 {
		return func() time.Duration {
			var r unix.Rusage
			if err := unix.Getrusage(unix.RUSAGE_THREAD, &r); err != nil {
				panic("train: getrusage: " + err.Error()) // it knows no other failure than a wrong argument
			}
			return time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
	}
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// How Pace measures.
const (
	paceProbe  = 8                      // images that say how many are worth timing
	paceBatch  = time.Second            // a batch that takes longer is made smaller
	paceSample = 200 * time.Millisecond // the least length of a sample: a thread's clock may tick in steps of 10 ms
	paceTotal  = time.Second
	paceFewest = 3 // samples, of which the median counts
)

// pace returns how many seconds an image takes in batches: run passes so many
// batches of so many images.
func pace(clock func() time.Duration, batch int, run func(batches, images int) error) (float64, error) {
	timed := func(batches, images int) (time.Duration, error) {
		start := clock()
		err := run(batches, images)
		return clock() - start, err
	}
	images := min(paceProbe, batch)
	if _, err := timed(1, images); err != nil { // the first of all allocates
		return 0, err
	}
	took, err := timed(1, images)
	if whole := took * time.Duration(batch) / time.Duration(images); whole <= paceBatch {
		images = batch
	} else {
		images = max(images, int(float64(batch)*paceBatch.Seconds()/whole.Seconds()))
	}
	batches := 1
	for err == nil {
		if took, err = timed(batches, images); took >= paceSample {
			break
		}
		batches *= 2
	}
	// The last of these is long enough to be a sample.
	var samples []float64
	for total := took; err == nil; total += took {
		samples = append(samples, took.Seconds()/float64(batches*images))
		if len(samples) >= paceFewest && total >= paceTotal || took > 2*paceTotal {
			break // one sample of a large network says enough
		}
		took, err = timed(batches, images)
	}
	if err != nil {
		return 0, err
	}
	slices.Sort(samples)
	return samples[len(samples)/2], nil
}

// A bench is a model and images to time a Pass with.
type bench struct {
	ctx     context.Context
	pass    Pass
	rows    []int64 // the images in random order
	stack   *torch.Stack
	opt     *torch.Optimizer
	hyper   torch.Hyper
	shifts  []uint8
	windows []torch.Window
	f       *forgetting
	from, v *torch.Vec
}

// benchImages is how many images there are, so that they come from memory and
// not from the cache, and are not learnt by heart.
const benchImages = 16384

func newBench(ctx context.Context, d *torch.Device, p Pass, o dataset.Options) (b *bench, err error) {
	rng := rand.New(rand.NewPCG(1, 1))
	b = &bench{ctx: ctx, pass: p, hyper: torch.Hyper{LR: cmp.Or(p.LR, 1e-3), SGD: p.Optimizer == "sgd", Momentum: 0.9}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	n := max(benchImages, p.Batch)
	if p.Short > 0 {
		n = max(64, p.Batch)
	}
	for _, i := range rng.Perm(n) {
		b.rows = append(b.rows, int64(i))
	}
	b.f = &forgetting{ctx: ctx, d: d, del: &run.Delete{}, model: &run.Train{Arch: p.Arch}}
	if p.Kind == passHessian {
		b.f.del.Curvature = "hessian"
	}
	if b.f.data, err = b.images(d, n, rng, o); err != nil {
		return nil, err
	}
	if b.stack, err = torch.NewStack(d, p.Arch, 1, torch.StackOptions{BF16: p.Precision == "bf16", Squared: p.Loss == "squared"}); err != nil {
		return nil, err
	}
	b.f.stack = b.stack
	theta, buffers := p.Arch.Init(rng)
	if err = b.stack.Load(theta, buffers); err != nil {
		return nil, err
	}
	if b.opt, err = b.stack.NewOptimizer(); err != nil {
		return nil, err
	}
	if b.v, err = b.stack.NewVec(); err != nil {
		return nil, err
	}
	b.from, err = b.f.direction()
	if p.Noise {
		b.hyper.Noise = 0.1
	}
	switch p.ClipBy {
	case "norm":
		b.hyper.ClipNorm = 1
	case "value":
		b.hyper.ClipValue = 1
	}
	return b, err
}

// images returns n images of p's data set, or like those.
func (b *bench) images(d *torch.Device, n int, rng *rand.Rand, o dataset.Options) (*torch.Data, error) {
	p := b.pass
	if p.Augment && p.Short == 0 {
		b.shifts = make([]uint8, n)
		for i := range b.shifts {
			b.shifts[i] = torch.Shift(rng.IntN(9), rng.IntN(9), rng.IntN(2) == 1)
		}
	}
	if p.Data != "" {
		o.Offline = true
		set, err := dataset.Open(b.ctx, p.Data, o)
		if err == nil && set.Shape == p.Arch.In && set.Train.Len() >= n {
			return torch.NewData(d, set.Shape, set.Train.Images[:n*set.Shape.Len()], set.Train.Labels[:n])
		}
	}
	if p.Short > 0 {
		photos := greyPhotos{n: n, classes: p.Arch.Classes, h: p.Short, w: p.Short * 4 / 3}
		photos.pixels = make([]byte, 3*photos.h*photos.w)
		for range b.rows {
			if p.Augment {
				b.windows = append(b.windows, window(imagefolder.RandomResizedCrop(photos.h, photos.w, rng)))
			}
		}
		side := p.Arch.In.H
		return torch.NewPhotoData(d, photos, side, func(h, w int) torch.Window { return window(imagefolder.CenterCrop(h, w, side)) })
	}
	pixels, labels := make([]uint8, n*p.Arch.In.Len()), make([]uint8, n)
	for i := range pixels {
		pixels[i] = uint8(rng.Uint32())
	}
	for i := range labels {
		labels[i] = uint8(i % p.Arch.Classes)
	}
	return torch.NewData(d, p.Arch.In, pixels, labels)
}

// greyPhotos are n photographs of one size and no content.
type greyPhotos struct {
	pixels           []byte
	n, classes, h, w int
}

func (g greyPhotos) Len() int                            { return g.n }
func (g greyPhotos) Image(int) (pixels []byte, h, w int) { return g.pixels, g.h, g.w }
func (g greyPhotos) Label(i int) int                     { return i % g.classes }

// run passes so many batches of so many images, and waits for the device.
func (b *bench) run(batches, images int) error {
	for batches > 0 {
		n := min(batches, len(b.rows)/images)
		if err := b.some(n*images, images); err != nil {
			return err
		}
		batches -= n
	}
	if b.pass.Kind == passTrain || b.pass.Kind == passForward {
		return nil // these bring numbers to the host
	}
	_, err := b.v.Dot(b.v)
	return err
}

// some passes the first n images in batches.
func (b *bench) some(n, images int) error {
	rows := b.rows[:n]
	switch b.pass.Kind {
	case passTrain:
		e := torch.Epoch{Data: b.f.data, Order: [][]int64{rows}, Batch: images, Micro: b.pass.Micro,
			Hyper: []torch.Hyper{b.hyper}, Seeds: []uint64{1}}
		if b.shifts != nil {
			e.Shifts = [][]uint8{b.shifts[:n]}
		}
		if b.windows != nil {
			e.Windows = [][]torch.Window{b.windows[:n]}
		}
		_, err := b.stack.Train(b.ctx, b.opt, e)
		return err
	case passForward:
		_, err := b.stack.Logits(b.f.data, rows, torch.Forward{Batch: images})
		return err
	case passGradient:
		g, err := b.f.gradient(rows)
		if err != nil {
			return err
		}
		return g.Close()
	}
	for some := range slices.Chunk(rows, images) {
		if err := b.f.operator(some)(b.v, b.from); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) close() {
	if b.f != nil && b.f.data != nil {
		b.f.data.Close()
	}
	if b.opt != nil {
		b.opt.Close()
	}
	for _, v := range []*torch.Vec{b.v, b.from} {
		if v != nil {
			v.Close()
		}
	}
	if b.stack != nil {
		b.stack.Close()
	}
}
