package run

import (
	"encoding/binary"
	"fmt"
)

// A Shard is one of N parts of a sweep, for machines that share the work. The
// zero value is all of it.
type Shard struct {
	I int // from 1
	N int
}

// ParseShard parses "I/N".
func ParseShard(text string) (Shard, error) {
	var s Shard
	if _, err := fmt.Sscanf(text, "%d/%d", &s.I, &s.N); err != nil || s.String() != text || s.I < 1 || s.I > s.N {
		return Shard{}, fmt.Errorf("run: shard %q: want I/N with 1 ≤ I ≤ N, such as 2/8", text)
	}
	return s, nil
}

// String returns "I/N".
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.I, s.N) }

// Select returns the Steps that belong to s, in order. Each Step is in exactly
// one of the N shards: that of the training Step which its chain begins with,
// so that what starts from a model is where the model is.
func (s Shard) Select(steps []Step) []Step {
	if s.N == 0 {
		return steps
	}
	var mine []Step
	for _, step := range steps {
		id := root(step).ID()
		if binary.BigEndian.Uint64(id[:])%uint64(s.N) == uint64(s.I-1) {
			mine = append(mine, step)
		}
	}
	return mine
}

func root(s Step) Step {
	for len(s.From) > 0 {
		s = s.From[0]
	}
	return s
}
