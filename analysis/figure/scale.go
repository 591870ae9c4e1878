package figure

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// A Scale maps values to an axis.
type Scale int

const (
	Linear   Scale = iota
	Symlog         // linear from -2 to 2, logarithmic beyond, so that 0 has a place
	Log            // values that are not positive have no place, and count as missing
	Category       // values 0, 1, 2, … stand for names
)

// linearBelow is where Symlog turns from linear to logarithmic: the paper's
// value, so that 0 and 1 stand apart and 3 is logarithmic already.
const linearBelow = 2

// symlog is the transform of a Symlog axis: odd, increasing and continuous. A
// decade is as long as 1.8 units of the linear part.
//
// Reference: matplotlib's SymmetricalLogTransform with base 10, linthresh 2
// and linscale 1, which the paper's figures use.
func symlog(x float64) float64 {
	const linear = 1 / (1 - 1./10)
	a := math.Abs(x)
	if a <= linearBelow {
		return x * linear
	}
	return math.Copysign(linearBelow*(linear+math.Log10(a/linearBelow)), x)
}

// A symlogScale is a plot.Normalizer.
type symlogScale struct{}

func (symlogScale) Normalize(min, max, x float64) float64 {
	return (symlog(x) - symlog(min)) / (symlog(max) - symlog(min))
}

// A logScale is a plot.Normalizer; unlike gonum's it does not panic at 0, for
// which it returns -Inf.
type logScale struct{}

func (logScale) Normalize(min, max, x float64) float64 {
	return math.Log(x/min) / math.Log(max/min)
}

func (s Scale) normalizer() plot.Normalizer {
	switch s {
	case Symlog:
		return symlogScale{}
	case Log:
		return logScale{}
	}
	return plot.LinearScale{}
}

// has reports whether v has a place on the scale.
func (s Scale) has(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (s != Log || v > 0)
}

// limits returns the ends of an axis that shows values from lo to hi with a
// little room around them.
func (s Scale) limits(lo, hi float64) (float64, float64) {
	switch s {
	case Symlog:
		if lo >= 0 {
			return lo - .25, max(hi*1.4, hi+.25)
		}
		return lo * 1.4, max(hi*1.4, hi+.25)
	case Log:
		if lo == hi {
			return lo / 2, hi * 2
		}
		room := math.Pow(hi/lo, .03)
		return lo / room, hi * room
	case Category:
		return -.5, hi + .5
	}
	if lo == hi {
		room := max(math.Abs(lo)*.1, .1)
		return lo - room, hi + room
	}
	return lo - .04*(hi-lo), hi + .04*(hi-lo)
}

// ticks returns the axis's marks from min to max; n is the number of labels
// that a Linear axis has room for.
func (s Scale) ticks(min, max float64, n int) []plot.Tick {
	switch s {
	case Symlog:
		return symlogTicks(min, max)
	case Log:
		return logTicks(min, max)
	}
	return linearTicks(min, max, n)
}

// linearTicks labels the multiples of 1, 2 or 5 times a power of ten, about n
// of them.
func linearTicks(min, max float64, n int) []plot.Tick {
	rough := (max - min) / float64(n)
	decimals := -int(math.Floor(math.Log10(rough)))
	unit := math.Pow(10, -float64(decimals))
	step := 10 * unit
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= rough*(1-1e-9) {
			step = m * unit
			break
		}
	}
	if step > 5*unit {
		decimals--
	}
	places := int(math.Max(0, float64(decimals)))
	format := func(v float64) string { return strconv.FormatFloat(v, 'f', places, 64) }
	if decimals > 4 || math.Max(math.Abs(min), max) >= 1e6 {
		format = number
	}
	var ts []plot.Tick
	first := math.Ceil(min/step - 1e-9)
	for k := range 10 * n { // more than there are; i++ would stand still beyond 2^53
		i := first + float64(k)
		v := i * step
		if v > max+1e-9*step {
			break
		}
		if decimals > 0 {
			v = i * math.Round(step*math.Pow10(decimals)) / math.Pow10(decimals) // 0.3, not 0.30000000000000004
		}
		ts = append(ts, plot.Tick{Value: v, Label: format(v + 0)}) // + 0: the zero may be negative
	}
	return ts
}

// symlogTicks labels 0 and the powers of ten from 1, and marks their multiples.
func symlogTicks(min, max float64) []plot.Tick {
	var ts []plot.Tick
	add := func(v float64, label string) {
		if v >= min && v <= max {
			ts = append(ts, plot.Tick{Value: v, Label: label})
		}
	}
	add(0, "0")
	for d := 1.; d <= math.Max(math.Abs(min), max); d *= 10 {
		for m := 1.; m < 10; m++ {
			label := ""
			if m == 1 {
				label = number(d)
			}
			add(m*d, label)
			if label != "" {
				label = "-" + label
			}
			add(-m*d, label)
		}
	}
	return ts
}

// logTicks labels the powers of ten, and where fewer than two are in sight
// also 2 and 5 times them.
func logTicks(min, max float64) []plot.Tick {
	var ts []plot.Tick
	lo, hi := int(math.Floor(math.Log10(min))), int(math.Ceil(math.Log10(max)))
	narrow := math.Log10(max/min) < 2
	for e := lo; e <= hi; e++ {
		for m := 1.; m < 10; m++ {
			v := m * math.Pow10(e)
			if e < 0 {
				v = m / math.Pow10(-e) // 0.3, not 0.30000000000000004
			}
			if v < min || v > max {
				continue
			}
			label := ""
			if m == 1 || narrow && (m == 2 || m == 5) {
				label = number(v)
			}
			ts = append(ts, plot.Tick{Value: v, Label: label})
		}
	}
	return ts
}

func number(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-3 || a >= 1e6) {
		return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(strconv.FormatFloat(v, 'e', -1, 64))
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// A ticker gives an axis of a known length the marks of a scale, without the
// labels that would touch the one before.
type ticker struct {
	scale    Scale
	length   vg.Length
	style    text.Style
	vertical bool
}

func (t ticker) Ticks(min, max float64) []plot.Tick {
	room := vg.Length(36) // for a label and the space around it
	if t.vertical {
		room = 16
	}
	ts := t.scale.ticks(min, max, 1+int(t.length/room))
	slices.SortFunc(ts, func(a, b plot.Tick) int { return cmp.Compare(a.Value, b.Value) })
	n := t.scale.normalizer()
	at := func(i int) vg.Length { return t.length * vg.Length(n.Normalize(min, max, ts[i].Value)) }
	half := func(i int) vg.Length {
		if t.vertical {
			return t.style.Font.Size / 2
		}
		return t.style.Width(ts[i].Label) / 2
	}
	last := -1
	for i := range ts {
		if ts[i].Label == "" {
			continue
		}
		if last >= 0 && at(i)-half(i) < at(last)+half(last)+2 {
			ts[i].Label = ""
			continue
		}
		last = i
	}
	return ts
}

// unlabelled is a Ticker without its labels.
type unlabelled struct{ plot.Ticker }

func (u unlabelled) Ticks(min, max float64) []plot.Tick {
	ts := u.Ticker.Ticks(min, max)
	out := make([]plot.Tick, len(ts))
	for i, t := range ts {
		out[i].Value = t.Value
	}
	return out
}
