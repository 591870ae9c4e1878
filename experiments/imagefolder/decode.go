package imagefolder

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
)

// MaxPixels bounds what is decoded: a header that promises more is refused
// before any pixel is allocated. 2²⁶ is 8192 by 8192, three quarters of the
// size at which PIL warns of a decompression bomb.
const MaxPixels = 1 << 26

var (
	// ErrFormat reports content that is neither JPEG nor PNG.
	ErrFormat = errors.New("neither JPEG nor PNG")
	// ErrTooLarge reports an image of more than MaxPixels, as it is or resized.
	ErrTooLarge = errors.New("too many pixels")
)

// An Image is 8-bit RGB, channel by channel: Pix has the shape (3, H, W),
// row-major.
type Image struct {
	Pix  []byte
	H, W int
}

// Decode reads a JPEG or PNG, told apart by content. Colours are those of
// PIL's Image.open(…).convert("RGB"), which torchvision's loader uses: gray
// becomes three equal channels, an inverted (Adobe) CMYK becomes RGB, alpha is
// dropped and not composited, chroma is interpolated as in libjpeg. Of 16-bit
// samples the high byte is kept. orient turns a JPEG as its EXIF orientation
// says; torchvision's loader does not, so false is the usual value.
//
// The error wraps [ErrFormat], [ErrTooLarge] or the decoder's error; a
// truncated file is always an error. A JPEG of four channels without an Adobe
// marker is refused, as its polarity is unknown.
func Decode(data []byte, orient bool) (*Image, error) {
	h, err := readHeader(bytes.NewReader(data), orient)
	if err != nil {
		return nil, err
	}
	m, err := h.decode(bytes.NewReader(data))
	if err != nil {
		return nil, noEOF(err)
	}
	return turn(planar(m), h.orientation), nil
}

// A header is what precedes the pixels.
type header struct {
	h, w        int // as stored, before turning
	orientation int // EXIF's 1 … 8; 1 unless asked for
	decode      func(io.Reader) (image.Image, error)
}

// size returns the height and width after turning.
func (h header) size() (int, int) {
	if h.orientation >= 5 {
		return h.w, h.h
	}
	return h.h, h.w
}

func readHeader(r io.Reader, orient bool) (header, error) {
	br := bufio.NewReader(r)
	start, err := br.Peek(512) // what DetectContentType looks at
	if len(start) == 0 {
		if err == nil || err == io.EOF {
			err = errors.New("empty file")
		}
		return header{}, err
	}
	h := header{orientation: 1}
	var config func(io.Reader) (image.Config, error)
	switch {
	case bytes.HasPrefix(start, []byte("\xff\xd8")):
		h.decode, config = jpeg.Decode, jpeg.DecodeConfig
	case bytes.HasPrefix(start, []byte("\x89PNG\r\n\x1a\n")):
		h.decode, config = png.Decode, png.DecodeConfig
	default:
		return header{}, fmt.Errorf("%w: content is %s", ErrFormat, http.DetectContentType(start))
	}
	var head bytes.Buffer
	c, err := config(io.TeeReader(br, &head))
	if err != nil {
		return header{}, noEOF(err)
	}
	h.h, h.w = c.Height, c.Width
	if h.h <= 0 || h.w <= 0 {
		return header{}, fmt.Errorf("size %d by %d", h.h, h.w)
	}
	if h.h > MaxPixels/h.w {
		return header{}, fmt.Errorf("%w: %d by %d", ErrTooLarge, h.h, h.w)
	}
	if orient {
		h.orientation = orientation(head.Bytes())
	}
	return h, nil
}

// noEOF says of a file that ends inside its header what the decoders say of
// one that ends later.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// planar converts what the standard decoders return.
func planar(m image.Image) *Image {
	b := m.Bounds()
	out := &Image{H: b.Dy(), W: b.Dx(), Pix: make([]byte, 3*b.Dy()*b.Dx())}
	n := out.H * out.W
	red, green, blue := out.Pix[:n], out.Pix[n:2*n], out.Pix[2*n:]

	// each calls set with every output index and the place of that pixel in
	// rows of stride bytes.
	each := func(stride, size int, set func(i, p int)) {
		i := 0
		for y := range out.H {
			for x := range out.W {
				set(i, y*stride+x*size)
				i++
			}
		}
	}
	switch m := m.(type) {
	case *image.YCbCr:
		ycbcrToRGB(red, green, blue, m)
	case *image.Gray:
		each(m.Stride, 1, func(i, p int) {
			red[i], green[i], blue[i] = m.Pix[p], m.Pix[p], m.Pix[p]
		})
	case *image.RGBA: // the decoders return it for opaque images only
		each(m.Stride, 4, func(i, p int) {
			red[i], green[i], blue[i] = m.Pix[p], m.Pix[p+1], m.Pix[p+2]
		})
	case *image.NRGBA:
		each(m.Stride, 4, func(i, p int) {
			red[i], green[i], blue[i] = m.Pix[p], m.Pix[p+1], m.Pix[p+2]
		})
	case *image.CMYK:
		each(m.Stride, 4, func(i, p int) {
			white := 255 - m.Pix[p+3]
			red[i] = white - mul255(m.Pix[p], white)
			green[i] = white - mul255(m.Pix[p+1], white)
			blue[i] = white - mul255(m.Pix[p+2], white)
		})
	case *image.Paletted:
		each(m.Stride, 1, func(i, p int) {
			c := color.NRGBAModel.Convert(m.Palette[m.Pix[p]]).(color.NRGBA)
			red[i], green[i], blue[i] = c.R, c.G, c.B
		})
	default: // 16-bit samples
		each(out.W, 1, func(i, p int) {
			c := color.NRGBA64Model.Convert(m.At(b.Min.X+p%out.W, b.Min.Y+p/out.W)).(color.NRGBA64)
			red[i], green[i], blue[i] = byte(c.R>>8), byte(c.G>>8), byte(c.B>>8)
		})
	}
	return out
}

// mul255 returns a·b/255 rounded.
func mul255(a, b byte) byte {
	t := int(a)*int(b) + 128
	return byte((t + t>>8) >> 8)
}
