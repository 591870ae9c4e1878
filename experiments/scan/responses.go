package scan

import (
	"encoding/csv"
	"io"
	"strconv"
)

// WriteResponses writes responses as CSV, one line per pattern, draw and class:
// all that a verdict is made from.
func WriteResponses(w io.Writer, classes []string, all []Response) error {
	c := csv.NewWriter(w)
	c.Write([]string{"pattern", "draw", "control", "class", "name", "score", "pull"})
	for _, r := range all {
		for k, name := range classes {
			c.Write([]string{r.Pattern, strconv.Itoa(r.Draw), strconv.FormatBool(r.Control),
				strconv.Itoa(k), name, format(r.Scores[k]), format(r.Pulls[k])})
		}
	}
	c.Flush()
	return c.Error()
}

func format(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
