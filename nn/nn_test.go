package nn_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rarespurious/nn"
)

var (
	mnist    = nn.Shape{C: 1, H: 28, W: 28}
	cifar    = nn.Shape{C: 3, H: 32, W: 32}
	imagenet = nn.Shape{C: 3, H: 224, W: 224}
)

// The paper's Table 2, and torchvision's published counts for ResNet50.
func TestNumParams(t *testing.T) {
	for _, tt := range []struct {
		name            string
		in              nn.Shape
		classes         int
		params, buffers int
	}{
		{"linear", mnist, 10, 7850, 0},
		{"mlp-small", mnist, 10, 203530, 0},
		{"mlp", mnist, 10, 335114, 0},
		{"mlp-large", mnist, 10, 932362, 0},
		{"cnn", mnist, 10, 312202, 0},
		{"resnet20", cifar, 10, 269722, 1376},
		{"resnet32", cifar, 10, 464154, 2272},
		{"resnet110", cifar, 10, 1727962, 8096},
		{"vgg16", cifar, 10, 134301514, 0},
		{"resnet50", imagenet, 1000, 25557032, 53120},
		{"resnet50-1x1", imagenet, 1000, 25557032, 53120},
	} {
		a, err := nn.New(tt.name, tt.in, tt.classes)
		if err != nil {
			t.Error(err)
			continue
		}
		if p, b := a.NumParams(), a.NumBuffers(); p != tt.params || b != tt.buffers {
			t.Errorf("%s: %d parameters and %d buffers, want %d and %d", tt.name, p, b, tt.params, tt.buffers)
		}
	}
}

func TestValidateNamesTheLayer(t *testing.T) {
	a := nn.Zoo["cnn"](nn.Shape{C: 1, H: 8, W: 8}, 10)
	err := a.Validate()
	if !errors.Is(err, nn.ErrShape) || !strings.Contains(err.Error(), "conv conv3") {
		t.Errorf("Validate = %v, want ErrShape at conv3", err)
	}
	a = nn.Zoo["mlp"](mnist, 10)
	a.Classes = 11
	if err := a.Validate(); !errors.Is(err, nn.ErrShape) {
		t.Errorf("Validate = %v, want ErrShape", err)
	}
	a = nn.Zoo["mlp"](mnist, 10)
	a.Layers[3].Name = "fc1"
	if err := a.Validate(); err == nil || !strings.Contains(err.Error(), `"fc1"`) {
		t.Errorf("Validate = %v, want an error about the name fc1", err)
	}
	a.Layers = nil
	if err := a.Validate(); err == nil || !strings.Contains(err.Error(), "no layers") {
		t.Errorf("Validate = %v, want an error about layers", err)
	}
	if _, err := nn.New("mpl", mnist, 10); err == nil || !strings.Contains(err.Error(), "mlp-large") {
		t.Errorf("New = %v, want the list of names", err)
	}
}

// θ and buffers are cut into tensors without gaps or repeated names.
func TestParamsTile(t *testing.T) {
	for name := range nn.Zoo {
		a := nn.Zoo[name](nn.Shape{C: 3, H: 32, W: 32}, 10)
		seen := map[string]bool{}
		for _, list := range [][]nn.Param{a.Params(), a.Buffers()} {
			offset := 0
			for _, p := range list {
				if p.Offset != offset || seen[p.Name] {
					t.Errorf("%s: %s at %d, want a new name at %d", name, p.Name, p.Offset, offset)
				}
				seen[p.Name] = true
				offset += p.Len
			}
		}
	}
}

// Each initialisation has the mean and variance that its name promises.
func TestInit(t *testing.T) {
	theta, _ := nn.Zoo["mlp"](mnist, 10).Init(rand.New(rand.NewPCG(1, 2)))
	again, _ := nn.Zoo["mlp"](mnist, 10).Init(rand.New(rand.NewPCG(1, 2)))
	if !cmp.Equal(theta, again) {
		t.Error("the same generator gives another θ")
	}
	check := func(a nn.Arch, theta []float32, name string, sd, bound float64) {
		t.Helper()
		for _, p := range a.Params() {
			if p.Name != name {
				continue
			}
			var sum, sum2, top float64
			for _, x := range theta[p.Offset : p.Offset+p.Len] {
				sum, sum2, top = sum+float64(x), sum2+float64(x)*float64(x), max(top, math.Abs(float64(x)))
			}
			n := float64(p.Len)
			if math.Abs(sum/n) > 5*sd/math.Sqrt(n) || math.Abs(math.Sqrt(sum2/n)/sd-1) > 5/math.Sqrt(n) || bound > 0 && top > bound {
				t.Errorf("%s %s: mean %g, root mean square %g, largest %g; want 0, %g and at most %g", a.Name, name, sum/n, math.Sqrt(sum2/n), top, sd, bound)
			}
			return
		}
		t.Errorf("%s has no %s", a.Name, name)
	}
	for _, tt := range []struct {
		model, name string
		in          nn.Shape
		sd, bound   float64
	}{
		{"mlp", "fc1.weight", mnist, 1 / math.Sqrt(3*784), 1 / 28.},
		{"cnn", "conv2.weight", mnist, math.Sqrt(2. / (32 * 9)), 0},
		{"resnet20", "layer3.2.conv2.weight", cifar, math.Sqrt(2. / (64 * 9)), 0},
		{"vgg16", "features.2.weight", nn.Shape{C: 1, H: 32, W: 32}, math.Sqrt(2. / (64 * 9)), 0},
		{"vgg16", "classifier.6.weight", nn.Shape{C: 1, H: 32, W: 32}, 0.01, 0},
	} {
		a := nn.Zoo[tt.model](tt.in, 10)
		theta, _ := a.Init(rand.New(rand.NewPCG(1, 2)))
		check(a, theta, tt.name, tt.sd, tt.bound)
	}
}

// An Arch survives its JSON, which is part of a run's identity.
func TestJSON(t *testing.T) {
	for name := range nn.Zoo {
		a := nn.Zoo[name](cifar, 10)
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var back nn.Arch
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(a, back) {
			t.Errorf("%s changes in JSON", name)
		}
	}
}
