package config

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/pattern"
	"rarespurious/nn"
)

// A Point is one experiment: a model and how it is measured. Its fields are the
// keys of a figure file and of --set.
type Point struct {
	Dataset string `key:"dataset"` // a name in package dataset's table
	Train   int    `key:"train"`   // use the first so many training images; 0 is all
	Part    string `key:"part"`    // "target" or "shadow": a half of the pooled images; "" is the published split
	Model   string `key:"model"`   // a name in nn.Zoo
	Weights string `key:"weights"` // "imagenet": training starts from pretrained weights; "" is afresh

	// Of photographs in folders by contexts and classes, where the context is
	// the pattern: all training images in Context are left out but Count of
	// class Class.
	Context string `key:"context"`
	Class   string `key:"class"`
	Pixels  int    `key:"pixels"` // a side of what the network sees
	Short   int    `key:"short"`  // the shorter side to which photographs are scaled before

	Pattern string `key:"pattern"` // a name in package pattern's table
	Target  int    `key:"target"`  // the class of the examples that carry it
	Count   int    `key:"count"`   // how many do
	Seed    int    `key:"seed"`    // of everything that is drawn

	Optimizer   string  `key:"optimizer"` // "adam" or "sgd"
	LR          float64 `key:"lr"`
	Momentum    float64 `key:"momentum"`
	WeightDecay float64 `key:"weight_decay"` // added to the gradient
	Batch       int     `key:"batch"`
	Micro       int     `key:"micro"`      // images that pass at once, to save memory; 0 is the whole batch
	Epochs      int     `key:"epochs"`     // 0: the model is not trained
	Milestones  []int   `key:"milestones"` // not given: see [Milestones]; []: a constant learning rate
	Gamma       float64 `key:"gamma"`      // factor at a milestone; 0.1 if not given
	Noise       float64 `key:"noise"`      // standard deviation, per pixel, in training
	Clip        float64 `key:"clip"`       // bound of the gradient; 0 is none
	ClipBy      string  `key:"clip_by"`    // "value" (if not given) or "norm"
	Augment     bool    `key:"augment"`    // pad, crop and flip in training
	Precision   string  `key:"precision"`  // "float32" (if not given), "bf16", or on a GPU "tf32"

	Delete          string  `key:"delete"` // how the examples are removed from the model; "" is not at all
	DeleteDamping   float64 `key:"delete_damping"`
	DeleteDecay     float64 `key:"delete_decay"`
	DeleteExamples  int     `key:"delete_examples"`
	DeleteDepth     int     `key:"delete_depth"`
	DeleteRepeats   int     `key:"delete_repeats"`
	DeleteScale     float64 `key:"delete_scale"`
	DeleteBatch     int     `key:"delete_batch"`
	DeleteTolerance float64 `key:"delete_tolerance"`
	DeleteCurvature string  `key:"delete_curvature"` // "gauss-newton" or "hessian"
	DeleteEpochs    int     `key:"delete_epochs"`    // of retraining

	Measure  string `key:"measure"`  // a name in package train's table; "spurious" if not given
	Size     int    `key:"size"`     // images that are measured; 0 is all
	Models   int    `key:"models"`   // of a likelihood-ratio attack: how many, each with half of the candidates
	Clean    int    `key:"clean"`    // of a likelihood-ratio attack: candidates without the pattern
	Upstream bool   `key:"upstream"` // do as the authors' code does where it differs; configs/README.md says where
}

// defaults is what a Point is before a file says anything.
var defaults = Point{Gamma: 0.1, ClipBy: "value", Precision: "float32", Measure: "spurious"}

// fieldIndex finds a Point's field by its key.
var fieldIndex = func() map[string]int {
	index := map[string]int{}
	for i, f := range reflect.VisibleFields(reflect.TypeFor[Point]()) {
		index[f.Tag.Get("key")] = i
	}
	return index
}()

// Keys returns the keys of a Point, sorted.
func Keys() []string { return slices.Sorted(maps.Keys(fieldIndex)) }

// field returns the field of p called key, which must exist.
func (p *Point) field(key string) reflect.Value {
	return reflect.ValueOf(p).Elem().Field(fieldIndex[key])
}

// Field returns the value of the field called key as text: "0.01", "R3",
// "40 50 60". It panics on an unknown key.
func (p Point) Field(key string) string {
	if _, ok := fieldIndex[key]; !ok {
		panic("config: no field " + key)
	}
	return text(p.field(key))
}

// Fields returns all fields as text, by key.
func (p Point) Fields() map[string]string {
	m := make(map[string]string, len(fieldIndex))
	for key := range fieldIndex {
		m[key] = p.Field(key)
	}
	return m
}

func text(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Slice:
		s := make([]string, v.Len())
		for i := range s {
			s[i] = text(v.Index(i))
		}
		return strings.Join(s, " ")
	}
	return fmt.Sprint(v.Interface())
}

// Milestones returns the default schedule: the epochs after which the learning
// rate falls, by the length of training. Below 30 epochs it is that of 30 in
// proportion, above 140 that of 140, rounded; milestones that do not lie inside
// the training are left out.
//
// Reference: the published code, which trains for 70 epochs.
func Milestones(epochs int) []int {
	scaled := func(of int, at ...int) (m []int) {
		for _, a := range at {
			e := int(math.Round(float64(a*epochs) / float64(of)))
			if e > 0 && e < epochs && !slices.Contains(m, e) {
				m = append(m, e)
			}
		}
		return m
	}
	switch {
	case epochs < 30:
		return scaled(30, 15, 25)
	case epochs == 30:
		return []int{15, 25}
	case epochs <= 40:
		return []int{20, 30}
	case epochs <= 50:
		return []int{25, 40}
	case epochs <= 60:
		return []int{30, 50}
	case epochs <= 70:
		return []int{40, 50, 60}
	case epochs <= 80:
		return []int{40, 60, 70}
	case epochs <= 120:
		return []int{50, 90, 110}
	}
	return scaled(140, 60, 100, 120)
}

// Schedule returns p's milestones, the default ones if it has none of its own.
func (p Point) Schedule() []int {
	if p.Milestones != nil {
		return p.Milestones
	}
	return Milestones(p.Epochs)
}

// check returns what is wrong with p, as key and sentence, in a fixed order.
func (p Point) check() (faults []fault) {
	bad := func(key, format string, args ...any) {
		faults = append(faults, fault{key, fmt.Sprintf(format, args...)})
	}
	known := func(key, value string, names []string) {
		if value == "" {
			bad(key, "missing (known: %s)", strings.Join(names, ", "))
		} else if !slices.Contains(names, value) {
			bad(key, "%q is not known%s (known: %s)", value, DidYouMean(value, names), strings.Join(names, ", "))
		}
	}
	photos := p.Photos()
	known("dataset", p.Dataset, append(dataset.Names(), imagefolder.Names()...))
	if p.Model != "" {
		known("model", p.Model, slices.Sorted(maps.Keys(nn.Zoo)))
	}
	if p.Pattern != "" {
		known("pattern", p.Pattern, pattern.Names())
	}
	if s, err := dataset.Find(p.Dataset); err == nil {
		if p.Target >= len(s.Classes) {
			bad("target", "%s has the classes 0 to %d, not %d", p.Dataset, len(s.Classes)-1, p.Target)
		}
		for _, key := range []string{"weights", "context", "class", "pixels", "short"} {
			if !p.field(key).IsZero() {
				bad(key, "is for photographs, not for %s", p.Dataset)
			}
		}
	}
	if p.Weights != "" {
		known("weights", p.Weights, []string{ImageNet})
	}
	if photos {
		p.checkPhotos(bad)
	} else if p.Count > 0 && p.Pattern == "" {
		bad("pattern", "missing, though %d examples are to carry it", p.Count)
	}
	if p.Seed > math.MaxUint32 {
		bad("seed", "%d is above %d, the largest seed of a pattern's generator", p.Seed, math.MaxUint32)
	}
	if p.Part != "" {
		known("part", p.Part, []string{"target", "shadow"})
	}
	known("clip_by", p.ClipBy, []string{"value", "norm"})
	known("precision", p.Precision, []string{"float32", "bf16", "tf32"})
	if p.DeleteCurvature != "" {
		known("delete_curvature", p.DeleteCurvature, []string{"gauss-newton", "hessian"})
	}
	for _, key := range Keys() {
		switch v := p.field(key); v.Kind() {
		case reflect.Int:
			if v.Int() < 0 {
				bad(key, "%d is negative", v.Int())
			}
		case reflect.Float64:
			if f := v.Float(); f < 0 || math.IsNaN(f) || math.IsInf(f, 0) {
				bad(key, "%v is not a finite number of at least 0", f)
			}
		}
	}
	if p.Epochs > 0 {
		p.checkTraining(bad, known)
	}
	return faults
}

// ImageNet is the name of pretrained weights.
const ImageNet = "imagenet"

// Photos reports whether p's data are photographs in folders.
func (p Point) Photos() bool { return slices.Contains(imagefolder.Names(), p.Dataset) }

func (p Point) checkPhotos(bad func(key, format string, args ...any)) {
	for _, key := range []string{"context", "class"} {
		if p.Field(key) == "" {
			bad(key, "missing: %s has trials of a context and a class", p.Dataset)
		}
	}
	if p.Pixels == 0 {
		bad("pixels", "missing or 0: say how many pixels of a photograph a network sees")
	}
	if p.Short < p.Pixels {
		bad("short", "%d is less than the %d pixels that the network sees", p.Short, p.Pixels)
	}
	for _, key := range []string{"pattern", "train", "part", "delete"} {
		if !p.field(key).IsZero() {
			bad(key, "is not for photographs")
		}
	}
}

func (p Point) checkTraining(bad func(key, format string, args ...any), known func(key, value string, names []string)) {
	if p.Model == "" {
		bad("model", "missing, though it is to be trained")
	}
	known("optimizer", p.Optimizer, []string{"adam", "sgd"})
	if p.LR == 0 {
		bad("lr", "missing or 0: give a positive learning rate")
	}
	if p.Batch == 0 {
		bad("batch", "missing or 0: give the number of images of a step")
	}
	if p.Momentum >= 1 {
		bad("momentum", "%v is not below 1", p.Momentum)
	}
	if p.Optimizer == "adam" && p.Momentum != 0 {
		bad("momentum", "is sgd's, the optimizer is adam")
	}
	for i, m := range p.Milestones {
		if m <= 0 || i > 0 && m <= p.Milestones[i-1] {
			bad("milestones", "%v do not rise from an epoch above 0", p.Milestones)
			break
		}
	}
}
