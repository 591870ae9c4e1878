#!/usr/bin/env bash
# A sweep on a disk that fills up, and on one that is read-only.
#
# usage: disk.sh [CACHE]     in the repository's root, after make build
#
# Runs the sweep of kill.yaml on a file system of 2 MB until it is full, tries
# again, makes room, and finishes: the numbers must be those of a sweep on a
# large disk, byte for byte, and the audit clean at every stage. Then mounts the
# results read-only. It needs root, or a kernel that gives users name spaces.
set -euo pipefail
if [ -z "${INSIDE:-}" ]; then
  [ "$EUID" = 0 ] && own=-m || own=-rm
  INSIDE=1 exec unshare $own "$0" "$@"
fi
cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/rarespurious}
here=$(dirname "$0")
box=$(mktemp -d)
disk=$box/disk
trap 'umount "$disk" 2>/dev/null; rm -rf "$box"' EXIT
mkdir "$disk"

# expect STATUS COMMAND…: run rsc, which must end with that status. What it says
# is left in $box/said.
expect() {
  local want=$1 got=0
  shift
  bin/rsc "$@" --cache "$cache" --quiet >"$box/out" 2>"$box/said" || got=$?
  [ "$got" = "$want" ] || { echo "rsc $*: status $got, want $want"; cat "$box/said"; exit 1; }
}
sweep() { expect "$1" figure "$here/kill.yaml" --set 'seed=[0,1]' --results "$2"; }
audited() { expect 0 audit --results "$disk/results" && grep -E '^runs' "$box/out"; }

sweep 0 "$box/whole"

mount -t tmpfs -o size=2m none "$disk"
for try in first second; do
  sweep 1 "$disk/results"
  grep -q 'no space left' "$box/said"
  echo "full, $try try: $(grep "^rsc: " "$box/said")"
  audited
done
mount -o remount,size=64m "$disk"
sweep 0 "$disk/results"
cmp "$box/whole/kill/kill.csv" "$disk/results/kill/kill.csv"
audited
echo "with room again: the numbers equal those of a large disk"

mount -o remount,ro "$disk"
expect 0 runs list --results "$disk/results"
audited
expect 2 figure "$here/kill.yaml" --set 'seed=[0,1,2]' --results "$disk/results"
echo "read-only, something to run: $(cat "$box/said")"
expect 1 figure "$here/kill.yaml" --set 'seed=[0,1]' --results "$disk/results"
echo "read-only, nothing to run: $(cat "$box/said")"
expect 2 figure "$here/kill.yaml" --results "$disk/new"
echo "read-only, a new folder: $(cat "$box/said")"
echo "all as it should be"
