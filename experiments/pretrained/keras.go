package pretrained

import (
	"fmt"

	"rarespurious/bridge/weights"
)

// fromKeras converts Keras' ResNet50 to one for inputs that are divided by
// [ImageNetStd], where Keras' own are in the hundreds. In eval mode that changes
// nothing. In training it does: the gradient of the first kernel grows with its
// input, so that a learning rate which suits the other layers would wreck it.
func fromKeras(keras weights.Dict) (weights.Dict, error) {
	d, err := weights.FromKerasResNet50(keras)
	if err != nil {
		return nil, err
	}
	return d, rescale(d, "conv1.weight", weights.KerasStd, ImageNetStd)
}

// rescale changes the kernel called name, of shape (out, in, K, K), of a
// convolution of (x − mean)/from into that of one of (x − mean)/to, each of one
// number per input channel.
func rescale(d weights.Dict, name string, from, to []float32) error {
	for i, t := range d {
		if t.Name != name {
			continue
		}
		w, err := t.Float32s()
		if err != nil {
			return err
		}
		area := t.Shape[2] * t.Shape[3]
		for j := range w {
			c := j / area % t.Shape[1]
			w[j] = float32(float64(w[j]) * float64(to[c]) / float64(from[c]))
		}
		d[i] = weights.FromFloat32s(name, t.Shape, w)
		return nil
	}
	return fmt.Errorf("%w: %s is missing", weights.ErrMismatch, name)
}
