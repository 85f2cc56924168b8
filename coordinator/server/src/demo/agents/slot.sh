# Runs something in a slot of a pool.
# usage: slot.sh POOL COMMAND
set -eu
export MOLT_AGENT_ROOT_PID=$$
molt-agent slot run "$1" --wait 2m -- sh -c "$2"
molt-agent leave
