# Adds tasks, one a line of the file PLAN: title|scopes|the task that it needs, counted from 0.
# usage: plan.sh PLAN
set -eu
export MOLT_AGENT_ROOT_PID=$$
ids=
while IFS='|' read -r title scopes need; do
    # shellcheck disable=SC2086 # one id a word, one scope a word
    {
        needed=
        if [ -n "$need" ]; then
            set -- $ids
            shift "$need"
            needed="--need $1"
        fi
        said=$(molt-agent task add "$title" $needed $(printf -- '--scope %s ' $scopes))
    }
    echo "$said"
    ids="$ids $(echo "$said" | sed -n 's/^added *\(tsk_[^ ]*\).*/\1/p')"
done <"$1"
molt-agent leave
