package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/bridge/weights"

	"github.com/spf13/cobra"
)

func newWeights(a *app) *cobra.Command {
	return group("weights", "fetch, inspect, convert and compare weights files",
		`Weights files are read in the formats .pth (new and old), .safetensors, .onnx and
TensorFlow.js, and written as .safetensors and .pth. Nothing in a file is ever
executed.`, newWeightsFetch(a), newWeightsInspect(a), newWeightsConvert(a), newWeightsDiff(a))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// openWeights reads a weights file.
func openWeights(path string) (weights.File, error) {
	f, err := weights.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, badInputf("%s: there is no such file", path)
	}
	if err != nil && !strings.Contains(err.Error(), path) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return f, err
}

// A tensorRow describes one tensor.
type tensorRow struct {
	Name   string        `json:"name"`
	DType  weights.DType `json:"dtype"`
	Shape  []int         `json:"shape"`
	SHA256 string        `json:"sha256"` // of its data, whatever the file
}

func newWeightsInspect(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "inspect FILE", Short: "list the tensors of a weights file", Args: cobra.ExactArgs(1),
		Example: "  rsc weights inspect resnet20.pth",
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := openWeights(args[0])
			if err != nil {
				return err
			}
			rows, elements := []tensorRow{}, 0
			for _, t := range f.Tensors {
				rows = append(rows, tensorRow{t.Name, t.DType, append([]int{}, t.Shape...), t.Digest()})
				elements += t.Len()
			}
			if asJSON {
				return a.printJSON(struct {
					Format   weights.Format    `json:"format"`
					Metadata map[string]string `json:"metadata,omitempty"`
					Tensors  []tensorRow       `json:"tensors"`
				}{f.Format, f.Metadata, rows})
			}
			var lines [][]string
			for _, r := range rows {
				lines = append(lines, []string{r.Name, string(r.DType), fmt.Sprint(r.Shape), r.SHA256[:12]})
			}
			if err := a.printTable([]string{"TENSOR", "TYPE", "SHAPE", "SHA256"}, lines); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: %s, %d elements\n", f.Format, counted(len(rows), "tensor"), elements)
			for _, key := range sortedKeys(f.Metadata) {
				fmt.Fprintf(a.stdout, "%s: %s\n", key, f.Metadata[key])
			}
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func newWeightsConvert(a *app) *cobra.Command {
	var keras bool
	c := &cobra.Command{
		Use: "convert FROM TO", Short: "write a weights file in another format", Args: cobra.ExactArgs(2),
		Long: "convert reads any format and writes the one of TO's ending: .safetensors, .pth or .pt.",
		Example: `  rsc weights convert model.pth model.safetensors
  rsc weights convert --keras-resnet50 tfjs_folder resnet50.pth`,
		RunE: func(_ *cobra.Command, args []string) error {
			format, ok := map[string]weights.Format{".safetensors": weights.Safetensors, ".pth": weights.Torch, ".pt": weights.Torch}[filepath.Ext(args[1])]
			if !ok {
				return badInputf("%s: give a name that ends in .safetensors, .pth or .pt", args[1])
			}
			f, err := openWeights(args[0])
			if err != nil {
				return err
			}
			d := f.Tensors
			if keras {
				if d, err = weights.FromKerasResNet50(d); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			}
			if err := weights.Save(args[1], format, d, f.Metadata); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: %s, %s\n", args[1], format, counted(len(d), "tensor"))
			return nil
		},
	}
	c.Flags().BoolVar(&keras, "keras-resnet50", false, "turn Keras' ResNet50 into torchvision's names and layouts")
	return c
}

// A diffRow is one tensor that is not the same in two files.
type diffRow struct {
	Name string `json:"name"`
	What string `json:"what"`
}

func newWeightsDiff(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "diff A B", Short: "compare two weights files, whatever their formats", Args: cobra.ExactArgs(2),
		Long:    "diff names every tensor whose type, shape or bits differ. The exit status is 1 if\nthere is one.",
		Example: "  rsc weights diff before.pth after.safetensors",
		RunE: func(_ *cobra.Command, args []string) error {
			var f [2]weights.File
			for i, path := range args {
				var err error
				if f[i], err = openWeights(path); err != nil {
					return err
				}
			}
			rows := []diffRow{}
			all := weights.Diff(f[0].Tensors, f[1].Tensors)
			for _, d := range all {
				if !d.Same() {
					rows = append(rows, diffRow{d.Name, difference(d, args)})
				}
			}
			if asJSON {
				if err := a.printJSON(rows); err != nil {
					return err
				}
			} else {
				for _, r := range rows {
					fmt.Fprintf(a.stdout, "%s\t%s\n", r.Name, r.What)
				}
				fmt.Fprintf(a.stdout, "%d of %s differ\n", len(rows), counted(len(all), "tensor"))
			}
			if len(rows) > 0 {
				return errReported
			}
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func difference(d weights.Difference, names []string) string {
	switch {
	case d.A == nil:
		return "only in " + names[1]
	case d.B == nil:
		return "only in " + names[0]
	case !slices.Equal(d.A.Shape, d.B.Shape):
		return fmt.Sprintf("shape %v, %v", d.A.Shape, d.B.Shape)
	case d.A.DType != d.B.DType:
		return fmt.Sprintf("type %s, %s; values differ by at most %g", d.A.DType, d.B.DType, d.Max)
	}
	return fmt.Sprintf("values differ by at most %g", d.Max)
}
