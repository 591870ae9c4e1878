package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rarespurious/bridge/onnx/ort"
	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/scan"
	"rarespurious/nn"

	"github.com/spf13/cobra"
)

const scanHelp = `scan looks for spurious patterns that a model has learnt, whoever trained it.
MODEL is an .onnx file, a TorchScript file, a weights file (.pth, .safetensors:
say with --model what it is), or the ID of a run.

It puts patterns on test images that the model cannot have seen before: ten
fresh draws of the random ones (R1, R2, R3), and the fixed ones beside shuffled
copies. How far they pull images towards each class is ranked among what clean
models of the same data set do. A class is suspicious if it stands out more than
any class of all but few clean models; --level bounds how often a clean model
would be accused. docs/scan.md says what was measured.

The verdicts are for models like those of the calibration. The exit status is 1
if a class is suspicious, 0 if none is. Without a calibration for the data there
are numbers and no verdict; scripts/calibrate makes one.

A TorchScript file is a program: scan only those whose maker you trust.

--out FOLDER gets scan.csv, responses.csv, scan.html and the picture.`

type scanCommand struct {
	*app
	dataset, model, layout, shape string
	patterns                      []string
	targets, classes              string
	mean, std                     []float64
	images, draws                 int
	level                         float64
	calibration, out, rtIn        string
	json                          bool
}

func newScan(a *app) *cobra.Command {
	s := scanCommand{app: a}
	c := &cobra.Command{
		Use: "scan MODEL", Short: "look for spurious patterns in anyone's model", Long: scanHelp,
		Example: `  rsc scan 1f3a
  rsc scan model.onnx --dataset mnist --mean 0.1307 --std 0.3081
  rsc scan resnet.pth --dataset cifar10 --model resnet20 --pattern R3 --out found
  rsc scan photos.onnx --dataset photos/test --shape 3x224x224 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels(),
		RunE: func(c *cobra.Command, args []string) error { return s.run(c.Context(), args[0]) },
	}
	f := c.Flags()
	f.StringVar(&s.dataset, "dataset", "", "mnist, fashion, cifar10, or a folder of <class>/<image> (default: a run's own)")
	f.StringSliceVar(&s.patterns, "pattern", nil, "what to look for: "+strings.Join(pattern.Names(), ", ")+" (default: all)")
	f.StringVar(&s.targets, "target", "all", "classes to report, by label: all, or 0,3")
	f.StringVar(&s.model, "model", "", "what a weights file is for: mlp, resnet20, …")
	f.Float64SliceVar(&s.mean, "mean", nil, "mean that a model in a file wants subtracted, for weights in place of the data set's: one number, or one per channel")
	f.Float64SliceVar(&s.std, "std", nil, "standard deviation that it wants divided by")
	f.StringVar(&s.layout, "layout", "chw", "order of its input: "+strings.Join(scan.Layouts(), ", "))
	f.StringVar(&s.classes, "classes", "", "its output for each class of the data set, by label: 3,5,0,… (default: in order)")
	f.StringVar(&s.shape, "shape", "", "size of the images made of a folder's photos: 3x224x224")
	f.IntVar(&s.images, "images", 1000, "test images to use, 0 is all; a calibration is for one number")
	f.IntVar(&s.draws, "draws", 10, "draws of the random pattern, and shuffles; a calibration is for one number")
	f.Float64Var(&s.level, "level", 0.05, "how often a clean model may be called suspicious")
	f.StringVar(&s.calibration, "calibration", "", "calibration file (default: the one that comes with rsc)")
	f.StringVar(&s.out, "out", "", "folder for CSV, picture and HTML")
	runtimeFlag(c, &s.rtIn)
	jsonFlag(c, &s.json)
	return c
}

// target is what is scanned: with its images, and a way to open it.
type scanTarget struct {
	images *scan.Images
	open   func(*torch.Device) (scan.Model, error)
}

func (s *scanCommand) run(ctx context.Context, name string) error {
	targets, err := s.check()
	if err != nil {
		return err
	}
	t, err := s.target(ctx, name)
	if err != nil {
		return err
	}
	for _, c := range targets {
		if c >= len(t.images.Classes) {
			return badInputf("--target %d: %s has %d classes", c, s.dataset, len(t.images.Classes))
		}
	}
	j := scan.Judging{Level: s.level, Targets: targets}
	if j.Calibration, err = s.calibrate(t.images); err != nil {
		return err
	}
	var r *scan.Report
	err = torch.Run(s.device, torch.Options{}, func(d *torch.Device) error {
		m, err := t.open(d)
		if err != nil {
			return err
		}
		defer m.Close()
		r, err = scan.Run(ctx, m, t.images, scan.Options{Patterns: s.patterns, Draws: s.draws, Progress: s.progress()}, j)
		return err
	})
	s.console.clear()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Model = filepath.Base(name)
	if s.out != "" {
		if err := r.Save(s.out); err != nil {
			return err
		}
	}
	if err := s.print(r); err != nil {
		return err
	}
	if len(r.Suspicious()) > 0 {
		return fmt.Errorf("%s: %w", name, errReported)
	}
	return nil
}

func (s *scanCommand) progress() func(float64) {
	return func(done float64) { s.console.show("scanning", int64(1000*done), 1000, false) }
}

// check checks what needs no model, and returns the classes to report.
func (s *scanCommand) check() (targets []int, err error) {
	for _, p := range s.patterns {
		if names := pattern.Names(); !slices.Contains(names, p) {
			return nil, badInputf("--pattern %s: no such pattern%s (known: %s)", p, config.DidYouMean(p, names), strings.Join(names, ", "))
		}
	}
	if s.targets != "all" {
		if targets, err = integers(s.targets); err != nil {
			return nil, badInputf("--target %s: give all, or labels like 0,3", s.targets)
		}
	}
	if s.images < 0 || s.draws < 2 {
		return nil, badInputf("--images %d --draws %d: give no negative number, and 2 draws or more", s.images, s.draws)
	}
	if !(s.level > 0 && s.level < 1) {
		return nil, badInputf("--level %g: give a probability, like 0.05", s.level)
	}
	return targets, nil
}

// integers parses "3,5,0".
func integers(list string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 31)
		if err != nil {
			return nil, err
		}
		out = append(out, int(n))
	}
	return out, nil
}

// target finds the model called name and its images.
func (s *scanCommand) target(ctx context.Context, name string) (t scanTarget, err error) {
	info, err := os.Stat(name)
	isFile := err == nil && (info.Mode().IsRegular() || strings.ContainsRune(name, os.PathSeparator))
	if !isFile && strings.ContainsAny(name, "./\\") {
		return t, badInputf("%s: there is no such file", name)
	}
	if isFile {
		return s.file(ctx, name)
	}
	m, err := s.storedModel(name)
	if err != nil {
		return t, err
	}
	if s.dataset == "" {
		s.dataset = m.train.Data.Name
	}
	if in := m.train.Arch.In; s.shape == "" {
		s.shape = fmt.Sprintf("%dx%dx%d", in.C, in.H, in.W)
	}
	if t.images, err = s.testImages(ctx); err != nil {
		return t, err
	}
	t.open = func(d *torch.Device) (scan.Model, error) { return scan.FromArch(d, m.train.Arch, m.theta, m.buffers) }
	return t, nil
}

// file is target for a file.
func (s *scanCommand) file(ctx context.Context, path string) (t scanTarget, err error) {
	if s.dataset == "" {
		return t, badInputf("%s: say with --dataset which images it is for", path)
	}
	if t.images, err = s.testImages(ctx); err != nil {
		return t, err
	}
	src := scan.Source{Path: path, Shape: t.images.Shape, Input: scan.Input{Layout: s.layout, Mean: s.mean, Std: s.std},
		Runtime: func() error { return s.openRuntime(s.rtIn) }}
	if err := src.Input.Check(src.Shape); err != nil {
		return t, badInput{err}
	}
	kind, err := scan.Detect(path)
	if err != nil {
		return t, err
	}
	if kind == scan.StateDict {
		if src.Arch, err = s.arch(ctx, path, t.images); err != nil {
			return t, err
		}
	}
	t.open = func(d *torch.Device) (scan.Model, error) {
		m, _, err := scan.Open(d, src)
		if errors.Is(err, ort.ErrModel) {
			err = badInput{err}
		}
		return m, err
	}
	return t, nil
}

// arch returns the architecture of a weights file: --model's, or the one that
// the file names.
func (s *scanCommand) arch(ctx context.Context, path string, t *scan.Images) (*nn.Arch, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	name := s.model
	if name == "" {
		name = f.Metadata["arch"]
	}
	if name == "" {
		return nil, badInput{fmt.Errorf("%s: %w", path, scan.ErrArch)}
	}
	var a nn.Arch
	if slices.Contains(dataset.Names(), s.dataset) {
		a, err = s.archOf(ctx, name, s.dataset)
	} else {
		a, err = nn.New(name, t.Shape, len(t.Classes))
	}
	if err != nil {
		return nil, badInput{err}
	}
	if len(s.mean) > 0 || len(s.std) > 0 {
		a.Mean, a.Std = perChannel(s.mean, t.Shape.C, 0), perChannel(s.std, t.Shape.C, 1)
	}
	return &a, nil
}

// perChannel repeats one number, or none, for each channel.
func perChannel(v []float64, channels int, otherwise float32) []float32 {
	out := make([]float32, channels)
	for c := range out {
		switch len(v) {
		case 0:
			out[c] = otherwise
		case 1:
			out[c] = float32(v[0])
		default:
			out[c] = float32(v[c])
		}
	}
	return out
}

// testImages opens the images that --dataset names.
func (s *scanCommand) testImages(ctx context.Context) (t *scan.Images, err error) {
	if slices.Contains(dataset.Names(), s.dataset) {
		set, err := s.library(ctx).images(s.dataset)
		if err != nil {
			return nil, err
		}
		t = scan.FromSet(set, s.images)
	} else {
		if info, err := os.Stat(s.dataset); err != nil || !info.IsDir() {
			if slices.Contains(imagefolder.Names(), s.dataset) {
				return nil, badInputf("%s are photographs: name their folder of <class>/<image> with --dataset", s.dataset)
			}
			return nil, badInputf("--dataset %s: neither a data set%s (%s) nor a folder", s.dataset, config.DidYouMean(s.dataset, dataset.Names()), strings.Join(dataset.Names(), ", "))
		}
		var shape nn.Shape
		if n, err := fmt.Sscanf(s.shape, "%dx%dx%d", &shape.C, &shape.H, &shape.W); n != 3 || err != nil {
			return nil, badInputf("--shape %q: give the size of the model's images, like 3x224x224", s.shape)
		}
		if t, err = scan.FromFolder(s.dataset, shape, s.images); err != nil {
			return nil, badInput{err}
		}
	}
	if s.classes != "" {
		if t.Logits, err = integers(s.classes); err != nil || len(t.Logits) != len(t.Classes) {
			return nil, badInputf("--classes %s: give one output for each of the %d classes", s.classes, len(t.Classes))
		}
	}
	return t, nil
}

// calibrate returns the calibration for the images, nil if there is none.
func (s *scanCommand) calibrate(t *scan.Images) (*scan.Calibration, error) {
	var c scan.Calibration
	var err error
	if s.calibration != "" {
		b, e := os.ReadFile(s.calibration)
		if e != nil {
			return nil, badInput{e}
		}
		if c, err = scan.ParseCalibration(b); err != nil {
			return nil, badInput{fmt.Errorf("%s: %w", s.calibration, err)}
		}
	} else if c, err = scan.Shipped(s.dataset); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	switch {
	case c.Classes != len(t.Classes):
		return nil, badInputf("the calibration is for %d classes, %s has %d", c.Classes, s.dataset, len(t.Classes))
	case (c.Images != t.Len() || c.Draws != s.draws) && s.calibration == "":
		s.log.Warn().Msgf("no verdict: the calibration is for --images %d --draws %d", c.Images, c.Draws)
		return nil, nil
	case c.Images != t.Len() || c.Draws != s.draws:
		return nil, badInputf("%s is for --images %d --draws %d; there are %d images and %d draws", s.calibration, c.Images, c.Draws, t.Len(), s.draws)
	}
	if _, err := c.Allowed(s.level); err != nil {
		return nil, badInputf("--level: %w", err)
	}
	return &c, nil
}

// shown is the number of rows that are printed where nothing is suspicious.
const shown = 5

func (s *scanCommand) print(r *scan.Report) error {
	if s.json {
		return s.printJSON(r)
	}
	rows := slices.Clone(r.Rows)
	slices.SortStableFunc(rows, func(a, b scan.Row) int {
		if r.Judged {
			return cmp.Compare(b.Z, a.Z)
		}
		return cmp.Compare(b.Statistic, a.Statistic)
	})
	rows = rows[:min(len(rows), max(shown, len(r.Suspicious())))]
	head := []string{"PATTERN", "CLASS", "SCORE", "LOWEST", "PULL", "LOWEST"}
	if r.Judged {
		head = append(head, "CLEAN HIGHEST", "Z", "VERDICT")
	}
	var lines [][]string
	for _, row := range rows {
		line := []string{row.Pattern, row.Name}
		for _, v := range []float64{row.Score.Mean, row.Score.Low, row.Pull.Mean, row.Pull.Low} {
			line = append(line, fmt.Sprintf("%.3f", v))
		}
		if r.Judged {
			verdict := "-"
			if row.Suspicious {
				verdict = "SUSPICIOUS"
			}
			line = append(line, fmt.Sprintf("%.3f", row.CleanHigh), fmt.Sprintf("%.2f", row.Z), verdict)
		}
		lines = append(lines, line)
	}
	fmt.Fprintf(s.stdout, "%s, clean accuracy %.4f\n", r.Images, r.Accuracy)
	if err := s.printTable(head, lines); err != nil {
		return err
	}
	fmt.Fprintln(s.stdout, r.Verdict())
	if s.out != "" {
		fmt.Fprintf(s.stdout, "more in %s\n", filepath.Join(s.out, "scan.html"))
	}
	return nil
}
