package predict

import (
	"encoding/json"
	"os"
	"path/filepath"

	"rarespurious/experiments/atomicfile"
)

// LoadPaces returns what SavePaces has written to a file. What is not there, or
// not readable, is measured again.
func LoadPaces(file string) map[string]float64 {
	paces := map[string]float64{}
	if b, err := os.ReadFile(file); err != nil || json.Unmarshal(b, &paces) != nil {
		return map[string]float64{}
	}
	for key, s := range paces {
		if !(s > 0) {
			delete(paces, key)
		}
	}
	return paces
}

// SavePaces writes paces to a file, whole or not at all.
func SavePaces(file string, paces map[string]float64) error {
	b, err := json.MarshalIndent(paces, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(file, append(b, '\n'))
}
