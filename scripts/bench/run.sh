#!/usr/bin/env bash
# Compares training speed with PyTorch, side by side on this machine:
#
#   scripts/bench/run.sh CACHE_DIR [EPOCHS] [STEPS] [NETWORK…]
#
# prints a Markdown table, and the lines of JSON behind it on stderr. EPOCHS (4)
# counts the first, which warms up; STEPS (0: all) shortens every epoch; NETWORK
# is any of mlp, cnn, resnet20. The data sets must be in CACHE_DIR/data, and
# bin/libtorch.env must have been read (make bench does both). PyTorch is
# installed, once, into CACHE_DIR/bench-venv: about 5 GB. PYTHON names another
# Python that has torch and torchvision; without it, python3.11 or python3 makes
# the environment. Run it when the machine has nothing else to do.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
cache=$(cd "$1" && pwd)
epochs=${2:-4} steps=${3:-0}
networks=("${@:4}")
[ ${#networks[@]} -gt 0 ] || networks=(mlp cnn resnet20)

python=${PYTHON:-$cache/bench-venv/bin/python}
if ! "$python" -c 'import torch, torchvision' 2>/dev/null; then
	[ -z "${PYTHON:-}" ] || { echo "bench: $PYTHON has no torch and torchvision" >&2; exit 1; }
	echo "bench: installing PyTorch into $cache/bench-venv (about 5 GB, once)" >&2
	"$(command -v python3.11 || command -v python3)" -m venv --clear "$cache/bench-venv"
	"$python" -m pip install --quiet torch==2.11.0 torchvision==0.26.0 numpy pillow
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -C "$here/../.." -o "$work/ours" ./scripts/bench/ours

for network in "${networks[@]}"; do
	pytorch() { "$python" "$here/pytorch.py" "$1" "$network" "$cache/data" --epochs "$epochs" --steps "$steps"; }
	ours() { "$work/ours" -cache "$cache" -network "$network" -epochs "$epochs" -steps "$steps" "$@"; }
	pytorch inmemory
	ours
	ours -bf16
	pytorch authors
	pytorch tuned
	if [ "$network" = mlp ]; then pytorch vmap; fi
	ours -workers 2
	ours -workers 2 -bf16
done | tee >(cat >&2) >"$work/lines"
"$python" "$here/pytorch.py" gemm | tee >(cat >&2) >>"$work/lines"
"$python" "$here/table.py" "$work/lines"
