#!/usr/bin/env bash
# Kill a sweep again and again, then let it finish: nothing may be lost or wrong.
#
# usage: kill.sh [TIMES] [CACHE]     in the repository's root, after make build
#
# Starts the sweep of kill.yaml and kills it with SIGKILL after a random time,
# TIMES times (50). When a sweep finishes between two kills it begins anew in an
# empty folder, so kills hit all of its parts. At the end the numbers must be
# those of a sweep that was never interrupted, byte for byte, and the audit
# clean. Prints one line per finished sweep.
set -euo pipefail
times=${1:-50}
cache=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/rarespurious}
here=$(dirname "$0")
rsc() { bin/rsc "$@" --cache "$cache" --quiet; }
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

rsc figure "$here/kill.yaml" --results "$box/whole" >/dev/null
# The last column names runs; the IDs are the same too.
check() {
  cmp "$box/whole/kill/kill.csv" "$1/kill/kill.csv"
  bin/rsc audit --results "$1" >"$box/audit" || { cat "$box/audit"; exit 1; }
}

killed=0 round=1 finished=0
while [ "$killed" -lt "$times" ]; do
  results=$box/round$round
  bin/rsc figure "$here/kill.yaml" --cache "$cache" --results "$results" --quiet >/dev/null 2>"$box/log" &
  pid=$!
  sleep "0.$((RANDOM % 9 + 1))"
  [ $((RANDOM % 3)) = 0 ] && sleep "0.$((RANDOM % 9))"
  if kill -9 $pid 2>/dev/null; then
    wait $pid 2>/dev/null || true
    killed=$((killed + 1))
    continue
  fi
  wait $pid || { cat "$box/log"; exit 1; }
  check "$results"
  finished=$((finished + 1))
  echo "sweep $round finished after $killed kills in all: numbers equal, audit clean"
  rm -rf "$results"
  round=$((round + 1))
done
results=$box/round$round
rsc figure "$here/kill.yaml" --results "$results" >/dev/null
check "$results"
echo "$killed kills over $((finished + 1)) sweeps: every sweep's numbers equal the uninterrupted one's, every audit is clean"
