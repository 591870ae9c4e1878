package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// decodeIDX makes a data set of four IDX files: training images and labels,
// test images and labels.
func decodeIDX(s Source, files []blob) (train, test Part, err error) {
	if train, err = idxPart(s, files[0], files[1]); err != nil {
		return
	}
	test, err = idxPart(s, files[2], files[3])
	return
}

func idxPart(s Source, images, labels blob) (Part, error) {
	dims, pixels, err := parseIDX(images.data, 3)
	if err != nil {
		return Part{}, images.malformed(err)
	}
	if dims[1] != s.Shape.H || dims[2] != s.Shape.W {
		return Part{}, images.malformed(fmt.Errorf("images of %d×%d pixels, want %d×%d", dims[1], dims[2], s.Shape.H, s.Shape.W))
	}
	_, classes, err := parseIDX(labels.data, 1)
	if err != nil {
		return Part{}, labels.malformed(err)
	}
	if len(classes) != dims[0] {
		return Part{}, labels.malformed(fmt.Errorf("%d images, but %d labels", dims[0], len(classes)))
	}
	for i, l := range classes {
		if int(l) >= len(s.Classes) {
			return Part{}, labels.malformed(fmt.Errorf("label %d of image %d, want below %d", l, i, len(s.Classes)))
		}
	}
	return Part{pixels, classes}, nil
}

// parseIDX reads an array of unsigned bytes of the given rank, row-major,
// which it returns without copying. An IDX file is two zero bytes, a byte for
// the type (8), one for the rank, each dimension as a big-endian uint32, and
// the elements. No dimension may be 0, and nothing may follow.
//
// Reference: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", file formats.
func parseIDX(data []byte, rank int) (dims []int, body []byte, err error) {
	head := 4 + 4*rank
	switch {
	case len(data) < 4 || data[0] != 0 || data[1] != 0:
		return nil, nil, errors.New("not an IDX file" + appearance(data))
	case data[2] != 8:
		return nil, nil, fmt.Errorf("elements of type 0x%02x, want unsigned bytes (0x08)", data[2])
	case int(data[3]) != rank:
		return nil, nil, fmt.Errorf("rank %d, want %d (images have 3, labels 1)", data[3], rank)
	case len(data) < head:
		return nil, nil, errors.New("ends within its header")
	}
	body = data[head:]
	want := uint64(1)
	for i := range rank {
		d := binary.BigEndian.Uint32(data[4+4*i:])
		if d == 0 {
			return nil, nil, errors.New("has no elements")
		}
		dims = append(dims, int(d))
		// A file that could exist never comes near 2³¹ bytes, and the
		// product of a smaller number and a uint32 does not overflow.
		if want < 1<<31 {
			want *= uint64(d)
		}
	}
	if want != uint64(len(body)) {
		return nil, nil, fmt.Errorf("declares %v elements, holds %d", dims, len(body))
	}
	return dims, body, nil
}
