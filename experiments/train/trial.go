package train

import (
	"fmt"
	"slices"

	"rarespurious/analysis/metric"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/imagefolder"
)

// trial measures what the model makes of a context that was missing from its
// training but for some images of one class:
//
//   - trial_share, of the test images in the context that are not of the class,
//     the share that is taken for it; each of these images is a bit of the
//     artifact;
//   - context_accuracy, of all test images in the context;
//   - other_accuracy, of the test images in all other contexts.
func trial(m *measuring) (map[string]float64, error) {
	g, err := openGallery(m.ctx, m.e.o.Photos, m.model.Data)
	if err != nil {
		return nil, err
	}
	s, err := g.trial(m.score.Context, m.score.Class, 0, 0)
	if err != nil {
		return nil, err
	}
	data, err := g.data(m.d, m.model.Arch.In.H)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	logits, err := m.stack.Logits(data, toRows(g.split.Test), torch.Forward{Batch: evalBatch})
	if err != nil {
		return nil, err
	}
	k := m.model.Arch.Classes
	if k != len(g.pack.Classes) {
		return nil, fmt.Errorf("train: a model of %d classes for photographs of %d", k, len(g.pack.Classes))
	}
	taken := make(map[int]int, len(g.split.Test)) // image → class
	for i, row := range g.split.Test {
		taken[row] = metric.Argmax(logits[0][i*k : (i+1)*k])
	}
	values, bits := g.tally(taken, s, m.score.Context, m.score.Class)
	return values, writeBits(m.job.Dir, bits)
}

// tally compares the classes that test images were taken for with their own.
func (g *gallery) tally(taken map[int]int, s imagefolder.Selection, context, class string) (values map[string]float64, bits []float64) {
	target := slices.Index(g.pack.Classes, class)
	for _, row := range s.Test {
		bits = append(bits, indicator(taken[row] == target))
	}
	place := slices.Index(g.pack.Contexts, context)
	var here, elsewhere []float64
	for _, row := range g.split.Test {
		right := indicator(taken[row] == g.pack.Label(row))
		if g.pack.Context(row) == place {
			here = append(here, right)
		} else {
			elsewhere = append(elsewhere, right)
		}
	}
	return map[string]float64{"trial_share": metric.Mean(bits), "context_accuracy": metric.Mean(here),
		"other_accuracy": metric.Mean(elsewhere)}, bits
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
