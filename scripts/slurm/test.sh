#!/usr/bin/env bash
# Figure 2's smoke profile on a real Slurm of one node, with tasks that are
# killed and requeued, against the same figure made by one process.
#
# usage: test.sh     as root, in the repository's root, after make build
#
# Once with one results folder for all tasks, once with a folder for each and a
# merge. In both, one task is killed while it runs and requeued by hand, and
# another is told that its time is up and requeues itself. The CSVs must be equal
# byte for byte and the audits clean. Leaves nothing behind but the packages
# slurm-wlm and munge.
set -euo pipefail
here=$(dirname "$0")
export RSC=${RSC:-bin/rsc}
tasks=3 box=$(mktemp -d)
chmod 755 "$box" # munge wants it
export SLURM_CONF=$box/slurm/slurm.conf
trap '"$here/one-node.sh" down "$box/slurm"; rm -rf "$box"' EXIT

say() { echo "$(date +%T) $*"; }
state() { squeue -t all -h -o %T -j "$1" | sort -u | tr '\n' ' '; }
await() { # JOB STATE…: wait until the job's, or all its tasks', state is among these
  local now
  for _ in $(seq 6000); do
    now=$(state "$1")
    for want in "${@:2}"; do [ "$now" != "$want " ] || return 0; done
    sleep 0.1
  done
  say "$1 is $now, not ${*:2}"
  exit 1
}
restarts() { scontrol show job "$1" | sed -n 's/.*Restarts=\([0-9]*\).*/\1/p'; }
stored() { find "$1" -name record.json 2>/dev/null | wc -l; }

say "one process"
"$RSC" figure fig2 --profile smoke --results "$box/one" --quiet >/dev/null
"$here/one-node.sh" up "$box/slurm"
say "$(sinfo --version) is up: $(sinfo -h -o '%c cores, partition %P')"

# try NAME HOW FLAGS…: the figure as an array, in which task 2 is killed by HOW.
try() {
  local name=$1 how=$2 out array last folder
  out=$("$here/submit.sh" fig2 --profile smoke --tasks $tasks --results "$box/$name" "${@:3}")
  echo "$out"
  read -r array last < <(sed -n 's/^array \([0-9]*\), then \([0-9]*\) .*/\1 \2/p' <<<"$out")
  folder=$box/$name
  [ "$name" = shared ] || folder=$folder.parts/2

  # Tasks 2 and 3 have a CIFAR-10 network each, which takes long enough.
  for i in 2 3; do
    await "${array}_$i" RUNNING
    until grep -q " train " "$box/$name/slurm/${array}_$i.log"; do sleep 0.1; done
  done
  scancel --batch --signal=USR1 "${array}_3"
  if [ "$how" = "kill -9" ]; then
    kill -9 "$(pgrep -f -- "--shard 2/$tasks --results $folder")"
    await "${array}_2" FAILED
  else
    scancel "${array}_2"
    await "${array}_2" CANCELLED
  fi
  say "$name: task 2 is $(state "${array}_2")after $how, task 3 is told that its time is up; $(stored "$folder") records in $(basename "$folder")"
  scontrol requeue "${array}_2"
  await "$array" COMPLETED
  await "$last" COMPLETED
  for i in $(seq $tasks); do
    say "$name: task $i is $(state "${array}_$i")after $(restarts "${array}_$i") restarts: $(tail -1 "$box/$name/slurm/${array}_$i.log")"
  done
  cmp "$box/one/fig2/fig2.csv" "$box/$name/fig2/fig2.csv"
  say "$name: $(wc -l <"$box/$name/fig2/fig2.csv") lines of CSV equal those of one process, byte for byte"
  "$RSC" audit --results "$box/$name"
}
try shared 'kill -9'
try separate scancel --separate
