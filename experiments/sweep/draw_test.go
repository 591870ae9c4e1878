package sweep

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/table"
)

// TestSaveOrder sees that a drawing that stops half way leaves the table as it
// was, and no half of any file.
func TestSaveOrder(t *testing.T) {
	dir := t.TempDir()
	pic := func(title string) Picture {
		return Picture{Name: "f", Figure: figure.Figure{Title: title, Panels: []figure.Panel{&figure.Bars{Title: title}}},
			Cells: []table.Cell{{Figure: "f", Panel: title, Metric: "m", N: 1}}}
	}
	if _, err := pic("old").Save(dir); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(dir, "f", "f.svg"))
	if err != nil {
		t.Fatal(err)
	}
	// An open file keeps its bytes if another takes its name, not if it is written over.
	svg, err := os.Open(filepath.Join(dir, "f", "f.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer svg.Close()
	pdf := filepath.Join(dir, "f", "f.pdf") // the last picture cannot be written
	if err := os.Remove(pdf); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(pdf, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := pic("new").Save(dir); err == nil {
		t.Fatal("a folder was replaced by a picture")
	}
	if b, err := io.ReadAll(svg); err != nil || string(b) != string(old) {
		t.Errorf("the old picture was written over in its place: %v", err)
	}
	want, err := pic("old").CSV()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "f", "f.csv")); err != nil || string(b) != string(want) {
		t.Errorf("the table is %q, %v; want the old one", b, err)
	}
}
