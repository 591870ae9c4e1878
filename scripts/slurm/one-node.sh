#!/usr/bin/env bash
# A real Slurm on this machine alone, for tests: Debian's slurm-wlm and munge,
# started by hand, without systemd, cgroups or a database. Needs root.
#
# usage: one-node.sh up|down FOLDER
#
# FOLDER keeps configuration, key, sockets, state and logs. After up, clients
# need SLURM_CONF=FOLDER/slurm.conf. down cancels all jobs. SLURM_CPUS is how
# many cores Slurm believes in (4), SLURM_PORT the first of its two ports.
set -euo pipefail
dir=$(realpath -m "$2") host=$(hostname -s)
export SLURM_CONF=$dir/slurm.conf
port=${SLURM_PORT:-27817}

until_ok() { # up to 20 seconds
  for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "one-node.sh: waited in vain for: $*; see $dir/*.log" >&2
  return 1
}
start() { # NAME COMMAND…
  setsid "${@:2}" >>"$dir/$1.log" 2>&1 </dev/null &
  echo $! >"$dir/$1.pid"
}
stop() {
  local pid
  pid=$(cat "$dir/$1.pid") && kill "$pid" 2>/dev/null && until_ok gone "$pid" || true
}
gone() { [[ ! -e /proc/$1 || $(ps -o stat= -p "$1") == Z* ]]; }
no_jobs() { [ -z "$(squeue -h 2>/dev/null)" ]; }
ready() { [ "$(sinfo -h -o %T)" = idle ]; }

case $1 in
  up)
    mkdir -p "$dir"/{state,spool}
    chmod 755 "$dir"
    command -v slurmctld slurmd munged >/dev/null || {
      apt-get update -q
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge
    } >"$dir/apt.log" 2>&1
    # cred_expire: how long a requeued job waits before it starts again.
    # config_overrides: CPUs= is believed, though the machine may have fewer.
    cat >"$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthInfo=socket=$dir/munge.sock,cred_expire=5
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.id
SlurmdPidFile=$dir/slurmd.id
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MailProg=/bin/true
ReturnToService=2
MinJobAge=3600
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=${SLURM_CPUS:-4} RealMemory=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    (umask 077; head -c 1024 /dev/urandom >"$dir/munge.key")
    start munged munged -F --socket="$dir/munge.sock" --key-file="$dir/munge.key" \
      --log-file="$dir/munged.log" --pid-file="$dir/munged.id" --seed-file="$dir/munge.seed"
    until_ok munge -n -S "$dir/munge.sock"
    start slurmctld slurmctld -D
    until_ok scontrol ping
    start slurmd slurmd -D
    until_ok ready
    ;;
  down)
    squeue -h -o %A 2>/dev/null | sort -u | xargs -r scancel
    until_ok no_jobs || true # jobs outlive slurmd
    stop slurmd
    stop slurmctld
    stop munged
    ;;
esac
