package config

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// TestDigest sees that a change of either file changes the digest, and that a
// file that is like no other has its own, as it always had.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	digest := func(path string) string {
		t.Helper()
		sum, err := Digest(path)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	base, child := write("base", "title: A\n"), write("child", "like: base\n")
	if sum := sha256.Sum256([]byte("title: A\n")); digest(base) != hex.EncodeToString(sum[:]) {
		t.Errorf("a file alone has the digest %s, not that of its bytes", digest(base))
	}
	seen := map[string]bool{digest(base): true, digest(child): true}
	for _, change := range [][2]string{{"base", "title: B\n"}, {"child", "like: base\ntitle: C\n"}, {"base", "title: D\n"}} {
		write(change[0], change[1])
		if sum := digest(child); seen[sum] {
			t.Errorf("%s with %q keeps the digest", change[0], change[1])
		} else {
			seen[sum] = true
		}
	}
	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{base, child} {
		if sum, err := Digest(path); err == nil {
			t.Errorf("%s without the base: %s", path, sum)
		}
	}
}
