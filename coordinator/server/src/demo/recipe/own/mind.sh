# What an agent does about a task: it edits the files of its worktree.
set -eu
edit() { # FILE SED-SCRIPT
    sed "$2" "$1" >"$1.new"
    cmp -s "$1" "$1.new" && echo "nothing to edit in $1" >&2 && exit 1
    cat "$1.new" >"$1"
    rm "$1.new"
}
case $1 in
"docs: one wants to change the line")
    edit docs/notes.md 's/^One line.*/One line that one has changed./' ;;
"domain: a word about fences")
    printf '\n// Fences only grow.\n' >>coordinator/domain/src/lib.rs ;;
"agent: another word in the help, with its snapshot")
    edit agent/src/cli/leave.rs 's/End this session/End your session/'
    edit tests/corpus.txt 's/End this session/End your session/' ;;
"domain: a function that nobody formatted")
    printf '\npub  fn  unformatted( ) { }\n' >>coordinator/domain/src/lib.rs ;;
"domain: longer ids")
    edit coordinator/domain/src/id.rs 's/digits.len() >= 4/digits.len() >= 5/' ;;
"agent: another word in the help")
    edit agent/src/cli/join.rs 's/Begin a session/Start a session/' ;;
"docs: reach into the agent")
    echo "The agent's program is small." >>docs/notes.md
    printf '\n// It is small.\n' >>agent/src/lib.rs ;;
"docs: from a stale copy")
    git reset --quiet --hard demo-base
    edit docs/notes.md 's/^One line.*/One line that another has changed./' ;;
"docs: a page that two begin")
    printf '# Begun twice\n\nWhat one left, another ended.\n' >docs/begun.md ;;
"agent: written while the coordinator dies")
    printf '\n// It outlives its coordinator.\n' >>agent/src/lib.rs ;;
"docs: held while the coordinator dies")
    printf '# Held\n\nThe claim was still there.\n' >docs/held.md ;;
*)
    echo "no such task: $1" >&2
    exit 1 ;;
esac
