package torch

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ErrMemory is wrapped by errors that say that a device has not enough memory.
var ErrMemory = errors.New("torch: not enough memory")

const less = "a smaller batch or fewer models at a time need less"

var (
	// The words of libtorch's allocators for the CPU and for CUDA, and of C++'s.
	outOfMemory = regexp.MustCompile(`can't allocate memory|out of memory|bad_alloc`)
	asked       = regexp.MustCompile(`[Tt]ried to allocate (\d+) bytes|Tried to allocate ([\d.]+ [KMGT]i?B)`)
	// What libtorch puts behind and before what it has to say.
	trace = regexp.MustCompile(`(?s)\n(frame #0: |Exception raised from ).*`)
	place = regexp.MustCompile(`^\[enforce fail at [^\]]*\] [^.]*\. `)
)

// fault returns the error that an exception's text tells of, without the C++
// stack.
func fault(text string) error {
	text = strings.TrimSpace(trace.ReplaceAllString(text, ""))
	if !outOfMemory.MatchString(text) {
		return errors.New("torch: " + place.ReplaceAllString(text, ""))
	}
	m := asked.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("%w; %s", ErrMemory, less)
	}
	size := m[2]
	if n, err := strconv.ParseFloat(m[1], 64); err == nil {
		size = fmt.Sprintf("%.3g GB", n/1e9)
	}
	return fmt.Errorf("%w for %s more; %s", ErrMemory, size, less)
}
