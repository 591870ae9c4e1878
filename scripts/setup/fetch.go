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
	"path"
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
	keep func(member string) string
}

// A part is what one set-up fetches.
type part struct {
	name   string
	marker string // a file that is there when the part is
	wheels []wheel
}

// The Python tag and the platform are named, not taken from the user's Python:
// the libraries inside are the same whatever Python downloads them.
const torchWheel, torchSum = "torch==" + Version, "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a"

var base = part{"libtorch " + Version, "complete", []wheel{
	{torchWheel, torchSum, 531, torchMember},
	{"nvidia-cuda-runtime==13.0.96", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548", 2, libraries("libcudart")},
	{"nvidia-cuda-cupti==13.0.85", "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8", 11, libraries("libcupti")},
}}

// What libtorch_cuda.so is linked to, and what those libraries load in turn.
// They lie beside it, where its run path ends. Its linear algebra, which no
// network here uses, is left out with the solvers that it needs.
var cuda = part{"libtorch's CUDA half", "complete-cuda", []wheel{
	{torchWheel, torchSum, 531, libraries("libtorch_cuda.so", "libc10_cuda.so", "libcaffe2_nvrtc.so", "libtorch_nvshmem.so")},
	{"nvidia-cublas==13.1.0.3", "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171", 423, libraries("libcublas")},
	{"nvidia-cuda-nvrtc==13.0.88", "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575", 90, libraries("libnvrtc.so", "libnvrtc-builtins.so")},
	{"nvidia-cudnn-cu13==9.19.0.56", "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf", 366, libraries("libcudnn")},
	{"nvidia-cufft==12.0.0.61", "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3", 214, libraries("libcufft.so")},
	{"nvidia-cufile==1.15.1.6", "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44", 1, libraries("libcufile.so")},
	{"nvidia-curand==10.4.0.35", "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc", 60, libraries("libcurand")},
	{"nvidia-cusparse==12.6.3.3", "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b", 146, libraries("libcusparse")},
	{"nvidia-cusparselt-cu13==0.8.0", "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd", 170, libraries("libcusparseLt")},
	{"nvidia-nccl-cu13==2.28.9", "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42", 197, libraries("libnccl")},
	{"nvidia-nvjitlink==13.0.88", "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b", 41, libraries("libnvJitLink")},
	{"nvidia-nvshmem-cu13==3.4.5", "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80", 60, libraries("libnvshmem_host")},
}}

func torchMember(member string) string {
	if strings.HasPrefix(member, "torch/include/") {
		return strings.TrimPrefix(member, "torch/")
	}
	return libraries("libtorch_cpu.so", "libc10.so", "libgomp")(member)
}

// libraries keeps the shared libraries whose names begin with a prefix.
func libraries(prefixes ...string) func(string) string {
	return func(member string) string {
		name := path.Base(member)
		if path.Base(path.Dir(member)) != "lib" || !strings.Contains(name, ".so") {
			return ""
		}
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) {
				return "lib/" + name
			}
		}
		return ""
	}
}

// fetch leaves a part complete in root, or nothing new: it unpacks beside root
// and renames at the end. The base replaces root; any other part adds to it.
func fetch(root string, p part) error {
	if _, err := os.Stat(filepath.Join(root, p.marker)); err == nil {
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
	scratch, err := os.MkdirTemp(filepath.Dir(root), ".libtorch-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	fresh := filepath.Join(scratch, "libtorch") // readable by all, as scratch is not
	total := 0
	for _, w := range p.wheels {
		total += w.megabytes
	}
	fmt.Fprintf(os.Stderr, "setup: fetching %s, %d MB, once, into %s\n", p.name, total, root)
	for _, w := range p.wheels {
		if err := w.fetch(pip, scratch, fresh); err != nil {
			return fmt.Errorf("%s: %w", w.requirement, err)
		}
	}
	if p.marker == base.marker {
		if err := os.RemoveAll(root); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(fresh, p.marker), nil, 0o666); err != nil {
			return err
		}
		return os.Rename(fresh, root)
	}
	added, err := filepath.Glob(filepath.Join(fresh, "lib", "*"))
	if err != nil {
		return err
	}
	for _, file := range added {
		if err := os.Rename(file, filepath.Join(root, "lib", filepath.Base(file))); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, p.marker), nil, 0o666)
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

// fetch downloads the wheel into scratch and unpacks what is kept of it to root.
func (w wheel) fetch(pip []string, scratch, root string) error {
	dir := filepath.Join(scratch, "wheel")
	defer os.RemoveAll(dir)
	args := append(pip[1:len(pip):len(pip)], "download", "--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--only-binary=:all:",
		"--implementation", "cp", "--python-version", "311", "--dest", dir)
	if strings.HasPrefix(w.requirement, "torch") {
		args = append(args, "--abi", "cp311")
	}
	for _, p := range []string{"manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_25_x86_64", "manylinux_2_18_x86_64",
		"manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"} {
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
	return w.unpack(files[0], root)
}

func (w wheel) unpack(file, root string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	n := 0
	for _, member := range z.File {
		to := w.keep(member.Name)
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

func extract(member *zip.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	r, err := member.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.Create(to)
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
