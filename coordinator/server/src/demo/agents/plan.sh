# Adds tasks, one a line of the file PLAN: title|scope|the task that it needs, counted from 0.
# usage: plan.sh PLAN
set -eu
export MOLT_AGENT_ROOT_PID=$$
ids=
while IFS='|' read -r title scope need; do
    if [ -n "$need" ]; then
        # shellcheck disable=SC2086 # one id a word
        set -- $ids
        shift "$need"
        said=$(molt-agent task add "$title" --scope "$scope" --need "$1")
    else
        said=$(molt-agent task add "$title" --scope "$scope")
    fi
    echo "$said"
    ids="$ids $(echo "$said" | sed -n 's/^added *\(tsk_[^ ]*\).*/\1/p')"
done <"$1"
molt-agent leave
