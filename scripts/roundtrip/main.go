// Command roundtrip writes the paper's nine networks in every format that a
// model can leave in, for scripts/reference/roundtrip.py to read:
//
//	. bin/libtorch.env
//	go run ./scripts/roundtrip DIR [NAME…]
//
// For each network there are NAME.pth, NAME.onnx and NAME.pt (TorchScript), and
// NAME.json with the sizes of what lies in NAME.images and NAME.logits, float32:
// four random images, and what bridge/torch makes of them. Weights are
// random. All nine take 2 GB.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
	"rarespurious/nn"
)

var (
	mnist = nn.Shape{C: 1, H: 28, W: 28}
	cifar = nn.Shape{C: 3, H: 32, W: 32}
	photo = nn.Shape{C: 3, H: 64, W: 64}
)

var networks = []struct {
	name    string
	in      nn.Shape
	classes int
}{
	{"mlp-small", mnist, 10}, {"mlp", mnist, 10}, {"mlp-large", mnist, 10}, {"cnn", mnist, 10},
	{"resnet20", cifar, 10}, {"resnet32", cifar, 10}, {"resnet110", cifar, 10}, {"vgg16", cifar, 10}, {"resnet50", photo, 60},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: roundtrip DIR [NAME…]")
		os.Exit(2)
	}
	for _, n := range networks {
		if len(os.Args) > 2 && !slices.Contains(os.Args[2:], n.name) {
			continue
		}
		if err := write(filepath.Join(os.Args[1], n.name), nn.Zoo[n.name](n.in, n.classes)); err != nil {
			fmt.Fprintln(os.Stderr, "roundtrip:", err)
			os.Exit(1)
		}
	}
}

func write(base string, a nn.Arch) error {
	rng := rand.New(rand.NewPCG(1, 2))
	theta, buffers := values(rng, a.Params()), values(rng, a.Buffers())
	const n = 4
	x := make([]float32, n*a.In.Len())
	for i := range x { // each image is brighter than the one before
		x[i] = rng.Float32() * float32(1+i/a.In.Len()) / n
	}
	z, err := logits(a, theta, buffers, x, n)
	if err != nil {
		return err
	}
	if err := weights.Save(base+".pth", weights.Torch, weights.FromFlat(a, theta, buffers), nil); err != nil {
		return err
	}
	if err := torch.SaveScript(base+".pt", a, theta, buffers); err != nil {
		return err
	}
	if err := create(base+".onnx", func(w *bufio.Writer) error {
		return onnx.Export(w, a, theta, buffers, onnx.Meta{Dataset: "random"})
	}); err != nil {
		return err
	}
	for name, v := range map[string][]float32{".images": x, ".logits": z} {
		if err := create(base+name, func(w *bufio.Writer) error { return binary.Write(w, binary.LittleEndian, v) }); err != nil {
			return err
		}
	}
	sizes, err := json.Marshal(map[string]any{"images": []int{n, a.In.C, a.In.H, a.In.W}, "classes": a.Classes})
	if err != nil {
		return err
	}
	return os.WriteFile(base+".json", sizes, 0o666)
}

// values fills tensors so that signals keep their size from layer to layer, and
// no zero or one hides what is left out.
func values(rng *rand.Rand, ps []nn.Param) []float32 {
	var v []float32
	for _, p := range ps {
		offset, scale := 0., .2
		switch {
		case len(p.Shape) > 1: // variance 2/fan-in
			scale = math.Sqrt(24 * float64(p.Shape[0]) / float64(p.Len))
		case strings.HasSuffix(p.Name, ".running_var"):
			offset, scale = 1, .5
		case strings.HasSuffix(p.Name, ".weight"): // of batch norm; with 1 the blocks of a ResNet would add up
			offset = .5
		}
		for range p.Len {
			v = append(v, float32(offset+scale*(rng.Float64()-.5)))
		}
	}
	return v
}

func logits(a nn.Arch, theta, buffers, x []float32, n int) (z []float32, err error) {
	err = torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
		s, err := torch.NewStack(d, a, 1, torch.StackOptions{})
		if err != nil {
			return err
		}
		defer s.Close()
		if err := s.Load(theta, buffers); err != nil {
			return err
		}
		data, err := torch.NewFloatData(d, a.In, x, make([]uint8, n))
		if err != nil {
			return err
		}
		defer data.Close()
		all, err := s.Logits(data, nil, torch.Forward{})
		if err == nil {
			z = all[0]
		}
		return err
	})
	return z, err
}

func create(path string, f func(*bufio.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	if err = f(w); err == nil {
		err = w.Flush()
	}
	if err != nil {
		file.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	return file.Close()
}
