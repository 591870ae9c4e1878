package imagefolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Part says which split file lists an image.
type Part uint8

const (
	PartNone Part = iota
	PartTrain
	PartVal
	PartTest
)

// partNames are the endings of split files: <context>_<name>.txt.
var partNames = map[Part]string{PartTrain: "train", PartVal: "val", PartTest: "test"}

const mappingFile = "dg_label_id_mapping.json"

// isMetadata reports whether a file beside the context folders is one that
// this package reads or writes, so neither an image nor junk.
func isMetadata(name string) bool {
	if name == mappingFile || name == Marker {
		return true
	}
	stem, ok := strings.CutSuffix(name, ".txt")
	for _, part := range partNames {
		if strings.HasSuffix(stem, "_"+part) {
			return ok
		}
	}
	return false
}

// readLabels fills SourceID, Listed and the entries' Parts from the mapping and
// the split files in folders. The two must not contradict each other.
func (f *Folder) readLabels(folders []string) error {
	l := labels{Folder: f, byPath: make(map[string]int, len(f.Entries)), id: map[string]int{}}
	for i, e := range f.Entries {
		l.byPath[l.key(e.Context, e.Class, e.Path)] = i
	}
	seen := make(map[int]bool) // contexts with split files
	for _, dir := range folders {
		if err := l.readMapping(filepath.Join(dir, mappingFile)); err != nil {
			return err
		}
		for c, context := range f.Contexts {
			for _, part := range []Part{PartTrain, PartVal, PartTest} {
				found, err := l.readSplit(filepath.Join(dir, context+"_"+partNames[part]+".txt"), part)
				if err != nil {
					return err
				}
				f.Listed = f.Listed || found
				seen[c] = seen[c] || found
			}
		}
	}
	for c, context := range f.Contexts {
		if f.Listed && !seen[c] {
			return fmt.Errorf("other contexts have split files, %s has none", context)
		}
	}
	if len(l.id) > 0 {
		f.SourceID = make([]int, len(f.Classes))
		for i, name := range f.Classes {
			id, ok := l.id[name]
			if !ok {
				id = -1
			}
			f.SourceID[i] = id
		}
	}
	return nil
}

// labels gathers what the files say before it goes into the Folder.
type labels struct {
	*Folder
	byPath map[string]int // <context>/<class>/<file> to entry
	id     map[string]int // class name to source ID
}

func (l *labels) key(context, class int, file string) string {
	return path.Join(l.Contexts[context], l.Classes[class], path.Base(file))
}

func (l *labels) setID(class string, id int) error {
	if old, ok := l.id[class]; ok && old != id {
		return fmt.Errorf("class %q is number %d here and %d elsewhere", class, id, old)
	}
	l.id[class] = id
	return nil
}

// readMapping reads {"class name": number, …}. A missing file says nothing.
func (l *labels) readMapping(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var m map[string]int
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for class, id := range m {
		if err := l.setID(class, id); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// readSplit reads lines "<path> <number>", the number after the last space
// because class names contain spaces. Paths are written relative to various
// folders, so an image is known by the last three parts of its path.
func (l *labels) readSplit(file string, part Part) (found bool, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var faults []error
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := l.splitLine(line, part); err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", file, n, err))
		}
	}
	const shown = 10
	if more := len(faults) - shown; more > 0 {
		faults = append(faults[:shown], fmt.Errorf("and %d more lines of %s", more, file))
	}
	return true, errors.Join(faults...)
}

func (l *labels) splitLine(line string, part Part) error {
	cut := strings.LastIndexByte(line, ' ')
	if cut < 0 {
		return fmt.Errorf("%q is not a path, a space and a number", line)
	}
	id, err := strconv.Atoi(line[cut+1:])
	if err != nil {
		return fmt.Errorf("%q does not end in a label number", line)
	}
	parts := strings.Split(path.Clean(strings.TrimSpace(line[:cut])), "/")
	key := path.Join(parts[max(0, len(parts)-3):]...)
	i, ok := l.byPath[key]
	if !ok {
		return fmt.Errorf("there is no image %s", key)
	}
	e := &l.Entries[i]
	if e.Part != PartNone && e.Part != part {
		return fmt.Errorf("%s is also listed for %s", key, partNames[e.Part])
	}
	e.Part = part
	return l.setID(l.Classes[e.Class], id)
}

// index returns the position of name in the sorted list, or an error that
// shows what there is.
func index(list []string, what, name string) (int, error) {
	if i, ok := slices.BinarySearch(list, name); ok {
		return i, nil
	}
	return 0, fmt.Errorf("no %s %q (have %s)", what, name, strings.Join(list, ", "))
}
