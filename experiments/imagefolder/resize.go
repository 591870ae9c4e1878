package imagefolder

import "math"

// precision is the number of fractional bits of PIL's resampling weights: 32
// minus 8 for the pixel and 2 against overflow.
const precision = 32 - 8 - 2

// fitSize returns the size whose shorter side is short and whose aspect is
// that of h by w, the longer side rounded down as torchvision's Resize does.
// It panics unless all three are positive.
//
// Reference: torchvision, transforms.functional._compute_resized_output_size.
func fitSize(h, w, short int) (int, int) {
	if h <= 0 || w <= 0 || short <= 0 {
		panic("imagefolder: size must be positive")
	}
	if h <= w {
		return short, short * w / h
	}
	return short * h / w, short
}

// Resize returns im at h by w, bilinear with antialiasing: the triangle filter
// widened by the reduction, rows first, each pass rounded to 8 bits. The
// result equals PIL's Image.resize((w, h), BILINEAR) to the last bit. An image
// that has the size already is returned itself. Resize panics unless h and w
// are positive.
//
// Reference: Pillow, src/libImaging/Resample.c (behaviour; the code is ours).
func Resize(im *Image, h, w int) *Image {
	if h <= 0 || w <= 0 {
		panic("imagefolder: size must be positive")
	}
	if h == im.H && w == im.W {
		return im
	}
	out := &Image{H: h, W: w, Pix: make([]byte, 3*h*w)}
	cols, rows := newFilter(im.W, w), newFilter(im.H, h)
	wide := make([]byte, im.H*w)
	acc := make([]int32, w)
	for c := range 3 {
		src := im.Pix[c*im.H*im.W:][:im.H*im.W]
		dst := out.Pix[c*h*w:][:h*w]
		// PIL leaves out a pass that would change nothing.
		if w != im.W {
			cols.alongRows(wide, src, im.H)
			src = wide
		}
		if h != im.H {
			rows.alongColumns(dst, src, acc)
		} else {
			copy(dst, src)
		}
	}
	return out
}

// A filter maps a line of in samples to a line of len(taps) samples.
type filter struct {
	in   int
	taps []taps
}

// taps make one output sample: ∑ weight[k]·line[first+k], the weights
// fixed-point numbers with precision fractional bits.
type taps struct {
	first  int
	weight []int32
}

func newFilter(in, out int) filter {
	f := filter{in, make([]taps, out)}
	scale := float64(in) / float64(out)
	support := max(scale, 1) // half the width of the triangle, in input samples
	narrow := 1 / support
	// The conversions float64() forbid fusing a product with a sum, so that
	// every machine rounds alike.
	for i := range f.taps {
		center := float64((float64(i) + 0.5) * scale)
		// Go's conversion truncates toward zero, as C's does here.
		first := max(int(center-support+0.5), 0)
		last := min(int(center+support+0.5), in)
		weight := make([]float64, last-first)
		sum := 0.0
		for k := range weight {
			x := float64((float64(first+k) - center + 0.5) * narrow)
			weight[k] = max(1-math.Abs(x), 0)
			sum += weight[k]
		}
		t := taps{first, make([]int32, len(weight))}
		for k, w := range weight {
			t.weight[k] = int32(0.5 + float64(w/sum*(1<<precision)))
		}
		f.taps[i] = t
	}
	return f
}

// alongRows filters each of the n rows of src into dst.
func (f filter) alongRows(dst, src []byte, n int) {
	for y := range n {
		line := src[y*f.in:][:f.in]
		out := dst[y*len(f.taps):][:len(f.taps)]
		for x, t := range f.taps {
			px := line[t.first:][:len(t.weight)]
			sum := int32(1) << (precision - 1)
			for k, w := range t.weight {
				sum += w * int32(px[k])
			}
			out[x] = clip8(sum)
		}
	}
}

// alongColumns filters the columns of src into dst, a row of output at a time;
// acc holds one row.
func (f filter) alongColumns(dst, src []byte, acc []int32) {
	width := len(acc)
	for y, t := range f.taps {
		for x := range acc {
			acc[x] = 1 << (precision - 1)
		}
		for k, w := range t.weight {
			line := src[(t.first+k)*width:][:width]
			for x, p := range line {
				acc[x] += w * int32(p)
			}
		}
		out := dst[y*width:][:width]
		for x, sum := range acc {
			out[x] = clip8(sum)
		}
	}
}

func clip8(sum int32) byte { return byte(min(max(sum>>precision, 0), 255)) }
