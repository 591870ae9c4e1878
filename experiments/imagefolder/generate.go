package imagefolder

import (
	"bufio"
	"errors"
	"fmt"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"rarespurious/experiments/seed"
)

const (
	// Marker is the file in a folder's root that says its images are
	// generated; see [Folder].Generated.
	Marker = "GENERATED.txt"
	// PerCell is the usual number of generated images of a class in a context,
	// 42 of which are for training.
	PerCell = 60
)

// Generate writes a stand-in for NICO++: perCell images of each shape of
// [Shapes] before each background of [Textures], as
// dir/<context>/<class>/<context>_NNNNNN.jpg, 64 to 96 pixels a side, and a
// [Marker] that says so. Objects vary in colour, size, pose and place and are
// partly hidden, so that shapes take training to tell apart; backgrounds are
// told apart at a glance. That is what makes a context a tempting shortcut.
//
// Equal arguments give equal pictures, and equal files under one version of Go
// on one architecture. If dir holds them already nothing is done. A dir with
// anything else in it is refused. Images appear in dir all at once or, after an
// error, not at all. Generate panics unless perCell is positive.
func Generate(dir string, from uint64, perCell int) error {
	if perCell < 1 {
		panic("imagefolder: perCell must be positive")
	}
	if err := generate(filepath.Clean(dir), from, perCell); err != nil {
		return fmt.Errorf("imagefolder: generate %s: %w", dir, err)
	}
	return nil
}

func generate(dir string, from uint64, perCell int) error {
	note := fmt.Sprintf("Generated stand-in for NICO++, not photographs: %d shapes, %d contexts, %d images of each pair, seed %d, drawing %d.\n",
		len(Shapes), len(Textures), perCell, from, drawing)
	items, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(items) > 0 {
		if old, err := os.ReadFile(filepath.Join(dir, Marker)); err == nil && string(old) == note {
			return nil
		}
		return errors.New("the folder holds something else; empty it or name another one")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // after the renaming there is nothing of that name
	if err := writeAll(tmp, from, perCell); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, Marker), []byte(note), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

func writeAll(dir string, from uint64, perCell int) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, context := range Textures {
		for c, class := range Shapes {
			g.Go(func() error {
				folder := filepath.Join(dir, context.Name, class.Name)
				if err := os.MkdirAll(folder, 0o755); err != nil {
					return err
				}
				for i := range perCell {
					rng := seed.Rand(from, fmt.Sprintf("image/%s/%s/%d", context.Name, class.Name, i))
					name := fmt.Sprintf("%s_%06d.jpg", context.Name, c*perCell+i)
					if err := writeJPEG(filepath.Join(folder, name), drawImage(class, context, rng)); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	return g.Wait()
}

func writeJPEG(name string, c *canvas) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = jpeg.Encode(w, c.image(), &jpeg.Options{Quality: 90})
	return errors.Join(err, w.Flush(), f.Close())
}

// ShapeNames and TextureNames list what Generate draws: its classes and
// contexts, sorted.
func ShapeNames() []string { return names(Shapes, func(s Shape) string { return s.Name }) }

// TextureNames: see [ShapeNames].
func TextureNames() []string { return names(Textures, func(t Texture) string { return t.Name }) }

func names[T any](table []T, name func(T) string) []string {
	var list []string
	for _, row := range table {
		list = append(list, name(row))
	}
	return slices.Sorted(slices.Values(list))
}
