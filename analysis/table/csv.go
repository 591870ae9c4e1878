package table

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// header is the first line of a figure's CSV.
var header = []string{"figure", "panel", "series", "x", "metric", "mean", "se", "n", "diverged", "p", "p_test", "runs"}

// ShortID is the length to which WriteCSV cuts run IDs.
const ShortID = 12

// ErrFormat reports a CSV that WriteCSV did not write.
var ErrFormat = errors.New("table: not a figure's CSV")

// WriteCSV writes cells as a figure's CSV: a header, then a line per cell.
// Numbers are the shortest text that reads back as the same float64; NaN
// (no mean, no error, no test) is empty; runs are short IDs separated by
// spaces. It returns w's error.
func WriteCSV(w io.Writer, cells []Cell) error {
	out := csv.NewWriter(w)
	lines := [][]string{header}
	for _, c := range cells {
		short := make([]string, len(c.Runs))
		for i, id := range c.Runs {
			short[i] = id[:min(ShortID, len(id))]
		}
		lines = append(lines, []string{
			c.Figure, c.Panel, c.Series, c.X, c.Metric, number(c.Mean), number(c.SE),
			strconv.Itoa(c.N), strconv.Itoa(c.Diverged), number(c.P), number(c.PTest), strings.Join(short, " "),
		})
	}
	if err := out.WriteAll(lines); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return nil
}

func number(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// ReadCSV reads what WriteCSV wrote. Runs stay as short as they are in the
// file, and an empty list is nil. Its error wraps ErrFormat, with the line.
func ReadCSV(r io.Reader) ([]Cell, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = len(header)
	first, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !slices.Equal(first, header) {
		return nil, fmt.Errorf("%w: line 1: the columns are not %s", ErrFormat, strings.Join(header, ","))
	}
	var cells []Cell
	for {
		f, err := in.Read()
		if err == io.EOF {
			return cells, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		c, err := parse(f)
		if err != nil {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, line, err)
		}
		cells = append(cells, c)
	}
}

func parse(f []string) (Cell, error) {
	c := Cell{Figure: f[0], Panel: f[1], Series: f[2], X: f[3], Metric: f[4]}
	for _, v := range []struct {
		column int
		to     *float64
	}{{5, &c.Mean}, {6, &c.SE}, {9, &c.P}, {10, &c.PTest}} {
		*v.to = math.NaN()
		if f[v.column] == "" {
			continue
		}
		var err error
		if *v.to, err = strconv.ParseFloat(f[v.column], 64); err != nil {
			return c, fmt.Errorf("%s: %q is not a number", header[v.column], f[v.column])
		}
	}
	for _, v := range []struct {
		column int
		to     *int
	}{{7, &c.N}, {8, &c.Diverged}} {
		var err error
		if *v.to, err = strconv.Atoi(f[v.column]); err != nil || *v.to < 0 {
			return c, fmt.Errorf("%s: %q is not a count", header[v.column], f[v.column])
		}
	}
	if f[11] != "" {
		c.Runs = strings.Split(f[11], " ")
	}
	return c, nil
}
