#!/bin/sh
# Fetches ONNX Runtime's shared library, once:
#
#   scripts/onnxruntime.sh CACHE_DIR
#
# prints the library's path, CACHE_DIR/onnxruntime/libonnxruntime.so.1.24.4.
# It comes from the wheel on PyPI, pinned by SHA-256 like the library in it,
# with its licences beside it. Python serves only to download; any version of
# it will do. Where the library is there already, nothing is fetched. Linux on
# x86-64 only: elsewhere, give `rsc` the path of an installed ONNX Runtime 1.24
# or newer instead.
set -eu

version=1.24.4
wheel_sha256=e54ad52e61d2d4618dcff8fa1480ac66b24ee2eab73331322db1049f11ccf330
library_sha256=2d518e11c7767f9fdc4413bdbeb45acf30db504ff76a82fc19d9238a3f9f6c24

say() { echo "onnxruntime: $*" >&2; }
fail() { say "$*"; exit 1; }

[ $# -eq 1 ] || fail "usage: scripts/onnxruntime.sh CACHE_DIR"
case $(uname -sm) in
"Linux x86_64") ;;
*) fail "no pinned library for $(uname -sm); install ONNX Runtime $version yourself" ;;
esac

dir=$1/onnxruntime
library=$dir/libonnxruntime.so.$version
matches() { [ -f "$1" ] && echo "$library_sha256  $1" | sha256sum --check --status; }

if matches "$library"; then
	say "$library is there"
	echo "$library"
	exit
fi

mkdir -p "$dir"
work=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say "fetching ONNX Runtime $version (17 MB) into $dir"
echo "onnxruntime==$version --hash=sha256:$wheel_sha256" >"$work/requirements.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
	--implementation cp --python-version 311 --abi cp311 --platform manylinux_2_28_x86_64 \
	--requirement "$work/requirements.txt" --dest "$work" ||
	fail "cannot download the wheel onnxruntime $version: is there a network, python3 and pip?"
python3 -m zipfile -e "$work"/onnxruntime-*.whl "$work" || fail "cannot unpack the wheel"

unpacked=$work/onnxruntime/capi/libonnxruntime.so.$version
matches "$unpacked" || fail "the library in the wheel is not the pinned one; nothing was installed"
mv "$work/onnxruntime/LICENSE" "$work/onnxruntime/ThirdPartyNotices.txt" "$dir"
# Last and by rename, so that a library that is there is complete.
mv "$unpacked" "$library"
say "$library is ready"
echo "$library"
