package imagefolder

import (
	"bytes"
	"encoding/binary"
)

// orientation returns the EXIF orientation, 1 … 8, stated in the beginning of
// a JPEG; 1, upright, where there is none or it makes no sense.
//
// Reference: CIPA DC-008 (Exif 2.3), sections 4.5.4 and 4.6.4 A.
func orientation(jpeg []byte) int {
	const upright = 1
	for p := 2; p+4 <= len(jpeg) && jpeg[p] == 0xff; {
		marker := jpeg[p+1]
		if marker == 0xff { // a fill byte
			p++
			continue
		}
		if marker == 0xda { // start of scan
			break
		}
		size := int(binary.BigEndian.Uint16(jpeg[p+2:]))
		if size < 2 || p+2+size > len(jpeg) {
			break
		}
		body := jpeg[p+4 : p+2+size]
		if tiff, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && marker == 0xe1 {
			if o := tiffOrientation(tiff); 1 <= o && o <= 8 {
				return o
			}
			return upright
		}
		p += 2 + size
	}
	return upright
}

// tiffOrientation returns tag 274 of the first directory, or 0.
func tiffOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if tiff[0] == 'M' {
		order = binary.BigEndian
	}
	at := int(order.Uint32(tiff[4:]))
	if at > len(tiff)-2 {
		return 0
	}
	n := int(order.Uint16(tiff[at:]))
	for i := range n {
		entry := at + 2 + 12*i // tag, type, count, value
		if entry+12 > len(tiff) {
			return 0
		}
		if order.Uint16(tiff[entry:]) == 274 {
			return int(order.Uint16(tiff[entry+8:]))
		}
	}
	return 0
}

// turn returns im upright, given how the camera was held: 2 to 4 mirror it, 5 to
// 8 also swap rows and columns. Orientation 1 returns im itself.
func turn(im *Image, orientation int) *Image {
	if orientation == 1 {
		return im
	}
	out := &Image{H: im.H, W: im.W, Pix: make([]byte, len(im.Pix))}
	swap := orientation >= 5
	if swap {
		out.H, out.W = im.W, im.H
	}
	var flipY, flipX bool // of the stored image
	switch orientation {
	case 3, 7:
		flipY, flipX = true, true
	case 4, 6:
		flipY = true
	case 2, 8:
		flipX = true
	}
	plane := im.H * im.W
	for i := range out.Pix {
		c, y, x := i/plane, i%plane/out.W, i%out.W
		if swap {
			y, x = x, y
		}
		if flipY {
			y = im.H - 1 - y
		}
		if flipX {
			x = im.W - 1 - x
		}
		out.Pix[i] = im.Pix[c*plane+y*im.W+x]
	}
	return out
}
