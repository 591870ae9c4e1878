package dataset

import (
	"errors"
	"fmt"
)

// decodeCIFAR makes a data set of CIFAR-10's binary files, of which the last
// is the test set.
func decodeCIFAR(s Source, files []blob) (train, test Part, err error) {
	var size int
	for _, f := range files[:len(files)-1] {
		size += len(f.data)
	}
	train = Part{make([]uint8, 0, size), make([]uint8, 0, size/(1+s.Shape.Len()))}
	for i, f := range files {
		part := &train
		if i == len(files)-1 {
			part = &test
		}
		if err := parseCIFAR(part, f.data, s.Shape.Len(), len(s.Classes)); err != nil {
			return Part{}, Part{}, f.malformed(err)
		}
	}
	return train, test, nil
}

// parseCIFAR appends to p the records of data: a label and d bytes of image,
// (C, H, W), each.
//
// Reference: A. Krizhevsky, "The CIFAR-10 dataset", binary version.
func parseCIFAR(p *Part, data []byte, d, classes int) error {
	if len(data) == 0 {
		return errors.New("is empty")
	}
	if len(data)%(1+d) != 0 {
		return fmt.Errorf("size %d is not a multiple of %d%s", len(data), 1+d, appearance(data))
	}
	for i := 0; len(data) > 0; i++ {
		if int(data[0]) >= classes {
			return fmt.Errorf("label %d of record %d, want below %d", data[0], i, classes)
		}
		p.Labels = append(p.Labels, data[0])
		p.Images = append(p.Images, data[1:1+d]...)
		data = data[1+d:]
	}
	return nil
}
