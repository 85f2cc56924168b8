# Takes tasks until told to stop: edits, announces, commits, submits, sees it land.
# usage: work.sh MIND STOP [pause]
# MIND edits the worktree as a title says, STOP is a file; with `pause` the agent thinks about
# a task until it is told to go on.
set -eu
export MOLT_AGENT_ROOT_PID=$$
while [ ! -e "$2" ]; do
    told=$(molt-agent next --wait 2s) || continue
    echo "$told"
    task=$(echo "$told" | sed -n 's/^task *\(tsk_[^ ]*\).*/\1/p')
    title=$(echo "$told" | sed -n 's/^task *tsk_[^ ]*  //p')
    test "${3-}" != pause || read -r _
    git fetch --quiet origin
    git checkout --quiet -B work origin/main
    sh "$1" "$title"
    git add --all
    git commit --quiet -m "$title"
    # shellcheck disable=SC2046 # no path here has a blank
    molt-agent announce --files $(git diff --name-only HEAD~1) --note "$title"
    if molt-agent submit --wait 30m; then
        molt-agent task done "$task"
    else
        molt-agent task fail "$task" --reason "a gate refused it"
    fi
done
molt-agent leave
