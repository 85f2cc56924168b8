# What both programs answer to questions that need no service: help, JSON, overlaps.
# usage: corpus.sh BIN write|check
# BIN is the folder of the programs. `write` makes tests/corpus.txt, `check` compares with it,
# a line of TAP for each question: who changes an answer changes that file with it.
set -eu
bin=$1
known=tests/corpus.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export COLUMNS=100 NO_COLOR=1 MOLT_DAEMON=off MOLT_STATE="$work/state"

ask() { # NAME COMMAND...
    name=$1
    shift
    {
        code=0
        "$@" 2>&1 </dev/null || code=$?
        echo "exit $code"
    } | sed "s/^/$name	/"
}

verbs() { # PROGRAM
    "$bin/$1" --help | awk '/^Commands:/ { on = 1; next } /^[A-Z]/ { on = 0 } on && /^  [a-z]/ { print $1 }'
}

questions() {
    for program in molt-agent molt-coordinator; do
        ask "help $program" "$bin/$program" --help
        for verb in $(verbs "$program"); do
            ask "help $program $verb" "$bin/$program" "$verb" --help
        done
    done
    for verb in $(verbs molt-agent); do
        ask "json $verb" "$bin/molt-agent" --json "$verb" --no-such-flag
    done
    # Each of these tries for a while, so they try side by side.
    for verb in status scopes queue "task list" "lock ls" "slot ls"; do
        # shellcheck disable=SC2086 # one word each
        ask "json away $verb" "$bin/molt-agent" --json --coordinator 127.0.0.1:1 $verb \
            >"$work/away $verb" &
    done
    wait
    cat "$work/away "*
}

# Every pair of 21 patterns: 210 questions whether a path can match both.
overlaps() {
    printf '%s\n' 'a/**' 'a/*' 'a/*/c' '**/c' '**' '*.rs' '**/*.rs' 'a/b' 'a/{b,c}' 'a/[a-c]' \
        'a/?' 'a/**/b' 'b/**' 'b/*/*' '{a,b}/c' '**/b/**' 'c/*.toml' '**/[!a]' 'a*/b*' '*/x/*' \
        'a/b/c/d' >"$work/patterns"
    echo 'version = 1' >"$work/molt.toml"
    awk -v q="'" '{ printf "[scope.s%02d]\npaths = [%s%s%s]\n", NR, q, $0, q }' \
        "$work/patterns" >>"$work/molt.toml"
    "$bin/molt-coordinator" policy check --file "$work/molt.toml" >"$work/found" || true
    awk -v patterns="$work/patterns" '
        BEGIN { while ((getline line < patterns) > 0) pattern[++n] = line }
        match($0, /scopes `s[0-9]+` and `s[0-9]+` overlap/) {
            split(substr($0, RSTART, RLENGTH), word, "`")
            answer[word[2] " " word[4]] = substr($0, RSTART + RLENGTH)
        }
        END {
            for (i = 1; i <= n; i++)
                for (j = i + 1; j <= n; j++) {
                    pair = sprintf("s%02d s%02d", i, j)
                    found = pair in answer ? "overlap" answer[pair] : "apart"
                    printf "overlap %s\t%s ~ %s: %s\n", pair, pattern[i], pattern[j], found
                }
        }
    ' "$work/found"
}

{
    questions
    overlaps
} >"$work/said"

if test "$2" = write; then
    cp "$work/said" "$known"
    exit
fi
awk -F'\t' '
    !($1 in place) { place[$1] = ++names; name[names] = $1 }
    FNR == NR { was[$1] = was[$1] "\n" $0; next }
    { is[$1] = is[$1] "\n" $0 }
    END {
        for (i = 1; i <= names; i++) {
            same = was[name[i]] == is[name[i]]
            printf "%s %d - %s\n", (same ? "ok" : "not ok"), i, name[i]
            red += !same
        }
        printf "1..%d\n", names
        exit red > 0
    }
' "$known" "$work/said"
