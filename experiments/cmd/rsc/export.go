package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/onnx/ort"
	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
	"rarespurious/experiments/atomicfile"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/experiments/scan"
	"rarespurious/experiments/train"
	"rarespurious/nn"

	"github.com/spf13/cobra"
)

type exportCommand struct {
	*app
	format, runtime string
	images          int
}

// exportFormats are the formats of export, by the ending of a file's name.
var exportFormats = map[string]string{
	".onnx": "onnx", ".pth": "pth", ".safetensors": "safetensors", ".pt": "torchscript", ".ts": "torchscript",
}

func exportNames() []string {
	var names []string
	for _, name := range exportFormats {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func newExport(a *app) *cobra.Command {
	e := exportCommand{app: a}
	c := &cobra.Command{
		Use:   "export ID FILE",
		Short: "write a run's model for other programs",
		Long: `export writes the model of a run as FILE, reads it again, and compares what comes
back with what was stored: the weights bit by bit (not for TorchScript), and the
logits of test images, by libtorch for TorchScript and by ONNX Runtime, if it is
there, for ONNX. It fails if weights differ, or logits by more than 1e-4.

The format is that of the file's ending, or --format:
  .onnx          ONNX, opset 17: input (batch, C, H, W) in [0, 1], output logits;
                 with the run's ID, the data set, class names and normalisation
  .pt, .ts       TorchScript, for torch.jit.load; the same input and output
  .pth           a PyTorch state dict, for load_state_dict(torch.load(…))
  .safetensors   the same tensors`,
		Example: "  rsc export 1f3a model.onnx\n  rsc export 1f3a weights.bin --format safetensors",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.completeModels(),
		RunE: func(c *cobra.Command, args []string) error {
			return e.run(c.Context(), args[0], args[1])
		},
	}
	c.Flags().StringVar(&e.format, "format", "", strings.Join(exportNames(), ", ")+" (default: by the file's ending)")
	c.Flags().IntVar(&e.images, "images", 100, "test images to compare logits on")
	runtimeFlag(c, &e.runtime)
	return c
}

func runtimeFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "onnxruntime", "", "ONNX Runtime's shared library (default: the one that scripts/onnxruntime.sh puts into the cache)")
}

// openRuntime opens ONNX Runtime from path, or from the cache for "".
func (a *app) openRuntime(path string) error {
	if path == "" {
		found, _ := filepath.Glob(filepath.Join(a.cache, "onnxruntime", "libonnxruntime.so*"))
		if len(found) == 0 {
			return badInputf("%w: fetch it with scripts/onnxruntime.sh %s, or name it with --onnxruntime", ort.ErrLibrary, a.cache)
		}
		path = found[len(found)-1]
	}
	return ort.Open(path)
}

// A storedModel is the model of a run, with what it was trained as.
type storedModel struct {
	id             run.ID
	train          *run.Train
	theta, buffers []float32
}

// storedModel finds the run whose ID begins with prefix and reads its model:
// its own, or the one that it measured.
func (a *app) storedModel(prefix string) (storedModel, error) {
	var m storedModel
	s, err := a.readStore()
	if err != nil {
		return m, err
	}
	defer s.Close()
	r, err := findRun(s, prefix)
	if err != nil {
		return m, err
	}
	if r.Step.Score != nil {
		if r, err = s.Get(r.Step.From[0].ID()); err != nil {
			return m, err
		}
	}
	m.id, m.train = r.ID, modelOf(r.Step)
	m.theta, m.buffers, err = train.LoadModel(run.Parent{Record: r, Dir: s.Path(r.ID)}, m.train.Arch)
	if errors.Is(err, os.ErrNotExist) {
		return m, badInputf("the model of run %v was dropped: train it again with --keep (rsc train)", r.ID)
	}
	return m, err
}

func (e *exportCommand) run(ctx context.Context, id, path string) error {
	format := e.format
	if format == "" {
		format = exportFormats[strings.ToLower(filepath.Ext(path))]
	}
	if !slices.Contains(exportNames(), format) {
		return badInputf("%s: which format? Give --format %s", path, strings.Join(exportNames(), ", "))
	}
	if e.images < 1 {
		return badInputf("--images %d: give 1 or more", e.images)
	}
	m, err := e.storedModel(id)
	if err != nil {
		return err
	}
	a := m.train.Arch
	meta := onnx.Meta{RunID: m.id.Full(), Dataset: m.train.Data.Name}
	notes := map[string]string{"run_id": meta.RunID, "dataset": meta.Dataset, "arch": a.Name}
	var set *dataset.Set // with the images that logits are compared on
	if known, err := dataset.Find(meta.Dataset); err == nil {
		meta.Classes, notes["class_names"] = known.Classes, strings.Join(known.Classes, ", ")
		if format == "onnx" || format == "torchscript" {
			if set, err = e.library(ctx).images(meta.Dataset); err != nil {
				return err
			}
		}
	}
	switch format {
	case "onnx":
		var b bytes.Buffer
		if err := onnx.Export(&b, a, m.theta, m.buffers, meta); err != nil {
			return err
		}
		err = atomicfile.Write(path, b.Bytes())
	case "torchscript":
		err = torch.SaveScript(path, a, m.theta, m.buffers)
	case "pth":
		err = weights.Save(path, weights.Torch, weights.FromFlat(a, m.theta, m.buffers), notes)
	case "safetensors":
		err = weights.Save(path, weights.Safetensors, weights.FromFlat(a, m.theta, m.buffers), notes)
	}
	if err != nil {
		return err
	}
	said, err := e.check(ctx, format, path, m, set)
	if err != nil {
		return fmt.Errorf("%s was written, but: %w", path, err)
	}
	fmt.Fprintf(e.stdout, "%s: %s, %s of run %v\n%s\n", path, format, a.Name, m.id, said)
	return nil
}

// tolerance is what logits may differ by in another program.
const tolerance = 1e-4

// check reads path again and says how it compares with m, its logits on the
// images of set unless that is nil.
func (e *exportCommand) check(ctx context.Context, format, path string, m storedModel, set *dataset.Set) (string, error) {
	a := m.train.Arch
	var theta, buffers []float32
	var err error
	switch format {
	case "onnx":
		_, theta, buffers, err = onnx.ImportFile(path)
	default:
		var f weights.File
		if format == "torchscript" {
			break // holds the weights beside the code, which the logits test together
		}
		if f, err = weights.Open(path); err == nil {
			theta, buffers, err = weights.Flatten(a, f.Tensors)
		}
	}
	if err != nil {
		return "", err
	}
	said := "weights: read again, equal bit by bit"
	if format != "torchscript" && !(sameBits(theta, m.theta) && sameBits(buffers, m.buffers)) {
		return "", errors.New("its weights are not those of the run")
	}
	if format == "pth" || format == "safetensors" {
		return said, nil
	}
	if format == "torchscript" {
		said = "weights: in the module's state dict"
	}
	if set == nil {
		return said + fmt.Sprintf("\nlogits: not compared (%s is no data set with test images of its own)", m.train.Data.Name), nil
	}
	by := "libtorch " + torch.Version()
	if format == "onnx" {
		if err := e.openRuntime(e.runtime); err != nil {
			return said + fmt.Sprintf("\nlogits: not compared (%v)", err), nil
		}
		by = "ONNX Runtime " + ort.Version()
	}
	diff, err := e.compare(ctx, format, path, m, scan.FromSet(set, e.images))
	if err != nil {
		return "", err
	}
	if !(diff <= tolerance) {
		return "", fmt.Errorf("%s gives logits that differ by %.2g from ours", by, diff)
	}
	return said + fmt.Sprintf("\nlogits: %s and libtorch differ by at most %.2g on %d test images of %s", by, diff, e.images, set.Name), nil
}

// compare returns the largest difference between the logits of the file and of
// the model.
func (e *exportCommand) compare(ctx context.Context, format, path string, m storedModel, t *scan.Images) (diff float64, err error) {
	x := make([]float32, len(t.Images))
	for i, b := range t.Images {
		x[i] = float32(b) / 255
	}
	err = torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
		ours, err := scan.FromArch(d, m.train.Arch, m.theta, m.buffers)
		if err != nil {
			return err
		}
		defer ours.Close()
		open := func() (scan.Model, error) { return scan.FromONNX(path, t.Shape, scan.Input{}) }
		if format == "torchscript" {
			open = func() (scan.Model, error) { return scan.FromScript(d, path, t.Shape, scan.Input{}) }
		}
		theirs, err := open()
		if err != nil {
			return err
		}
		defer theirs.Close()
		a, err := ours.Logits(ctx, x)
		if err != nil {
			return err
		}
		b, err := theirs.Logits(ctx, x)
		if err != nil {
			return err
		}
		if len(a) != len(b) {
			return fmt.Errorf("%d logits, want %d", len(b), len(a))
		}
		for i := range a {
			diff = max(diff, math.Abs(float64(a[i])-float64(b[i])))
		}
		return nil
	})
	return diff, err
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// images opens a data set with its images.
func (l *library) images(name string) (*dataset.Set, error) {
	l.whole = true
	return l.open(name)
}

// archOf returns the architecture called name for a data set's images, with the
// standardisation of its experiments.
func (a *app) archOf(ctx context.Context, name, data string) (nn.Arch, error) {
	e := evalCommand{app: a}
	e.set = []string{"dataset=" + data, "model=" + name}
	p, err := e.point(fileKeys, nil)
	if err != nil {
		return nn.Arch{}, err
	}
	step, err := a.lower(a.library(ctx).lab(nil), p)
	if err != nil {
		return nn.Arch{}, err
	}
	return step.From[0].Train.Arch, nil
}
