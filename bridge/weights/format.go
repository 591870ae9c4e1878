package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A Format names a kind of file.
type Format string

// The formats.
const (
	Safetensors Format = "safetensors"
	Torch       Format = "pth"        // torch.save's zip archive
	TorchLegacy Format = "pth-legacy" // torch.save before PyTorch 1.6; read only
	ONNX        Format = "onnx"       // the initialisers; read only
	TFJS        Format = "tfjs"       // model.json and its shards; read only
)

// A File is what a model file holds.
type File struct {
	Format  Format
	Tensors Dict
	// Metadata is what the file says about itself, nil or empty if nothing:
	// the __metadata__ of safetensors, the metadata_props of ONNX, the
	// attribute metadata of a .pth file's OrderedDict.
	Metadata map[string]string
}

// Open reads the file at path, or the TensorFlow.js model in the folder at
// path. What the file is, its first bytes say; its name does not matter.
// Other files that it names (external data of ONNX, shards of TensorFlow.js)
// are looked for in its folder only. The errors wrap [ErrFormat], [ErrInvalid]
// or [ErrUnsupported].
func Open(path string) (File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return File{}, fmt.Errorf("weights: %w", err)
	}
	if info.IsDir() {
		path = filepath.Join(path, "model.json")
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return File{}, fmt.Errorf("weights: %w", err)
	}
	defer root.Close()
	// The file itself may be a link to anywhere: the user named it.
	b, err := readRegular(path, os.Stat, os.ReadFile)
	if err != nil {
		return File{}, fmt.Errorf("weights: %w", err)
	}
	f, err := decode(b, root)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// readRegular reads a file unless it is a device or a pipe, which might never
// end.
func readRegular(path string, stat func(string) (os.FileInfo, error), read func(string) ([]byte, error)) ([]byte, error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return read(path)
}

// Decode is [Open] for the bytes of one file. Tensors alias b. A file that
// names others is [ErrUnsupported].
func Decode(b []byte) (File, error) { return decode(b, nil) }

func decode(b []byte, root *os.Root) (f File, err error) {
	f.Format, err = detect(b)
	if err != nil {
		return File{}, err
	}
	switch f.Format {
	case Safetensors:
		f.Tensors, f.Metadata, err = decodeSafetensors(b)
	case Torch:
		f.Tensors, f.Metadata, err = decodeTorchZip(b)
	case TorchLegacy:
		f.Tensors, f.Metadata, err = decodeTorchLegacy(b)
	case ONNX:
		f.Tensors, f.Metadata, err = decodeONNX(b, root)
	case TFJS:
		f.Tensors, err = decodeTFJS(b, root)
	}
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", f.Format, err)
	}
	return f, nil
}

// detect says what b is. ONNX has no magic number: it is what parses as one.
func detect(b []byte) (Format, error) {
	brace := len(b) > 8 && b[8] == '{'
	switch {
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return Torch, nil
	case bytes.HasPrefix(b, legacyMagic):
		return TorchLegacy, nil
	case brace && binary.LittleEndian.Uint64(b) <= maxHeader:
		return Safetensors, nil
	case isTFJS(b):
		return TFJS, nil
	case isONNX(b):
		return ONNX, nil
	case brace:
		return Safetensors, nil // its header's length is a lie; the decoder says so
	case len(b) > 262 && string(b[257:262]) == "ustar":
		return "", unsupported("a tar archive, as PyTorch wrote before version 0.1.10")
	case bytes.HasPrefix(b, []byte("\x89HDF\r\n")):
		return "", unsupported("an HDF5 file; convert it to safetensors")
	}
	return "", fmt.Errorf("%w: %d bytes that begin with %q", ErrFormat, len(b), b[:min(len(b), 12)])
}

// Encode writes d to w as [Safetensors] or [Torch]; another Format is
// [ErrUnsupported]. The bytes depend on the arguments alone. Metadata may be
// nil.
func Encode(w io.Writer, format Format, d Dict, metadata map[string]string) error {
	if err := d.Validate(); err != nil {
		return err
	}
	switch format {
	case Safetensors:
		return encodeSafetensors(w, d, metadata)
	case Torch:
		return encodeTorch(w, d, metadata)
	}
	return unsupported("writing format %q", string(format))
}

// Save is [Encode] to a file that appears at path whole or not at all: it is
// written under a temporary name beside it, synced and renamed.
func Save(path string, format Format, d Dict, metadata map[string]string) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, errors.Join(err, os.Remove(f.Name())))
		}
	}()
	err = Encode(f, format, d, metadata)
	if err == nil {
		err = f.Chmod(0o644) // CreateTemp's files are private
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in dir survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
