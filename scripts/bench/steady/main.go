// Command steady trains many small models in one process, as a sweep does, and
// prints how much memory the process has after each hundred:
//
//	steady [-models 500] [-jobs 2] [-model cnn]
//
// The data are a small set in MNIST's format, made up on the spot.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
	"rarespurious/nn"
)

func main() {
	models := flag.Int("models", 500, "how many models")
	jobs := flag.Int("jobs", 2, "models at once")
	model := flag.String("model", "mlp", "network")
	flag.Parse()
	if err := steady(*models, *jobs, *model); err != nil {
		fmt.Fprintln(os.Stderr, "steady:", err)
		os.Exit(1)
	}
}

// steady sweeps over models and their scores.
func steady(models, jobs int, network string) error {
	dir, err := os.MkdirTemp("", "steady-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := images(dir, 2000, 500); err != nil {
		return err
	}
	shape := nn.Shape{C: 1, H: 28, W: 28}
	arch, err := nn.New(network, shape, 10)
	if err != nil {
		return err
	}
	var steps []run.Step
	for seed := range models {
		t := &run.Train{Data: run.Data{Name: "mnist"}, Arch: arch, Optimizer: "adam", LR: 0.01, Batch: 128, Epochs: 1, Seed: seed,
			Poison: run.Poison{Pattern: "R3", Count: 1 + seed%20, Seed: seed}}
		steps = append(steps, run.Step{From: []run.Step{{Train: t}}, Score: &run.Score{Measure: "spurious", Pattern: "R3", Seed: seed}})
	}
	store, err := run.OpenStore(filepath.Join(dir, "results"))
	if err != nil {
		return err
	}
	defer store.Close()
	exec := train.New(train.Options{Device: "cpu", Data: dataset.Options{Dir: dir, CacheDir: dir, Offline: true}})
	defer exec.Close()
	done := 0
	r := run.Runner{Store: store, Exec: exec, Jobs: jobs, Observe: func(n run.Notice) {
		if n.Kind == run.NoticeFinished && n.Step.Score != nil {
			if done++; done%100 == 0 {
				fmt.Printf("%d models: %.1f MiB\n", done, resident()/(1<<20))
			}
		}
	}}
	_, err = r.Run(context.Background(), steps)
	return err
}

// resident returns the bytes that the process has in memory.
func resident() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(b))[1], 64) // the kernel wrote it
	return pages * float64(os.Getpagesize())
}

// images writes noise, labelled in turn.
func images(dir string, training, test int) error {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, n := range map[string]int{"train": training, "t10k": test} {
		var x, y bytes.Buffer
		binary.Write(&x, binary.BigEndian, []uint32{0x803, uint32(n), 28, 28})
		binary.Write(&y, binary.BigEndian, []uint32{0x801, uint32(n)})
		for i := range n {
			y.WriteByte(byte(i % 10))
			for range 28 * 28 {
				x.WriteByte(byte(rng.Uint32()))
			}
		}
		for file, b := range map[string][]byte{name + "-images-idx3-ubyte": x.Bytes(), name + "-labels-idx1-ubyte": y.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, file), b, 0o666); err != nil {
				return err
			}
		}
	}
	return nil
}
