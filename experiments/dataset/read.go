package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxContent bounds what one file may hold, decompressed: five times
// CIFAR-10, so that a small file cannot ask for all memory.
const maxContent = 1 << 30

// A blob is a file's content, decompressed.
type blob struct {
	file File
	path string
	data []byte
	// sum is the MD5 that was compared: of the file as it is if that is the
	// published one, else of its content.
	sum      string
	official bool
}

func (b blob) malformed(err error) error {
	return fmt.Errorf("%s: %w: %w", b.path, ErrMalformed, err)
}

// errAbsent reports a folder that holds none of a source's files.
var errAbsent = errors.New("none of its files")

// readFolder returns the files of s that lie in dir, each compressed or not,
// or those in the archive that lies there. It fails with errAbsent if there
// are none, and with an error that names the missing ones if there are some.
func readFolder(s Source, dir string) ([]blob, error) {
	var paths, missing []string
	for _, f := range s.Files {
		plain := filepath.Join(dir, strings.TrimSuffix(f.Name, ".gz"))
		if p := filepath.Join(dir, f.Name); exists(plain) {
			paths = append(paths, plain)
		} else if exists(p) {
			paths = append(paths, p)
		} else {
			missing = append(missing, f.Name)
		}
	}
	if archive := filepath.Join(dir, s.Archive.Name); len(missing) > 0 && s.Archive.Name != "" && exists(archive) {
		return readArchive(s, archive)
	}
	if len(paths) == 0 {
		return nil, errAbsent
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s: lacks %s", dir, strings.Join(missing, ", "))
	}
	var blobs []blob
	for i, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		b, err := newBlob(s.Files[i], p, data)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, b)
	}
	return blobs, nil
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func newBlob(f File, path string, data []byte) (blob, error) {
	b := blob{file: f, path: path, data: data, sum: sum(data)}
	switch zipped := bytes.HasPrefix(data, []byte{0x1f, 0x8b}); {
	case len(data) == 0:
		return b, b.malformed(errors.New("is empty"))
	case zipped:
		var err error
		if b.data, err = gunzip(data); err != nil {
			return b, b.malformed(err)
		}
		if b.sum != f.MD5 {
			b.sum = sum(b.data)
		}
	case strings.HasSuffix(path, ".gz") && data[0] != 0:
		// IDX begins with 0: a browser may have decompressed the file and
		// kept its name.
		return b, b.malformed(errors.New("not gzip" + appearance(data)))
	}
	b.official = b.sum == f.MD5 || b.sum == f.Content
	return b, nil
}

func sum(data []byte) string {
	h := md5.Sum(data)
	return hex.EncodeToString(h[:])
}

// gunzip decompresses all members of data.
func gunzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return readAll(z)
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxContent+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("gzip: truncated")
	case err != nil:
		return nil, fmt.Errorf("gzip: %w", err)
	case len(data) > maxContent:
		return nil, fmt.Errorf("holds more than %d bytes", maxContent)
	}
	return data, nil
}

// readArchive returns the files of s in a .tar.gz, whatever folder of it they
// are in. It reads to the end, so that a truncated archive is refused, and
// unpacks nothing to disk.
func readArchive(s Source, name string) ([]blob, error) {
	whole := blob{path: name}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, whole.malformed(fmt.Errorf("gzip: %w", err))
	}
	blobs := make([]blob, len(s.Files))
	for members := tar.NewReader(z); ; {
		head, err := members.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, whole.malformed(truncated(err))
		}
		for i, file := range s.Files {
			if head.Typeflag != tar.TypeReg || path.Base(head.Name) != file.Name {
				continue
			}
			data, err := readAll(members)
			if err != nil {
				return nil, whole.malformed(fmt.Errorf("%s: %w", head.Name, err))
			}
			if blobs[i], err = newBlob(file, filepath.Join(name, head.Name), data); err != nil {
				return nil, err
			}
		}
	}
	if _, err := io.Copy(io.Discard, z); err != nil {
		return nil, whole.malformed(truncated(err))
	}
	for i, b := range blobs {
		if b.data == nil {
			return nil, whole.malformed(fmt.Errorf("lacks %s", s.Files[i].Name))
		}
	}
	return blobs, nil
}

func truncated(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("truncated")
	}
	return err
}

// appearance says what a file that is not what it should be looks like.
func appearance(data []byte) string {
	text := bytes.ToLower(bytes.TrimSpace(data[:min(len(data), 512)]))
	for _, tag := range []string{"<!doctype html", "<html", "<?xml"} {
		if bytes.HasPrefix(text, []byte(tag)) {
			return ", but a web page: the download went to a login or error page"
		}
	}
	return ""
}

// notFolder is nil if dir is a folder.
func notFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a folder")}
	}
	return nil
}
