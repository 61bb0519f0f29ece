#!/usr/bin/env bash
# A Slurm of one node on this machine, from Debian's packages, for the tests marked `slurm`:
#
#     scripts/slurm_on_this_machine.sh [start]    install what is missing, write the configuration, start the daemons
#     scripts/slurm_on_this_machine.sh stop       cancel all jobs and stop the daemons; the packages stay
#
# Needs root and no systemd: the daemons are started here, and listen on the loopback interface only. Both verbs may be
# repeated. A configuration of Slurm that somebody else has written is left alone, and so is its machine.
set -euo pipefail

readonly CONF=/etc/slurm/slurm.conf
readonly MARK="# Written by slurm_on_this_machine.sh: one node, for tests."
readonly STATE=/var/lib/slurm/one_node
readonly MUNGED_PID=/run/munge/munged.pid

fail() {
    echo "error: $*" >&2
    exit 2
}

runs() {  # PID_FILE: the daemon that has written it is alive
    [[ -s $1 ]] && kill -0 "$(cat "$1")" 2> /dev/null
}

within() {  # SECONDS COMMAND...: wait until the command succeeds
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

configure() {
    local host cores
    host=$(hostname -s)
    cores=$(nproc)
    install -d -m 700 "$STATE" "$STATE/controller" "$STATE/node"
    # Four jobs fit at once however few cores there are: the node claims four, and `config_overrides` believes it.
    # A job that is queued again waits for `cred_expire` seconds, 120 by default.
    # `main` is preempted by `urgent`, with a few seconds between SIGTERM and SIGKILL.
    cat > "$CONF.new" << END
$MARK
ClusterName=one_node
SlurmctldHost=$host(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation=$STATE/controller
SlurmdSpoolDir=$STATE/node
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=bf_interval=2,batch_sched_delay=1,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=2
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((cores > 4 ? cores : 4)) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=60 PriorityTier=1 GraceTime=2
PartitionName=urgent Nodes=$host MaxTime=60 PriorityTier=10 PreemptMode=OFF
END
    mv "$CONF.new" "$CONF"
}

start() {
    local missing=() program
    for program in munged slurmctld slurmd sbatch; do
        [[ -n $(type -P "$program") ]] || missing+=("$program")
    done
    if ((${#missing[@]})); then
        [[ -n $(type -P apt-get) ]] || fail "${missing[*]} missing, and this is no Debian; install Slurm and munge"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -qq --yes --no-install-recommends slurm-wlm munge > /dev/null
    fi
    runs "$STATE/slurmctld.pid" || configure
    if ! runs "$MUNGED_PID"; then
        install -d -o munge -g munge -m 755 /run/munge
        runuser -u munge -- munged
    fi
    within 10 munge -n || fail "munged does not answer; its log is in /var/log/munge"
    runs "$STATE/slurmctld.pid" || slurmctld
    within 20 scontrol ping || fail "slurmctld does not answer; its log is $STATE/slurmctld.log"
    runs "$STATE/slurmd.pid" || slurmd
    within 20 node_is_up || fail "the node does not come up; its log is $STATE/slurmd.log"
    echo "Slurm runs on this machine ($(sinfo --version), partitions main and urgent); stop it with: $0 stop"
}

node_is_up() {
    scontrol update NodeName="$(hostname -s)" State=RESUME || true  # after a start that ended in the middle of jobs
    [[ $(sinfo --noheader --format=%T --partition=main) =~ ^(idle|mixed|allocated)$ ]]
}

stop() {
    local file pid
    if runs "$STATE/slurmctld.pid"; then
        scancel --full --user=root || true
        within 20 no_job_is_left || true
    fi
    for file in "$STATE/slurmd.pid" "$STATE/slurmctld.pid" "$MUNGED_PID"; do
        if runs "$file"; then
            pid=$(cat "$file")
            kill "$pid"
            within 20 bash -c "! kill -0 $pid" || kill -KILL "$pid"
        fi
    done
    rm -rf "$STATE"
    echo "Slurm is stopped"
}

no_job_is_left() {
    [[ -z $(squeue --noheader) ]]
}

[[ $EUID == 0 ]] || fail "Slurm's daemons need root"
[[ ! -e $CONF || $(head -n 1 "$CONF") == "$MARK" ]] || fail "$CONF is somebody else's: this machine has a Slurm"
case ${1-start} in
    start) start ;;
    stop) stop ;;
    *) fail "unknown verb '$1'; it is start or stop" ;;
esac
