package onnx

import (
	"cmp"
	"errors"
	"fmt"

	"rarespurious/bridge/onnx/onnxpb"
	"rarespurious/nn"
)

// Import reads a model as an architecture with its parameters and buffers:
// what [Export] wrote, and what others export of a network that is a chain of
// nn's layers and residual blocks. The graph must have one input, (batch, C,
// H, W) or (batch, features) with every size but the batch fixed, and one
// output (batch, classes). Weights are taken as they are, bit for bit, except
// that batch norm with another ε than nn's has the difference added to its
// running variance.
//
// A file holds no trace of dropout or of how weights were initialised: the
// layers returned have neither. Layers are named after their weights where
// these are called as in a state dict. Weights that are shared become copies.
//
// Errors wrap [ErrFormat] or [ErrTooLarge], or are an [*UnsupportedError] that
// lists every node that stands in the way; of nodes behind those, only the
// operator is judged.
func Import(model []byte) (a nn.Arch, theta, buffers []float32, err error) {
	m, err := decode(model)
	if err != nil {
		return nn.Arch{}, nil, nil, err
	}
	return importModel(m)
}

// ImportFile is [Import] of a file, whose weights may lie in other files of
// its folder or below, as ONNX's external data.
func ImportFile(path string) (a nn.Arch, theta, buffers []float32, err error) {
	m, err := readFile(path)
	if err != nil {
		return nn.Arch{}, nil, nil, err
	}
	a, theta, buffers, err = importModel(m)
	if err != nil {
		return nn.Arch{}, nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, theta, buffers, nil
}

func importModel(m *onnxpb.ModelProto) (a nn.Arch, theta, buffers []float32, err error) {
	im := &importer{
		constants: map[string]*constant{}, tables: map[string]*table{}, values: map[string]*activation{},
		params: map[string]func(int) float32{}, names: map[string]bool{},
	}
	a, err = im.graph(m)
	if err != nil {
		return nn.Arch{}, nil, nil, err
	}
	if err := a.Validate(); err != nil {
		return nn.Arch{}, nil, nil, &UnsupportedError{[]Unsupported{{Why: err.Error()}}}
	}
	// Shared weights become copies: a small file must not ask for many.
	if n := a.NumParams() + a.NumBuffers(); n > 2*im.stored+1<<16 {
		return nn.Arch{}, nil, nil, &UnsupportedError{[]Unsupported{{
			Why: fmt.Sprintf("its layers share weights: %d stored numbers make %d parameters", im.stored, n),
		}}}
	}
	return a, im.fill(a.Params()), im.fill(a.Buffers()), nil
}

// Versions of the standard operators in which the ones that Import knows have
// the meaning it gives them.
const (
	oldestOpset = 7 // broadcasting as in NumPy
	newestOpset = 28
)

// An importer translates one graph.
type importer struct {
	constants map[string]*constant   // initialisers and Constant nodes
	tables    map[string]*table      // computed from shapes; see fold
	values    map[string]*activation // everything that depends on the input; nil if not understood
	stored    int                    // numbers that the constants hold
	batch     int64                  // the input's declared batch size, 0 if open

	params   map[string]func(i int) float32 // elements by state-dict name; nil is all zero
	names    map[string]bool                // of layers
	serial   int                            // of the next invented name
	problems []Unsupported
	broken   error // the first tensor that is not what it says
}

// An activation is a tensor that depends on the input: the input (no from),
// layers applied to one value, or the sum of two.
type activation struct {
	tensor
	from   []*activation
	layers []nn.Layer

	mean, std []float32   // of the input, if it is standardised here
	steps     [2]int      // not 0 if from's rows and columns were taken in unequal steps, which is no layer
	dom       *activation // its immediate dominator: the last value that every path from the input to here passes
	jump      *activation // a dominator further up, nil for the input
	depth     int         // number of its dominators
	placed    bool        // in the architecture
}

// errBehind is a converter's excuse: something it depends on has failed.
var errBehind = errors.New("onnx: behind an unsupported node")

func (im *importer) unsupported(format string, args ...any) {
	im.problems = append(im.problems, Unsupported{Why: fmt.Sprintf(format, args...)})
}

// graph returns m's graph as an architecture, with its tensors in im.params.
func (im *importer) graph(m *onnxpb.ModelProto) (nn.Arch, error) {
	g := m.GetGraph()
	if v := opset(m); v < oldestOpset || v > newestOpset {
		im.unsupported("operator set %d, want %d to %d", v, oldestOpset, newestOpset)
	}
	for _, t := range g.GetInitializer() {
		if err := im.constant(t.GetName(), t); err != nil {
			return nn.Arch{}, err
		}
	}
	input := im.input(g)
	if len(g.GetOutput()) != 1 {
		im.unsupported("%d outputs, want 1", len(g.GetOutput()))
	}
	for _, p := range needed(g) {
		im.node(p)
	}
	var out *activation
	if len(g.GetOutput()) == 1 {
		name := g.GetOutput()[0].GetName()
		var known bool
		if out, known = im.values[name]; !known {
			im.unsupported("the output %.80q does not depend on the input", name)
		}
	}
	if im.broken != nil {
		return nn.Arch{}, im.broken
	}
	if len(im.problems) > 0 {
		return nn.Arch{}, &UnsupportedError{im.problems}
	}
	root := out
	for root.dom != nil {
		root = root.dom
	}
	layers, err := chain(out, root, 0)
	if err != nil {
		return nn.Arch{}, &UnsupportedError{[]Unsupported{{Why: err.Error()}}}
	}
	return nn.Arch{
		Name: g.GetName(), In: input.shape, Classes: out.shape.C, Mean: root.mean, Std: root.std, Layers: layers,
	}, nil
}

func (im *importer) constant(name string, t *onnxpb.TensorProto) error {
	c, err := newConstant(t)
	if err != nil {
		return err
	}
	im.constants[name] = c
	if c.is(onnxpb.TensorProto_FLOAT) && c.check(len(t.GetFloatData()), 4) == nil {
		im.stored += c.len // the file has the numbers, not only a shape
	}
	return nil
}

// input defines the graph's input.
func (im *importer) input(g *onnxpb.GraphProto) *activation {
	inputs := dataInputs(g)
	if len(inputs) != 1 {
		im.unsupported("%d inputs, want 1", len(inputs))
		for _, v := range inputs {
			im.values[v.GetName()] = nil
		}
		return nil
	}
	v := value(inputs[0])
	im.values[v.Name] = nil
	if !v.Float || len(v.Shape) != 4 && len(v.Shape) != 2 {
		im.unsupported("the input %.80q has shape %v, want 2 or 4 sizes and 32-bit floats", v.Name, trim(v.Shape))
		return nil
	}
	im.batch = max(v.Shape[0], 0)
	sizes := [3]int{1, 1, 1}
	for i, n := range v.Shape[1:] {
		if n < 1 || n > maxSide {
			im.unsupported("the input %.80q has shape %v, want every size but the first fixed, from 1 to %d", v.Name, v.Shape, maxSide)
			return nil
		}
		sizes[i] = int(n)
	}
	in := &activation{tensor: tensor{v.Name, nn.Shape{C: sizes[0], H: sizes[1], W: sizes[2]}, len(v.Shape) == 2}}
	if tooLarge(in.shape) {
		im.unsupported("the input %.80q has shape %v, too large", v.Name, v.Shape)
		return nil
	}
	im.values[v.Name] = in
	return in
}

func tooLarge(s nn.Shape) bool {
	return s.C > maxVolume || s.H > maxSide || s.W > maxSide || float64(s.C)*float64(s.H)*float64(s.W) > maxVolume
}

// needed returns the nodes that the outputs depend on. Nodes are stored in an
// order in which each comes after those it reads.
func needed(g *onnxpb.GraphProto) []*onnxpb.NodeProto {
	wanted := map[string]bool{}
	for _, v := range g.GetOutput() {
		wanted[v.GetName()] = true
	}
	nodes := g.GetNode()
	keep := make([]bool, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- {
		for _, out := range nodes[i].GetOutput() {
			keep[i] = keep[i] || out != "" && wanted[out]
		}
		for _, in := range nodes[i].GetInput() {
			wanted[in] = wanted[in] || keep[i]
		}
	}
	var out []*onnxpb.NodeProto
	for i, n := range nodes {
		if keep[i] {
			out = append(out, n)
		}
	}
	return out
}

// node translates one node, or notes why it cannot.
func (im *importer) node(p *onnxpb.NodeProto) {
	n := newNode(p)
	v, err := im.convert(n)
	switch {
	case errors.Is(err, ErrFormat):
		im.broken = cmp.Or(im.broken, err)
	case err != nil && !errors.Is(err, errBehind):
		name := p.GetName()
		if name == "" && len(p.GetOutput()) > 0 {
			name = p.GetOutput()[0]
		}
		im.problems = append(im.problems, Unsupported{Node: name, Op: p.GetOpType(), Why: err.Error()})
	}
	for i, out := range p.GetOutput() {
		if i > 0 || err != nil {
			v = nil
		}
		if im.isConstant(out) {
			continue
		}
		if im.values[out] = v; v != nil && v.name == "" {
			v.name = out
		}
	}
}

func (im *importer) convert(n *node) (*activation, error) {
	if !standard(n.GetDomain()) {
		return nil, fmt.Errorf("an operator of domain %.80q", n.GetDomain())
	}
	if folded, err := im.fold(n); folded || err != nil {
		return nil, err
	}
	op, ok := operators[n.GetOpType()]
	if !ok {
		return nil, errors.New("no layer kind covers this operator")
	}
	v, err := op(im, n)
	if err != nil {
		return nil, err
	}
	if err := n.unread(); err != nil {
		return nil, err
	}
	if tooLarge(v.shape) {
		return nil, fmt.Errorf("its output %v is too large", v.shape)
	}
	return v, nil
}

// fill returns the elements of ps.
func (im *importer) fill(ps []nn.Param) []float32 {
	var v []float32
	if len(ps) > 0 {
		last := ps[len(ps)-1]
		v = make([]float32, last.Offset+last.Len)
	}
	for _, p := range ps {
		if at := im.params[p.Name]; at != nil {
			part := v[p.Offset : p.Offset+p.Len]
			for i := range part {
				part[i] = at(i)
			}
		}
	}
	return v
}
