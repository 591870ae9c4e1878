package train

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// The ways in which images pass through a network.
const (
	passTrain       = "train" // forward, backward and update
	passForward     = "forward"
	passGradient    = "gradient"
	passGaussNewton = "gauss-newton" // a product with a curvature matrix
	passHessian     = "hessian"
)

// A Pass is one way in which images pass through a network. An image takes about
// the same time in equal Passes. The fields are those of a [run.Train].
type Pass struct {
	Kind      string
	Arch      nn.Arch
	Batch     int    // images at once
	Micro     int    `json:",omitempty"`
	Precision string `json:",omitempty"`
	Loss      string `json:",omitempty"`
	Optimizer string `json:",omitempty"`
	ClipBy    string `json:",omitempty"`
	Noise     bool   `json:",omitempty"`
	Augment   bool   `json:",omitempty"`
	Short     int    `json:",omitempty"`
	// Of training alone, whose products skip zeros: the images, and how fast it
	// goes, decide how many there are.
	Data string  `json:",omitempty"`
	LR   float64 `json:",omitempty"`
}

// Key names p for people, with a digest of all of it.
func (p Pass) Key() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("train: a Pass that JSON cannot hold: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%s %s batch %d %s", p.Kind, p.Arch.Name, p.Batch, hex.EncodeToString(sum[:6]))
}

// A Part of a Step is so many images, each time it passes counted, in one Pass.
type Part struct {
	Pass   Pass
	Images float64
}

// Sizes says on how many images a model is trained and tested; poisoned
// examples that are dropped are among the first.
type Sizes func(t *run.Train) (train, test int)

// Cost returns what s consists of. beside names what it does besides, whose time
// is not small and depends on no Pass; "" is nothing. Iterations that end at a
// tolerance count as if they never reached it.
func Cost(s run.Step, sizes Sizes) (parts []Part, beside string) {
	t := modelStep(s)
	if t == nil {
		return nil, s.Kind()
	}
	c := coster{t: t, poisoned: float64(t.Poison.Count)}
	train, test := sizes(t)
	c.train, c.test = float64(train), float64(test)
	switch {
	case s.Train != nil:
		return c.fit(), ""
	case s.Delete != nil:
		return c.deletion(s.Delete)
	default:
		return c.measure(s)
	}
}

type coster struct {
	t                     *run.Train
	train, test, poisoned float64
}

// pass returns a Pass of the model as evaluation has it.
func (c coster) pass(kind string, batch int) Pass {
	return Pass{Kind: kind, Arch: c.t.Arch, Batch: batch, Short: c.t.Data.Short}
}

func (c coster) fit() []Part {
	t := c.t
	p := c.pass(passTrain, t.Batch)
	p.Micro, p.Precision, p.Loss, p.Optimizer = t.Micro, t.Precision, t.Loss, t.Optimizer
	p.Noise, p.Augment = t.Noise > 0, t.Augment
	if t.Data.Short == 0 {
		p.Data, p.LR = t.Data.Name, t.LR
	}
	if t.Clip > 0 {
		p.ClipBy = cmp.Or(t.ClipBy, "value")
	}
	n := c.train
	if t.Poison.Drop {
		n -= c.poisoned
	}
	if t.Pool != nil {
		n -= c.poisoned + float64(t.Pool.Clean-t.Pool.Clean/2)
	}
	look := c.pass(passForward, evalBatch)
	look.Precision = t.Precision
	epochs := float64(t.Epochs)
	return []Part{{p, epochs * n}, {look, epochs * min(glance, c.test)}}
}

func (c coster) deletion(d *run.Delete) ([]Part, string) {
	rest := c.train - c.poisoned
	examples := rest
	if d.Examples > 0 {
		examples = min(float64(d.Examples), rest)
	}
	kind := passGaussNewton
	if d.Curvature == "hessian" {
		kind = passHessian
	}
	product := func(batch int, images float64) Part {
		return Part{c.pass(kind, min(chunk, batch)), images}
	}
	gradient := func(images float64) Part {
		return Part{c.pass(passGradient, int(min(chunk, images))), images}
	}
	depth := float64(d.Depth)
	batch := max(1, d.Batch)
	iterations := depth
	if d.Tolerance > 0 {
		iterations = min(depth, usualIterations)
	}
	solve := (iterations + 1) * examples // one product more checks the residual
	if kind == passHessian {
		solve += lanczosSteps * examples
	}
	switch d.Method {
	case "influence":
		return []Part{gradient(c.poisoned), product(int(examples), solve)}, ""
	case "influence-lissa":
		steps := depth * float64(max(1, d.Repeats))
		if d.Scale == 0 {
			steps += scaleBatches * scaleSteps
		}
		return []Part{gradient(c.poisoned), product(batch, steps*float64(batch))}, ""
	case "influence-upstream": // its repeats change nothing and are not run
		return []Part{gradient(c.poisoned), product(batch, depth*float64(batch))}, ""
	case "newton", "newton-decay":
		return []Part{gradient(rest), product(int(examples), solve)}, ""
	}
	return nil, d.Method
}

// usualIterations are between the 18 and the 48 that Figure 18 and the
// scoreboard of deletions took to a residual of .001 on MLPs.
const usualIterations = 35

// scaleSteps is about how many steps a power iteration takes on a mini-batch.
const scaleSteps = 10

func (c coster) measure(s run.Step) ([]Part, string) {
	m := s.Score
	tested, each := c.test, min(c.train, c.test)
	if m.Size > 0 {
		tested, each = min(tested, float64(m.Size)), min(each, float64(m.Size))
	}
	control := c.test / float64(max(1, c.t.Arch.Classes)) // images of one class
	forward := func(images float64) []Part { return []Part{{c.pass(passForward, 500), images}} }
	switch m.Measure {
	case "spurious":
		return forward(2 * tested), ""
	case "deleted":
		return forward(c.poisoned + control), ""
	case "distance":
		return forward(2 * c.test), ""
	case "linear", "importance":
		return nil, ""
	case "lira":
		return forward(float64(len(s.From)) * (2*c.poisoned + float64(c.t.Pool.Clean))), ""
	case "membership":
		return forward(4*each + c.poisoned + control), "training the attack"
	case "sensitivity":
		return forward((removalSteps + 1) * min(float64(m.Size), c.train)), ""
	case "trial":
		return []Part{{c.pass(passForward, evalBatch), c.test}}, ""
	}
	return nil, m.Measure
}

// Work implements [run.Estimator]: about how many seconds a core takes.
func (e *Executor) Work(s run.Step) float64 {
	var total float64
	parts, _ := Cost(s, Nominal)
	for _, p := range parts {
		total += p.Images * p.Pass.rough()
	}
	return max(total, 0.01)
}

// Nominal are the sizes of published data sets, roughly.
func Nominal(t *run.Train) (train, test int) {
	d := t.Data
	train, test = 60000, 10000
	switch {
	case d.Linear.Examples > 0:
		return d.Linear.Examples, linearTests
	case d.Part != "":
		train, test = 17500, 17500
	}
	if d.Train > 0 {
		train = d.Train
	}
	return train, test
}

// rough is about how many seconds an image takes on one core with AVX512, as
// seen in training a CNN and a ResNet20: 50e9 multiplications a second in
// products and three quarters of that in convolutions, with bfloat16 operands
// half as many again; docs/performance.md has the times.
func (p Pass) rough() float64 {
	passes := map[string]float64{passTrain: 3, passForward: 1, passGradient: 3, passGaussNewton: 8, passHessian: 8}
	t := passes[p.Kind] * operations(p.Arch) / 50e9
	if p.Precision == "bf16" {
		t /= 1.6
	}
	return t
}
