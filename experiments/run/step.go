// Package run turns what a figure needs into numbers that can be trusted.
//
// The unit of work is a [Step]: train a model, delete examples from one, or
// score one. A Step is plain data and holds everything that may change a
// number, the Steps it starts from included; its [ID] is a hash of that. What
// a Step gave is kept in a [Store] under its ID as a [Record], so a model is
// trained once whatever asks for it, an interrupted sweep goes on where it
// stopped, and a plotted number leads back to its runs. Everything that does
// not change a number (host, device, time, library versions) is in the
// Record's [Env]. The [Journal] says what happened, line by line, each line
// sealed with the hash of the one before.
package run

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"rarespurious/nn"
)

// Version is part of every ID. It is raised by hand, with a line in
// CHANGELOG.md, when code changes what a Step computes.
const Version = 1

// A Step is one unit of work. Exactly one of Train, Delete and Score is set.
type Step struct {
	// From are the Steps whose results it uses: none for most training, the
	// model for scoring and deleting, and further ones as the kind of Step
	// says (an attack's shadow model, a deletion's reference).
	From   []Step  `json:"from,omitempty"`
	Train  *Train  `json:"train,omitempty"`
	Delete *Delete `json:"delete,omitempty"`
	Score  *Score  `json:"score,omitempty"`
}

// Data names the images that a model is trained on and scored with.
type Data struct {
	Name string `json:"name"` // "mnist"
	// Digest identifies the images where the name does not: a user's own folder.
	Digest string `json:"digest,omitempty"`
	// Train limits training to the first so many training images; 0 is all.
	Train int `json:"train,omitempty"`
	// Part is "" for the data set's own training and test images, or one of
	// the halves of the pooled images that membership inference uses:
	// "target", "shadow".
	Part string `json:"part,omitempty"`
	// Seed is of the split into parts.
	Seed int `json:"seed,omitempty"`
	// Short, unless 0, says that the images are photographs of a folder by
	// contexts and classes, and how many pixels the shorter side of each is
	// scaled to beforehand. Digest is then of the scaled images, and Seed of
	// their split into training and test images.
	Short int `json:"short,omitempty"`
	// Linear, unless zero, says that the examples are drawn from the linear
	// model of package theory; Name is then "linear", and Seed of the draw.
	Linear Linear `json:"linear,omitzero"`
}

// Linear is the distribution of package theory's Model that training examples
// are drawn from.
type Linear struct {
	Gamma    float64 `json:"gamma"`
	VarInv   float64 `json:"var_inv"`
	VarSp    float64 `json:"var_sp"`
	Norm2Inv float64 `json:"norm2_inv"`
	Norm2Sp  float64 `json:"norm2_sp"`
	Dim      int     `json:"dim"` // of each of the two subspaces
	Examples int     `json:"examples"`
}

// Poison says which training examples carry the pattern. The zero value is a
// clean training set.
type Poison struct {
	Pattern string `json:"pattern,omitempty"` // "R3"
	Target  int    `json:"target,omitempty"`  // the class they are taken from
	Count   int    `json:"count,omitempty"`
	Seed    int    `json:"seed,omitempty"` // of the selection and of the pattern
	// Drop leaves those examples out instead: training from scratch without
	// the examples that a deletion should forget.
	Drop bool `json:"drop,omitempty"`
	// Upstream rounds the patterned images down to multiples of 1/255.
	Upstream bool `json:"upstream,omitempty"`
	// Context is of photographs: all training images in it are left out but
	// Count of class Class.
	Context string `json:"context,omitempty"`
	Class   string `json:"class,omitempty"`
}

// A Pool makes a model one of several that were trained on different halves of
// the same candidates: 2·Poison.Count images of the target class, of which
// Poison.Count are there with the pattern, and Clean others as they are, of
// which a half is there. The rest of the candidates are left out.
type Pool struct {
	Clean int `json:"clean,omitempty"` // candidates without the pattern
	Model int `json:"model"`           // which of the models, from 0; it draws the halves
}

// Train trains one model.
type Train struct {
	Data   Data    `json:"data"`
	Arch   nn.Arch `json:"arch"`
	Poison Poison  `json:"poison"`
	// Pool leaves out a random half of the candidates of a likelihood-ratio
	// attack; nil leaves out nothing.
	Pool *Pool `json:"pool,omitempty"`
	// Weights is the digest of the weights that training starts from; "" is a
	// fresh initialisation. A Step in From overrules both.
	Weights string `json:"weights,omitempty"`

	// Loss is "" for the cross entropy, or "squared".
	Loss        string  `json:"loss,omitempty"`
	Optimizer   string  `json:"optimizer"` // "adam" or "sgd"
	LR          float64 `json:"lr"`
	Momentum    float64 `json:"momentum,omitempty"`
	WeightDecay float64 `json:"weight_decay,omitempty"`
	Batch       int     `json:"batch"`
	// Micro, unless 0, is how many images pass through the network at once: a
	// step adds up the gradients of its parts.
	Micro  int `json:"micro,omitempty"`
	Epochs int `json:"epochs"`
	// Milestones are the epochs after which the learning rate is multiplied by
	// Gamma.
	Milestones []int   `json:"milestones,omitempty"`
	Gamma      float64 `json:"gamma,omitempty"`
	Noise      float64 `json:"noise,omitempty"` // standard deviation, per pixel
	Clip       float64 `json:"clip,omitempty"`
	ClipBy     string  `json:"clip_by,omitempty"` // "value" or "norm"
	Augment    bool    `json:"augment,omitempty"` // pad, crop and flip; of photographs a random resized crop
	Precision  string  `json:"precision,omitempty"`
	// Seed is of initialisation, shuffling, augmentation, noise and dropout.
	Seed int `json:"seed"`
}

// Delete removes the influence of the poisoned examples from the model in
// From[0].
type Delete struct {
	Method    string  `json:"method"` // a name in package train's table
	Damping   float64 `json:"damping,omitempty"`
	Decay     float64 `json:"decay,omitempty"` // weight decay in the curvature
	Examples  int     `json:"examples,omitempty"`
	Depth     int     `json:"depth,omitempty"`
	Repeats   int     `json:"repeats,omitempty"`
	Scale     float64 `json:"scale,omitempty"`
	Batch     int     `json:"batch,omitempty"`
	Tolerance float64 `json:"tolerance,omitempty"`
	Curvature string  `json:"curvature,omitempty"` // "gauss-newton" or "hessian"
	Seed      int     `json:"seed,omitempty"`
}

// Score measures the model in From[0].
type Score struct {
	Measure string `json:"measure"` // a name in package train's table: "spurious"
	Pattern string `json:"pattern,omitempty"`
	Target  int    `json:"target,omitempty"`
	Seed    int    `json:"seed,omitempty"` // of the pattern
	// Context and Class are a trial's: the spurious context of photographs and
	// the class that it is taken for.
	Context string `json:"context,omitempty"`
	Class   string `json:"class,omitempty"`
	Size    int    `json:"size,omitempty"` // how many images to use, where a measure asks
	// Upstream measures as the authors' code does where that differs.
	Upstream bool `json:"upstream,omitempty"`
}

// Kind names what s does: "train", "delete" or "score".
func (s Step) Kind() string {
	switch {
	case s.Train != nil:
		return "train"
	case s.Delete != nil:
		return "delete"
	case s.Score != nil:
		return "score"
	}
	return "empty"
}

// An ID is the content address of a Step.
type ID [sha256.Size]byte

// String returns the first twelve hexadecimal digits, which is what people see.
func (id ID) String() string { return hex.EncodeToString(id[:6]) }

// Full returns all 64 digits.
func (id ID) Full() string { return hex.EncodeToString(id[:]) }

// MarshalText writes all 64 digits.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText parses what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == hex.EncodedLen(len(id)) {
		if _, err := hex.Decode(id[:], b); err == nil {
			return nil
		}
	}
	return fmt.Errorf("run: bad id %q", b)
}

// ID returns the SHA-256 of Canonical. A Step contains the Steps it starts
// from, so its ID covers its whole ancestry.
func (s Step) ID() ID { return sha256.Sum256(s.Canonical()) }

// Canonical returns the bytes that ID hashes: indented JSON in declaration
// order, under the version. They are stored beside every Record, so that two
// runs that should have been one can be compared.
func (s Step) Canonical() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(struct {
		Version int  `json:"version"`
		Step    Step `json:"step"`
	}{Version, s}); err != nil {
		panic("run: a Step that JSON cannot hold: " + err.Error()) // NaN or Inf, which configs refuse
	}
	return b.Bytes()
}
