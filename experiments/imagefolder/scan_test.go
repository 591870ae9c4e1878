package imagefolder

import (
	"errors"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// write makes files under a new folder; a name's content is data[name], or an
// image of one colour that depends on the name.
func write(t testing.TB, data map[string]string, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name := range data {
		names = append(names, name)
	}
	for _, name := range names {
		content, ok := data[name]
		if !ok {
			content = string(picture(t, name))
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// picture returns a JPEG, 24 high and 30 wide, whose gray is the sum of the
// name's bytes.
func picture(t testing.TB, name string) []byte {
	var sum byte
	for _, c := range []byte(name) {
		sum += c
	}
	m := image.NewRGBA(image.Rect(0, 0, 30, 24))
	for y := range 24 {
		for x := range 30 {
			m.SetRGBA(x, y, color.RGBA{sum, sum, sum, 255})
		}
	}
	return encodeJPEG(t, m)
}

func mustScan(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func paths(f *Folder) []string {
	var p []string
	for _, e := range f.Entries {
		p = append(p, e.Path)
	}
	return p
}

func TestScanLayouts(t *testing.T) {
	images := []string{"dim/bear/b.jpg", "autumn/hot air balloon/1.JPG", "autumn/bear/a.png", "dim/10/x.jpg", "dim/2/x.jpeg"}
	want := []string{"autumn/bear/a.png", "autumn/hot air balloon/1.JPG", "dim/10/x.jpg", "dim/2/x.jpeg", "dim/bear/b.jpg"}
	at := func(prefix string) (names []string) {
		for _, n := range images {
			names = append(names, prefix+n)
		}
		return names
	}
	for _, prefix := range []string{
		"", "NICO_DG/", "data/NICO_DG/", "public_dg_0416/train/",
		"track_1/public_dg_0416/train/", "nico/track_1/public_dg_0416/train/",
	} {
		dir := write(t, map[string]string{"README": ""}, at(prefix)...)
		f := mustScan(t, dir)
		if got := paths(f); !slices.Equal(got, want) {
			t.Errorf("%q: images %q", prefix, got)
		}
		if !slices.Equal(f.Contexts, []string{"autumn", "dim"}) || !slices.Equal(f.Classes, []string{"10", "2", "bear", "hot air balloon"}) {
			t.Errorf("%q: contexts %q, classes %q", prefix, f.Contexts, f.Classes)
		}
		if e := f.Entries[1]; f.Contexts[e.Context] != "autumn" || f.Classes[e.Class] != "hot air balloon" {
			t.Errorf("%q: entry 1 is %+v", prefix, e)
		}
		if f.Listed || f.Generated || f.SourceID != nil {
			t.Errorf("%q: found labels that are not there", prefix)
		}
	}
}

func TestScanClassFoldersOnly(t *testing.T) {
	dir := write(t, nil, "pets/0/a.png", "pets/11/a.png", "pets/2/a.png")
	f := mustScan(t, filepath.Join(dir, "pets"))
	if !slices.Equal(f.Contexts, []string{"pets"}) || !slices.Equal(f.Classes, []string{"0", "11", "2"}) || f.Entries[2].Class != 2 {
		t.Errorf("contexts %q, classes %q, entries %v", f.Contexts, f.Classes, f.Entries)
	}
}

func TestScanSkips(t *testing.T) {
	dir := write(t, map[string]string{
		"dim/bear/Thumbs.db": "x", "dim/bear/.DS_Store": "x", "dim/bear/._b.jpg": "x",
		"dim/notes.txt": "x", ".git/dim/b.jpg": "x", "dim/bear/deep/c.jpg": "x",
	}, "dim/bear/b.jpg", "stray.jpg", "dim/stray.png")
	f := mustScan(t, dir)
	if got := paths(f); !slices.Equal(got, []string{"dim/bear/b.jpg"}) {
		t.Errorf("images %q", got)
	}
	want := []string{".git", "dim/bear/._b.jpg", "dim/bear/.DS_Store", "dim/bear/Thumbs.db", "dim/bear/deep", "dim/notes.txt", "dim/stray.png", "stray.jpg"}
	slices.Sort(want)
	if !slices.Equal(f.Skipped, want) {
		t.Errorf("skipped %q, want %q", f.Skipped, want)
	}
}

func TestScanEmpty(t *testing.T) {
	if _, err := Scan(write(t, map[string]string{"dim/bear/a.txt": "x"})); !errors.Is(err, ErrNoImages) {
		t.Errorf("error %v, want ErrNoImages", err)
	}
	if _, err := Scan(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}

func TestSplitFiles(t *testing.T) {
	images := []string{"NICO_DG/dim/hot air balloon/dim_000000.jpg", "NICO_DG/dim/hot air balloon/dim_000001.jpg", "NICO_DG/dim/bear/dim_000002.jpg", "NICO_DG/dim/bear/dim_000003.jpg"}
	f := mustScan(t, write(t, map[string]string{
		"NICO_DG/dim_train.txt":     "NICO_DG/dim/hot air balloon/dim_000000.jpg 22\r\ndim/bear/dim_000002.jpg 45\n\n",
		"dim_val.txt":               "/elsewhere/NICO_DG/dim/hot air balloon/dim_000001.jpg 22\n",
		"NICO_DG/dim_test.txt":      "dim/bear/dim_000003.jpg 45",
		"dg_label_id_mapping.json":  `{"bear": 45, "hot air balloon": 22, "absent": 3}`,
		"NICO_DG/unrelated/x/y.txt": "",
	}, images...))
	var parts []Part
	for _, e := range f.Entries {
		parts = append(parts, e.Part)
	}
	if want := []Part{PartTrain, PartTest, PartTrain, PartVal}; !f.Listed || !slices.Equal(parts, want) {
		t.Errorf("listed %v, parts %v, want %v", f.Listed, parts, want)
	}
	if !slices.Equal(f.SourceID, []int{45, 22}) {
		t.Errorf("source IDs %v", f.SourceID)
	}
	if len(f.Skipped) != 1 {
		t.Errorf("skipped %q, want the unrelated text only", f.Skipped)
	}
	if s := NewSplit(f, 0); !slices.Equal(s.Train, []int{0, 2}) || !slices.Equal(s.Test, []int{1}) {
		t.Errorf("split %v", s)
	}
}

func TestSplitFileFaults(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no such image":  {map[string]string{"dim_train.txt": "dim/bear/a.jpg 1\ndim/bear/none.jpg 1"}, "dim_train.txt:2: there is no image dim/bear/none.jpg"},
		"no number":      {map[string]string{"dim_train.txt": "dim/bear/a.jpg one"}, "dim_train.txt:1"},
		"no space":       {map[string]string{"dim_train.txt": "dim/bear/a.jpg"}, "dim_train.txt:1"},
		"in two files":   {map[string]string{"dim_train.txt": "dim/bear/a.jpg 1", "dim_test.txt": "dim/bear/a.jpg 1"}, "dim_test.txt:1: dim/bear/a.jpg is also listed for train"},
		"two numbers":    {map[string]string{"dim_train.txt": "dim/bear/a.jpg 1\ndim/bear/b.jpg 2"}, "dim_train.txt:2"},
		"other mapping":  {map[string]string{"dim_train.txt": "dim/bear/a.jpg 1", "dg_label_id_mapping.json": `{"bear": 2}`}, `class "bear" is number 1 here and 2 elsewhere`},
		"broken mapping": {map[string]string{"dg_label_id_mapping.json": "{"}, "dg_label_id_mapping.json"},
		"context left":   {map[string]string{"dim_train.txt": "dim/bear/a.jpg 1", "rock/bear/a.jpg": "x"}, "rock has none"},
	} {
		_, err := Scan(write(t, c.files, "dim/bear/a.jpg", "dim/bear/b.jpg"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
