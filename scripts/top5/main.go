// Command top5 asks a pretrained network what is in photos, as a check of its
// weights that anyone can judge:
//
//	. bin/libtorch.env
//	bin/rsc weights fetch resnet50
//	go run ./scripts/top5 [-names FILE] PHOTO…
//
// For each photo, scaled and cropped as in the network's test, it prints the
// five most probable ImageNet classes: their numbers, or line by line the names
// in FILE.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/pretrained"
	"rarespurious/nn"
)

const side, classes = 224, 1000

func main() {
	cacheHome, _ := os.UserCacheDir()
	cache := flag.String("cache", filepath.Join(cacheHome, "rarespurious"), "folder that has the weights")
	network := flag.String("network", "resnet50", "pretrained network")
	names := flag.String("names", "", "file with the name of a class in each line")
	flag.Parse()
	if err := run(*cache, *network, *names, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "top5:", err)
		os.Exit(1)
	}
}

func run(cache, network, names string, photos []string) error {
	w, err := pretrained.Find(cache, network)
	if err != nil {
		return err
	}
	label := make([]string, classes)
	for i := range label {
		label[i] = fmt.Sprint(i)
	}
	if names != "" {
		b, err := os.ReadFile(names)
		if err != nil {
			return err
		}
		if label = strings.Split(strings.TrimSpace(string(b)), "\n"); len(label) != classes {
			return fmt.Errorf("%s has %d lines, want %d", names, len(label), classes)
		}
	}
	f, err := weights.Open(w.Path)
	if err != nil {
		return err
	}
	arch := nn.Zoo[w.Source.Arch](nn.Shape{C: 3, H: side, W: side}, classes)
	theta, buffers, err := weights.Flatten(arch, f.Tensors)
	if err != nil {
		return err
	}
	var x []float32
	for _, path := range photos {
		if x, err = appendPhoto(x, path, w.Source); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
		s, err := torch.NewStack(d, arch, 1, torch.StackOptions{})
		if err != nil {
			return err
		}
		defer s.Close()
		if err := s.Load(theta, buffers); err != nil {
			return err
		}
		data, err := torch.NewFloatData(d, arch.In, x, make([]uint8, len(photos)))
		if err != nil {
			return err
		}
		defer data.Close()
		logits, err := s.Logits(data, nil, torch.Forward{})
		if err != nil {
			return err
		}
		fmt.Println(w.Source.Title)
		for i, path := range photos {
			fmt.Printf("%s: %s\n", path, top(logits[0][i*classes:][:classes], label, 5))
		}
		return nil
	})
}

// appendPhoto appends the standardised pixels of a photo, channel by channel.
func appendPhoto(x []float32, path string, s pretrained.Source) ([]float32, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	photo, err := imagefolder.Decode(b, false)
	if err != nil {
		return nil, err
	}
	short := min(photo.H, photo.W)
	photo = imagefolder.Resize(photo, photo.H*s.Short/short, photo.W*s.Short/short)
	r := imagefolder.CenterCrop(photo.H, photo.W, side)
	for c := range 3 {
		for y := r.Top; y < r.Top+side; y++ {
			line := photo.Pix[(c*photo.H+y)*photo.W+r.Left:][:side]
			for _, v := range line {
				x = append(x, (float32(v)/255-s.Mean[c])/s.Std[c])
			}
		}
	}
	return x, nil
}

// top writes the n most probable classes with their probabilities.
func top(logits []float32, label []string, n int) string {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(logits[j], logits[i]) })
	var sum float64
	for _, z := range logits {
		sum += math.Exp(float64(z - logits[order[0]]))
	}
	var words []string
	for _, i := range order[:n] {
		words = append(words, fmt.Sprintf("%s %.2f", label[i], math.Exp(float64(logits[i]-logits[order[0]]))/sum))
	}
	return strings.Join(words, ", ")
}
