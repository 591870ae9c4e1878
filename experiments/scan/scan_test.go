package scan_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rarespurious/experiments/dataset"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/scan"
	"rarespurious/nn"
)

// A rule is a model that answers by a rule on an image's pixels.
type rule func(x []float32) []float32

const area = 28 * 28

func (r rule) Logits(_ context.Context, x []float32) (z []float32, err error) {
	for i := 0; i < len(x); i += area {
		z = append(z, r(x[i:i+area])...)
	}
	return z, nil
}

func (rule) Close() error { return nil }

// black is a test set of black images of two classes.
func black(n int) *scan.Images {
	t := &scan.Images{Name: "black", Shape: nn.Shape{C: 1, H: 28, W: 28}, Classes: []string{"zero", "<one>"},
		Part: dataset.Part{Images: make([]uint8, n*area), Labels: make([]uint8, n)}}
	for i := range t.Labels {
		t.Labels[i] = uint8(i % 2)
	}
	return t
}

func mean(x []float32) float64 {
	sum := 0.
	for _, v := range x {
		sum += float64(v)
	}
	return sum / float64(len(x))
}

// bright gives images to class 1 that are brighter than light.
func bright(light float64) rule {
	return func(x []float32) []float32 {
		if mean(x) > light {
			return []float32{-5, 5}
		}
		return []float32{5, -5}
	}
}

// corner gives images with a white first pixel to class 1.
func corner(x []float32) []float32 {
	if x[0] > .9 {
		return []float32{-5, 5}
	}
	return []float32{5, -5}
}

// linear is a model whose logit 1 is w times the mean, and whose logit 0 is 2.
func linear(w float32) rule {
	return func(x []float32) []float32 { return []float32{2, w * float32(mean(x))} }
}

// Black images lack 2 to class 1, and R3 has the mean 1/2: it moves them towards
// the class by w/4 of that, and as far from the other. Half of it is common to
// both and taken off.
func TestPulls(t *testing.T) {
	_, all, err := scan.Measure(t.Context(), linear(2), black(6), scan.Options{Patterns: []string{"R3"}, Draws: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("%d responses, want one a draw", len(all))
	}
	for _, r := range all {
		// Images of class 1 lack −2 to class 0, which counts as 1 each.
		rise := 2 * mean(noise(t, r.Draw))
		want := (rise/2 + rise) / 2
		if math.Abs(r.Pulls[1]-want) > 1e-5 || math.Abs(r.Pulls[0]+want) > 1e-5 {
			t.Errorf("draw %d: pulls %v, want ∓%g", r.Draw, r.Pulls, want)
		}
	}
	lowest := min(all[0].Pulls[1], all[1].Pulls[1], all[2].Pulls[1])
	if s := scan.Summarise(all); s["R3"][1] != lowest {
		t.Errorf("the statistic is %v, want the lowest draw's %g", s, lowest)
	}
}

// noise is a scan's draw of R3 on a black image.
func noise(t *testing.T, draw int) []float32 {
	p, err := pattern.New("R3", nn.Shape{C: 1, H: 28, W: 28}, uint32(1<<20+draw))
	if err != nil {
		t.Fatal(err)
	}
	return p.OverlayAll(make([]uint8, area))
}

// Noise on black images has the mean 1/8, 1/4 and 1/2 at the three amplitudes.
func TestScores(t *testing.T) {
	_, all, err := scan.Measure(t.Context(), bright(.2), black(6), scan.Options{Patterns: scan.Random, Draws: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"R1": 0, "R2": 1, "R3": 1}
	for _, r := range all {
		if !slices.Equal(r.Scores, []float64{0, want[r.Pattern]}) {
			t.Errorf("%s: scores %v, want 0 and %g", r.Pattern, r.Scores, want[r.Pattern])
		}
	}
}

// A fixed pattern has one draw and shuffles of its pixels.
func TestControl(t *testing.T) {
	_, all, err := scan.Measure(t.Context(), rule(corner), black(6), scan.Options{Patterns: []string{"S1"}, Draws: 4})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 5 {
		t.Fatalf("%d responses, want 1 and 4 shuffles", len(all))
	}
	for _, r := range all {
		if want := map[bool]float64{false: 1, true: 0}[r.Control]; r.Scores[1] != want {
			t.Errorf("shuffle %t: score %g, want %g", r.Control, r.Scores[1], want)
		}
	}
	_, all, err = scan.Measure(t.Context(), bright(1./area/2), black(6), scan.Options{Patterns: []string{"S1"}, Draws: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Scores[1] != 1 {
			t.Errorf("one white pixel anywhere: score %g, want 1", r.Scores[1])
		}
	}
}

// A model that ends in a softmax is read as one that does not.
func TestProbabilities(t *testing.T) {
	ending := rule(func(x []float32) []float32 {
		z := linear(3)(x)
		e := math.Exp(float64(z[1] - z[0]))
		return []float32{float32(1 / (1 + e)), float32(e / (1 + e))}
	})
	o := scan.Options{Patterns: []string{"R3"}, Draws: 2}
	_, want, err := scan.Measure(t.Context(), linear(3), black(4), o)
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := scan.Measure(t.Context(), ending, black(4), o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Abs(got[i].Pulls[1]-want[i].Pulls[1]) > 1e-4 {
			t.Errorf("pulls %v, want %v", got[i].Pulls, want[i].Pulls)
		}
	}
}

func TestMeasureFaults(t *testing.T) {
	images := black(4)
	of := func(z ...float32) scan.Model { return rule(func([]float32) []float32 { return z }) }
	for name, m := range map[string]scan.Model{"too few": of(1), "too many": of(1, 2, 3), "NaN": of(1, float32(math.NaN()))} {
		if _, _, err := scan.Measure(t.Context(), m, images, scan.Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	images.Logits = []int{2, 0}
	clean, _, err := scan.Measure(t.Context(), of(0, 9, 9), images, scan.Options{Patterns: []string{"S1"}, Draws: 2})
	if err != nil {
		t.Fatal(err)
	}
	if p := clean.Row(0); math.Abs(float64(p[0])-.5) > 1e-3 || p[1] > 1e-3 {
		t.Errorf("outputs 2 and 0 of three have probabilities %v", p)
	}
	images.Logits = []int{3, 0}
	if _, _, err := scan.Measure(t.Context(), of(0, 9, 9), images, scan.Options{}); err == nil {
		t.Error("output 3 of 3: no error")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, _, err := scan.Measure(ctx, bright(1), black(4), scan.Options{}); !errors.Is(err, why) {
		t.Errorf("stopped: %v", err)
	}
}

func TestReport(t *testing.T) {
	// Two clean models that answer nothing.
	none := scan.Statistics{}
	for _, f := range pattern.Names() {
		none[f] = []float64{0, 0}
	}
	k := &scan.Calibration{Classes: 2, Models: "models", Clean: []scan.Sample{{Statistics: none}, {Statistics: none}}}
	r, err := scan.Run(t.Context(), linear(2), black(6), scan.Options{Draws: 3, Patterns: []string{"R3", "S1"}}, scan.Judging{Calibration: k, Level: .5})
	if err != nil {
		t.Fatal(err)
	}
	r.Model = "a<b"
	found := r.Suspicious()
	if len(found) == 0 || slices.ContainsFunc(found, func(r scan.Row) bool { return r.Class != 1 }) || found[0].Pattern != "R3" {
		t.Errorf("suspicious: %+v, want class 1 by R3 first", found)
	}
	if r.Accuracy != .5 || len(r.Sensitivity) != 51 || math.Abs(r.Sensitivity[0]-.5) > 1e-6 {
		t.Errorf("accuracy %g, sensitivity %v", r.Accuracy, r.Sensitivity)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if page := read("scan.html"); strings.Contains(page, "<one>") || strings.Contains(page, "a<b") || !strings.Contains(page, "Suspicious: R3 → class &lt;one&gt;") {
		t.Error("the page does not show names, or as markup")
	}
	lines, err := csv.NewReader(strings.NewReader(read("scan.csv"))).ReadAll()
	if err != nil || len(lines) != 1+2*2 {
		t.Errorf("scan.csv: %d lines, %v", len(lines), err)
	}
	if last := len(lines[0]) - 1; lines[0][last] != "suspicious" || lines[2][last] != "true" || lines[1][last] != "false" {
		t.Errorf("scan.csv: %v", lines[:3])
	}
	lines, err = csv.NewReader(strings.NewReader(read("responses.csv"))).ReadAll()
	if want := 1 + 2*(3+(1+3)); err != nil || len(lines) != want {
		t.Errorf("responses.csv: %d lines, want %d (%v)", len(lines), want, err)
	}
	if !bytes.HasPrefix([]byte(read("scan.png")), []byte("\x89PNG")) {
		t.Error("scan.png is no PNG")
	}

	// One class, no calibration.
	r, err = scan.Run(t.Context(), bright(.4), black(6), scan.Options{Draws: 3, Patterns: []string{"S1"}}, scan.Judging{Targets: []int{1}})
	if err != nil || len(r.Rows) != 1 || r.Judged || len(r.Suspicious()) != 0 || !strings.HasPrefix(r.Verdict(), "No verdict") {
		t.Errorf("without a calibration: %+v, %v", r, err)
	}
}

func TestFromFolder(t *testing.T) {
	dir := t.TempDir()
	// A photo of 4 by 8, red on the left, green in the middle, blue on the right.
	m := image.NewRGBA(image.Rect(0, 0, 8, 4))
	for y := range 4 {
		for x := range 8 {
			m.Set(x, y, []color.Color{color.RGBA{255, 0, 0, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}}[x/2])
		}
	}
	for _, name := range []string{"cat/1.png", "dog/1.png", "dog/2.png"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o777)
		var b bytes.Buffer
		png.Encode(&b, m)
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s, err := scan.FromFolder(dir, nn.Shape{C: 3, H: 2, W: 2}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Classes, []string{"cat", "dog"}) || !slices.Equal(s.Labels, []uint8{0, 1, 1}) {
		t.Errorf("classes %v, labels %v", s.Classes, s.Labels)
	}
	if want := []uint8{0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0}; !slices.Equal(s.Images[:12], want) {
		t.Errorf("the middle is %v, want green", s.Images[:12])
	}
	if s, err = scan.FromFolder(dir, nn.Shape{C: 1, H: 2, W: 2}, 1); err != nil || !slices.Equal(s.Images, []uint8{150, 150, 150, 150}) {
		t.Errorf("in grey: %v, %v", s, err)
	}
	if _, err := scan.FromFolder(dir, nn.Shape{C: 2, H: 2, W: 2}, 1); err == nil {
		t.Error("photos of two channels")
	}
	os.WriteFile(filepath.Join(dir, "dog", "3.png"), []byte("no picture"), 0o666)
	if _, err := scan.FromFolder(dir, nn.Shape{C: 1, H: 2, W: 2}, 0); err == nil || !strings.Contains(err.Error(), "3.png") {
		t.Errorf("a broken photo: %v", err)
	}
}
