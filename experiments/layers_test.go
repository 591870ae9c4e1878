package experiments_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rank orders the layers: a package may import only packages of its own top
// folder or of one with a lower rank.
var rank = map[string]int{"nn": 0, "bridge": 1, "analysis": 2, "configs": 0, "experiments": 3, "scripts": 4}

// owner names the one package that may import a library.
var owner = map[string]string{
	"github.com/sugarme/gotch":        "bridge/torch",
	"github.com/yalue/onnxruntime_go": "bridge/onnx/ort",
	"github.com/spf13/viper":          "experiments/config",
	"gonum.org/v1/plot":               "analysis/figure",
}

// TestLayers reads the sources itself, so that it cannot pass from the test
// cache after an import has changed.
func TestLayers(t *testing.T) {
	const module, root = "rarespurious/", ".."
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), root+string(filepath.Separator)))
		top, _, _ := strings.Cut(pkg, "/")
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if dep, ok := strings.CutPrefix(imp, module); ok {
				if depTop, _, _ := strings.Cut(dep, "/"); depTop != top && rank[depTop] >= rank[top] {
					t.Errorf("%s imports %s: %s may not depend on %s", path, dep, top, depTop)
				}
			}
			for lib, own := range owner {
				if imp != lib && !strings.HasPrefix(imp, lib+"/") {
					continue
				}
				seen[lib] = true
				if pkg != own && !strings.HasPrefix(pkg, own+"/") {
					t.Errorf("%s imports %s, which only %s may", path, imp, own)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for lib := range owner {
		if !seen[lib] {
			t.Errorf("nothing imports %s: the rule about it guards nothing", lib)
		}
	}
}
