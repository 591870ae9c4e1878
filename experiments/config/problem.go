package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is wrapped by every error about what a figure file or --set says.
var ErrInvalid = errors.New("config: invalid")

// A Problem is one thing that is wrong with a figure file. An error of this
// package joins Problems, so that all are shown at once.
type Problem struct {
	File string // as given, "--set" for the command line
	Path string // "panels[1].set.lr"; may be empty
	What string
}

func (p Problem) Error() string {
	if p.Path == "" {
		return p.File + ": " + p.What
	}
	return p.File + ": " + p.Path + ": " + p.What
}

// Is makes every Problem an [ErrInvalid].
func (p Problem) Is(target error) bool { return target == ErrInvalid }

// fault is what is wrong with one key of a Point.
type fault struct{ key, what string }

// problems collects the Problems of one file, each once.
type problems struct {
	file   string
	list   []error
	broken bool // keys did not fit: what looks missing may only be misspelt
}

func (ps *problems) add(path, format string, args ...any) {
	p := Problem{ps.file, path, fmt.Sprintf(format, args...)}
	if !slices.Contains(ps.list, error(p)) {
		ps.list = append(ps.list, p)
	}
}

// names reports whether there is a problem at path, or inside it.
func (ps *problems) names(path string) bool {
	return slices.ContainsFunc(ps.list, func(err error) bool {
		p := err.(Problem)
		return p.Path == path || strings.HasPrefix(p.Path, path+".") || strings.HasPrefix(p.Path, path+"[")
	})
}

// err returns nil if there are none.
func (ps *problems) err() error { return errors.Join(ps.list...) }

// DidYouMean returns "; did you mean x?" for the name in names that is nearest
// to word, whatever the case of letters, and "" if none is near.
func DidYouMean(word string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	far := func(name string) int { return distance(strings.ToLower(word), strings.ToLower(name)) }
	near := slices.MinFunc(names, func(a, b string) int { return cmp.Compare(far(a), far(b)) })
	if far(near) > max(2, len(word)/3) {
		return ""
	}
	return "; did you mean " + near + "?"
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that make b of a.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
		for j := range d[i] {
			if i == 0 {
				d[i][j] = j
				continue
			}
			if j == 0 {
				continue
			}
			replace := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
