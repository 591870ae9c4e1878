package imagefolder

import "image"

// ycbcrToRGB converts a JPEG's planes as libjpeg does. Chroma at half
// resolution is interpolated with weights 3/4 and 1/4 per direction where the
// standard library repeats the nearest sample, which on photographs is a mean
// difference of up to a gray level.
//
// Reference: libjpeg, jdsample.c ("fancy upsampling") and jdcolor.c
// (behaviour; the code is ours).
func ycbcrToRGB(red, green, blue []byte, m *image.YCbCr) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	cb, cr := make([]byte, w), make([]byte, w)
	up := newUpsampler(m)
	for y := range h {
		luma := m.Y[y*m.YStride:][:w]
		up.row(cb, m.Cb, y)
		up.row(cr, m.Cr, y)
		r, g, b := red[y*w:][:w], green[y*w:][:w], blue[y*w:][:w]
		for x := range luma {
			// ITU-R BT.601 in 16-bit fixed point: 1.402, 0.344136, 0.714136, 1.772.
			l, u, v := int(luma[x]), int(cb[x])-128, int(cr[x])-128
			r[x] = clamp(l + (91881*v+1<<15)>>16)
			g[x] = clamp(l + (-22554*u-46802*v+1<<15)>>16)
			b[x] = clamp(l + (116130*u+1<<15)>>16)
		}
	}
}

func clamp(v int) byte { return byte(min(max(v, 0), 255)) }

// An upsampler makes full rows of a chroma plane.
type upsampler struct {
	stride, w, h int // of the chroma planes
	dx, dy       int // luma samples per chroma sample
	smooth       bool
	sum          []int // one chroma row, the vertical weights applied
}

func newUpsampler(m *image.YCbCr) *upsampler {
	u := &upsampler{stride: m.CStride, dx: 1, dy: 1}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		u.dx = 2
	case image.YCbCrSubsampleRatio420:
		u.dx, u.dy = 2, 2
	case image.YCbCrSubsampleRatio440:
		u.dy = 2
	case image.YCbCrSubsampleRatio411:
		u.dx = 4
	case image.YCbCrSubsampleRatio410:
		u.dx, u.dy = 4, 2
	}
	u.w = (m.Rect.Dx() + u.dx - 1) / u.dx
	u.h = (m.Rect.Dy() + u.dy - 1) / u.dy
	u.smooth = u.dx*u.dy > 1 && u.dx <= 2 && (u.dx == 1 || u.w > 2)
	u.sum = make([]int, u.w)
	return u
}

// row fills dst with row y, counted in luma rows, of the plane src.
func (u *upsampler) row(dst, src []byte, y int) {
	near := src[y/u.dy*u.stride:][:u.w]
	if !u.smooth {
		for x := range dst {
			dst[x] = near[x/u.dx]
		}
		return
	}
	// Samples lie between pixels: the even rows of a pair lean on the sample
	// above, the odd ones on the one below. Missing neighbours are repeated.
	unit, lean := 1, 1-2*(y%u.dy) // lean is 1 for even rows, -1 for odd ones
	if u.dy == 2 {
		unit = 4
		far := src[min(max(y/2-lean, 0), u.h-1)*u.stride:][:u.w]
		for x := range near {
			u.sum[x] = 3*int(near[x]) + int(far[x])
		}
	} else {
		for x := range near {
			u.sum[x] = int(near[x])
		}
	}
	if u.dx == 1 {
		// Rounding alternates so that it does not brighten.
		bias := (3 - lean) / 2
		for x := range dst {
			dst[x] = byte((u.sum[x] + bias) / unit)
		}
		return
	}
	left, right := 2*unit, 2*unit-1 // roundings of libjpeg's 2x2 case
	if u.dy == 1 {
		left, right = 1, 2 // and of its 2x1 case
	}
	for x := range dst {
		i, next, round := x/2, x/2-1, left
		if x%2 == 1 {
			next, round = i+1, right
		}
		next = min(max(next, 0), u.w-1)
		dst[x] = byte((3*u.sum[i] + u.sum[next] + round) / (4 * unit))
	}
}
