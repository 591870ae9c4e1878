// Command setup makes libtorch available to the build and prints how to use it.
//
//	go run ./scripts/setup -cache DIR -out bin/libtorch.env
//
// Without LIBTORCH in the environment it fetches libtorch, once, into DIR: the
// PyPI wheel of torch holds its headers and libraries, and two small wheels
// hold the two libraries that those need. Wheels are pinned by SHA-256. With
// -cuda it fetches libtorch's CUDA half and the libraries which that needs, too.
// With LIBTORCH=DIR, a libtorch of the same version that is already there is used:
// an unpacked libtorch archive, or the folder "torch" of a Python installation.
//
// The result is a shell file that exports the CGO_ variables for building
// gotch, unmodified, against it. Nothing is needed at run time but those
// libraries; Python serves only to download.
package main

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Version is the libtorch release that the project builds and is tested with.
const Version = "2.11.0"

// compat declares, for gotch's generated C++, the three functions whose
// signatures changed between gotch's libtorch and ours.
//
//go:embed compat.h
var compat []byte

func main() {
	cache := flag.String("cache", "", "folder for downloads (required)")
	out := flag.String("out", "", "shell file to write (required)")
	gpu := flag.Bool("cuda", false, "also fetch what libtorch needs for GPUs")
	flag.Parse()
	if *cache == "" || *out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := setup(*cache, *out, os.Getenv("LIBTORCH"), *gpu); err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(1)
	}
}

func setup(cache, out, existing string, gpu bool) error {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return err
	}
	if gpu && existing != "" {
		return fmt.Errorf("%s is used as it is: CUDA=1 is for the libtorch that is fetched, without LIBTORCH", existing)
	}
	root := existing
	if root == "" {
		root = filepath.Join(cache, "libtorch-"+Version)
		if err := fetch(root, base); err != nil {
			return err
		}
		if gpu {
			if err := fetch(root, cuda); err != nil {
				return err
			}
		}
	} else if root, err = filepath.Abs(root); err != nil {
		return err
	}
	if err := checkVersion(root); err != nil {
		return err
	}
	build := filepath.Join(cache, "build")
	if err := writeBuildFiles(build); err != nil {
		return err
	}
	return writeFile(out, []byte(environment(root, build)))
}

// checkVersion refuses a libtorch of another release: gotch's C++ would not
// compile, or worse, would.
func checkVersion(root string) error {
	file := filepath.Join(root, "include", "torch", "headeronly", "version.h")
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s is not a libtorch %s (want include/ and lib/ in it): %w", root, Version, err)
	}
	parts := strings.Split(Version, ".")
	for i, name := range []string{"MAJOR", "MINOR", "PATCH"} {
		if !strings.Contains(string(b), "#define TORCH_VERSION_"+name+" "+parts[i]+"\n") {
			return fmt.Errorf("%s is another version than %s; unset LIBTORCH to fetch the right one", root, Version)
		}
	}
	for _, lib := range []string{"libtorch_cpu.so", "libc10.so"} {
		if _, err := os.Stat(filepath.Join(root, "lib", lib)); err != nil {
			return fmt.Errorf("%s is incomplete: %w", root, err)
		}
	}
	return nil
}

// writeBuildFiles leaves compat.h and empty stand-ins for the CUDA libraries
// that gotch asks the linker for by name: a text file that holds only a
// comment is a linker script that adds nothing. They lie in the cache, not in
// the repository, so that all checkouts share one build of gotch.
func writeBuildFiles(dir string) error {
	if err := writeFile(filepath.Join(dir, "compat.h"), compat); err != nil {
		return err
	}
	for _, name := range []string{"torch", "torch_cuda", "c10_cuda", "cuda", "cudart", "cublas", "cudnn", "caffe2_nvrtc", "nvrtc", "nvrtc-builtins", "nvToolsExt"} {
		if err := writeFile(filepath.Join(dir, "lib"+name+".so"), []byte("/* nothing to link */\n")); err != nil {
			return err
		}
	}
	return nil
}

// environment returns the shell lines that a build needs. They say where
// libraries are, not which to link: that would bind every program of the
// module, pure Go or not, to libtorch.
func environment(root, build string) string {
	libs := []string{filepath.Join(root, "lib")}
	// A Python installation keeps the CUDA libraries that libtorch needs in
	// sibling packages.
	siblings, _ := filepath.Glob(filepath.Join(root, "..", "nvidia", "*", "lib"))
	libs = append(libs, siblings...)
	var rpath strings.Builder
	for _, lib := range libs {
		fmt.Fprintf(&rpath, " '-Wl,-rpath,%s'", lib)
	}
	include := filepath.Join(root, "include")
	return fmt.Sprintf(`# Written by scripts/setup; delete it to set up again.
export RSC_LIBTORCH="%[5]s"
export CGO_CFLAGS="-O1 -w"
export CGO_CXXFLAGS="-O1 -w -std=c++17 '-I%[1]s' '-I%[1]s/torch/csrc/api/include' -include '%[2]s/compat.h'"
export CGO_LDFLAGS="'-L%[2]s' '-L%[3]s'%[4]s"
`, include, build, libs[0], rpath.String(), root)
}

// writeFile writes b to path. A file that holds b already is left alone, since
// the time stamp of compat.h is an input of a build that takes minutes.
func writeFile(path string, b []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o666)
}
