package train

import (
	"fmt"
	"math/rand/v2"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/run"
	"rarespurious/experiments/seed"
	"rarespurious/nn"
)

// learningRate of an epoch, counted from 0: multiplied by Gamma after each of
// the milestones.
func learningRate(t *run.Train, epoch int) float64 {
	lr := t.LR
	for _, m := range t.Milestones {
		if epoch >= m {
			lr *= t.Gamma
		}
	}
	return lr
}

// hyper are a model's settings in an epoch.
func hyper(t *run.Train, epoch int) torch.Hyper {
	h := torch.Hyper{SGD: t.Optimizer == "sgd", LR: learningRate(t, epoch), Momentum: t.Momentum,
		WeightDecay: t.WeightDecay, Noise: t.Noise}
	if t.ClipBy == "norm" {
		h.ClipNorm = t.Clip
	} else {
		h.ClipValue = t.Clip
	}
	return h
}

// stream returns the generator of one purpose in one epoch.
func stream(t *run.Train, purpose string, epoch int) *rand.Rand {
	return seed.Rand(uint64(t.Seed), fmt.Sprintf("%s/%d", purpose, epoch))
}

// order returns rows in the order in which an epoch shows them.
func order(t *run.Train, rows []int64, epoch int) []int64 {
	o := append([]int64(nil), rows...)
	stream(t, "shuffle", epoch).Shuffle(len(o), func(i, j int) { o[i], o[j] = o[j], o[i] })
	return o
}

// shifts draws an augmentation for each of n examples of an epoch.
func shifts(t *run.Train, n, epoch int) []uint8 {
	rng := stream(t, "augment", epoch)
	out := make([]uint8, n)
	for i := range out {
		out[i] = torch.Shift(rng.IntN(9), rng.IntN(9), rng.IntN(2) == 1)
	}
	return out
}

// operations counts the multiplications of one example's forward pass, those of
// convolutions as the slower ones that they are.
func operations(a nn.Arch) float64 {
	var n float64
	eachLayer(a, func(l nn.Layer, in, out nn.Shape) {
		switch l.Op {
		case nn.Linear:
			n += float64(in.C * l.Out)
		case nn.Conv:
			n += 4.0 / 3 * float64(in.C*l.K*l.K*out.Len())
		}
	})
	return n
}

// eachLayer calls f for every layer of a, those inside of residual ones too, with
// the shapes of its input and output. It ends at a layer that does not fit.
func eachLayer(a nn.Arch, f func(l nn.Layer, in, out nn.Shape)) {
	var visit func(in nn.Shape, layers []nn.Layer) nn.Shape
	visit = func(in nn.Shape, layers []nn.Layer) nn.Shape {
		for _, l := range layers {
			if l.Op == nn.Residual {
				visit(in, l.Skip)
				in = visit(in, l.Body)
				continue
			}
			out, err := l.OutShape(in)
			if err != nil {
				return in
			}
			f(l, in, out)
			in = out
		}
		return in
	}
	visit(a.In, a.Layers)
}
