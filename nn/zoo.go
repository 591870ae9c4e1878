package nn

import (
	"fmt"
	"maps"
	"slices"
)

// Zoo lists the architectures that a config may name. Adding one is a function
// and a line of this table.
var Zoo = map[string]func(in Shape, classes int) Arch{
	"linear":    LinearModel,
	"mlp-small": func(in Shape, k int) Arch { return mlp("mlp-small", in, k, 256) },
	"mlp":       func(in Shape, k int) Arch { return mlp("mlp", in, k, 256, 256, 256) },
	"mlp-large": func(in Shape, k int) Arch { return mlp("mlp-large", in, k, 512, 512, 512) },
	"cnn":       CNN,
	"resnet8":   func(in Shape, k int) Arch { return cifarResNet("resnet8", in, k, 1, 1) },
	"resnet20":  func(in Shape, k int) Arch { return cifarResNet("resnet20", in, k, 3, 1) },
	"resnet32":  func(in Shape, k int) Arch { return cifarResNet("resnet32", in, k, 5, 1) },
	"resnet110": func(in Shape, k int) Arch { return cifarResNet("resnet110", in, k, 18, 1) },
	// For images of 64 pixels: the first convolution halves them.
	"resnet8-s2": func(in Shape, k int) Arch { return cifarResNet("resnet8-s2", in, k, 1, 2) },
	"vgg16":      VGG16,
	"resnet50":   func(in Shape, k int) Arch { return ResNet50(in, k, StrideIn3x3) },
	// The layout of checkpoints converted from Keras; see ResNet50.
	"resnet50-1x1": func(in Shape, k int) Arch { return ResNet50(in, k, StrideIn1x1) },
}

// New returns the architecture called name for images of shape in, checked.
// Its error lists the names that exist.
func New(name string, in Shape, classes int) (Arch, error) {
	f, ok := Zoo[name]
	if !ok {
		return Arch{}, fmt.Errorf("nn: unknown model %q (have %v)", name, slices.Sorted(maps.Keys(Zoo)))
	}
	a := f(in, classes)
	return a, a.Validate()
}

// LinearModel returns softmax regression: one linear layer.
func LinearModel(in Shape, classes int) Arch {
	return Arch{Name: "linear", In: in, Classes: classes, Layers: []Layer{
		{Op: Flatten}, {Op: Linear, Name: "fc1", Out: classes},
	}}
}

// mlp returns a multilayer perceptron with ReLU layers of the given widths.
// (The paper's text gives its MLP two hidden layers; its Table 2 counts three.)
func mlp(name string, in Shape, classes int, hidden ...int) Arch {
	ls := []Layer{{Op: Flatten}}
	for i, width := range append(hidden, classes) {
		ls = append(ls, Layer{Op: Linear, Name: fmt.Sprintf("fc%d", i+1), Out: width})
		if i < len(hidden) {
			ls = append(ls, Layer{Op: ReLU})
		}
	}
	return Arch{Name: name, In: in, Classes: classes, Layers: ls}
}

// CNN returns the small convolutional network of the TRADES experiments: four
// 3×3 convolutions without padding, two max pools, three linear layers.
//
// Reference: Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan, "Theoretically
// Principled Trade-off between Robustness and Accuracy", ICML 2019, section 5.
func CNN(in Shape, classes int) Arch {
	conv := func(name string, out int) Layer {
		return Layer{Op: Conv, Name: name, Out: out, K: 3, Stride: 1, Bias: true, Init: HeIn, BiasInit: Zero}
	}
	relu, pool := Layer{Op: ReLU}, Layer{Op: MaxPool, K: 2, Stride: 2}
	return Arch{Name: "cnn", In: in, Classes: classes, Layers: []Layer{
		conv("conv1", 32), relu, conv("conv2", 32), relu, pool,
		conv("conv3", 64), relu, conv("conv4", 64), relu, pool,
		{Op: Flatten},
		{Op: Linear, Name: "fc1", Out: 200}, relu, {Op: Dropout, Rate: 0.5},
		{Op: Linear, Name: "fc2", Out: 200}, relu,
		{Op: Linear, Name: "fc3", Out: classes, Init: Zero, BiasInit: Zero},
	}}
}

// cifarResNet returns the residual network of 6n+2 layers for small images:
// widths 16, 32 and 64, parameter-free (option A) shortcuts. stem is the first
// convolution's stride, 1 in the paper.
//
// Reference: He, Zhang, Ren and Sun, "Deep Residual Learning for Image
// Recognition", CVPR 2016, section 4.2.
func cifarResNet(name string, in Shape, classes, n, stem int) Arch {
	conv := func(name string, out, stride int) Layer {
		return Layer{Op: Conv, Name: name, Out: out, K: 3, Stride: stride, Pad: 1, Init: HeIn}
	}
	norm := func(name string) Layer { return Layer{Op: BatchNorm, Name: name} }
	ls := []Layer{conv("conv1", 16, stem), norm("bn1"), {Op: ReLU}}
	for stage, width := range []int{16, 32, 64} {
		for b := range n {
			stride := 1
			if stage > 0 && b == 0 {
				stride = 2
			}
			at := fmt.Sprintf("layer%d.%d.", stage+1, b)
			block := Layer{Op: Residual, Body: []Layer{
				conv(at+"conv1", width, stride), norm(at + "bn1"), {Op: ReLU},
				conv(at+"conv2", width, 1), norm(at + "bn2"),
			}}
			if stride != 1 {
				block.Skip = []Layer{{Op: Subsample, Out: width, Stride: stride}}
			}
			ls = append(ls, block, Layer{Op: ReLU})
		}
	}
	ls = append(ls, Layer{Op: AdaptiveAvg, Out: 1}, Layer{Op: Flatten}, Layer{Op: Linear, Name: "linear", Out: classes, Init: HeIn})
	return Arch{Name: name, In: in, Classes: classes, Layers: ls}
}

// VGG16 returns configuration D without batch norm. Small images end in a 1×1
// map, which the adaptive pool replicates to 7×7.
//
// Reference: Simonyan and Zisserman, "Very Deep Convolutional Networks for
// Large-Scale Image Recognition", ICLR 2015, Table 1.
func VGG16(in Shape, classes int) Arch {
	var ls []Layer
	index := 0 // position among the layers that PyTorch's nn.Sequential numbers
	add := func(prefix string, l Layer) {
		if l.Op == Conv || l.Op == Linear {
			l.Name = fmt.Sprintf("%s.%d", prefix, index)
		}
		ls = append(ls, l)
		index++
	}
	for _, stage := range [][]int{{64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}} {
		for _, out := range stage {
			add("features", Layer{Op: Conv, Out: out, K: 3, Stride: 1, Pad: 1, Bias: true, Init: HeOut, BiasInit: Zero})
			add("features", Layer{Op: ReLU})
		}
		add("features", Layer{Op: MaxPool, K: 2, Stride: 2})
	}
	ls = append(ls, Layer{Op: AdaptiveAvg, Out: 7}, Layer{Op: Flatten})
	index = 0
	for range 2 {
		add("classifier", Layer{Op: Linear, Out: 4096, Init: Normal01, BiasInit: Zero})
		add("classifier", Layer{Op: ReLU})
		add("classifier", Layer{Op: Dropout, Rate: 0.5})
	}
	add("classifier", Layer{Op: Linear, Out: classes, Init: Normal01, BiasInit: Zero})
	return Arch{Name: "vgg16", In: in, Classes: classes, Layers: ls}
}

// Where a bottleneck block that halves the image has its stride.
const (
	StrideIn3x3 = false // torchvision's "V1.5" and its checkpoints
	StrideIn1x1 = true  // the original paper, Keras and its checkpoints
)

// ResNet50 returns the ImageNet residual network with bottleneck blocks, with
// torchvision's state-dict names. strideIn1x1 moves the stride of 2 from the
// 3×3 convolution of a stage's first block to its first 1×1 convolution:
// weights trained with one do not work with the other.
//
// Reference: He, Zhang, Ren and Sun, "Deep Residual Learning for Image
// Recognition", CVPR 2016, section 4.1.
func ResNet50(in Shape, classes int, strideIn1x1 bool) Arch {
	conv := func(name string, out, k, stride int) Layer {
		return Layer{Op: Conv, Name: name, Out: out, K: k, Stride: stride, Pad: k / 2, Init: HeOut}
	}
	norm := func(name string) Layer { return Layer{Op: BatchNorm, Name: name} }
	ls := []Layer{conv("conv1", 64, 7, 2), norm("bn1"), {Op: ReLU}, {Op: MaxPool, K: 3, Stride: 2, Pad: 1}}
	for stage, blocks := range []int{3, 4, 6, 3} {
		width := 64 << stage
		for b := range blocks {
			stride := 1
			if stage > 0 && b == 0 {
				stride = 2
			}
			first, second := 1, stride
			if strideIn1x1 {
				first, second = stride, 1
			}
			at := fmt.Sprintf("layer%d.%d.", stage+1, b)
			block := Layer{Op: Residual, Body: []Layer{
				conv(at+"conv1", width, 1, first), norm(at + "bn1"), {Op: ReLU},
				conv(at+"conv2", width, 3, second), norm(at + "bn2"), {Op: ReLU},
				conv(at+"conv3", 4*width, 1, 1), norm(at + "bn3"),
			}}
			if b == 0 {
				block.Skip = []Layer{conv(at+"downsample.0", 4*width, 1, stride), norm(at + "downsample.1")}
			}
			ls = append(ls, block, Layer{Op: ReLU})
		}
	}
	ls = append(ls, Layer{Op: AdaptiveAvg, Out: 1}, Layer{Op: Flatten}, Layer{Op: Linear, Name: "fc", Out: classes})
	name := "resnet50"
	if strideIn1x1 {
		name = "resnet50-1x1"
	}
	return Arch{Name: name, In: in, Classes: classes, Layers: ls}
}
