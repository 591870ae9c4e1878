#!/usr/bin/env bash
# Make figures on a Slurm cluster: a job array trains, one last job draws.
#
# usage: submit.sh FIGURE… --tasks N [options] [-- flags of rsc plan and rsc figure]
#
#   --tasks N        parts that the work is cut into, one task of the array each
#   --profile P      smoke, quick or paper (quick)
#   --results DIR    results folder, seen by all nodes (results)
#   --separate       a folder DIR.parts/I for each task, merged by the last job:
#                    for file systems whose locks do not reach other nodes
#   --at-once M      tasks that may run at a time (all)
#   --cpus C         cores of a task, which trains as many models at a time (1)
#   --gpus G         GPU of a task, as Slurm names it: 1, or a100:1
#   --partition X    --time T    --mem M    as for sbatch, for each task
#
# Every task and the last job can be killed and requeued at any moment; stored
# results are never computed again. Before a job's time is up it stops at a safe
# place and requeues itself. The last job starts when all tasks have ended,
# however they ended: it does what they have left undone and draws.
#
# Figures are checked before anything is submitted. Prints the two job IDs.
# RSC names the program (bin/rsc), which all nodes must see, and its cache too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rsc=$(realpath "${RSC:-$here/../../bin/rsc}")
fail() { echo "submit.sh: $*" >&2; exit 2; }

figures=() profile=quick results=results separate=no tasks= at_once= cpus=1
job=(--parsable --requeue --signal=B:USR1@120 --open-mode=append) # a requeued job goes on in its log
device=()
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    --separate) separate=yes; shift; continue ;;
    --*) [ $# -ge 2 ] || fail "$1 needs a value" ;;
    *) figures+=("$1"); shift; continue ;;
  esac
  case $1 in
    --tasks) tasks=$2 ;;
    --profile) profile=$2 ;;
    --results) results=$2 ;;
    --at-once) at_once=%$2 ;;
    --cpus) cpus=$2 ;;
    --gpus) job+=("--gres=gpu:$2"); device=(--device cuda:0) ;;
    --partition | --time | --mem) job+=("$1=$2") ;;
    *) fail "unknown option $1" ;;
  esac
  shift 2
done
[ ${#figures[@]} -gt 0 ] || fail "name a figure"
[[ $tasks =~ ^[1-9][0-9]*$ ]] || fail "--tasks N: into how many parts?"

"$rsc" plan "${figures[@]}" --profile "$profile" --results "$results" --shards "$tasks" "$@"

results=$(realpath -m "$results")
mkdir -p "$results/slurm"
[ ${#device[@]} -gt 0 ] || device=(--jobs "$cpus") # on a GPU rsc's own default is right
task=("$here/task.sh" "$rsc" "$results" "$separate" "$tasks"
  "${figures[@]}" --profile "$profile" "${device[@]}" "$@")
job+=("--cpus-per-task=$cpus")
array=$(sbatch "${job[@]}" --job-name=rsc --array="1-$tasks$at_once" --output="$results/slurm/%A_%a.log" "${task[@]}")
last=$(sbatch "${job[@]}" --job-name=rsc-draw --dependency="afterany:$array" --output="$results/slurm/%j.log" "${task[@]}")
echo "array $array, then $last draws; logs are in $results/slurm; to give up: scancel $array $last"
