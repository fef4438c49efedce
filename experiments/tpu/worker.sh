#!/usr/bin/env bash
# slice.sh runs this on every worker of a slice. In the worker's home folder, codex_jax/ is the source and bucket/ the bucket.
set -euo pipefail

PYTHON=3.12 # the system's Python on a worker is 3.10
bucket=$HOME/bucket
log=$HOME/train.log
ended=$HOME/train.exit
group=$HOME/train.pid

data_path() { # DATA DATA_DIR: prints the path of the data on a worker; relative paths start at the home folder
  local path=$1
  [[ $1 != gs://* ]] || path=${2%/}/$(basename "$1")
  [[ $path == /* ]] || path=$HOME/$path
  echo "$path"
}

# Metadata is not cached, because other workers write files too. Without streaming writes, a file stays on this machine until
# it is closed or synced, because an object in a bucket cannot grow.
mount_bucket() { # BUCKET
  ls "$bucket" >/dev/null 2>&1 || fusermount -uz "$bucket" 2>/dev/null || true # gcsfuse has died
  mkdir -p "$bucket"
  mountpoint -q "$bucket" || gcsfuse --implicit-dirs --enable-streaming-writes=false \
    --metadata-cache-ttl-secs=0 --metadata-cache-negative-ttl-secs=0 "$1" "$bucket"
}

install() { # BUCKET DATA DATA_DIR
  local packages=() name key
  if ! command -v gcsfuse >/dev/null; then
    key=/usr/share/keyrings/cloud.google.asc
    curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo tee "$key" >/dev/null
    echo "deb [signed-by=$key] https://packages.cloud.google.com/apt" \
      "gcsfuse-$(lsb_release -c -s) main" | sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null
    packages+=(gcsfuse)
  fi
  for name in make python3-pip; do dpkg -s "$name" >/dev/null 2>&1 || packages+=("$name"); done
  if ((${#packages[@]})); then
    sudo apt-get -q -o DPkg::Lock::Timeout=600 update
    sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 install "${packages[@]}"
  fi
  python3 -m pip install --quiet --user uv
  "$HOME/.local/bin/uv" python install --quiet "$PYTHON"
  make -C "$HOME/codex_jax" install EXTRA=tpu PYTHON="$("$HOME/.local/bin/uv" python find --no-project "$PYTHON")"
  echo "$1" >"$HOME/bucket.name"
  mount_bucket "$1"
  if [[ $2 == gs://* ]]; then
    name=$(data_path "$2" "$3")
    mkdir -p "$name"
    gcloud storage rsync --recursive "$2" "$name"
  fi
}

stop() { # stops what start started, which saves a checkpoint, and waits until the chips are free again
  local pid tries
  [[ -f $group ]] || return 0
  pid=$(cat "$group")
  kill -TERM -- "-$pid" 2>/dev/null || true
  for ((tries = 0; tries < 1000; tries++)); do
    kill -0 -- "-$pid" 2>/dev/null || break
    ((tries != 900)) || kill -KILL -- "-$pid" 2>/dev/null || true
    sleep 0.2
  done
  rm -f "$group" "$ended"
}

start() { # SIZE RUN DATA DATA_DIR FLAG...
  mount_bucket "$(cat "$HOME/bucket.name")"
  stop
  local data
  data=$(data_path "$3" "$4")
  # The workers are started one after the other, so the first ones must wait for a long time (--hosts.wait).
  # In its own session it outlives the connection, and stop can stop all of its processes.
  setsid nohup bash "${BASH_SOURCE[0]}" supervise "$2" .venv-tpu/bin/python -m codex_jax.train \
    "experiments/codex.py:$1" --run-dir "$bucket/runs/$2" --data.path "$data" --hosts.wait 300 "${@:5}" \
    >>"$log" 2>&1 </dev/null &
  echo $! >"$group"
}

supervise() { # RUN COMMAND...: runs the command and saves its exit code
  local run=$bucket/runs/$1 code=0
  cd "$HOME/codex_jax"
  ulimit -n "$(ulimit -H -n)"
  echo "$(date -u +%FT%TZ) ${*:2}"
  keep_logs "$run" &
  "${@:2}" || code=$?
  kill $! 2>/dev/null || true
  save_logs "$run"
  # A run that was stopped by a signal or a preemption notice exits with 0 too, but is not done.
  [[ $code != 0 || $(tail -n 1 "$run/history.jsonl" 2>/dev/null) != *'"event": "stopped"'* ]] || code=stopped
  echo "$code" >"$ended"
}

keep_logs() { # RUN_DIR: saves the logs regularly, because a preemption deletes the worker's disk
  while sleep "${LOG_SECONDS:-60}"; do save_logs "$1"; done
}

save_logs() { # RUN_DIR: copies the log to the bucket; an open file reaches the bucket when it is synced
  [[ -d $1 ]] || return 0
  mkdir -p "$1/logs"
  cp "$log" "$1/logs/$(hostname).log" || true
  find "$1" -maxdepth 2 \( -name metrics.jsonl -o -name '*.tfevents.*' \) -exec sync {} + || true
}

progress() { # prints running, exit CODE, or stopped (after a reboot, or before the first start)
  if [[ -f $ended ]]; then
    echo "codex_jax: exit $(cat "$ended")"
  elif [[ -f $group ]] && kill -0 "$(cat "$group")" 2>/dev/null; then
    echo "codex_jax: running"
  else
    echo "codex_jax: stopped"
  fi
}

checkpoint() { # RUN: prints the step of its newest checkpoint, or none
  local step="" folder=$bucket/runs/$1/checkpoints
  mount_bucket "$(cat "$HOME/bucket.name")"
  ls "$bucket" >/dev/null
  if [[ -d $folder ]]; then
    step=$(find "$folder" -mindepth 1 -maxdepth 1 | sed -n 's|.*/\([0-9][0-9]*\)$|\1|p' | sort -n | tail -n 1)
  fi
  echo "codex_jax: ${step:-none}"
}

forget() { # RUN: lets a run without a checkpoint start again in its folder
  rm -f "$bucket/runs/$1/config.json"
}

status() { # RUN
  progress
  checkpoint "$1" | sed 's/codex_jax:/newest checkpoint:/'
  tail -n 3 "$log" 2>/dev/null || true
}

"$@"
