# The tests of two crates, each test of each program as a line of TAP.
set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT
code=0
cargo test --locked -p molt-domain -p molt-proto >"$out" 2>&1 || code=$?
awk '
    /^ *(Running|Doc-tests) / {
        program = $0
        sub(/^ *(Running|Doc-tests) /, "", program)
        sub(/ *\(.*/, "", program)
        group++
    }
    /^test .* \.\.\. (ok|FAILED)$/ {
        count++
        name = $0
        sub(/^test /, "", name)
        sub(/ \.\.\. (ok|FAILED)$/, "", name)
        printf "%s %d - %d %s: %s\n", ($NF == "ok" ? "ok" : "not ok"), count, group, program, name
    }
    END { printf "1..%d\n", count }
' "$out"
test "$code" -eq 0 || grep -E '^(error|thread)' "$out" >&2 || true
exit "$code"
