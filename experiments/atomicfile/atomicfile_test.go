package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"rarespurious/experiments/atomicfile"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"first", "a second, longer one", ""} {
		if err := atomicfile.Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%q, %v; want %q", b, err, text)
		}
	}
	// A folder with something in it cannot be replaced by a file.
	full := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(full, "something"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(full, []byte("text")); err == nil {
		t.Error("a folder was replaced")
	}
	if err := atomicfile.Write(filepath.Join(dir, "nowhere", "file"), nil); err == nil {
		t.Error("a folder was made")
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("%v is left, want the file and the folder", left)
	}
}
