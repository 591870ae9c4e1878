package config

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
)

// Digest returns the SHA-256, in hexadecimal, of all that Load reads of the
// figure file at path: of its bytes, and after a zero byte, which YAML has not,
// of those of the file that it is like.
func Digest(path string) (string, error) {
	m, err := parse(path)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if like, _ := m["like"].(string); err == nil && like != "" {
		var base []byte
		base, err = os.ReadFile(filepath.Join(filepath.Dir(path), like+".yaml"))
		text = append(append(text, 0), base...)
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
