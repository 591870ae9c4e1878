// Command ours times training as this program does it, for comparison with
// pytorch.py beside it, and prints one line of JSON in the same form:
//
//	ours -cache DIR -network mlp|cnn|resnet20 [-workers N] [-bf16] [-epochs N] [-steps N]
//
// It trains -workers models at once, each on a thread of its own, on the real
// data set in DIR/data. Set-up is not timed; the first epoch warms up.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/nn"
)

// A task is a network with its paper's data, optimizer and augmentation.
type task struct {
	network, data string
	hyper         torch.Hyper
	augment       bool
	mean, std     []float32
}

var tasks = map[string]task{
	"mlp": {network: "mlp", data: "mnist", hyper: torch.Hyper{LR: 0.01}},
	"cnn": {network: "cnn", data: "mnist", hyper: torch.Hyper{LR: 0.01}},
	"resnet20": {network: "resnet20", data: "cifar10", hyper: torch.Hyper{LR: 0.01, WeightDecay: 1e-4}, augment: true,
		mean: []float32{0.4914, 0.4822, 0.4465}, std: []float32{0.2023, 0.1994, 0.2010}},
}

const (
	batch  = 128
	epochs = 70 // of one model in the paper
)

// A line is what one run reports.
type line struct {
	Variant         string  `json:"variant"`
	Network         string  `json:"network"`
	SecondsPerEpoch float64 `json:"seconds_per_epoch"` // of one worker, wall time
	CPUPerEpoch     float64 `json:"cpu_per_epoch"`     // seconds of processor time per model and epoch
	ModelsPerHour   float64 `json:"models_per_hour"`   // all workers together, at 70 epochs a model
	PeakRSS         int64   `json:"peak_rss"`          // bytes
	Loss            float64 `json:"loss"`              // of the last epoch, to see that it learnt
}

// Settings of a run.
type settings struct {
	cache         string
	workers       int
	bf16          bool
	epochs, steps int
}

func main() {
	var s settings
	network := flag.String("network", "mlp", "mlp, cnn or resnet20")
	flag.StringVar(&s.cache, "cache", "", "cache folder, with the data set in data/")
	flag.IntVar(&s.workers, "workers", 1, "models trained at once")
	flag.BoolVar(&s.bf16, "bf16", false, "bfloat16 products")
	flag.IntVar(&s.epochs, "epochs", 4, "epochs, of which the first is not counted")
	flag.IntVar(&s.steps, "steps", 0, "steps per epoch; 0 is all")
	flag.Parse()
	l, err := run(tasks[*network], s)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(l)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func run(t task, s settings) (line, error) {
	if t.network == "" || s.epochs < 2 || s.workers < 1 {
		return line{}, errors.New("want a known network, two epochs and one worker at least")
	}
	set, err := dataset.Open(context.Background(), t.data, dataset.Options{CacheDir: filepath.Join(s.cache, "data")})
	if err != nil {
		return line{}, err
	}
	full := (set.Train.Len() + batch - 1) / batch
	if s.steps == 0 || s.steps > full {
		s.steps = full
	}
	seconds := make([][]float64, s.workers)
	losses := make([]float64, s.workers)
	errs := make([]error, s.workers)
	var ready, done sync.WaitGroup
	var before time.Duration
	ready.Add(s.workers)
	for w := range s.workers {
		done.Go(func() {
			errs[w] = torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
				var err error
				seconds[w], losses[w], err = t.train(d, set, s, uint64(w), func() {
					ready.Done()
					ready.Wait()
					if w == 0 {
						before = processor()
					}
				})
				return err
			})
		})
	}
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		return line{}, err
	}
	scale := float64(full) / float64(s.steps)
	l := line{Variant: "ours", Network: t.network, Loss: losses[0], PeakRSS: peak()}
	if s.bf16 {
		l.Variant += ", bf16"
	}
	if s.workers > 1 {
		l.Variant += fmt.Sprintf(", %d workers", s.workers)
	}
	l.CPUPerEpoch = (processor() - before).Seconds() * scale / float64((s.epochs-1)*s.workers)
	for _, times := range seconds {
		l.SecondsPerEpoch += median(times) * scale / float64(s.workers)
	}
	l.ModelsPerHour = 3600 * float64(s.workers) / (l.SecondsPerEpoch * epochs)
	return l, nil
}

// train returns the seconds of each epoch but the first, and the last loss.
// It calls warm after the first.
func (t task) train(d *torch.Device, set *dataset.Set, s settings, seed uint64, warm func()) (seconds []float64, loss float64, err error) {
	warm = sync.OnceFunc(warm)
	defer warm() // or the others would wait for ever
	a, err := nn.New(t.network, set.Shape, len(set.Classes))
	if err != nil {
		return nil, 0, err
	}
	a.Mean, a.Std = t.mean, t.std
	data, err := torch.NewData(d, set.Shape, set.Train.Images, set.Train.Labels)
	if err != nil {
		return nil, 0, err
	}
	defer data.Close()
	stack, err := torch.NewStack(d, a, 1, torch.StackOptions{BF16: s.bf16})
	if err != nil {
		return nil, 0, err
	}
	defer stack.Close()
	rng := rand.New(rand.NewPCG(seed, 0))
	if err := stack.Load(a.Init(rng)); err != nil {
		return nil, 0, err
	}
	o, err := stack.NewOptimizer()
	if err != nil {
		return nil, 0, err
	}
	defer o.Close()
	n := min(s.steps*batch, data.Rows())
	for i := range s.epochs {
		if i == 1 {
			warm()
		}
		start := time.Now()
		e := torch.Epoch{Data: data, Batch: batch, Hyper: []torch.Hyper{t.hyper}, Seeds: []uint64{rng.Uint64()}}
		e.Order = [][]int64{shuffled(rng, data.Rows())[:n]}
		if t.augment {
			e.Shifts = [][]uint8{shifts(rng, n)}
		}
		l, err := stack.Train(context.Background(), o, e)
		if err != nil {
			return nil, 0, err
		}
		loss = l[0]
		if i > 0 {
			seconds = append(seconds, time.Since(start).Seconds())
		}
	}
	return seconds, loss, nil
}

func shuffled(rng *rand.Rand, n int) []int64 {
	order := make([]int64, n)
	for i := range order {
		order[i] = int64(i)
	}
	rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

func shifts(rng *rand.Rand, n int) []uint8 {
	codes := make([]uint8, n)
	for i := range codes {
		codes[i] = torch.Shift(rng.IntN(9), rng.IntN(9), rng.IntN(2) == 1)
	}
	return codes
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// usage of the whole process. Getrusage cannot fail for oneself.
func usage() (r syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return r
}

func processor() time.Duration {
	r := usage()
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func peak() int64 { return usage().Maxrss * 1024 }
