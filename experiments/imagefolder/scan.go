package imagefolder

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNoImages reports a folder without any image in context/class folders.
var ErrNoImages = errors.New("no images")

// A Folder is what [Scan] found: the names of the images, not yet their
// pixels. It is read only after Scan and safe for concurrent use.
type Folder struct {
	Root     string   // the folder that holds the context folders
	Contexts []string // sorted as bytes; an Entry's Context indexes it
	Classes  []string // sorted as bytes, so "10" precedes "2"; an Entry's Class indexes it
	Entries  []Entry  // by context, then class, then file name

	// SourceID is the number the data set's own mapping or split files give to
	// each class, -1 for a class they leave out; nil where there are neither.
	// Nothing is computed from it: class indices are positions in Classes.
	SourceID []int

	Listed    bool     // split files were found; every Entry's Part is set from them
	Generated bool     // the folder was written by [Generate]
	Skipped   []string // paths under Root passed over because of their name or place
}

// An Entry is one image of a Folder.
type Entry struct {
	Path    string // under Root, with slashes
	Class   int
	Context int
	Part    Part // PartNone without split files, or if they do not list the image
	Size    int64
	ModTime time.Time
}

// imageNames are the endings of files that claim to be images: torchvision's
// IMG_EXTENSIONS. What such a file holds is decided by its content, so one of a
// kind that [Decode] does not know is reported as unreadable, not passed over.
var imageNames = []string{".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}

// nicoRoots are the places, below the folder a user names, where the two
// published layouts of NICO++ keep their context folders.
var nicoRoots = []string{
	"public_dg_0416/train", "*/public_dg_0416/train", "*/*/public_dg_0416/train",
	"NICO_DG", "*/NICO_DG",
}

// Scan lists the images of dir without opening them. It understands
//
//   - NICO++ as track_1/public_dg_0416/train/<context>/<class>/*.jpg with
//     dg_label_id_mapping.json, and as NICO_DG/<context>/<class>/*.jpg, dir
//     being those folders or up to three levels above them;
//   - any other <context>/<class>/<image>, such as PACS;
//   - <class>/<image>, which becomes one context named after dir.
//
// Split files and the label mapping are looked for in dir, in the context
// folders' parent and in the folders between. Hidden files, files that are not
// images by name, and images in other places than the layout's are listed in
// Skipped. The error wraps [ErrNoImages], or names the file or line that is
// wrong.
func Scan(dir string) (*Folder, error) {
	f, err := scan(dir)
	if err != nil {
		return nil, fmt.Errorf("imagefolder: scan %s: %w", dir, err)
	}
	return f, nil
}

func scan(dir string) (*Folder, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, err
	}
	dir = filepath.Clean(dir)
	root, err := findRoot(dir)
	if err != nil {
		return nil, err
	}
	l := listing{root: root}
	if err := l.walk(".", 0); err != nil {
		return nil, err
	}
	f := l.folder()
	if len(f.Entries) == 0 {
		return nil, fmt.Errorf("%w in %s (want <context>/<class>/<image>, or <class>/<image>)", ErrNoImages, root)
	}
	if _, err := os.Stat(filepath.Join(root, Marker)); err == nil {
		f.Generated = true
	}
	return f, f.readLabels(between(dir, root))
}

// findRoot returns the folder that holds the context folders.
func findRoot(dir string) (string, error) {
	patterns := nicoRoots
	if filepath.Base(dir) == "public_dg_0416" {
		patterns = append([]string{"train"}, patterns...)
	}
	for _, p := range patterns {
		hits, err := fs.Glob(os.DirFS(dir), p)
		if err != nil {
			return "", err
		}
		if len(hits) > 0 {
			return filepath.Join(dir, filepath.FromSlash(hits[0])), nil
		}
	}
	return dir, nil
}

// between returns root, the folders above it, and dir, which is above or equal.
func between(dir, root string) []string {
	folders := []string{root}
	for root != dir && filepath.Dir(root) != root {
		root = filepath.Dir(root)
		folders = append(folders, root)
	}
	return folders
}

// A listing is the raw walk of a tree, images kept by depth.
type listing struct {
	root    string
	images  [3][]Entry // [0] beside the class folders, [1] in <class>, [2] in <context>/<class>
	skipped []string
}

func (l *listing) walk(rel string, depth int) error {
	items, err := os.ReadDir(filepath.Join(l.root, filepath.FromSlash(rel)))
	if err != nil {
		return err
	}
	for _, it := range items {
		p := path.Join(rel, it.Name())
		if strings.HasPrefix(it.Name(), ".") {
			l.skipped = append(l.skipped, p)
			continue
		}
		info, err := os.Stat(filepath.Join(l.root, filepath.FromSlash(p))) // follows links
		if err != nil {
			return err
		}
		switch isImage := slices.Contains(imageNames, strings.ToLower(path.Ext(p))); {
		case info.IsDir() && depth < 2:
			if err := l.walk(p, depth+1); err != nil {
				return err
			}
		case depth == 0 && isMetadata(it.Name()):
		case !isImage || !info.Mode().IsRegular():
			l.skipped = append(l.skipped, p)
		default:
			l.images[depth] = append(l.images[depth], Entry{Path: p, Size: info.Size(), ModTime: info.ModTime()})
		}
	}
	return nil
}

// folder names the contexts and classes. The deepest images decide the layout.
func (l *listing) folder() *Folder {
	f := &Folder{Root: l.root, Entries: l.images[2], Skipped: l.skipped}
	stray := [][]Entry{l.images[0], l.images[1]}
	if len(f.Entries) == 0 {
		f.Entries, stray = l.images[1], stray[:1]
	}
	for _, e := range slices.Concat(stray...) {
		f.Skipped = append(f.Skipped, e.Path)
	}
	slices.Sort(f.Skipped)

	names := func(e Entry) (context, class string) {
		context, class = path.Split(path.Dir(e.Path))
		return cmp.Or(strings.TrimSuffix(context, "/"), filepath.Base(l.root)), class
	}
	for _, e := range f.Entries {
		context, class := names(e)
		f.Contexts = append(f.Contexts, context)
		f.Classes = append(f.Classes, class)
	}
	f.Contexts, f.Classes = sortedSet(f.Contexts), sortedSet(f.Classes)
	for i, e := range f.Entries {
		context, class := names(e)
		f.Entries[i].Context, _ = slices.BinarySearch(f.Contexts, context)
		f.Entries[i].Class, _ = slices.BinarySearch(f.Classes, class)
	}
	slices.SortFunc(f.Entries, func(a, b Entry) int {
		return cmp.Or(a.Context-b.Context, a.Class-b.Class, cmp.Compare(a.Path, b.Path))
	})
	return f
}

func sortedSet(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
