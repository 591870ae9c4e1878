#!/usr/bin/env bash
# What a job of submit.sh does: its shard, if it is a task of an array; else all
# that is left, and the figures.
#
# usage: task.sh RSC RESULTS SEPARATE N FIGURE… [flags of rsc figure]
set -uo pipefail
rsc=$1 results=$2 separate=$3 n=$4
shift 4
shard=()
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  shard=(--shard "$SLURM_ARRAY_TASK_ID/$n")
  [ "$separate" = no ] || results=$results.parts/$SLURM_ARRAY_TASK_ID
elif [ "$separate" = yes ]; then
  "$rsc" store merge "$results" "$results".parts/* || exit
fi

"$rsc" figure "$@" "${shard[@]}" --results "$results" &
pid=$!
# Slurm sends USR1 some time before it ends the job; submit.sh says how long.
# TERM, which scancel sends, is passed on and not followed by a requeue.
requeue=no
trap 'requeue=yes; kill -TERM $pid' USR1
trap 'kill -TERM $pid' TERM
while :; do
  wait $pid
  status=$?
  kill -0 $pid 2>/dev/null || break # else a trap has ended the wait
done
if [ $requeue = yes ] && [ $status = 130 ]; then
  id=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
  echo "time is up: requeued"
  exec scontrol requeue "${id:-$SLURM_JOB_ID}"
fi
exit $status
