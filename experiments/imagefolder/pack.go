package imagefolder

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// A pack file is, all numbers little-endian:
//
//	header  magic (8 bytes), key (32), SHA-256 of the index (32), image count (8)
//	index   per image: offset from the file's start (8), height (4), width (4), SHA-256 of its pixels (32)
//	pixels  per image: (3, height, width) bytes, one image after another
//
// The key hashes the names, sizes and times of the files and the options, see
// [cacheKey]. It begins the file's name too, so a changed folder has another
// file.
const (
	magic      = "rsimgs1\n"
	headerSize = 8 + sha256.Size + sha256.Size + 8
	entrySize  = 8 + 4 + 4 + sha256.Size
)

// ErrCorrupt reports a pack file that is not what was written: cut short,
// altered, or of other images.
var ErrCorrupt = errors.New("corrupt image cache")

// A Pack is the images of a Folder, decoded and resized, in mapped memory: the
// system reads pages when they are used and drops them when memory is short.
// It is safe for concurrent use until Close. The file must not be changed in
// place while it is open.
type Pack struct {
	*Folder
	Short int // the images' shorter side in pixels
	data  []byte
	index []record
}

// A record is an entry of the index.
type record struct {
	offset int64
	h, w   uint32
	sum    [sha256.Size]byte
}

func (r record) len() int64 { return 3 * int64(r.h) * int64(r.w) }

// Len returns the number of images.
func (p *Pack) Len() int { return len(p.index) }

// Image returns image i as bytes of shape (3, h, w), row-major, red first. The
// bytes are read only and valid until Close; writing to them is a fault.
func (p *Pack) Image(i int) (pixels []byte, h, w int) {
	r := p.index[i]
	return p.data[r.offset:][:r.len():r.len()], int(r.h), int(r.w)
}

// Label returns the class of image i as an index into Classes.
func (p *Pack) Label(i int) int { return p.Entries[i].Class }

// Context returns the context of image i as an index into Contexts.
func (p *Pack) Context(i int) int { return p.Entries[i].Context }

// Path returns the file image i came from, under Root, with slashes.
func (p *Pack) Path(i int) string { return p.Entries[i].Path }

// Digest returns a SHA-256 in hexadecimal of everything training can see: each
// image's class name, context name, split file and resized pixels, in order.
// Unlike the cache's name it depends on no path above the context folders and
// on no time, so it is the same for every copy of a data set.
func (p *Pack) Digest() string {
	d := sha256.New()
	for i, r := range p.index {
		e := p.Entries[i]
		fmt.Fprintf(d, "%q %q %d %d %d %x\n", p.Contexts[e.Context], p.Classes[e.Class], e.Part, r.h, r.w, r.sum)
	}
	return hex.EncodeToString(d.Sum(nil))
}

// Close unmaps the file. Slices from Image must not be used afterwards.
func (p *Pack) Close() error {
	data := p.data
	p.data, p.index = nil, nil
	if data == nil {
		return nil
	}
	return unix.Munmap(data)
}

// openPack maps file and checks all of it, pixels included, on workers cores.
// The error wraps fs.ErrNotExist or [ErrCorrupt] and names file.
func openPack(file string, key [sha256.Size]byte, n, workers int) (data []byte, index []record, err error) {
	data, err = mapFile(file)
	if err != nil {
		return nil, nil, err
	}
	index, err = parseIndex(data, key, n)
	if err == nil {
		err = verify(data, index, workers)
	}
	if err != nil {
		unix.Munmap(data)
		return nil, nil, fmt.Errorf("%w %s: %w", ErrCorrupt, file, err)
	}
	return data, index, nil
}

func mapFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping outlives it
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < headerSize {
		return nil, fmt.Errorf("%w %s: %d bytes", ErrCorrupt, file, info.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", file, err)
	}
	return data, nil
}

// parseIndex checks everything but the pixels: n images that fill data exactly.
func parseIndex(data []byte, key [sha256.Size]byte, n int) ([]record, error) {
	pixels := int64(headerSize) + int64(n)*entrySize
	switch {
	case string(data[:8]) != magic:
		return nil, errors.New("unknown format")
	case !bytes.Equal(data[8:40], key[:]):
		return nil, errors.New("made of other images")
	case binary.LittleEndian.Uint64(data[72:]) != uint64(n) || int64(len(data)) < pixels:
		return nil, fmt.Errorf("not the index of %d images", n)
	}
	raw := data[headerSize:pixels]
	if sum := sha256.Sum256(raw); !bytes.Equal(data[40:72], sum[:]) {
		return nil, errors.New("wrong checksum of the index")
	}
	index := make([]record, n)
	for i := range index {
		b := raw[i*entrySize:]
		index[i] = record{
			offset: int64(binary.LittleEndian.Uint64(b)),
			h:      binary.LittleEndian.Uint32(b[8:]),
			w:      binary.LittleEndian.Uint32(b[12:]),
			sum:    [sha256.Size]byte(b[16:]),
		}
		if index[i].offset != pixels {
			return nil, fmt.Errorf("image %d is misplaced", i)
		}
		pixels += index[i].len()
	}
	if pixels != int64(len(data)) {
		return nil, fmt.Errorf("%d bytes where %d were written", len(data), pixels)
	}
	return index, nil
}

// verify compares every image with its checksum.
func verify(data []byte, index []record, workers int) error {
	var g errgroup.Group
	g.SetLimit(workers)
	const batch = 64
	for first := 0; first < len(index); first += batch {
		g.Go(func() error {
			for i := first; i < min(first+batch, len(index)); i++ {
				r := index[i]
				if sha256.Sum256(data[r.offset:][:r.len()]) != r.sum {
					return fmt.Errorf("wrong checksum of image %d", i)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// encodeIndex returns the bytes before the pixels.
func encodeIndex(key [sha256.Size]byte, index []record) []byte {
	b := make([]byte, headerSize, headerSize+len(index)*entrySize)
	for _, r := range index {
		b = binary.LittleEndian.AppendUint64(b, uint64(r.offset))
		b = binary.LittleEndian.AppendUint32(b, r.h)
		b = binary.LittleEndian.AppendUint32(b, r.w)
		b = append(b, r.sum[:]...)
	}
	sum := sha256.Sum256(b[headerSize:])
	copy(b, magic)
	copy(b[8:], key[:])
	copy(b[40:], sum[:])
	binary.LittleEndian.PutUint64(b[72:], uint64(len(index)))
	return b
}

func workersOr(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}
