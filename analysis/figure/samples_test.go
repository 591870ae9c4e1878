package figure

import (
	"fmt"
	"math"
)

const note = "profile quick: MNIST on all its training images, 3 seeds, counts 0 to 2000, 10 epochs. CIFAR-10 left out: data not available (rsc data fetch cifar10)"

// samples has a figure of every kind of panel, with the difficult cases in it.
func samples() map[string]*Figure {
	return map[string]*Figure{
		"curves": curvesSample(), "axes": axesSample(), "bars": barsSample(), "heat": heatSample(),
		"images": imagesSample(), "stacked": stackedSample(), "table": tableSample(), "empty": emptySample(),
	}
}

// curvesSample is like Figure 2: seven series over a symlog axis, stars, a
// missing point, a diverged run, and a panel whose data cannot be had.
func curvesSample() *Figure {
	panel := func(title string, top float64) *Curves {
		p := &Curves{Title: title, XLabel: "spurious examples", X: Symlog, YLim: [2]float64{-.03, 1.03},
			XLim: [2]float64{-.25, 7000}}
		for i, name := range []string{"S1", "S2", "S3", "R1", "R2", "R3", "Inv"} {
			s := Series{Name: name}
			for _, x := range []float64{0, 1, 3, 5, 10, 20, 100, 2000, 5000} {
				y := top * float64(i+1) / 7 * x / (x + 20/float64(i+1))
				s.Points = append(s.Points, Point{X: x, Y: y, SE: .03 * y, Star: i == 5 && x >= 3})
			}
			p.Series = append(p.Series, s)
		}
		return p
	}
	a, b := panel("MNIST", .9), panel("Fashion-MNIST", .95)
	a.YLabel = "spurious score"
	a.Series[3].Points[6].Y = math.NaN()
	b.Series[2].Points[7].Note = "3 of 5"
	b.Series[0].Points[4] = Point{X: 10, Y: math.NaN(), Note: "0 of 5"}
	c := &Curves{Title: "CIFAR-10", Note: "CIFAR-10 left out: data not available (rsc data fetch cifar10)"}
	return &Figure{
		Title:    "Figure 2: spurious score against the number of spurious examples, target class 0, of the networks that the paper uses for each data set",
		Subtitle: note,
		Panels:   []Panel{a, b, c},
	}
}

// axesSample has the other axes: a log-log ROC curve, a scatter plot with a
// boundary, and names too long to stand side by side.
func axesSample() *Figure {
	roc := &Curves{Title: "ROC", XLabel: "false positive rate", YLabel: "true positive rate", X: Log, Y: Log,
		XLim: [2]float64{1e-4, 1}, YLim: [2]float64{1e-4, 1}}
	attack := Series{Name: "LiRA", Mark: Line}
	chance := Series{Name: "chance", Mark: Line, Dashed: true, Colour: Grey}
	for i := range 400 {
		x := float64(i*i) / (399 * 399) // 0 first, which has no place
		attack.Points = append(attack.Points, Point{X: x, Y: math.Pow(x, .6)})
		chance.Points = append(chance.Points, Point{X: x, Y: x})
	}
	roc.Series = []Series{attack, chance}

	scatter := &Curves{Title: "Two classes and the boundary between them", XLabel: "invariant", YLabel: "spurious"}
	for k, name := range []string{"y = +1", "y = −1"} {
		s := Series{Name: name, Mark: Dots}
		for i := range 60 {
			a, r := 2.4*float64(i), .1*math.Sqrt(float64(i))
			s.Points = append(s.Points, Point{X: r*math.Cos(a) + .8 - 1.6*float64(k), Y: r*math.Sin(a) + .2 - .4*float64(k)})
		}
		scatter.Series = append(scatter.Series, s)
	}
	scatter.Series = append(scatter.Series, Series{Name: "γ = .01", Mark: Line, Points: []Point{{X: -.5, Y: 1}, {X: .5, Y: -1}}})

	wide := &Curves{Title: "long names", X: Category, Categories: []string{"small MLP", "large MLP", "ResNet-20", "ResNet110", "VGG16"},
		YLabel: "accuracy", Series: []Series{{Name: "clean accuracy"}}}
	for i := range wide.Categories {
		wide.Series[0].Points = append(wide.Series[0].Points, Point{X: float64(i), Y: .9 + .01*float64(i)})
	}
	return &Figure{
		Title: "Axes", Subtitle: note, Cols: 2, Legend: Below,
		Panels: []Panel{roc, scatter, wide},
	}
}

// stackedSample is like Figure 8: what a second y axis would show is a panel
// below, on the same x.
func stackedSample() *Figure {
	decay := []string{"0", "1e-4", "1e-3", "1e-2", "0.1", "inf"}
	score := &Curves{Title: "weight decay", YLabel: "score", XLabel: "weight decay λ", X: Category, Categories: decay,
		Series: []Series{{Name: "spurious score", Colour: Blue}}}
	accuracy := &Curves{YLabel: "accuracy", XLabel: "weight decay λ", X: Category, Categories: decay,
		Series: []Series{{Name: "clean accuracy", Colour: Vermilion}, {Name: "spurious accuracy", Like: "clean accuracy", Dashed: true}}}
	for i := range decay {
		x := float64(i)
		score.Series[0].Points = append(score.Series[0].Points, Point{X: x, Y: .8 / (1 + x*x), SE: .02})
		accuracy.Series[0].Points = append(accuracy.Series[0].Points, Point{X: x, Y: .98 - .01*x*x, SE: .01})
		accuracy.Series[1].Points = append(accuracy.Series[1].Points, Point{X: x, Y: .7 + .02*x, SE: .01})
	}
	other := *score
	other.Title, other.YLabel = "gradient clipping", ""
	below := *accuracy
	below.YLabel = ""
	return &Figure{
		Title: "Figure 8: two methods", Subtitle: note, Cols: 2, ShareX: true, PanelHeight: 34,
		Panels: []Panel{score, &other, accuracy, &below},
	}
}

func barsSample() *Figure {
	counts := []string{"1", "3", "5", "10", "20", "100", "1000"}
	mia := &Bars{Title: "MNIST, R3", XLabel: "spurious examples", YLabel: "attack accuracy", Groups: counts,
		YLim: [2]float64{0, 1}, Rules: []float64{.5}, Series: []Series{{Name: "spurious examples", Colour: Orange}, {Name: "all examples", Colour: Blue}}}
	for i := range counts {
		mia.Series[0].Points = append(mia.Series[0].Points, Point{X: float64(i), Y: .95 - .05*float64(i), SE: .03, Star: i < 3})
		mia.Series[1].Points = append(mia.Series[1].Points, Point{X: float64(i), Y: .53, SE: .01})
	}
	mia.Series[0].Points[5] = Point{X: 5, Y: math.NaN()}
	optimizer := &Bars{Title: "signed values, long names", YLabel: "difference", Groups: []string{"3 S3 examples", "10 S3 examples", "3 R3", "unbrokenword"},
		Series: []Series{{Name: "all examples", Points: []Point{{X: 0, Y: .2, SE: .1}, {X: 1, Y: -.1, SE: .05}, {X: 2, Y: .3}, {X: 3, Y: .1}}}}}
	return &Figure{Title: "Figure 5: membership inference", Subtitle: note, Panels: []Panel{mia, optimizer}}
}

func heatSample() *Figure {
	f := &Figure{Title: "Figure 3: first-layer weights", Subtitle: note, Cols: 4, PanelWidth: 36}
	for k, n := range []int{0, 10, 100, 2000} {
		h := &Heat{Title: fmt.Sprintf("(%c) %d examples", 'a'+k, n), Rows: 28, Cols: 28, Min: -.5, Max: 6.5, Map: YlOrRd, Unit: "weight"}
		for i := range 28 * 28 {
			y, x := i/28, i%28
			v := math.Abs(math.Sin(float64(x*y))) * .8
			if x < 5 && y < 5 {
				v += 1.8 * float64(k)
			}
			h.Values = append(h.Values, v)
		}
		h.Values[27] = math.NaN()
		f.Panels = append(f.Panels, h)
	}
	return f
}

func imagesSample() *Figure {
	p := &Images{Cols: 4}
	for k, name := range []string{"clean", "S1", "S2", "S3", "R1", "R2", "R3 (the largest of the patterns)", "Inv"} {
		im := Image{Caption: name, H: 28, W: 28, C: 1}
		for i := range 28 * 28 {
			y, x := float64(i/28)-14, float64(i%28)-14
			v := math.Exp(-math.Pow(math.Hypot(x, y)-8, 2) / 4)
			if i/28 < 2*k && i%28 < 2*k {
				v = 1
			}
			im.Pix = append(im.Pix, float32(v))
		}
		p.Images = append(p.Images, im)
	}
	rgb := Image{Caption: "RGB", H: 2, W: 3, C: 3, Emphasis: true, Pix: []float32{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0}}
	return &Figure{Title: "Figure 1: an image with each pattern", Subtitle: note, Cols: 1, Panels: []Panel{p, &Images{Title: "colours", Cols: 4, Images: []Image{rgb}}}}
}

func tableSample() *Figure {
	return &Figure{Title: "Table 1: empirical norms", Subtitle: note, Panels: []Panel{&Table{
		Header: []string{"pattern", "MNIST", "Fashion-MNIST", "CIFAR-10"},
		Rows:   [][]string{{"S1", "1.00", "1.00", "0.84"}, {"R3, ‖P(x) − x‖ ≥ 0", "15.19", "13.65", "23.20"}, {"Inv", "5.98"}},
	}}}
}

func emptySample() *Figure {
	return &Figure{Panels: []Panel{
		&Curves{}, &Bars{Title: "no bars", Groups: []string{"a"}}, &Heat{}, &Images{Note: "no images"}, &Table{},
		&Curves{X: Log, Series: []Series{{Name: "nothing positive", Points: []Point{{X: 0, Y: 1}, {X: -1, Y: 1}}}}},
		&Bars{Groups: []string{"a"}, Series: []Series{{Points: []Point{{Y: math.NaN()}}}}},
		&Curves{Title: "one point", Series: []Series{{Points: []Point{{X: 3, Y: 2, SE: math.NaN()}}}}},
		&Curves{X: Symlog, Y: Log, Series: []Series{{Points: []Point{{X: 0, Y: .5, SE: 1}, {X: 5, Y: 0}}}}},
	}}
}
