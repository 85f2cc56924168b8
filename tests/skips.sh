#!/usr/bin/env bash
# Says which tests a run leaves out and why. Under CI one that `tests/skips.txt` does not list with
# a reason is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

left_out=$("${CARGO:-cargo}" nextest list --locked --workspace --run-ignored only -T oneline)
unlisted=0
while read -r test; do
    [ -n "$test" ] || continue
    reason=$(awk -v test="$test: " 'index($0, test) == 1' tests/skips.txt)
    if [ -n "$reason" ]; then
        echo "left out: $reason"
    else
        echo "left out without a reason in tests/skips.txt: $test" >&2
        unlisted=1
    fi
done <<<"$left_out"
[ -z "${CI:-}" ] || exit "$unlisted"
