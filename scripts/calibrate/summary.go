package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A tally counts models of one kind.
type tally struct {
	models, detected, flagged, wrong int
}

// A summary is what became of the judged models, by kind.
type summary struct {
	order []string
	kinds map[string]*tally
}

func newSummary() *summary { return &summary{kinds: map[string]*tally{}} }

func (s *summary) add(kind string, detected, flagged bool, wrong int) {
	if !slices.Contains(s.order, kind) {
		s.order = append(s.order, kind)
		s.kinds[kind] = new(tally)
	}
	t := s.kinds[kind]
	t.models++
	if detected {
		t.detected++
	}
	if flagged {
		t.flagged++
	}
	t.wrong += wrong
}

// print writes a table in Markdown.
func (s *summary) print() {
	fmt.Println("| trained on | models | some class suspicious | 95 % interval | target class suspicious | wrong classes |")
	fmt.Println("|" + strings.Repeat("---|", 6))
	for _, kind := range s.order {
		t := s.kinds[kind]
		from, to := wilson(t.flagged, t.models)
		target := fmt.Sprintf("%d of %d", t.detected, t.models)
		if strings.HasPrefix(kind, "clean") {
			target = "-"
		}
		fmt.Printf("| %s | %d | %d of %d | %.2f to %.2f | %s | %d |\n", kind, t.models, t.flagged, t.models, from, to, target, t.wrong)
	}
}

// wilson returns the 95 % interval of a share.
//
// Reference: E. B. Wilson, "Probable inference, the law of succession, and
// statistical inference", Journal of the American Statistical Association 22,
// 1927.
func wilson(k, n int) (from, to float64) {
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	middle := p + z*z/(2*m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return (middle - half) / (1 + z*z/m), (middle + half) / (1 + z*z/m)
}
