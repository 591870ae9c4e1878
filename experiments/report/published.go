package report

import (
	"math"
	"strconv"
	"strings"

	"rarespurious/analysis/table"
)

// A Comparison is a number that the paper prints beside ours.
type Comparison struct {
	Panel, Series, X, Metric string
	Published                string // as it is printed
	Ours                     float64
	Difference               float64 // ours less the published one
	Agrees                   bool    // ours, rounded to as many digits, is the published one
}

// A printed is where a table of the paper has its numbers: those of one panel at
// one x, a series each.
type printed struct {
	figure, panel, x, metric string
	series, values           []string
}

// published are all numbers that the paper prints of its results: its two
// tables. Of figures it shows pictures only.
//
// Reference: arXiv:2202.05189, Tables 1 and 2. Table 1 is of the patterns of
// seed 4.
var published = []printed{
	{"table1", "MNIST", "seed 4", "pattern_norm", patterns, strings.Fields("1.00 3.00 5.00 3.88 7.70 15.19 5.98")},
	{"table1", "Fashion-MNIST", "seed 4", "pattern_norm", patterns, strings.Fields("1.00 3.00 4.98 3.90 7.40 13.65 4.44")},
	{"table1", "CIFAR-10", "seed 4", "pattern_norm", patterns, strings.Fields(".84 2.57 4.34 7.72 14.54 23.20 8.00")},
	{"table2", "MNIST", "", "parameters", []string{"small MLP", "MLP", "large MLP", "CNN"}, strings.Fields("203530 335114 932362 312202")},
	{"table2", "CIFAR-10", "", "parameters", []string{"ResNet20", "ResNet32", "ResNet110", "VGG16"}, strings.Fields("269722 464154 1727962 134301514")},
}

var patterns = strings.Fields("S1 S2 S3 R1 R2 R3 Inv")

// compare returns what the paper prints of a figure beside its cells, nothing if
// it prints nothing. A number that the cells do not have is left out.
func compare(figure string, cells []table.Cell) (all []Comparison) {
	for _, p := range published {
		if p.figure != figure {
			continue
		}
		for i, series := range p.series {
			for _, c := range cells {
				if c.Panel == p.panel && c.Series == series && c.X == p.x && c.Metric == p.metric {
					all = append(all, comparison(c, p.values[i]))
				}
			}
		}
	}
	return all
}

func comparison(c table.Cell, text string) Comparison {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic("report: published number " + text)
	}
	_, digits, _ := strings.Cut(text, ".")
	scale := math.Pow10(len(digits))
	return Comparison{c.Panel, c.Series, c.X, c.Metric, text, c.Mean, c.Mean - v, math.Round(c.Mean*scale) == math.Round(v*scale)}
}

// differing counts those that do not agree.
func differing(all []Comparison) (n int) {
	for _, c := range all {
		if !c.Agrees {
			n++
		}
	}
	return n
}
