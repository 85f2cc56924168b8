# Is refused what another has, then waits for it in line.
# usage: wait.sh HELD FREE REPORT
set -eu
export MOLT_AGENT_ROOT_PID=$$
code=0
molt-agent claim "$1" "$2" >"$3.text" || code=$?
echo "exit $code" >>"$3.text"
mv "$3.text" "$3"
molt-agent claim "$1" --wait 30m
molt-agent release --outcome done
molt-agent leave
