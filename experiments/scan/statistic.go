package scan

import "math"

// Statistics are what verdicts are made from: by pattern, a number per class.
type Statistics map[string][]float64

// Summarise reduces responses to one number per pattern and class: the pull, of
// a random pattern the lowest of any draw. A model that has learnt one draw
// answers all of them, while a clean one may by chance answer some.
func Summarise(all []Response) Statistics {
	out := Statistics{}
	for _, r := range all {
		if r.Control {
			continue
		}
		if out[r.Pattern] == nil {
			out[r.Pattern] = make([]float64, len(r.Pulls))
			for c := range r.Pulls {
				out[r.Pattern][c] = math.Inf(1)
			}
		}
		for c, v := range r.Pulls {
			out[r.Pattern][c] = min(out[r.Pattern][c], v)
		}
	}
	return out
}

// patterns returns those that all holds, in its order.
func patterns(all []Response) (out []string) {
	for _, r := range all {
		if len(out) == 0 || out[len(out)-1] != r.Pattern {
			out = append(out, r.Pattern)
		}
	}
	return out
}
