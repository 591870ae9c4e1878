package imagefolder

import (
	"errors"
	"testing"
)

// An error takes its own entry away, so that the next Open tries again, but not
// the set that somebody else has opened since.
func TestLibraryForgetsItsOwnFailure(t *testing.T) {
	lost := errors.New("lost")
	newer := &opening{}
	l := &Library{open: map[string]*opening{}}
	l.open["folder64"] = &opening{func() (*Pack, error) { return nil, lost }}
	l.open["nico64"] = &opening{func() (*Pack, error) {
		l.open["nico64"] = newer
		return nil, lost
	}}
	for _, name := range []string{"folder", "nico"} {
		if _, err := l.Open(t.Context(), name, 64); !errors.Is(err, lost) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if len(l.open) != 1 || l.open["nico64"] != newer {
		t.Errorf("open are %v, want the newer set alone", l.open)
	}
}
