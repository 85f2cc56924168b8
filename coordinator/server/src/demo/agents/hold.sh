# Claims a scope, says so, and gives it back when told.
# usage: hold.sh SCOPE
set -eu
export MOLT_AGENT_ROOT_PID=$$
molt-agent claim "$1" --why "to show what a claim is"
read -r _
molt-agent release --outcome done
molt-agent leave
