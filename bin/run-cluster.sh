#!/usr/bin/env bash
# Trains with a cluster of processes on this machine: parameter servers (ps), workers and a chief.
#
#   bin/run-cluster.sh [--script S] [p:w:g] [flags of DeepSpeech.py]
#
# p:w:g are the numbers of parameter servers, of workers, and of GPUs for each worker; without them
# 1:2:0. With p = 0 the workers keep in step (all-reduce) and worker 0 is the chief. Every task runs
# DeepSpeech.py, or S: a command that takes its flags, as in --script bin/run-ldc93s1.sh or
# --script "python -u DeepSpeech.py". A shell script should `exec` the trainer, so that signals reach it.
#
# Every line of a task is printed with the task's name before it. The exit status is the chief's.
# Ctrl-C lets all tasks save and end, once more kills them. Tasks that outlive the chief are ended.
# Needs bash 4.4. To spread the tasks over machines, see start_task below.

set -euo pipefail

patience=15 # seconds that tasks have to end by themselves after the chief
mercy=5     # seconds they have to end after TERM, before they are killed

fail() {
  echo "bin/run-cluster.sh: $1" >&2
  exit 2
}

# Starts one task: start_task JOB INDEX GPUS. For other machines set `addresses` below to theirs (host:port, with
# commas, of workers, chief and ps) and let `ssh -tt HOST "CUDA_VISIBLE_DEVICES=$3 ${words[*]@Q}"` run the command's
# words there; -tt ends it with the connection, by HUP, so that it does not save when interrupted here.
start_task() {
  local name output index=$2
  [[ $1 != chief ]] || index= # there is only one
  printf -v name '%-6s %*s' "$1" "$width" "$index"
  exec {output}> >(print_lines "[$name]")
  printers+=($!)
  set -m # a process group for the task: Ctrl-C does not reach it, and all of it can be ended
  CUDA_VISIBLE_DEVICES=$3 "${command[@]}" "${cluster[@]}" --job_name "$1" --task_index "$2" "${flags[@]}" \
    </dev/null >&"$output" 2>&1 &
  set +m # what runs in the foreground stays where Ctrl-C reaches this script too
  exec {output}>&-
  tasks[$!]="$1 $2"
  (($2 > 0)) || chief=$! # the last 0: of ps, then workers, then chief
}

# Writes whole lines, which do not mix with others', until the last process of a task has ended.
print_lines() {
  trap '' INT TERM HUP
  while IFS= read -r line || [[ -n $line ]]; do printf '%s %s\n' "$1" "$line"; done
}

# Sends a signal to all processes of all tasks; fails if there are none.
signal() {
  local groups
  printf -v groups -- '-%s ' "${!tasks[@]}"
  # shellcheck disable=SC2086 # one word for each group
  kill -s "$1" -- $groups
}

# Ends all tasks: kindly the first time, at once the next.
stop() {
  signal "$how" || true
  how=KILL
}

# A moment of waiting. Signals count here, so that a burst (Ctrl-C, `timeout`) counts once.
pause() {
  sleep 0.2 || true
  if [[ -n $asked ]]; then
    asked=
    stop
  fi
}

all_ended_within() {
  local end=$((SECONDS + $1))
  while signal 0; do
    ((SECONDS < end)) || return
    pause
  done
}

# Forgets tasks that ended before the chief, and says which of them failed.
look_after_tasks() {
  local pid status
  for pid in "${!tasks[@]}"; do
    if ((pid == chief)) || kill -0 "$pid"; then continue; fi
    status=0
    wait "$pid" || status=$?
    ((status == 0)) ||
      echo "bin/run-cluster.sh: ${tasks[pid]} ended with status $status, the others go on." >&"$errors"
    kill -KILL -- "-$pid" || true # what it started
    unset "tasks[pid]"
  done
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command=("$here/.venv/bin/python" -u "$here/DeepSpeech.py")
own=yes # a program of this checkout, which runs in its environment
if [[ ${1:-} == --script ]]; then
  [[ ${2:-} =~ ^[^[:space:]-] ]] ||
    fail "--script is followed by '${2:-}': give a command, as in --script bin/run-ldc93s1.sh."
  read -r -a command <<<"$2"
  program=$(type -P "${command[0]}") ||
    fail "--script '$2': '${command[0]}' is no program: give one that can be run from $PWD."
  [[ $program == */run-*.sh && ${program%/*} -ef $here/bin ]] || own=
  shift 2
fi
servers=1 workers=2 gpus=0
if [[ ${1:--} != -* ]]; then
  [[ $1 =~ ^(0|[1-9][0-9]?):([1-9][0-9]?):(0|[1-9][0-9]?)$ ]] ||
    fail "'$1' is not p:w:g: give three numbers below 100: parameter servers, workers (at least 1) and GPUs per worker."
  servers=${BASH_REMATCH[1]} workers=${BASH_REMATCH[2]} gpus=${BASH_REMATCH[3]}
  shift
fi
flags=("$@")

[[ -z $own ]] || "$here/bin/make-env.sh" requirements.txt
python=$here/.venv/bin/python
[[ -x $python ]] || python=python3
# Ports that are free now; each is held until all are known, so that none comes twice.
addresses=$("$python" -c '
import socket, sys
counts = [int(count) for count in sys.argv[1:]]
held = [[socket.create_server(("127.0.0.1", 0)) for _ in range(count)] for count in counts]
print(*(",".join("%s:%d" % port.getsockname() for port in ports) for ports in held))
' "$workers" 1 "$servers") || fail "$python, which is to name free ports, did not (see above): install Python 3."
read -r worker_hosts chief_host ps_hosts <<<"$addresses"
cluster=(--worker_hosts "$worker_hosts")
((servers == 0)) || cluster+=(--ps_hosts "$ps_hosts" --chief_host "$chief_host")

tasks=() printers=() asked='' how=TERM # tasks: their names by process id
last=$((servers > workers ? servers - 1 : workers - 1)) width=${#last}
trap 'asked=yes' INT TERM HUP
trap 'signal KILL || true' EXIT

for ((i = 0; i < servers; i++)); do start_task ps "$i" ''; done
for ((i = 0; i < workers; i++)); do
  ids=
  for ((gpu = i * gpus; gpu < (i + 1) * gpus; gpu++)); do ids+=${ids:+,}$gpu; done
  start_task worker "$i" "$ids"
done
((servers == 0)) || start_task chief 0 ''

exec {errors}>&2 2>/dev/null # for bash has words of its own for killed tasks
while kill -0 "$chief"; do
  pause
  [[ $how == KILL ]] || look_after_tasks
done
status=0
wait "$chief" || status=$?
all_ended_within "$patience" || stop
all_ended_within "$mercy" || stop
end=$((SECONDS + mercy)) # for what is still to be printed
while kill -0 "${printers[@]}" && ((SECONDS < end)); do pause; done
exit "$status"
