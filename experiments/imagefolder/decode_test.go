package imagefolder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestDecodeEqualsPIL(t *testing.T) {
	// The inverse cosine transforms of libjpeg and of the standard library
	// round differently, by one level in a few pixels of a hundred; conversion
	// to RGB multiplies that by up to 1.772. Gray and CMYK have no conversion;
	// YCCK is converted by the standard library, which rounds differently.
	for _, c := range []struct {
		name       string
		mean, most float64
	}{
		{"444", 0.1, 3}, {"422", 0.1, 3}, {"420", 0.1, 3}, {"440", 0.1, 3},
		{"tiny", 0.1, 3}, {"progressive", 0.1, 3},
		{"gray", 0.05, 1}, {"cmyk", 0.05, 1}, {"ycck", 0.25, 3},
	} {
		mean, most := difference(t, load(t, c.name+".jpg"), load(t, c.name+".rgb.png"))
		t.Logf("%s: mean %.4f, max %v", c.name, mean, most)
		if mean > c.mean || most > c.most {
			t.Errorf("%s: differs from PIL by %.3f on average and up to %v, want %v and %v", c.name, mean, most, c.mean, c.most)
		}
	}
	gray := load(t, "gray.jpg")
	n := gray.H * gray.W
	if r, g, b := gray.Pix[:n], gray.Pix[n:2*n], gray.Pix[2*n:]; !bytes.Equal(r, g) || !bytes.Equal(g, b) {
		t.Error("a gray image should give three equal channels")
	}
}

// encodePNG returns m as a PNG file.
func encodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// encodeJPEG returns m as a JPEG file.
func encodeJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodePNG(t *testing.T) {
	box := image.Rect(0, 0, 2, 1)
	nrgba := image.NewNRGBA(box)
	nrgba.SetNRGBA(0, 0, color.NRGBA{10, 20, 30, 0}) // transparent: the colour below stays
	nrgba.SetNRGBA(1, 0, color.NRGBA{40, 50, 60, 128})
	palette := image.NewPaletted(box, color.Palette{color.NRGBA{10, 20, 30, 0}, color.NRGBA{40, 50, 60, 128}})
	palette.SetColorIndex(1, 0, 1)
	deep := image.NewNRGBA64(box)
	deep.SetNRGBA64(0, 0, color.NRGBA64{10<<8 | 255, 20 << 8, 30 << 8, 9})
	deep.SetNRGBA64(1, 0, color.NRGBA64{40 << 8, 50 << 8, 60<<8 | 1, 65535})
	opaque := image.NewRGBA(box)
	opaque.SetRGBA(0, 0, color.RGBA{10, 20, 30, 255})
	opaque.SetRGBA(1, 0, color.RGBA{40, 50, 60, 255})
	want := []byte{10, 40, 20, 50, 30, 60}
	for name, m := range map[string]image.Image{"alpha": nrgba, "palette": palette, "16 bit": deep, "opaque": opaque} {
		im, err := Decode(encodePNG(t, m), false)
		if err != nil || im.H != 1 || im.W != 2 || !bytes.Equal(im.Pix, want) {
			t.Errorf("%s: got %v, %v, want pixels %v", name, im, err, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	ok, err := os.ReadFile("testdata/420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	progressive, err := os.ReadFile("testdata/progressive.jpg")
	if err != nil {
		t.Fatal(err)
	}
	small := encodePNG(t, image.NewGray(image.Rect(0, 0, 40, 40)))
	for _, c := range []struct {
		name string
		data []byte
		want error  // nil where only the text is ours
		text string // part of the message
	}{
		{"empty", nil, nil, "empty file"},
		{"html", []byte("<html><body>404</body></html>"), ErrFormat, "text/html"},
		{"half a JPEG", ok[:len(ok)/2], nil, ""},
		{"half a progressive JPEG", progressive[:len(progressive)/2], nil, ""},
		{"JPEG without its end", ok[:len(ok)-2], io.ErrUnexpectedEOF, ""},
		{"two bytes of JPEG", ok[:2], io.ErrUnexpectedEOF, ""},
		{"half a PNG", small[:len(small)/2], nil, ""},
		{"huge JPEG", hugeJPEG(ok), ErrTooLarge, "65535 by 65535"},
		{"huge PNG", hugePNG(small), ErrTooLarge, "1000000 by 1000000"},
	} {
		im, err := Decode(c.data, false)
		if im != nil || err == nil {
			t.Errorf("%s: want an error", c.name)
			continue
		}
		if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: error %q, want %v with %q", c.name, err, c.want, c.text)
		}
	}
}

// hugeJPEG returns a copy of a baseline file that claims 65535 by 65535 pixels.
func hugeJPEG(data []byte) []byte {
	data = bytes.Clone(data)
	sof := bytes.Index(data, []byte("\xff\xc0"))
	copy(data[sof+5:], "\xff\xff\xff\xff")
	return data
}

// hugePNG returns a copy that claims a million pixels a side, its checksum right.
func hugePNG(data []byte) []byte {
	data = bytes.Clone(data)
	binary.BigEndian.PutUint32(data[16:], 1e6)
	binary.BigEndian.PutUint32(data[20:], 1e6)
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	return data
}

// withOrientation puts an EXIF segment behind a JPEG's first two bytes.
func withOrientation(data []byte, o uint16, order binary.AppendByteOrder) []byte {
	tiff := []byte("II*\x00")
	if order.String() == "BigEndian" {
		tiff = []byte("MM\x00*")
	}
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 1)   // entries
	tiff = order.AppendUint16(tiff, 274) // Orientation
	tiff = order.AppendUint16(tiff, 3)   // SHORT
	tiff = order.AppendUint32(tiff, 1)
	tiff = order.AppendUint16(tiff, o)
	tiff = append(tiff, 0, 0, 0, 0, 0, 0)
	body := append([]byte("Exif\x00\x00"), tiff...)
	segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2))
	return slices.Concat(data[:2], segment, body, data[2:])
}

func TestOrientation(t *testing.T) {
	// A gray image that is dark at the top left only, 8 high and 16 wide.
	m := image.NewGray(image.Rect(0, 0, 16, 8))
	for i := range m.Pix {
		m.Pix[i] = 250
		if i%16 < 8 && i/16 < 4 {
			m.Pix[i] = 5
		}
	}
	data := encodeJPEG(t, m)
	// Where the stored top left corner goes, as (bottom, right).
	for o, want := range map[uint16][2]int{
		1: {0, 0}, 2: {0, 1}, 3: {1, 1}, 4: {1, 0}, 5: {0, 0}, 6: {0, 1}, 7: {1, 1}, 8: {1, 0},
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			file := withOrientation(data, o, order)
			im, err := Decode(file, true)
			if err != nil {
				t.Fatal(err)
			}
			if tall := im.H == 16; tall != (o >= 5) || im.H*im.W != 128 {
				t.Errorf("orientation %d: size %dx%d", o, im.H, im.W)
			}
			for corner := range 4 {
				at := [2]int{corner / 2, corner % 2}
				dark := im.Pix[at[0]*(im.H-1)*im.W+at[1]*(im.W-1)] < 128
				if dark != (at == want) {
					t.Errorf("orientation %d %v: corner %v dark = %v", o, order, at, dark)
				}
			}
			if plain, err := Decode(file, false); err != nil || plain.H != 8 || plain.Pix[0] > 128 {
				t.Errorf("orientation %d must be ignored by default (%v)", o, err)
			}
		}
	}
	for _, o := range []uint16{0, 9, 65535} {
		if im, err := Decode(withOrientation(data, o, binary.LittleEndian), true); err != nil || im.H != 8 {
			t.Errorf("orientation %d makes no sense and should leave the image as it is (%v)", o, err)
		}
	}
}

// FuzzDecode checks that no file makes Decode panic, or return pixels that do
// not fill the size its header promised. Seeds run with every test.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"420", "440", "progressive", "cmyk", "ycck", "gray", "tiny"} {
		data, err := os.ReadFile("testdata/" + name + ".jpg")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, false)
		f.Add(withOrientation(data, 6, binary.LittleEndian), true)
	}
	f.Add(encodePNG(f, image.NewNRGBA(image.Rect(0, 0, 3, 2))), false)
	f.Fuzz(func(t *testing.T, data []byte, orient bool) {
		h, err := readHeader(bytes.NewReader(data), orient)
		if err != nil {
			return
		}
		if h.h*h.w > MaxPixels {
			t.Fatalf("accepted a header of %d by %d", h.h, h.w)
		}
		if h.h*h.w > 1<<16 {
			return // a valid claim; decoding it is only slow
		}
		im, err := Decode(data, orient)
		if err != nil {
			return
		}
		if height, width := h.size(); im.H != height || im.W != width || len(im.Pix) != 3*im.H*im.W {
			t.Fatalf("header says %dx%d, image is %dx%d with %d bytes", height, width, im.H, im.W, len(im.Pix))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	m := image.NewYCbCr(image.Rect(0, 0, 500, 375), image.YCbCrSubsampleRatio420)
	for i := range m.Y {
		m.Y[i] = byte(i * i >> 7)
	}
	data := encodeJPEG(b, m)
	for b.Loop() {
		if _, err := Decode(data, false); err != nil {
			b.Fatal(err)
		}
	}
}
