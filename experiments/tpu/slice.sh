#!/usr/bin/env bash
# Creates a Cloud TPU slice and trains on it. README.md in this folder explains it step by step.
set -euo pipefail

usage() {
  cat <<'END'
experiments/tpu/slice.sh COMMAND [--setting value]... [--dry-run] [-- flags of codex_jax.train]

commands
  create    requests the slice as a queued resource and waits until it is ACTIVE
  install   installs this commit and its environment, mounts the bucket and copies the data, on every worker;
            --keep: installs the same commit as last time
  train     starts the run on every worker and returns; --resume: from its newest checkpoint
  watch     waits until the run has finished; creates the slice again after a preemption, and resumes after a crash
  status    prints the state of the slice and the run, its newest checkpoint and its last lines
  logs      follows the log of one worker (--worker 0)
  delete    deletes the slice: until then it costs money

settings, as --project P or as PROJECT=P in the environment
  PROJECT     Google Cloud project
  ZONE        zone of the chips, such as us-central2-b
  NAME        name of the slice; default codex-SIZE
  SIZE        12m 25m 42m 85m 300m 679m 2.5b or 12b: experiments/codex.py
  TOPOLOGY    v5e:16x16, v4:4x4x4, ...; default: the experiment's
  BUCKET      Cloud Storage bucket with a hierarchical namespace, in the zone's region
  RUN         name of the run, whose folder is gs://BUCKET/runs/RUN; default codex_SIZE
  DATA        gs://... of a data set to copy to every worker, or a path there, such as bucket/data/github_python
  DATA_DIR    folder on a worker for that copy; default data
  CAPACITY    spot, on-demand or reserved; default spot
  NETWORK     default: the project's default network
  POLL        seconds between two checks; default 60
  RESTARTS    watch gives up after so many restarts without a new checkpoint; default 3
  WORKER      number of the worker whose log to follow; default 0

--dry-run prints the commands without running them. Exit codes: 0 done, 1 failed, 2 bad input.
END
}

SETTINGS="PROJECT ZONE NAME SIZE TOPOLOGY BUCKET RUN DATA DATA_DIR CAPACITY NETWORK POLL RESTARTS WORKER"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
worker=codex_jax/experiments/tpu/worker.sh # on a worker
script=$here/${BASH_SOURCE[0]##*/}

say() { printf '%s\n' "$*" >&2; }
bad() { say "error: $*"; exit 2; }
failed() { say "error: $*"; exit 1; }

need() { # SETTING...: bad input unless all of them are given
  local key
  for key in "$@"; do
    [[ -n ${!key:-} ]] || bad "$key is not given: add --$(tr 'A-Z_' 'a-z-' <<<"$key") or export $key (see --help)"
  done
}

run() { # COMMAND...: prints it, and runs it unless this is a dry run
  local line
  printf -v line ' %q' "$@"
  say "+$line"
  [[ -n $dry_run ]] || "$@"
}

# Sets Cloud's accelerator type and software version for TOPOLOGY. The types of v3 and v5p count cores (two per chip), those
# of v5e and v6e count chips. For v4 the shape itself is requested, because several shapes have the same number of chips.
read_topology() {
  local flat='^[1-9][0-9]*x[1-9][0-9]*$' cube='^[1-9][0-9]*x[1-9][0-9]*x[1-9][0-9]*$'
  local chip=${TOPOLOGY%%:*} shape=${TOPOLOGY#*:} axes=$flat chips
  [[ $chip != v4 && $chip != v5p ]] || axes=$cube
  [[ $TOPOLOGY == *:* && $shape =~ $axes ]] || bad "TOPOLOGY $TOPOLOGY: give CHIP:SHAPE, such as v5e:16x16 or v4:4x4x4"
  chips=$((${shape//x/*}))
  case $chip in
    v3) accelerator=(--accelerator-type="v3-$((2 * chips))") runtime=tpu-ubuntu2204-base ;;
    v4) accelerator=(--type=v4 --topology="$shape") runtime=tpu-ubuntu2204-base ;;
    v5e) accelerator=(--accelerator-type="v5litepod-$chips") runtime=v2-alpha-tpuv5-lite ;;
    v5p) accelerator=(--accelerator-type="v5p-$((2 * chips))") runtime=v2-alpha-tpuv5 ;;
    v6e) accelerator=(--accelerator-type="v6e-$chips") runtime=v2-alpha-tpuv6e ;;
    *) bad "TOPOLOGY $TOPOLOGY: the chip must be v3, v4, v5e, v5p or v6e" ;;
  esac
}

tpus() { run gcloud compute tpus "$@" --project="$PROJECT" --zone="$ZONE" --quiet; }

on() { # WORKER COMMAND: runs it on that worker, or on "all"
  tpus tpu-vm ssh "$NAME" --worker="$1" --command="$2"
}

worker() { # WORKER WORD...: runs worker.sh there, with these arguments
  local words
  printf -v words ' %q' "${@:2}"
  on "$1" "bash $worker$words"
}

state() { # prints the state of the queued resource, or of its TPU if that is not READY; NONE if there is none
  local found node
  if [[ -n $dry_run ]]; then
    tpus queued-resources describe "$NAME" --format='value(state.state)'
    echo ACTIVE
    return
  fi
  if ! found=$(tpus queued-resources describe "$NAME" --format='value(state.state)' 2>"$errors"); then
    if grep -q NOT_FOUND "$errors"; then echo NONE; else tail -n 1 "$errors" >&2; echo UNKNOWN; fi
    return
  fi
  if [[ $found == ACTIVE ]]; then
    node=$(tpus tpu-vm describe "$NAME" --format='value(state)' 2>"$errors") || node=READY
    [[ $node == READY ]] || found=$node
  fi
  echo "$found"
}

ask() { # WORD...: prints the answer of worker.sh on the first worker; fails if the worker cannot be reached
  local answer words
  printf -v words ' %q' "$@"
  words="if [ -f $worker ]; then bash $worker$words; else echo codex_jax: not installed; fi"
  answer=$(on 0 "$words" 2>"$errors") || return 1
  sed -n 's/^codex_jax: //p' <<<"$answer" | tail -n 1
}

create() {
  local capacity=() found
  read_topology
  case $CAPACITY in
    spot) capacity=(--spot) ;;
    reserved) capacity=(--reserved) ;;
    on-demand) ;;
    *) bad "CAPACITY $CAPACITY: give spot, on-demand or reserved" ;;
  esac
  [[ -n $dry_run ]] || found=$(state)
  [[ ${found:-} != UNKNOWN ]] || failed "cannot read the state of $NAME: see above"
  if [[ ${found:-NONE} == NONE ]]; then
    tpus queued-resources create "$NAME" --node-id="$NAME" "${accelerator[@]}" --runtime-version="$runtime" \
      ${capacity[@]+"${capacity[@]}"} ${NETWORK:+--network="$NETWORK"} --async
  fi
  while :; do
    found=$(state)
    say "$NAME: $found"
    case $found in
      ACTIVE) return ;;
      FAILED | SUSPENDING | SUSPENDED | PREEMPTED | TERMINATED | STOPPED)
        failed "$NAME is $found: slice.sh delete, then create it again; for the reason run gcloud compute tpus" \
          "queued-resources describe $NAME --project=$PROJECT --zone=$ZONE" ;;
    esac
    sleep "$POLL"
  done
}

# The commit is stored in the bucket, so that a slice that is created again runs the same one.
install() {
  local source=gs://$BUCKET/source/$RUN.tar.gz hierarchical
  hierarchical=$(run gcloud storage buckets describe "gs://$BUCKET" --format='value(hierarchical_namespace.enabled)')
  [[ -n $dry_run || $hierarchical == [Tt]rue ]] ||
    failed "gs://$BUCKET has no hierarchical namespace, which checkpoints need: see README.md"
  if [[ -z $keep ]]; then
    [[ -z $(git -C "$root" status --porcelain --untracked-files=no) ]] || say "note: uncommitted changes are left out"
    local archive
    archive=$(mktemp)
    git -C "$root" archive --format=tar.gz -o "$archive" HEAD
    run gcloud storage cp "$archive" "$source"
    rm "$archive"
  fi
  on all "mkdir -p codex_jax && gcloud storage cp $source source.tar.gz && tar -xzf source.tar.gz -C codex_jax"
  worker all install "$BUCKET" "$DATA" "$DATA_DIR"
}

train() {
  local flags=()
  if [[ -n $resume ]]; then
    local step=N
    [[ -n $dry_run ]] || step=$(ask checkpoint "$RUN") || failed "worker 0 of $NAME does not answer: slice.sh status"
    [[ -z $dry_run ]] || worker 0 checkpoint "$RUN"
    [[ $step != "not installed" ]] || failed "$NAME has no codex_jax yet: slice.sh install"
    if [[ $step == none ]]; then
      say "$RUN has no checkpoint yet: starting from step 0"
      worker 0 forget "$RUN"
    else
      say "resuming $RUN from step $step"
      flags=(--resume)
    fi
  fi
  worker all start "$SIZE" "$RUN" "$DATA" "$DATA_DIR" ${flags[@]+"${flags[@]}"} ${train_flags[@]+"${train_flags[@]}"}
  say "started: follow it with slice.sh status, slice.sh logs or slice.sh watch"
}

self() { # COMMAND FLAG...: runs another command of this script with the same settings
  local options=(${dry_run:+--dry-run})
  "$BASH" "$script" "$@" ${options[@]+"${options[@]}"} -- ${train_flags[@]+"${train_flags[@]}"}
}

recover() { # STATE: deletes the slice unless that is NONE, creates it again and resumes the run
  [[ $1 == NONE ]] || self delete
  self create && self install --keep && self train --resume
}

watch() {
  local found seen step last=none crashes=0 lost=""
  if [[ -n $dry_run ]]; then
    found=$(state)
    worker 0 progress
    say "# after a preemption:"
    recover SUSPENDED
    return
  fi
  while :; do
    found=$(state)
    case $found in
      ACTIVE)
        lost=""
        if ! seen=$(ask progress); then
          say "$NAME: worker 0 does not answer"
        elif [[ $seen == "exit 0" ]]; then
          say "$RUN is done: gs://$BUCKET/runs/$RUN. The slice costs money until: slice.sh delete"
          return
        elif [[ $seen != running ]]; then
          step=$(ask checkpoint "$RUN") || step=$last
          [[ $step == "$last" ]] || crashes=0
          last=$step crashes=$((crashes + 1))
          ((crashes <= RESTARTS)) || failed "$RUN ended $crashes times at checkpoint $step ($seen): slice.sh logs"
          say "$RUN: $seen; newest checkpoint $step; restart $crashes of $RESTARTS"
          { self install --keep && self train --resume; } || say "$NAME: will try again"
        fi ;;
      SUSPENDING | SUSPENDED | FAILED | PREEMPTED | TERMINATED | STOPPED)
        say "$NAME is $found: creating it again"
        lost=yes
        recover "$found" || say "$NAME: will try again" ;;
      NONE)
        [[ -n $lost ]] || failed "there is no slice $NAME: run slice.sh create, install and train first"
        recover NONE || say "$NAME: will try again" ;;
      *) say "$NAME: $found" ;;
    esac
    sleep "$POLL"
  done
}

main() {
  local command=${1:-} key
  case $command in
    create | install | train | watch | status | logs | delete) shift ;;
    -h | --help | help) usage; exit 0 ;;
    "") bad "give a command: create, install, train, watch, status, logs or delete (see --help)" ;;
    *) bad "no command $command: use create, install, train, watch, status, logs or delete (see --help)" ;;
  esac
  dry_run="" resume="" keep="" train_flags=()
  while (($#)); do
    case $1 in
      --dry-run) dry_run=yes ;;
      --resume) resume=yes ;;
      --keep) keep=yes ;;
      -h | --help) usage; exit 0 ;;
      --) shift; train_flags=("$@"); break ;;
      --*)
        key=$(tr 'a-z-' 'A-Z_' <<<"${1#--}")
        [[ " $SETTINGS " == *" $key "* ]] || bad "no flag $1 (see --help); flags of codex_jax.train follow after --"
        (($# > 1)) || bad "$1 needs a value"
        printf -v "$key" %s "$2"
        shift ;;
      *) bad "unexpected argument $1: settings are --name value (see --help)" ;;
    esac
    shift
  done
  need PROJECT ZONE SIZE
  local found
  found=$(sed -n "s/^    \"$SIZE\": codex(\"$SIZE\", \"\([^\"]*\)\".*/\1/p" "$root/experiments/codex.py")
  [[ -n $found ]] || bad "SIZE $SIZE: experiments/codex.py has no such size"
  NAME=${NAME:-codex-${SIZE//./-}} RUN=${RUN:-codex_$SIZE} DATA=${DATA:-} DATA_DIR=${DATA_DIR:-data}
  TOPOLOGY=${TOPOLOGY:-$found}
  CAPACITY=${CAPACITY:-spot} POLL=${POLL:-60} RESTARTS=${RESTARTS:-3} WORKER=${WORKER:-0} BUCKET=${BUCKET:-}
  BUCKET=${BUCKET#gs://} BUCKET=${BUCKET%/} NETWORK=${NETWORK:-}
  [[ $NAME =~ ^[a-z]([a-z0-9-]*[a-z0-9])?$ ]] || bad "NAME $NAME: use lower-case letters, digits and dashes, and begin with a letter"
  [[ $RUN =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || bad "RUN $RUN: use letters, digits, dots, dashes and underscores"
  [[ -z $BUCKET || $BUCKET =~ ^[a-z0-9][a-z0-9._-]*$ ]] || bad "BUCKET $BUCKET: give only the name of the bucket"
  [[ $POLL =~ ^[0-9]+(\.[0-9]+)?$ ]] || bad "POLL $POLL: give seconds"
  [[ $RESTARTS =~ ^[0-9]+$ ]] || bad "RESTARTS $RESTARTS: give a number"
  [[ $WORKER =~ ^[0-9]+$ ]] || bad "WORKER $WORKER: give its number"
  case $command in install | train | watch) need BUCKET DATA ;; esac
  [[ $command != create && $command != watch ]] || read_topology
  [[ -n $dry_run ]] || command -v gcloud >/dev/null || bad "no gcloud: https://cloud.google.com/sdk/docs/install"
  # shellcheck disable=SC2163  # exports the variables whose names are in $key
  for key in $SETTINGS; do export "$key"; done
  errors=$(mktemp)
  trap 'rm -f "$errors"' EXIT
  case $command in
    status)
      say "$NAME: $(state)"
      worker 0 status "$RUN" ;;
    logs) on "$WORKER" "tail -n 50 -F train.log" ;;
    delete) tpus queued-resources delete "$NAME" --force ;;
    *) "$command" ;;
  esac
}

main "$@"
