package main

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// A wheel is one pinned package file and the members of it that we need.
type wheel struct {
	requirement string
	sha256      string
	megabytes   int
	// keep returns where under the libtorch folder a member goes, or "".
	keep func(member string, cuda bool) string
}

// The Python tag and the platform are named, not taken from the user's Python:
// the libraries inside are the same whatever Python downloads them.
var wheels = []wheel{
	{"torch==" + Version, "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a", 531, torchMember},
	{"nvidia-cuda-runtime==13.0.96", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548", 2, libraryMember("libcudart.so.13")},
	{"nvidia-cuda-cupti==13.0.85", "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8", 11, libraryMember("libcupti.so.13")},
}

func torchMember(member string, cuda bool) string {
	if strings.HasPrefix(member, "torch/include/") {
		return strings.TrimPrefix(member, "torch/")
	}
	name, ok := strings.CutPrefix(member, "torch/lib/")
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	isCUDA := strings.Contains(name, "cuda") || strings.Contains(name, "nvshmem") || strings.Contains(name, "caffe2_nvrtc")
	switch {
	case name == "libtorch_cpu.so", name == "libc10.so", strings.HasPrefix(name, "libgomp"):
		return "lib/" + name
	case cuda && isCUDA && strings.HasSuffix(name, ".so"):
		return "lib/" + name
	}
	return ""
}

func libraryMember(name string) func(string, bool) string {
	return func(member string, _ bool) string {
		if strings.HasSuffix(member, "/"+name) {
			return "lib/" + name
		}
		return ""
	}
}

// fetch leaves a complete libtorch in root, or nothing new: it unpacks beside
// root and renames at the end.
func fetch(root string, cuda bool) error {
	marker := filepath.Join(root, "complete")
	if cuda {
		marker += "-cuda"
	}
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("no pinned libtorch for %s/%s; name one that you have: LIBTORCH=/path/to/libtorch make …", runtime.GOOS, runtime.GOARCH)
	}
	pip, err := findPip()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o777); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(root), ".libtorch-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	total := 0
	for _, w := range wheels {
		total += w.megabytes
	}
	fmt.Fprintf(os.Stderr, "setup: fetching libtorch %s, %d MB, once, into %s\n", Version, total, root)
	for _, w := range wheels {
		if err := w.fetch(pip, tmp, cuda); err != nil {
			return fmt.Errorf("%s: %w", w.requirement, err)
		}
	}
	if err := os.WriteFile(filepath.Join(tmp, filepath.Base(marker)), nil, 0o666); err != nil {
		return err
	}
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	return os.Rename(tmp, root)
}

// findPip returns the command line of a pip, of whatever version.
func findPip() ([]string, error) {
	for _, c := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}, {"python", "-m", "pip"}} {
		if exec.Command(c[0], append(c[1:], "--version")...).Run() == nil {
			return c, nil
		}
	}
	return nil, errors.New("found no pip to download libtorch with; install Python's pip, or name a libtorch that you have: LIBTORCH=/path/to/libtorch make …")
}

func (w wheel) fetch(pip []string, root string, cuda bool) error {
	dir := filepath.Join(root, "wheel")
	defer os.RemoveAll(dir)
	args := append(pip[1:len(pip):len(pip)], "download", "--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--only-binary=:all:",
		"--implementation", "cp", "--python-version", "311", "--dest", dir)
	if strings.HasPrefix(w.requirement, "torch") {
		args = append(args, "--abi", "cp311")
	}
	for _, p := range []string{"manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"} {
		args = append(args, "--platform", p)
	}
	cmd := exec.Command(pip[0], append(args, w.requirement)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // pip shows the progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pip download: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("pip left %d wheels, want 1", len(files))
	}
	sum, err := digest(files[0])
	if err != nil {
		return err
	}
	if sum != w.sha256 {
		return fmt.Errorf("%s has SHA-256 %s, want %s", filepath.Base(files[0]), sum, w.sha256)
	}
	return w.unpack(files[0], root, cuda)
}

func (w wheel) unpack(file, root string, cuda bool) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	n := 0
	for _, member := range z.File {
		to := w.keep(member.Name, cuda)
		if to == "" || strings.HasSuffix(to, "/") {
			continue
		}
		if !filepath.IsLocal(to) {
			return fmt.Errorf("%s: unsafe member %q", file, member.Name)
		}
		if err := extract(member, filepath.Join(root, to)); err != nil {
			return fmt.Errorf("%s: %w", member.Name, err)
		}
		n++
	}
	if n == 0 {
		return fmt.Errorf("%s holds none of the files that it should", file)
	}
	return nil
}

func extract(member *zip.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	r, err := member.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func digest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
