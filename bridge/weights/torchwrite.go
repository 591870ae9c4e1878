package weights

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// storageNames is storageTypes the other way round.
var storageNames, torchNames = inverse(storageTypes), inverse(torchTypes)

func inverse(m map[string]DType) map[DType]string {
	inv := make(map[DType]string, len(m))
	for name, dt := range m {
		if name != "UntypedStorage" {
			inv[dt] = name
		}
	}
	return inv
}

// encodeTorch writes d as torch.save writes an OrderedDict, so that
// torch.load(file, weights_only=True) returns it. Metadata, if there is any,
// becomes the attribute metadata of that OrderedDict.
func encodeTorch(w io.Writer, d Dict, metadata map[string]string) error {
	program, err := pickleDict(d, metadata)
	if err != nil {
		return err
	}
	cw := &countingWriter{w: w}
	z := zip.NewWriter(cw)
	members := []struct {
		name string
		data []byte
	}{{"data.pkl", program}, {"byteorder", []byte("little")}}
	for i, t := range d {
		members = append(members, struct {
			name string
			data []byte
		}{fmt.Sprintf("data/%d", i), t.Data})
	}
	members = append(members, struct {
		name string
		data []byte
	}{"version", []byte("3\n")})
	for _, m := range members {
		if err := writeStored(z, cw, "archive/"+m.name, m.data); err != nil {
			return err
		}
	}
	return z.Close()
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// writeStored adds an uncompressed member whose data begins at a multiple of
// 64 bytes, as PyTorch aligns it for mapping files into memory. The padding
// is an extra field with PyTorch's tag.
func writeStored(z *zip.Writer, cw *countingWriter, name string, data []byte) error {
	const align, localHeader, extraHeader = 64, 30, 4
	if err := z.Flush(); err != nil {
		return err
	}
	begin := cw.n + localHeader + int64(len(name)) + extraHeader
	pad := int(-begin & (align - 1))
	extra := binary.LittleEndian.AppendUint16([]byte("FB"), uint16(pad))
	f, err := z.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Store, Extra: append(extra, make([]byte, pad)...),
		CRC32:              crc32.ChecksumIEEE(data),
		CompressedSize64:   uint64(len(data)),
		UncompressedSize64: uint64(len(data)),
	})
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return err
}

// pickleDict writes the program, of protocol 2, that builds the OrderedDict.
func pickleDict(d Dict, metadata map[string]string) ([]byte, error) {
	const emptyOrdered = "ccollections\nOrderedDict\n)R"
	b := []byte("\x80\x02" + emptyOrdered + "(")
	for i, t := range d {
		b = pickleString(b, t.Name)
		class, legacy := storageNames[t.DType]
		name, known := torchNames[t.DType]
		if !known {
			return nil, unsupported("tensor %.80q: %s in a .pth file", t.Name, t.DType)
		}
		elements := t.Len()
		if legacy {
			b = append(b, "ctorch._utils\n_rebuild_tensor_v2\n"...)
			class = "torch\n" + class
		} else { // types that came after the storage classes
			b = append(b, "ctorch._utils\n_rebuild_tensor_v3\n"...)
			class, elements = "torch.storage\nUntypedStorage", len(t.Data)
		}
		b = append(b, "(("...)
		b = pickleString(b, "storage")
		b = append(b, "c"+class+"\n"...)
		b = pickleString(b, fmt.Sprint(i))
		b = pickleString(b, "cpu")
		b = pickleInt(b, elements)
		b = append(b, "tQK\x00("...) // the storage; offset 0
		for _, n := range t.Shape {
			b = pickleInt(b, n)
		}
		b = append(b, "t("...)
		for _, n := range rowMajor(t.Shape) {
			b = pickleInt(b, n)
		}
		b = append(b, "t\x89"+emptyOrdered...) // requires_grad, hooks
		if !legacy {
			b = append(b, "ctorch\n"+name+"\n"...)
		}
		b = append(b, "tR"...)
	}
	b = append(b, 'u')
	if len(metadata) > 0 {
		b = append(b, '}')
		b = pickleString(b, "metadata")
		b = append(b, "}("...)
		for _, k := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(k) || !utf8.ValidString(metadata[k]) {
				return nil, invalid("metadata %.80q is not UTF-8", k)
			}
			b = pickleString(pickleString(b, k), metadata[k])
		}
		b = append(b, "usb"...)
	}
	return append(b, '.'), nil
}

// rowMajor returns the strides of a contiguous tensor, in elements.
func rowMajor(shape []int) []int {
	stride := make([]int, len(shape))
	n := 1
	for i, d := range slices.Backward(shape) {
		stride[i] = n
		n *= max(d, 1)
	}
	return stride
}

func pickleString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(append(b, 'X'), uint32(len(s))), s...)
}

func pickleInt(b []byte, n int) []byte {
	if n <= math.MaxInt32 {
		return binary.LittleEndian.AppendUint32(append(b, 'J'), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0x8a, 8), uint64(n))
}
