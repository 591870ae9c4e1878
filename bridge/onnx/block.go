package onnx

import (
	"errors"
	"fmt"

	"rarespurious/nn"
)

// maxBlocks is how deeply residual blocks may lie inside each other.
const maxBlocks = 64

// dominator returns the last activation that every path from the input to a
// or b passes, or nil if there is none. It takes steps in the logarithm of the
// number of layers.
//
// Reference: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm",
// 2001, of which a graph without cycles needs only the intersection step; the
// jumps are those of Myers, "An Applicative Random-Access Stack", 1983.
func dominator(a, b *activation) *activation {
	if a.depth < b.depth {
		a, b = b, a
	}
	for a.depth > b.depth {
		if a.jump.depth >= b.depth {
			a = a.jump
		} else {
			a = a.dom
		}
	}
	for a != b {
		switch {
		case a.dom == nil:
			return nil
		case a.jump != b.jump:
			a, b = a.jump, b.jump
		default:
			a, b = a.dom, b.dom
		}
	}
	return a
}

// under returns an activation whose immediate dominator is dom.
func under(dom *activation, t tensor) *activation {
	v := &activation{tensor: t, dom: dom, jump: dom, depth: dom.depth + 1}
	if j := dom.jump; j != nil && j.jump != nil && dom.depth-j.depth == j.depth-j.jump.depth {
		v.jump = j.jump
	}
	return v
}

// chain returns the layers that lead from start, a dominator of end, to end. A
// sum is a residual block: where its two sides part is its dominator. It fails
// on graphs that are not blocks one after, or inside, another.
func chain(end, start *activation, blocks int) ([]nn.Layer, error) {
	if blocks > maxBlocks {
		return nil, fmt.Errorf("more than %d residual blocks inside each other", maxBlocks)
	}
	var path []*activation
	for v := end; v != start; v = v.dom {
		if v.placed {
			return nil, fmt.Errorf("%.80q is used by several branches that are not residual blocks inside each other", v.name)
		}
		v.placed = true
		path = append(path, v)
	}
	var ls []nn.Layer
	for i := len(path) - 1; i >= 0; i-- {
		v := path[i]
		if len(v.from) == 1 {
			ls = join(ls, v.layers)
			continue
		}
		body, err := chain(v.from[0], v.dom, blocks+1)
		if err != nil {
			return nil, err
		}
		skip, err := chain(v.from[1], v.dom, blocks+1)
		if err != nil {
			return nil, err
		}
		if len(body) == 0 { // x + f(x)
			body, skip = skip, body
		}
		ls = append(ls, nn.Layer{Op: nn.Residual, Body: body, Skip: skip})
	}
	return ls, nil
}

// join appends more to ls. A subsampling that follows another is one with it:
// ONNX has one operator for the rows and columns and another for the channels.
func join(ls, more []nn.Layer) []nn.Layer {
	for _, l := range more {
		if n := len(ls); n > 0 && l.Op == nn.Subsample && ls[n-1].Op == nn.Subsample && l.Stride <= maxSide/ls[n-1].Stride {
			ls[n-1].Stride *= l.Stride
			ls[n-1].Out = l.Out
			continue
		}
		ls = append(ls, l)
	}
	return ls
}

// sum returns a + b.
func sum(a, b *activation) (*activation, error) {
	if a.shape != b.shape || a.flat != b.flat {
		return nil, fmt.Errorf("adds %v and %v, want equal shapes", a.shape, b.shape)
	}
	dom := dominator(a, b)
	if dom == nil {
		return nil, errors.New("adds the input before it is standardised to what comes after")
	}
	v := under(dom, tensor{shape: a.shape, flat: a.flat})
	v.from = []*activation{a, b}
	return v, nil
}

// then returns the result of applying l to v.
func (v *activation) then(l nn.Layer, flat bool) (*activation, error) {
	shape, err := l.OutShape(v.shape)
	if err != nil {
		return nil, err
	}
	out := under(v, tensor{shape: shape, flat: flat})
	out.from, out.layers = []*activation{v}, []nn.Layer{l}
	return out, nil
}
