// Package atomicfile writes files that are there whole or not at all.
//
// Its one idea: what can be made again needs no sync, only that no reader and
// no next run ever meets half of it.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Write puts data into the file path, readable by everybody, in place of what it
// has. The folder must be there. After an error, or if the process is killed,
// the file is as it was.
func Write(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
