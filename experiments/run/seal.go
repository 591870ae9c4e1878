package run

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A sealed text is a JSON object whose last member, "seal", is the SHA-256 of
// all bytes before that member. A changed letter anywhere breaks the seal; what
// keeps somebody from changing a text and sealing it again is the journal.
type layout struct{ before, after string }

var (
	recordLayout = layout{",\n  \"seal\": \"", "\"\n}\n"}
	lineLayout   = layout{`,"seal":"`, "\"}\n"}
)

// seal takes a JSON object's text without its closing brace.
func (l layout) seal(text []byte) []byte {
	return fmt.Appendf(text, "%s%s%s", l.before, digest(text), l.after)
}

// sealed reports whether text is what seal returned.
func (l layout) sealed(text []byte) bool {
	n := len(text) - len(l.before) - 2*sha256.Size - len(l.after)
	return n >= 0 && string(text[n:]) == l.before+digest(text[:n])+l.after
}

// digest returns the SHA-256 of b in hexadecimal.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// digestFile returns the SHA-256 of a file in hexadecimal.
func digestFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// plainName reports whether name can be an artifact's: it stays inside the
// folder it is joined to and is not one of the store's own.
func plainName(name string) bool {
	return filepath.IsLocal(name) && filepath.Base(name) == name && !strings.HasPrefix(name, ".") &&
		name != stepFile && name != recordFile
}

// writeNew writes a file that must not exist. It is not on the disk before
// syncPath.
func writeNew(path string, from io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, from); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// syncPath waits until a file, or the list of names in a folder, is on the
// disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
